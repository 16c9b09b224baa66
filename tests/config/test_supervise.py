"""The supervisor keeps its children alive, and leaves none behind."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.supervise import ChildError, Program, Supervisor


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


STAYS = "import pathlib,sys,signal; pathlib.Path(sys.argv[1]).touch(); signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + STAYS


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, told: list[str]) -> Iterator[Supervisor]:
    made = Supervisor(logs=tmp_path / "logs", tell=told.append)
    yield made
    made.shut_down()


def program(tmp_path: Path, code: str = STAYS, name: str = "child") -> Program:
    flag = tmp_path / f"{name}.ready"
    return Program(name=name, command=[*python(code), str(flag)], ready=flag.exists)


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        os.sched_yield()


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def test_a_child_that_was_killed_is_started_again(
    tmp_path: Path, supervisor: Supervisor, told: list[str]
) -> None:
    child = program(tmp_path)
    supervisor.start(child)
    supervisor.wait_ready("child")
    first = supervisor.children[0].process.pid
    (tmp_path / "child.ready").unlink()
    os.kill(first, signal.SIGKILL)
    supervisor.wait_ready("child")
    assert supervisor.children[0].process.pid != first
    assert told == ["child ended (signal SIGKILL); starting it again"]


def test_the_pause_doubles_while_a_child_keeps_failing(
    tmp_path: Path, supervisor: Supervisor, told: list[str]
) -> None:
    supervisor.start(program(tmp_path, "raise SystemExit(3)"))
    child = supervisor.children[0]

    def has_failed_twice() -> bool:
        supervisor.revive()
        return child.pause_s >= 0.4

    until(has_failed_twice)
    assert told[:2] == ["child ended (exit code 3); starting it again"] * 2


def test_a_child_that_never_answers_is_named_with_its_log(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    silent = Program(
        name="silent", command=python("import signal; signal.pause()"), ready=bool, patience_s=0.2
    )
    supervisor.start(silent)
    with pytest.raises(ChildError, match=r"silent does not answer; see .*silent\.log"):
        supervisor.wait_ready("silent")


def test_ctrl_c_during_the_start_is_heeded(tmp_path: Path, supervisor: Supervisor) -> None:
    supervisor.start(Program(name="slow", command=python("input()"), ready=bool))
    supervisor.stop.set()
    with pytest.raises(ChildError, match="stopped before"):
        supervisor.wait_ready("slow")


def test_the_end_reaches_everyone_even_the_stubborn(
    tmp_path: Path, supervisor: Supervisor, told: list[str]
) -> None:
    supervisor.start(program(tmp_path))
    supervisor.start(program(tmp_path, STUBBORN, "stubborn"))
    supervisor.wait_ready("child", "stubborn")
    pids = [child.process.pid for child in supervisor.children]
    supervisor.shut_down(patience_s=0.2)
    assert all(gone(pid) for pid in pids)
    assert told == ["stubborn did not stop in time; killing it"]


def test_what_a_child_says_is_kept_in_its_log(tmp_path: Path, supervisor: Supervisor) -> None:
    supervisor.start(program(tmp_path, "print('hello', flush=True);" + STAYS))
    supervisor.wait_ready("child")
    assert "hello" in (tmp_path / "logs" / "child.log").read_text()


def test_watching_ends_when_it_is_told_to(tmp_path: Path, supervisor: Supervisor) -> None:
    supervisor.start(program(tmp_path))
    supervisor.wait_ready("child")
    supervisor.tell = lambda _: supervisor.stop.set()
    os.kill(supervisor.children[0].process.pid, signal.SIGKILL)
    supervisor.watch()
    assert supervisor.stop.is_set()
