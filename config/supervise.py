"""Start children, watch them, start again what dies, stop all in the reverse order.

Each child has a process group of its own, so that Ctrl-C reaches only the supervisor, and asks the
kernel for SIGTERM should the supervisor itself be killed. A child that dies is started again after
a pause that doubles up to five seconds, and shrinks back once it has lived for ten.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from assay.told import Told

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
SETTLED_S = 10.0
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class ChildError(Exception):
    """A child did not become ready; the message says where its log is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How to run one child: `ready` answers whether it does its work, `stop` ends it cleanly."""

    name: str
    command: list[str]
    ready: Callable[[], bool]
    stop: signal.Signals = signal.SIGTERM
    environment: Mapping[str, str] | None = None
    patience_s: float = 60.0


@dataclass(slots=True, kw_only=True)
class Running:
    """A started program and what is known of its present process."""

    program: Program
    log: IO[bytes]
    process: subprocess.Popen[bytes]
    started: float
    pause_s: float = FIRST_PAUSE_S
    again_at: float | None = None


@dataclass(slots=True)
class Supervisor:
    """The children of one `up`. Used by one thread; `stop` may be set from a signal handler."""

    logs: Path
    tell: Callable[[str], None]
    stop: Told = field(default_factory=Told)
    children: list[Running] = field(default_factory=list)

    def start(self, program: Program) -> None:
        """Start `program`; its output goes to `<logs>/<name>.log`."""
        self.logs.mkdir(parents=True, exist_ok=True)
        log = (self.logs / f"{program.name}.log").open("ab")
        process = _spawn(program, log)
        self.children.append(
            Running(program=program, log=log, process=process, started=time.monotonic())
        )

    def wait_ready(self, *names: str) -> None:
        """Wait until the named programs answer, starting again those that die meanwhile.

        Raises:
            ChildError: one did not answer in its time, or the supervisor was told to stop.
        """
        for child in [item for item in self.children if item.program.name in names]:
            deadline = time.monotonic() + child.program.patience_s
            while not child.program.ready():
                if self.stop.is_set():
                    raise ChildError("stopped before everything answered")
                if time.monotonic() > deadline:
                    raise ChildError(f"{child.program.name} does not answer; see {child.log.name}")
                self.revive()
                self.stop.wait(0.05)

    def revive(self) -> None:
        """Start again what died and whose pause is over; one look at each child."""
        now = time.monotonic()
        for child in self.children:
            if child.again_at is not None:
                if now >= child.again_at:
                    child.process = _spawn(child.program, child.log)
                    child.started, child.again_at = now, None
                continue
            code = child.process.poll()
            if code is None:
                if now - child.started > SETTLED_S:
                    child.pause_s = FIRST_PAUSE_S
                continue
            self.tell(f"{child.program.name} ended ({_describe(code)}); starting it again")
            child.again_at = now + child.pause_s
            child.pause_s = min(child.pause_s * 2, LONGEST_PAUSE_S)

    def watch(self) -> None:
        """Keep the children alive until `stop` is set."""
        while not self.stop.wait(0.1):
            self.revive()

    def shut_down(self, patience_s: float = 10.0) -> None:
        """Stop all, newest first; what does not end in time is killed with its whole group."""
        for child in reversed(self.children):
            if child.again_at is None and child.process.poll() is None:
                child.process.send_signal(child.program.stop)
                try:
                    child.process.wait(patience_s)
                except subprocess.TimeoutExpired:
                    self.tell(f"{child.program.name} did not stop in time; killing it")
            _kill_group(child.process.pid)
            child.process.wait()
            child.log.close()
        self.children.clear()


def _spawn(program: Program, log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 (our own commands)
        program.command,
        cwd="/" if program.environment is None else None,
        env=dict(program.environment) if program.environment is not None else None,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 (one prctl call; the supervisor has one thread)
    )


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _describe(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
