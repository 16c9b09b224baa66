"""What `bench.verify` measures of a verifier: a cold command, many receipts, a whole ledger."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.api import Policy, TrustedRoot, verify
from assay.dsse import Envelope
from assay.replay import find_node
from bench import verify_log
from bench.children import ROOT, output, start

SIGSTORE = ROOT / "build" / "interop" / "js"
MAIN = "from assay.cli import main; main()"
_TYPER = "from assay.cli.group import app; app()"
_WINDOWS = 9  # the best of so many rounds: other programs only ever make one slower


@dataclass(frozen=True, slots=True, kw_only=True)
class Cold:
    """One command from its start to its end: wall time and processor time in milliseconds."""

    what: str
    runs: int
    p50: float
    p95: float
    processor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """Receipts verified one after the other in one process, per second of its processor time."""

    what: str
    receipts: int
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """A whole ledger recomputed by `assay fsck`: seconds, and the most memory that it held."""

    entries: int
    seconds: float
    processor: float
    megabytes: float


def node() -> str:
    """Return the Node that runs the scripts."""
    return str(find_node())


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Yield a folder for what one part writes."""
    with tempfile.TemporaryDirectory(prefix="assay-bench-") as name:
        yield Path(name)


# ------------------------------------------------------------------ cold


def cold(runs: int) -> list[Cold]:
    """Time the commands in turn, so that all meet the same machine."""
    with folder() as place:
        for name, data in verify_log.pins().items():
            (place / name).write_bytes(data)
        ledger = verify_log.grow(1_000)
        shared = verify_log.note(ledger.size, ledger.root)
        (place / "receipt.json").write_bytes(ledger.receipt(700, shared, ledger.root))
        (place / "output.tensors").write_bytes(verify_log.OUTPUT)
        (place / "key.pem").write_text(verify_log.PUBLIC.pem, encoding="utf-8")
        commands = dict(_commands(place))
        taken: dict[str, list[tuple[float, float]]] = {what: [] for what in commands}
        for number in range(runs + 1):
            for what, command in commands.items():
                once = timed(command, {"ASSAY_TRUST": str(place)})
                if number:  # the first one warms the file system's memory
                    taken[what].append(once)
    return [_cold(what, times) for what, times in taken.items()]


def _commands(place: Path) -> Iterator[tuple[str, list[str]]]:
    receipt, blob = str(place / "receipt.json"), str(place / "output.tensors")
    asked = ["verify", receipt, "--blob", blob]
    root, key = str(place / "trusted_root.json"), str(place / "key.pem")
    yield "Python that does nothing", [sys.executable, "-c", "pass"]
    yield "assay verify, pinned", [sys.executable, "-c", MAIN, *asked]
    named = ["--key", key, "--trusted-root", root, "--policy", str(place / "policy.txt"), "--json"]
    yield "assay verify, named files, --json", [sys.executable, "-c", MAIN, *asked, *named]
    yield "the same line read by typer", [sys.executable, "-c", _TYPER, *asked, *named]
    cosign = shutil.which("cosign")
    if cosign is not None:
        yield (
            "cosign verify-blob-attestation",
            [
                *(cosign, "verify-blob-attestation", "--bundle", receipt, "--key", key),
                *("--trusted-root", root, "--type", "urn:assay:execution:v1", blob),
            ],
        )
    if sigstore():
        script = str(ROOT / "tests" / "interop" / "js" / "verify.mjs")
        yield "@sigstore/verify in Node", [node(), script, str(SIGSTORE), receipt, root, key]


def sigstore() -> bool:
    """Tell whether `.ci/run` has installed @sigstore/verify."""
    return (SIGSTORE / "node_modules" / "@sigstore" / "verify").is_dir()


def timed(command: Sequence[str], changes: Mapping[str, str]) -> tuple[float, float]:
    """Return wall and processor time of a command that succeeds, in milliseconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    with start(command, out=subprocess.DEVNULL, errors=subprocess.DEVNULL, changes=changes) as run:
        code = run.wait()
    wall = time.perf_counter() - begun
    if code != 0:
        raise subprocess.CalledProcessError(code, command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall * 1000, used * 1000


def _cold(what: str, times: Sequence[tuple[float, float]]) -> Cold:
    walls = sorted(wall for wall, _ in times)
    return Cold(
        what=what,
        runs=len(walls),
        p50=statistics.median(walls),
        p95=walls[min(len(walls) - 1, round(0.95 * (len(walls) - 1)))],
        processor=statistics.median(used for _, used in times),
    )


# ------------------------------------------------------------------ bulk


def bulk(entries: int, count: int) -> Iterator[Bulk]:
    """Verify `count` receipts of a ledger of `entries`, by us and by others."""
    pins = verify_log.pins()
    root = TrustedRoot.parse(pins["trusted_root.json"])
    policy = Policy.parse(witnesses=pins["policy.txt"], keys=pins["keys.json"])
    ledger = verify_log.grow(entries)
    shared = ledger.receipts(count, each=False)

    def ours(receipts: Sequence[bytes]) -> None:
        for receipt in receipts:
            verify(receipt, trusted_root=root, policy=policy)

    yield _rated("assay.api.verify, one checkpoint for all", shared, ours)
    each = ledger.receipts(count, each=True)
    yield _rated("assay.api.verify, each with its own checkpoint", each, ours)
    made = [(one, one.signature) for one in map(verify_log.envelope, range(count))]
    yield _rated("of that, the P-256 signature alone", made, _signatures)
    with folder() as place:
        yield from _others(place, pins, shared)


def _signatures(made: Sequence[tuple[Envelope, bytes]]) -> None:
    for one, signature in made:
        verify_log.PUBLIC.verify_digest(one.pae_sha256, signature)


def _rated(what: str, things: Sequence[Any], work: Callable[[Sequence[Any]], None]) -> Bulk:
    part = things[: max(1, len(things) // 4)]
    work(part)
    best = min(_processor_s(work, part) for _ in range(_WINDOWS))
    return Bulk(what=what, receipts=len(part), rate=len(part) / best)


def _processor_s(work: Callable[[Sequence[Any]], None], things: Sequence[Any]) -> float:
    begun = time.process_time()
    work(things)
    return time.process_time() - begun


def _others(place: Path, pins: Mapping[str, bytes], receipts: Sequence[bytes]) -> Iterator[Bulk]:
    for name, data in pins.items():
        (place / name).write_bytes(data)
    (place / "key.pem").write_text(verify_log.PUBLIC.pem, encoding="utf-8")
    (place / "receipts").mkdir()
    for number, receipt in enumerate(receipts[:1_000]):
        (place / "receipts" / f"{number}.json").write_bytes(receipt)
    here = Path(__file__).parent
    names = ("trusted_root.json", "policy.txt", "keys.json", "receipts")
    scripts = {
        "the browser's verifier, in Node": [
            *(node(), str(here / "verify_browser.mjs"), *(str(place / name) for name in names))
        ]
    }
    if sigstore():
        scripts["@sigstore/verify in Node (no witness, no statement)"] = [
            *(node(), str(here / "verify_sigstore.mjs"), str(SIGSTORE)),
            *(str(place / name) for name in ("trusted_root.json", "key.pem", "receipts")),
        ]
    for what, command in scripts.items():
        told = [json.loads(output(command)) for _ in range(3)]
        best = min(told, key=lambda one: float(one["us"]))
        yield Bulk(what=what, receipts=best["count"], rate=1e6 / best["us"])


# ------------------------------------------------------------------ a whole ledger


def audit(entries: int) -> Audit:
    """Write a ledger of `entries` into a folder and let `assay fsck` recompute it."""
    with folder() as place:
        verify_log.grow(entries, place / "log")
        command = [sys.executable, "-c", MAIN, "fsck", str(place / "log"), "--json"]
        begun = time.perf_counter()
        with start([*command, "--log", str(verify_log.LOG.vkey)], out=subprocess.DEVNULL) as run:
            _, status, used = os.wait4(run.pid, 0)
            run.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - begun
    if run.returncode != 0:
        raise subprocess.CalledProcessError(run.returncode, command)
    return Audit(
        entries=entries,
        seconds=wall,
        processor=used.ru_utime + used.ru_stime,
        megabytes=used.ru_maxrss / 1024,
    )
