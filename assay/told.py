"""Being told to end, by a signal too.

`threading.Event` is not for signal handlers: a handler runs in the main thread between two of its
steps, and when that thread is just inside `wait`, it holds the lock that `set` waits for, for ever.
Here telling is one write into a pipe, and waiting is polling it: no lock. A signal that comes when
Python has looked for signals and is not in the kernel yet interrupts nothing, and its handler runs
after the next look: so a wait looks up once a second.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LOOK_S = 1.0


class Told(threading.Event):
    """An event that a signal handler may set; once told, always told."""

    def __init__(self) -> None:
        super().__init__()
        self._told = False
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        weakref.finalize(self, _close, self._reader, self._writer)

    def is_set(self) -> bool:
        """Say whether it was told."""
        return self._told

    def set(self) -> None:
        """Tell it, from a signal handler or any thread."""
        self._told = True
        with suppress(BlockingIOError):  # full of earlier calls
            os.write(self._writer, b"\0")

    def clear(self) -> None:
        """Refuse: what was told is never taken back.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("what was told to end stays told")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it, at most `timeout` seconds; return whether it was told."""
        # Nobody reads the byte: each waiter finds it.
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        until = None if timeout is None else time.monotonic() + timeout
        while not self._told:
            left = LOOK_S if until is None else min(LOOK_S, until - time.monotonic())
            if left < 0:
                break
            poll.poll(left * 1000)
        return self._told


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


@contextmanager
def until_told(*others: signal.Signals, patient: bool = False) -> Iterator[Told]:
    """Yield an event that SIGINT, SIGTERM and `others` set.

    A second signal ends the process at once, unless it is `patient`: then it changes nothing. What
    the signals meant before is what they mean after the block.
    """
    stop = Told()

    def tell(number: int, _: object) -> None:
        stop.set()
        if not patient:
            signal.signal(number, signal.SIG_DFL)

    numbers = (signal.SIGINT, signal.SIGTERM, *others)
    before = {number: signal.signal(number, tell) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
