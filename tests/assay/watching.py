"""Somebody who watches a log over HTTP, the log's other face, and a pause without waiting."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

from assay.cli import app
from assay.cli.output import Output
from assay.cli.remember import FileMemory, Memory
from assay.cli.rounds import Follower, Task
from assay.cli.telling import Voice
from assay.digests import sha256_hex
from assay.monitor import Watch
from assay.note import COSIGNATURE, vkey_for
from assay.policy import parse_policy
from tests.assay.logbook import (
    Logbook,
    pages,
    pinned,
)
from tests.assay.stand import Stand, stand
from tests.assay.views import LOG, ORIGIN

NAME = sha256_hex(ORIGIN.encode())
WITNESS = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x02")
WITNESS_NAME = "witness.example.net/w"


@dataclass
class Reader:
    """Somebody who watches the log that `place` serves, with a memory in `folder`."""

    place: Stand
    folder: Path
    trust: tuple[str, ...]

    @property
    def url(self) -> str:
        return f"{self.place.url}/log"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def evidence(self) -> list[Path]:
        kept = self.state / "evidence"
        return sorted(kept.iterdir()) if kept.exists() else []

    def shows(self, book: Logbook, *sizes: int) -> None:
        """Serve the log as it stands in `book`; it published checkpoints of `sizes` before."""
        self.place.pages = {**pages(book.files(*sizes))}

    def arguments(self, *more: object) -> list[str]:
        base = ("monitor", self.url, "--origin", ORIGIN, "--state", self.state, *self.trust)
        return [str(item) for item in (*base, *more)]

    def look(self, *more: object) -> Result:
        """One round, without asking again."""
        return CliRunner().invoke(app, self.arguments("--once", "--retries", 0, *more))

    def tells(self, *more: object) -> list[dict[str, Any]]:
        lines = self.look("--json", *more).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def remembered(self) -> Memory:
        return FileMemory(self.state, ORIGIN, LOG).load()

    def size(self) -> int:
        checked = self.remembered().checked
        return -1 if checked is None else checked.checkpoint.size


@contextmanager
def reading(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """A reader without pins, and a web server that serves nothing yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.delenv("ASSAY_TRUST", raising=False)
    with stand({}) as place:
        yield Reader(place, folder, tuple(pinned(folder / "pins")))


def forked(book: Logbook, at: int, size: int) -> Logbook:
    """The other history: entry `at` says something else, and it has `size` entries."""
    other = Logbook(bodies=book.bodies[:at], envelopes=dict(book.envelopes))
    other.point("instead")
    return other.fill(size, "w")


def check_alone(path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Check evidence in a process that has nothing but the file: no log, no memory, no pins."""
    program = (sys.executable, "-m", "assay.cli", "split-view", path.name, *more)
    return subprocess.run(program, cwd=path.parent, capture_output=True, text=True, check=False)


def flip(data: bytes, at: int = -1) -> bytes:
    bent = bytearray(data)
    bent[at] ^= 1
    return bytes(bent)


def witnessed(reader: Reader) -> tuple[str, ...]:
    """Pin a policy that asks for one witness of one."""
    vkey = vkey_for(WITNESS_NAME, WITNESS.public_key(), COSIGNATURE)
    lines = (f"witness w {vkey}", "group all all w")
    return tuple(pinned(reader.folder / "pins", *lines, quorum="all"))


class Pause(threading.Event):
    """A pause in which the world changes; after the last change the monitor may be told to end."""

    def __init__(self, *changes: Callable[[], object], told: bool = False) -> None:
        super().__init__()
        self.changes = list(changes)
        self.told = told
        self.waited: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waited.append(timeout)
        if not self.changes:
            return self.told
        self.changes.pop(0)()
        return False


def monitor_of(reader: Reader, **options: Any) -> tuple[Follower, Voice]:
    """A monitor in this process; it prints JSON."""
    policy = parse_policy((reader.folder / "pins" / "policy.txt").read_bytes())
    task = Task(where=reader.url, origin=ORIGIN, log=LOG, policy=policy, watch=Watch())
    voice = Voice(Output(as_json=True), task, reader.folder / "evidence")
    options.setdefault("stopped", lambda: False)
    return Follower(task, FileMemory(reader.state, ORIGIN, LOG), voice, **options), voice


def follower(reader: Reader, **options: Any) -> Follower:
    return monitor_of(reader, **options)[0]


def events(text: str) -> list[str]:
    return [json.loads(line)["event"] for line in text.splitlines()]


def lines_of(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)
