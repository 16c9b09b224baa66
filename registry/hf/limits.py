"""How many calls one caller may make through the hub surface: a fixed window, in memory.

The count is a courtesy to neighbours and no wall: it lives in this process, so that with several
web processes a caller gets the sum of their windows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

WINDOW_S = 300
_KEPT = 10_000


class TooFastError(Exception):
    """More calls than a window has; `wait_s` until the next one."""

    def __init__(self, limit: int, wait_s: float) -> None:
        super().__init__(
            f"More than {limit} calls in {WINDOW_S} s; the next one is taken in {wait_s:.0f} s."
        )
        self.limit = limit
        self.wait_s = wait_s


class Windows:
    """Counts by caller in the current window."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._window = -1
        self._counts: dict[str, int] = {}

    def take(self, caller: str, limit: int) -> tuple[int, float]:
        """Count one call; return how many are left and the seconds until the window ends.

        Raises:
            TooFastError: none was left. With `limit` 0 nothing is counted.
        """
        now = self._clock()
        window, ends_s = int(now // WINDOW_S), WINDOW_S - now % WINDOW_S
        if limit <= 0:
            return 0, ends_s
        with self._lock:
            if window != self._window or len(self._counts) > _KEPT:
                self._window, self._counts = window, {}
            count = self._counts.get(caller, 0) + 1
            self._counts[caller] = count
        if count > limit:
            raise TooFastError(limit, ends_s)
        return limit - count, ends_s
