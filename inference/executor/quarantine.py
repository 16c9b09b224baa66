"""Models that end their processes: after three deaths within ten minutes nobody runs them.

One model is kept out, never the pool: the key is the graph's digest with its external files'. It
comes back by itself when the oldest of the three deaths is ten minutes old. What does not load is
remembered beside it, until a load succeeds, so that a publisher can be told; for a minute it is
refused with the same words and no new try: loading it again and again would only cost the others.

Nothing of this is kept over a restart of the supervisor, on purpose. A restart is what an operator
does after a repair (of the runtime, the machine, a limit), and then old deaths say nothing; a model
that is still poisonous costs three processes again and no answer of anybody else; and a supervisor
without a file that it writes has one thing less that an attacker could fill or forge.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from inference.executor.limits import DEATHS, DEATHS_WINDOW_S, REFUSED_S
from inference.executor.protocol import RefusalError

_REMEMBERED = 256
Clock = Callable[[], float]


class Quarantine:
    """Deaths and refused loads by the key of a model; thread-safe. `clock` gives seconds."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._deaths: OrderedDict[str, deque[tuple[float, str]]] = OrderedDict()
        self._refused: OrderedDict[str, tuple[float, str, str]] = OrderedDict()

    def died(self, key: str, reason: str) -> None:
        """Note that a process ended under the model `key`, and why."""
        with self._lock:
            deaths = self._deaths.setdefault(key, deque(maxlen=DEATHS))
            deaths.append((self._clock(), reason))
            self._deaths.move_to_end(key)
            _trim(self._deaths)

    def check(self, key: str) -> None:
        """Let a model pass.

        Raises:
            RefusalError: quarantined, or that of a load a moment ago.
        """
        with self._lock:
            if self._left(key) > 0:
                raise RefusalError("quarantined", self._words(key))
            since, code, reason = self._refused.get(key, (-REFUSED_S, "", ""))
            if self._clock() < since + REFUSED_S:
                raise RefusalError(code, reason)

    def suspects(self, key: str) -> bool:
        """Tell whether a process has ended under a model of late."""
        with self._lock:
            deaths = self._deaths.get(key)
            return deaths is not None and deaths[-1][0] + DEATHS_WINDOW_S > self._clock()

    def load_refused(self, key: str, refusal: RefusalError) -> None:
        """Note that the runtime does not take the model."""
        with self._lock:
            self._refused[key] = (self._clock(), refusal.code, refusal.message)
            self._refused.move_to_end(key)
            _trim(self._refused)

    def loaded(self, key: str) -> None:
        """Note that it does."""
        with self._lock:
            self._refused.pop(key, None)

    def listed(self, now: float) -> list[dict[str, Any]]:
        """Return what is kept out: key, reason, until; `now` and `until` in epoch seconds."""
        with self._lock:
            return [
                {"key": key, "reason": self._words(key), "until": round(now + self._left(key), 1)}
                for key in self._deaths
                if self._left(key) > 0
            ]

    def unrunnable(self) -> list[dict[str, Any]]:
        """Return what did not load when it was last tried: key, reason."""
        with self._lock:
            return [{"key": key, "reason": reason} for key, (_, _, reason) in self._refused.items()]

    def _left(self, key: str) -> float:
        """Return for how many seconds more a model is kept out."""
        deaths = self._deaths.get(key)
        if deaths is None or len(deaths) < DEATHS:
            return 0.0
        return max(0.0, deaths[0][0] + DEATHS_WINDOW_S - self._clock())

    def _words(self, key: str) -> str:
        minutes = DEATHS_WINDOW_S / 60
        _, last = self._deaths[key][-1]
        return (
            f"this model ended its process {DEATHS} times within {minutes:.0f} minutes, "
            f"at last because {last}"
        )


def _trim(remembered: OrderedDict[str, Any]) -> None:
    while len(remembered) > _REMEMBERED:
        remembered.popitem(last=False)
