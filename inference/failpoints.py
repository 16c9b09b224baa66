"""Named places at which a test lets a process end. Nothing happens unless one is armed.

`reach("worker-after-claim")` stands where an end would hurt; unarmed it is one comparison. What is
armed comes from `ASSAY_FAILPOINT` (the executor, which reads no environment, gets it as
`--failpoint`):

- `name:mode` or `name:mode@3`: what happens when this process comes by for the first, or third,
  time;
- the absolute path of a folder: a file called `name` there holds `mode` or `mode@3`. Who acts takes
  the file away first. So it happens once, whoever comes first, and can be armed while all runs.

Modes: `exit` ends the process without a word, `kill` sends SIGKILL, `stop` sends SIGSTOP, `memory`
raises MemoryError. `kill` and `stop` may strike another process, which the place names.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

MODES = ("exit", "kill", "stop", "memory")
EXIT_CODE = 70


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens, and at which time of coming by."""

    mode: str
    at: int = 1

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read `mode` or `mode@n`.

        Raises:
            ValueError: neither.
        """
        mode, sign, at = text.strip().partition("@")
        if mode not in MODES or (sign and not (at.isascii() and at.isdigit())):
            raise ValueError(f"a failpoint's mode is one of {', '.join(MODES)}, not {text!r}")
        return cls(mode, int(at) if sign else 1)

    def strike(self, pid: int | None) -> None:
        """Let it happen to the process `pid`, to this one if None."""
        match self.mode:
            case "exit":
                os._exit(EXIT_CODE)
            case "memory":
                raise MemoryError("a failpoint")
            case "kill":
                os.kill(pid or os.getpid(), signal.SIGKILL)
            case _:
                os.kill(pid or os.getpid(), signal.SIGSTOP)


class Armed(Protocol):
    """Says what happens at a place when a process comes by for the `times`th time."""

    def fault(self, name: str) -> Fault | None:
        """Return what is armed at `name`."""

    def take(self, name: str) -> bool:
        """Return whether it is ours to let it happen."""


@dataclass(slots=True)
class One:
    """One place of this process."""

    name: str
    armed: Fault | None

    def fault(self, name: str) -> Fault | None:
        """Return the fault at this place."""
        return self.armed if name == self.name else None

    def take(self, name: str) -> bool:
        """Disarm it: nobody else has it."""
        self.armed = None
        return True


@dataclass(frozen=True, slots=True)
class Folder:
    """Files that arm the places after which they are called, in whatever process comes first."""

    path: Path

    def fault(self, name: str) -> Fault | None:
        """Return what the file says."""
        try:
            return Fault.parse((self.path / name).read_text("ascii"))
        except FileNotFoundError:
            return None

    def take(self, name: str) -> bool:
        """Take the file away; False when another process was first."""
        try:
            (self.path / name).unlink()
        except FileNotFoundError:
            return False
        return True


_armed: Armed | None = None
_met: Counter[str] = Counter()
_lock = threading.Lock()


def arm(text: str) -> None:
    """Arm what `text`, the setting, says; nothing if it is empty.

    Raises:
        ValueError: neither an absolute path nor `name:mode`.
    """
    global _armed  # noqa: PLW0603 (the switch of this process)
    if not text:
        _armed = None
    elif text.startswith("/"):
        _armed = Folder(Path(text))
    else:
        name, _, mode = text.partition(":")
        _armed = One(name, Fault.parse(mode))
    _met.clear()


def reach(name: str, pid: int | None = None) -> None:
    """Pass the place called `name`, where the process `pid`, else this one, may end."""
    if _armed is not None:
        _reach(_armed, name, pid)


def _reach(armed: Armed, name: str, pid: int | None) -> None:
    with _lock:
        fault = armed.fault(name)
        if fault is None:
            return
        _met[name] += 1
        if _met[name] < fault.at or not armed.take(name):
            return
        _met[name] = 0
    fault.strike(pid)
