"""What the registry's transfers are compared with: hashing alone, and MLflow's artifact proxy."""

from __future__ import annotations

import hashlib
import http.client
import subprocess
import time
from pathlib import Path

from bench import peers
from bench.registry_client import BLOCK, PATIENCE_S, Made, Memory
from bench.registry_report import REFERENCE, Row
from bench.site import Site, child, wait


def hashing(path: Path) -> list[Row]:
    """Hash the file by `sha256sum` and by Python, the faster of two runs each."""
    size = path.stat().st_size
    found = []
    for name, work in ((REFERENCE, _sha256sum), ("hashlib", _hashlib)):
        seconds = min(work(path), work(path))
        note = "what nobody can do without" if name == REFERENCE else "Python's, one core"
        found.append(Row(name=name, seconds=seconds, mb_s=size / seconds / 10**6, note=note))
    return found


def _sha256sum(path: Path) -> float:
    begun = time.perf_counter()
    subprocess.run(["sha256sum", path], check=True, capture_output=True)  # noqa: S603, S607 (the machine's own)
    return time.perf_counter() - begun


def _hashlib(path: Path) -> float:
    begun = time.perf_counter()
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    return time.perf_counter() - begun


def mlflow(site: Site, made: Made) -> list[Row]:
    """Upload the file through MLflow's tracking server; nothing where it is not built."""
    if not peers.built():
        return []
    from config.stack import free_port

    port, folder = free_port(None), site.data / "mlflow-artifacts"
    command = [
        *(str(peers.HOME / "bin" / "mlflow"), "server", "--host", "127.0.0.1"),
        *("--port", str(port), "--workers", "1", "--serve-artifacts"),
        *("--artifacts-destination", str(folder)),
        *("--backend-store-uri", f"sqlite:///{site.data}/mlflow.db"),
    ]
    with child(command, site.errors, peers.quiet(site.data)) as process:
        wait(lambda: peers.listens(port), "MLflow", process, site.log)
        memory = Memory(process.pid)
        begun = time.perf_counter()
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S, blocksize=BLOCK)
        headers = {"Content-Length": str(made.size), "Content-Type": "application/octet-stream"}
        with made.path.open("rb") as file:
            line.request("PUT", "/api/2.0/mlflow-artifacts/artifacts/large.bin", file, headers)
        answer = line.getresponse()
        if answer.status != 200:
            raise SystemExit(f"MLflow answered {answer.status}: {answer.read()[:300]!r}")
        seconds, extra = time.perf_counter() - begun, memory.extra_mb()
    note = "proxied artifact upload: nothing is hashed"
    speed = made.size / seconds / 10**6
    return [Row(name="MLflow", seconds=seconds, mb_s=speed, extra_mb=extra, note=note)]
