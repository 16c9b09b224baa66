"""Long work gives way: bob's answers do not wait for the time slices of mallory's model."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from inference.executor import priority
from tests.inference.executor import corpus
from tests.inference.executor.hostile import begin, warm
from tests.inference.executor.models import Revision, add, endless
from tests.inference.executor.running import Running, start_supervisor, wait_until

CORES = os.sched_getaffinity(0)
SPARED = CORES - {min(CORES)} or CORES  # on one core there is nothing to spare
USUAL = os.getpriority(os.PRIO_PROCESS, os.getpid())
NICE = min(USUAL + 10, 19) if priority.may_restore() else USUAL
NOBODY = 65534


def state(thread: int) -> tuple[set[int], int]:
    return os.sched_getaffinity(thread), os.getpriority(os.PRIO_PROCESS, thread)


def threads(pid: int) -> dict[str, tuple[set[int], int]]:
    found = {}
    for path in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # a thread that ended meanwhile
            found[(path / "comm").read_text().strip()] = state(int(path.name))
    return found


@pytest.fixture
def children() -> Iterator[tuple[int, int]]:
    with subprocess.Popen(["sleep", "60"]) as one, subprocess.Popen(["sleep", "60"]) as two:
        yield one.pid, two.pid
        for process in (one, two):
            priority.done(process.pid)
            process.kill()


@pytest.fixture
def child(children: tuple[int, int]) -> int:
    return children[0]


def test_what_is_confined_leaves_a_core_and_gets_it_back(child: int) -> None:
    priority.confine(child)
    assert state(child) == (SPARED, NICE)
    priority.restore(child)
    assert state(child) == (CORES, USUAL)


def test_of_two_that_load_one_leaves_a_core(children: tuple[int, int]) -> None:
    first, second = children
    priority.confine(first)
    priority.confine(second)
    assert (state(first), state(second)) == ((SPARED, NICE), (CORES, NICE))
    priority.done(first)
    priority.confine(second)
    assert state(second) == (SPARED, NICE)


def test_a_long_run_keeps_every_core_and_is_nice(child: int) -> None:
    priority.lower(child)
    assert state(child) == (CORES, NICE)
    priority.restore(child)
    assert state(child) == (CORES, USUAL)


def test_a_process_that_has_ended_is_no_error() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    for act in (priority.confine, priority.done, priority.lower, priority.restore):
        act(process.pid)


def test_who_may_not_give_a_nice_value_back_does_not_take_it() -> None:
    program = f"""
        import os, resource, subprocess
        from inference.executor import priority
        resource.setrlimit(resource.RLIMIT_NICE, (0, 0))
        if os.getuid() == 0:
            os.setgroups([])
            os.setresgid({NOBODY}, {NOBODY}, {NOBODY})
            os.setresuid({NOBODY}, {NOBODY}, {NOBODY})
        with subprocess.Popen(["sleep", "60"]) as child:
            priority.confine(child.pid)
            priority.lower(child.pid)
            confined = os.sched_getaffinity(child.pid)
            print(sorted(confined), os.getpriority(os.PRIO_PROCESS, child.pid))
            priority.restore(child.pid)
            print(sorted(os.sched_getaffinity(child.pid)), priority.may_restore())
            child.kill()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    assert done.stdout.splitlines() == [f"{sorted(SPARED)} {usual}", f"{sorted(CORES)} False"]


@pytest.fixture
def running() -> Iterator[Running]:
    started = start_supervisor(arguments=["--slots", "1", "--native-slots", "1"])
    yield started
    assert started.stop() == 0


def process_of(running: Running, kind: str) -> int:
    (found,) = (one["pid"] for one in running.client().status().processes if one["kind"] == kind)
    return int(found)


def test_a_model_that_boots_or_loads_leaves_a_core_and_one_that_runs_has_all(
    running: Running,
) -> None:
    pid = process_of(running, "portable")
    assert threads(pid)["MainThread"] == (SPARED, NICE)
    small = warm(running, Revision.of(add()), "portable")
    assert small() == ""
    assert threads(pid)["MainThread"] == threads(pid)["WorkerThread"] == (CORES, USUAL)
    assert threads(pid)["V8Worker"] == (CORES, min(USUAL + 10, 19))
    thread, verdict = begin(warm(running, Revision.of(corpus.double(12)), "portable"))
    wait_until(lambda: threads(pid)["MainThread"] == (SPARED, NICE))
    thread.join()
    assert verdict.code == ""
    assert small() == ""
    assert threads(pid)["MainThread"] == (CORES, USUAL)


def test_an_endless_run_is_nice_after_a_moment(running: Running) -> None:
    pid = process_of(running, "portable")
    thread, verdict = begin(warm(running, Revision.of(endless()), "portable"))
    wait_until(lambda: threads(pid).get("WorkerThread") == (CORES, NICE))
    thread.join()
    assert verdict.code == "deadline"
    assert warm(running, Revision.of(add()), "portable")() == ""
    assert threads(pid)["WorkerThread"] == (CORES, USUAL)
