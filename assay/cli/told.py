"""Ending in order when a signal says so."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from assay.told import Told


@contextmanager
def until_told() -> Iterator[Told]:
    """Yield an event that SIGINT and SIGTERM set; a second signal ends the process at once."""
    stop = Told()

    def tell(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    before = {number: signal.signal(number, tell) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
