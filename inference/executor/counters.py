"""What the supervisor counts, for its status: events, failures by code, times of each stage.

Numbers only rise until the supervisor ends; who collects them takes differences. A stage's times
lie in buckets: `BUCKETS_MS` are their upper ends in milliseconds, and a last one has none.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

BUCKETS_MS = (
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0),
    *(1_000.0, 2_500.0, 5_000.0, 10_000.0, 45_000.0, 900_000.0),
)
STAGES = ("wait", "load", "run", "hash", "sign")
# `hits` and `misses`: whether the process that a run got had the model loaded already.
EVENTS = ("runs", "deaths", "loads", "hits", "misses", "evictions", "recycled", "warmed")


@dataclass(slots=True)
class _Times:
    """One stage: how many times fell into each bucket, and their sum in milliseconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_MS) + 1))
    total_ms: float = 0.0


class Counters:
    """Thread-safe; a name that is not listed above is an error of the caller."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events = dict.fromkeys(EVENTS, 0)
        self._failures: Counter[str] = Counter()
        self._stages = {stage: _Times() for stage in STAGES}

    def add(self, event: str) -> None:
        """Count one event of `EVENTS`."""
        with self._lock:
            self._events[event] += 1

    def fail(self, code: str) -> None:
        """Count a run or a load that was refused with `code`."""
        with self._lock:
            self._failures[code] += 1

    def took(self, stage: str, seconds: float) -> None:
        """Note how long a stage of `STAGES` took."""
        milliseconds = seconds * 1000
        with self._lock:
            times = self._stages[stage]
            times.counts[bisect_left(BUCKETS_MS, milliseconds)] += 1
            times.total_ms += milliseconds

    def to_dict(self) -> dict[str, Any]:
        """Return the events, `failures` by code, and `stages`: counts by bucket, `total_ms`."""
        with self._lock:
            stages = {
                name: {"counts": list(times.counts), "total_ms": round(times.total_ms, 3)}
                for name, times in self._stages.items()
            }
            return {
                **self._events,
                "failures": dict(self._failures),
                "stages": stages,
                "buckets_ms": list(BUCKETS_MS),
            }
