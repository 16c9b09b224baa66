"""Long work gives way to short work: the time slice of a model process.

The kernel lets a thread that runs keep its core until its slice is over (3 ms, about), unless one
wakes whose slice is shorter. A process that loads a model, or has run one for `LONG_S`, is given
the longest slice that there is: whoever wakes meanwhile, a neighbour's model or the database, takes
its core at once. It loses nothing by that: its share of the processor is the same. The slice is
given back with the answer. Unlike a nice value, it needs no privilege to be given back.

Linux 6.12 or later (`sched_runtime` of `sched_setattr(2)` with SCHED_OTHER); elsewhere nothing
happens, and a neighbour waits a few milliseconds more.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from contextlib import suppress
from pathlib import Path

LONG_S = 0.02  # a run that has taken so long is long
LONGEST_NS = 100_000_000  # the kernel takes no more
_OWN = 0  # the kernel's own slice
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}.get(platform.machine())
_SCHED_OTHER = 0
_libc = ctypes.CDLL(None, use_errno=True)


def lengthen(pid: int) -> None:
    """Give every thread of a process the longest slice: others come first from now on."""
    _set(pid, LONGEST_NS)


def restore(pid: int) -> None:
    """Give every thread of a process the usual slice again."""
    _set(pid, _OWN)


def _set(pid: int, slice_ns: int) -> None:
    if _SCHED_SETATTR is None:
        return
    with suppress(OSError):  # it has ended
        for thread in Path(f"/proc/{pid}/task").iterdir():
            _set_thread(int(thread.name), slice_ns)


def _set_thread(thread: int, slice_ns: int) -> None:
    with suppress(OSError):
        nice = os.getpriority(os.PRIO_PROCESS, thread)
        # size, policy, flags, nice, priority, runtime, deadline, period
        attributes = struct.pack("=IIQiIQQQ", 48, _SCHED_OTHER, 0, nice, 0, slice_ns, 0, 0)
        _libc.syscall(_SCHED_SETATTR, thread, attributes, 0)
