"""Work on many things at once, in bounded number, with the results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from assay.errors import AssayError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")
_AHEAD = 32


def in_order(
    work: Callable[[_Item], _Result], items: Iterator[_Item], jobs: int
) -> Iterator[_Result]:
    """Yield `work(item)` for each of `items`, in their order, `jobs` of them at a time.

    The first error in that order is the one that is raised, be it of the work or of `items`. When
    the caller stops, what was not begun is not done.
    """
    failure: AssayError | None = None
    waiting: deque[Future[_Result]] = deque()
    with ThreadPoolExecutor(jobs) as pool:
        try:
            while failure is None:
                try:
                    waiting.append(pool.submit(work, next(items)))
                except StopIteration:
                    break
                except AssayError as error:
                    failure = error
                if len(waiting) > jobs * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
    if failure is not None:
        raise failure
