"""Something that happens at the same time, over a database session of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager

from django.db import connection

PATIENCE_S = 20


@contextmanager
def beside(act: Callable[[], None]) -> Iterator[Future[None]]:
    """Do `act` in a thread while the block runs; what it raises is raised when the block is over.

    A block that fails tells its own failure.
    """

    def run() -> None:
        try:
            act()
        finally:
            connection.close()

    pool = ThreadPoolExecutor(1)
    future = pool.submit(run)
    try:
        yield future
    finally:
        wait([future], PATIENCE_S)
        pool.shutdown(wait=False)  # one that hangs does not keep its failure from being told
    future.result(0)
