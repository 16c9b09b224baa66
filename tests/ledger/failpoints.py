"""Every place where a sequencer touches the world, found by counting, and each able to fail.

The places are: each call of `ledger.disk.Disk`, each statement that changes a row, each COMMIT, and
each request to a witness. What else writes rows can be asked the same (`steps`). Nobody lists them:
a run without a failure records them, and a new one appears by itself. A process that dies or is
frozen is a real one, forked off.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import pytest
from django.conf import settings
from django.db import OperationalError, connection

from ledger.disk import Descriptor, Disk
from ledger.witnesses import Request

# Names of functions in which a step of `ledger.sequencer` happens.
STEPS = {
    "begin_term": "begin",
    "sweep": "begin",
    "_commit": "4",
    "_write": "5",
    "_sign": "6",
    "_cosign": "7",
    "_run": "7",
    "_publish": "8",
}
WRITING = re.compile(
    r"""\s*(?:WITH\b.*?\b)?(INSERT\ INTO|UPDATE|DELETE\ FROM)\ "?([a-z]\w+)""",
    re.DOTALL | re.VERBOSE,
)
ENDED = 7
PATIENCE_S = 60
_Result = TypeVar("_Result")


class Mode(Enum):
    """What happens at a point."""

    FAILED = "failed, not stored"
    LOST = "failed, but stored"
    KILLED = "killed before"
    FROZEN = "frozen before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One place: the step of the sequencer, and what is done."""

    step: str
    name: str


class Failpoints:
    """Counts the places; at the one numbered `at` the failure `mode` happens.

    To be killed after a place is to be killed before the next one, for nothing lies between them;
    `end` is the place after the last. `steps` are names of functions, and the step of each.
    """

    def __init__(
        self, at: int = -1, mode: Mode = Mode.FAILED, steps: Mapping[str, str] = STEPS
    ) -> None:
        self.at = at
        self.mode = mode
        self.steps = steps
        self.points: list[Point] = []
        self.inside = False
        self._seen: Counter[str] = Counter()

    def through(self, name: str, action: Callable[[], _Result], error: Exception) -> _Result:
        number = len(self.points)
        self.points.append(Point(step=_step(self.steps), name=self._numbered(name)))
        self.inside = True
        try:
            return self._act(action, error) if number == self.at else action()
        finally:
            self.inside = False

    def end(self) -> None:
        """Be killed here if every place was passed and it is asked for."""
        if self.mode is Mode.KILLED and self.at == len(self.points):
            os.kill(os.getpid(), signal.SIGKILL)

    def _numbered(self, name: str) -> str:
        self._seen[name] += 1
        return name if self._seen[name] == 1 else f"{name} ({self._seen[name]})"

    def _act(self, action: Callable[[], _Result], error: Exception) -> _Result:
        if self.mode is Mode.KILLED:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode is Mode.FROZEN:
            os.kill(os.getpid(), signal.SIGSTOP)
            return action()
        if self.mode is Mode.LOST:
            action()
        raise error

    # ---------------------------------------------------------------- the places

    def disk(self) -> Disk:
        """Return a disk whose every call is such a place."""
        calls = {name: self._call(name) for name in disk_calls()}
        made: Disk = type("FailingDisk", (Disk,), calls)()
        return made

    def _call(self, name: str) -> Callable[..., object]:
        def call(disk: Disk, *arguments: object) -> object:
            return self.through(
                f"{name} {_place(arguments)}",
                lambda: getattr(Disk, name)(disk, *arguments),
                OSError(5, "Input/output error"),
            )

        return call

    def _statement(
        self, run: Callable[..., Any], sql: str, params: Any, many: bool, context: Mapping[str, Any]
    ) -> Any:
        found = WRITING.match(sql)
        if found is None:
            return run(sql, params, many, context)
        assert connection.in_atomic_block, f"a COMMIT that nobody sees: {sql}"
        name = f"{found[1]} {found[2]}"
        failure = OperationalError(f"the database failed: {name}")
        return self.through(name, lambda: run(sql, params, many, context), failure)

    @contextmanager
    def armed(self) -> Iterator[None]:
        """Let the places of the database and the witnesses be met."""
        commit, post = connection.commit, Request._post
        lost = OperationalError("the database failed: COMMIT")

        def committing() -> None:
            self.through("COMMIT", commit, lost)

        def posting(request: Request, body: bytes, timeout_s: float) -> tuple[int, bytes]:
            failure = ConnectionResetError("the witness is gone")
            name = f"request to {request.vkey.name}"
            return self.through(name, lambda: post(request, body, timeout_s), failure)

        with pytest.MonkeyPatch.context() as patch, connection.execute_wrapper(self._statement):
            patch.setattr(connection, "commit", committing)
            patch.setattr(Request, "_post", posting)
            yield


def disk_calls() -> list[str]:
    """Return the names of the public methods of `Disk`."""
    return [name for name, value in vars(Disk).items() if name[0] != "_" and callable(value)]


def _step(steps: Mapping[str, str]) -> str:
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name in steps:
            return steps[frame.f_code.co_name]
        assert frame.f_back is not None, "a write outside of every step"
        frame = frame.f_back
    raise AssertionError


def _place(arguments: Sequence[object]) -> str:
    """Return the path that a call of the disk is about, below the log's folder."""
    folders = [one.number for one in arguments if isinstance(one, Descriptor)]
    path = Path(f"/proc/self/fd/{folders[-1]}").readlink()
    names = [one for one in arguments if isinstance(one, str)]
    text = os.path.relpath(path / names[-1] if names else path, settings.LEDGER_DIR)
    return re.sub(r"[0-9a-f]{32}", "temporary", text)


# ---------------------------------------------------------------- processes


def fork(act: Callable[[], None]) -> int:
    """Do `act` in a process of its own; return its id. It ends with `ENDED` when `act` raises."""
    connection.close()  # a session has one owner
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the other threads only wait
        pid = os.fork()
    if pid:
        return pid
    code = 0
    try:
        signal.alarm(PATIENCE_S)
        act()
    except Exception:  # noqa: BLE001 (told by the exit code, and shown)
        traceback.print_exc()
        code = ENDED
    finally:
        os._exit(code)


def wait_killed(pid: int) -> None:
    """Wait until the process is dead of SIGKILL."""
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), f"it ended by itself: {status}"
    assert os.WTERMSIG(status) == signal.SIGKILL


def wait_frozen(pid: int) -> None:
    """Wait until the process has stopped."""
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), f"it ended before: {status}"


def wake(pid: int) -> int:
    """Let a frozen process run on; return its exit code."""
    os.kill(pid, signal.SIGCONT)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)
