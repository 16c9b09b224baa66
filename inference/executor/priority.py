"""Long work gives way to short work: which cores and nice values a model process has.

A process that boots or loads a model keeps off one core (the first that this program may use,
where there are several), so that who answers meanwhile, a neighbour's model for example, never
waits for its time slice: 4 ms, which is longer than most answers. Where several do so at once, the
first one alone keeps off it: together they have every core. They are nice (10) as well, and so is
who has run a model for `LONG_S`; such a run may use every core. The next run has all of it back,
but the threads in which Node compiles stay nice: nobody waits for them.

A nice value is only given back by who has the right: CAP_SYS_NICE, or a limit (`LimitNICE=+0` of
systemd, `ulimit -e 20`). Without it only those threads are nice.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path

LONG_S = 0.05  # a run that has taken so long is long
_STEPS = 10  # of nice: a ninth of the share of who is not
# Node's threads that compile, and those that have not named themselves yet.
_COMPILERS = {"V8Worker", "MainThread", "node"}
_lock = threading.Lock()
_confined: set[int] = set()  # at most one; `_lock` is held


@cache
def may_restore() -> bool:
    """Whether this process may give a nice value back; tried on a thread of its own."""
    with ThreadPoolExecutor(1) as one:
        return one.submit(_try).result()


def _try() -> bool:
    usual = os.getpriority(os.PRIO_PROCESS, 0)  # of this thread: the kernel's tasks are threads
    os.setpriority(os.PRIO_PROCESS, 0, usual + 1)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, usual)
    except PermissionError:
        return False
    return True


def confine(pid: int) -> None:
    """Keep a process off the first core, unless another one is kept off; let it be nice."""
    with _lock:
        first = _confined <= {pid}
        if first:
            _confined.add(pid)
    cores = _cores()
    for thread, _ in _threads(pid):
        if first:
            _place(thread, cores - {min(cores)})
        if may_restore():
            _value(thread, _nice())


def done(pid: int) -> None:
    """Let the next one be kept off the first core. What this one tidies up still yields."""
    with _lock:
        _confined.discard(pid)


def lower(pid: int) -> None:
    """Let every thread of a process be nice, if that can be ended."""
    if may_restore():
        for thread, _ in _threads(pid):
            _value(thread, _nice())


def restore(pid: int) -> None:
    """End what `confine` and `lower` did; the threads that compile stay nice."""
    for thread, name in _threads(pid):
        _place(thread, _cores())
        if name in _COMPILERS and thread != pid:
            _value(thread, _nice())
        elif may_restore():
            _value(thread, _usual())


@cache
def _cores() -> frozenset[int]:
    return frozenset(os.sched_getaffinity(os.getpid()))


@cache
def _usual() -> int:
    return os.getpriority(os.PRIO_PROCESS, os.getpid())


def _nice() -> int:
    return min(_usual() + _STEPS, 19)


def _threads(pid: int) -> Iterator[tuple[int, str]]:
    with suppress(OSError):  # it has ended
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                yield int(thread.name), (thread / "comm").read_text().strip()


def _value(thread: int, nice: int) -> None:
    with suppress(OSError):  # it has ended
        os.setpriority(os.PRIO_PROCESS, thread, nice)


def _place(thread: int, cores: frozenset[int]) -> None:
    if cores:
        with suppress(OSError):  # it has ended, or somebody took its cores away
            os.sched_setaffinity(thread, cores)
