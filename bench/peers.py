"""The servers that the inference benchmark is compared with: LitServe and MLflow, unverified.

    python -m bench.peers          build their environment (about a minute, once)

They live in a virtual environment of their own, `build/bench`, installed from the hash-pinned
`requirements/bench.txt`; nothing of them is ever imported by Assay. Where that environment is
absent, the benchmark says so and leaves their rows out.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import venv
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from bench.children import ROOT, output
from bench.inference_load import Request
from bench.inference_models import input_of
from bench.inference_stack import family
from bench.site import Site, child, wait

HOME = ROOT / "build" / "bench"
PINS = ROOT / "requirements" / "bench.txt"
PYTHON = HOME / "bin" / "python"
STAMP = HOME / ".pins"


def built() -> bool:
    """Tell whether the environment is there, and made from the pins of today."""
    return STAMP.exists() and STAMP.read_bytes() == PINS.read_bytes()


def build() -> None:
    """Make the environment anew; what cannot be fetched or has another hash ends it."""
    shutil.rmtree(HOME, ignore_errors=True)
    venv.create(HOME, with_pip=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    output([str(PYTHON), *install, "-r", str(PINS)])
    shutil.copyfile(PINS, STAMP)


@contextlib.contextmanager
def serving(site: Site, graph: bytes, inputs: Sequence[object]) -> Iterator[dict[str, Request]]:
    """Run both peers on `graph`; yields what to ask each for `inputs` (nested lists)."""
    from config.stack import free_port

    file = site.data / "peers.onnx"
    file.write_bytes(graph)
    name, _ = input_of(graph)
    asked = {}
    with contextlib.ExitStack() as stack:
        for peer, command, path, field in (
            ("LitServe", _litserve, "/predict", "input"),
            ("MLflow", _mlflow, "/invocations", "inputs"),
        ):
            port, left = free_port(None), list[int]()
            stack.callback(_end, left)
            started = stack.enter_context(
                child(command(site.data, file, name, port), site.errors, quiet(site.data))
            )
            stack.callback(_note, left, started.pid)
            wait(partial(listens, port), peer, started, site.log)
            bodies = [json.dumps({field: item}).encode() for item in inputs]
            asked[peer] = Request(port=port, path=path, bodies=bodies)
        yield asked


def _note(left: list[int], pid: int) -> None:
    """Note the processes below a peer: LitServe's workers outlive it when it is ended."""
    left += family(pid)[1:]


def _end(left: Sequence[int]) -> None:
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _litserve(data: Path, file: Path, name: str, port: int) -> list[str]:
    return [str(PYTHON), str(ROOT / "bench" / "peers_litserve.py"), str(file), name, str(port)]


def _mlflow(data: Path, file: Path, name: str, port: int) -> list[str]:
    folder = data / "mlflow"
    save = [str(PYTHON), str(ROOT / "bench" / "peers_mlflow.py"), str(file), str(folder)]
    output(save, changes=quiet(data))
    serve = [str(HOME / "bin" / "mlflow"), "models", "serve", "--env-manager", "local"]
    return [*serve, "-m", str(folder), "-h", "127.0.0.1", "-p", str(port), "-w", "2"]


def quiet(data: Path) -> dict[str, str]:
    """Return what keeps the peers' programs to themselves."""
    path = f"{HOME / 'bin'}:{os.environ['PATH']}"
    quiet = {"MLFLOW_TRACKING_URI": f"file://{data}/mlruns", "GIT_PYTHON_REFRESH": "quiet"}
    return {"PATH": path, "PYTHONPATH": "", "HOME": str(data), **quiet}


def listens(port: int) -> bool:
    """Tell whether something listens at `port` of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    if built():
        print("build/bench is there already")
        sys.exit(0)
    build()
