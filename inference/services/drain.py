"""Draining the queue: claim, run, finish, side by side, until no row is left.

Rules
1. Queued work takes at most half of the slots of a kind, one lane for each; the rest is for
   synchronous calls. A lane claims anew as soon as it is free; no lane waits for another one.
2. A lane claims what it can run at once: one execution, or as many as `HELD_S` is known to be
   enough for. Those of one revision share a round trip and a finishing transaction.
3. While runs are `QUICK_S` long at most, as many lanes again claim and finish while the others
   run: a synchronous call that waits for them waits no longer than one such run.
4. What was claimed and not begun within `work.STOP_AFTER_S` (a run took longer than its
   forerunners) goes back untouched.
5. An execution that was tried before runs alone: what ended the executor once costs no neighbour
   an attempt.

A process drains once at a time: who comes while it does leaves word, and it looks once more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from django.db import connection

from inference.client import ExecutorError, ExecutorUnavailableError
from inference.failpoints import reach
from inference.services import queue
from inference.services.asking import executor
from inference.services.queue import Claim
from inference.services.work import STOP_AFTER_S, hand_back, work_together

HELD_S = 0.1
QUICK_S = 0.005
MAX_CLAIM = 64
MAX_TOGETHER_BYTES = 16 * 2**20
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Pace:
    """How long models of one kind run of late, in seconds."""

    seconds: float = HELD_S

    @property
    def size(self) -> int:
        """How many a lane may claim at once."""
        return max(1, min(MAX_CLAIM, int(HELD_S / self.seconds)))

    @property
    def quick(self) -> bool:
        """Whether a synchronous call may be let wait for one."""
        return self.seconds <= QUICK_S

    def note(self, runs_s: Sequence[float]) -> None:
        """Learn from some runs: at once when they got slower, slowly when quicker."""
        if runs_s:
            each = max(sum(runs_s) / len(runs_s), 1e-6)
            self.seconds = max(each, (self.seconds + each) / 2)


@dataclass(slots=True)
class _Turn:
    """Whether this process drains, and whether somebody came meanwhile."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    busy: bool = False
    again: bool = False

    def begin(self) -> bool:
        with self.lock:
            self.again = self.busy
            begins, self.busy = not self.busy, True
            return begins

    def end(self) -> bool:
        """Return whether it has ended; else it is to look once more."""
        with self.lock:
            self.busy, self.again = self.again, False
            return not self.busy


_turn = _Turn()
_paces: dict[str, Pace] = {}


def drain(more: Callable[[], object]) -> int:
    """Run what waits until no row is left; return how many executions were claimed.

    `more` is called once when rows may be left that another worker could take.
    """
    if not _turn.begin():
        return 0
    done = 0
    try:
        while True:
            done += _Round(more).run()
            if _turn.end():
                return done
    except BaseException:
        _turn.busy = False
        raise


def lanes() -> dict[str, int]:
    """Return how many lanes each kind has: half of its slots; none when no executor answers."""
    try:
        kinds = executor().status().kinds
    except (ExecutorError, ExecutorUnavailableError) as error:
        log.warning("the queue waits: %s", error)
        return {}
    return {kind: max(1, of["slots"] // 2) for kind, of in kinds.items()}


class _Round:
    """One look at the queue, by as many lanes as there is work for."""

    def __init__(self, more: Callable[[], object]) -> None:
        self._more: Callable[[], object] | None = more
        self._lock = threading.Lock()
        self._done = 0

    def run(self) -> int:
        """Drain, and return how many executions were claimed."""
        first = [(kind, count) for kind, count in lanes().items() if count]
        found = [(kind, count, self._claim(kind)) for kind, count in first]
        busy = [(kind, count, claims) for kind, count, claims in found if claims]
        if not busy:
            return 0
        if len(busy) == 1 and len(busy[0][2]) < _pace(busy[0][0]).size:
            # Not even one lane was filled: no thread is worth it.
            self._lane(busy[0][0], busy[0][2], spare=False)
            return self._done
        with ThreadPoolExecutor(sum(2 * count for _, count, _ in busy)) as pool:
            running = []
            for kind, count, claims in busy:
                running.append(pool.submit(self._in_thread, kind, claims, spare=False))
                for number in range(1, 2 * count):
                    spare = number >= count
                    running.append(pool.submit(self._in_thread, kind, [], spare=spare))
        for one in running:
            one.result()
        return self._done

    def _in_thread(self, kind: str, claims: list[Claim], *, spare: bool) -> None:
        try:
            self._lane(kind, claims, spare=spare)
        finally:
            connection.close()

    def _lane(self, kind: str, claims: list[Claim], *, spare: bool) -> None:
        """Run `claims`, then claim and run until no row is left or no executor answers."""
        while True:
            if claims and not _work(kind, claims):
                return
            if spare and not _pace(kind).quick:
                return
            claims = self._claim(kind)
            if not claims:
                return

    def _claim(self, kind: str) -> list[Claim]:
        size = _pace(kind).size
        claims = queue.claim(size, kind=kind)
        if claims:
            reach("worker-after-claim")
        with self._lock:
            self._done += len(claims)
            more, full = self._more, len(claims) == size
            if full:
                self._more = None
        if full and more is not None:
            more()
        return claims


def _pace(kind: str) -> Pace:
    return _paces.setdefault(kind, Pace())


def _work(kind: str, claims: Sequence[Claim]) -> bool:
    """Run what one lane has claimed; return whether an executor takes work at all."""
    until = time.monotonic() + STOP_AFTER_S
    untouched = 0
    for group in together(claims):
        if time.monotonic() > until:
            hand_back(group)
            continue
        worked = work_together(group)
        untouched += worked.untouched
        _pace(kind).note(worked.runs_s)
    return untouched < len(claims)


def together(claims: Sequence[Claim]) -> Iterator[list[Claim]]:
    """Yield `claims` in groups that may share a round trip, in their order."""
    groups: dict[object, list[Claim]] = {}
    sizes: dict[object, int] = {}
    for claim in claims:
        row = claim.execution
        key: object = row.pk if row.attempts > 1 else row.revision_id
        size = sizes.get(key, 0) + row.input.size
        if size > MAX_TOGETHER_BYTES and key in groups:
            yield groups.pop(key)
            size = row.input.size
        groups.setdefault(key, []).append(claim)
        sizes[key] = size
    yield from groups.values()
