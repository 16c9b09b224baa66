"""What the hot path has just read, remembered for a moment: no answer waits for it again.

An inference needs to know who asks, what a name means, the newest checkpoint and the keys of
executors. Each costs more to read than many a model to run, and changes seldom. So a process
remembers each for `INFER_REMEMBER_MS` (a second; 0: not at all), and never longer: that is how long
a deleted token, a withdrawn release or a revoked key may still be taken here. Only `infer` and the
queue's `POST` remember; every other address reads.

What was refused is not remembered: who gets access has it at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from django.conf import settings

V = TypeVar("V")
LIMIT = 1_024


class Recent(Generic[V]):
    """A few values by their keys, each younger than `INFER_REMEMBER_MS`."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[float, V]] = {}

    def get(self, key: Hashable, find: Callable[[], V]) -> V:
        """Return what `find` gave for `key` a moment ago, else what it gives now.

        Raises: what `find` raises.
        """
        kept_s = settings.INFER_REMEMBER_MS / 1_000
        # Its age counts from before it was read.
        now = time.monotonic()
        known = self._known.get(key)
        if known is not None and now - known[0] < kept_s:
            return known[1]
        value = find()
        if kept_s:
            if len(self._known) >= LIMIT:
                self._known.clear()
            self._known[key] = (now, value)
        return value
