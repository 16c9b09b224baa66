"""Celery's part: wake-ups that drain the queue, the sweeper, inspections of new revisions.

No work lives in the broker. Each task may be lost, doubled or late, and changes nothing but when.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

from celery import shared_task
from django.db import connection

from inference import wakeups
from inference.client import ExecutorError, ExecutorUnavailable
from inference.services import inspection, queue
from inference.services.asking import executor
from inference.services.work import work

LANE = "executions"
INSPECTIONS = "inspections"
log = logging.getLogger(__name__)


def wake() -> None:
    """Say that an execution waits; call it when its row is committed. Never fails."""
    wakeups.wake(LANE, drain.delay)


def wake_inspection() -> None:
    """Say that a revision waits for its inspection. Never fails."""
    wakeups.wake(INSPECTIONS, inspect_pending.delay)


@shared_task
def drain() -> int:
    """Claim what is free and run it, until no row is left; return how many were run."""
    wakeups.taken(LANE)
    done = 0
    while True:
        claims = [
            claim for kind, free in free_slots().items() for claim in queue.claim(free, kind=kind)
        ]
        if not claims:
            return done
        # Rows may be left: the next worker joins while this one runs.
        wakeups.wake(LANE, drain.delay)
        run_all(claims)
        done += len(claims)


def free_slots() -> dict[str, int]:
    """Return how many slots of each kind queued work may take: half are for synchronous calls."""
    try:
        kinds = executor().status().kinds
    except (ExecutorError, ExecutorUnavailable) as error:
        log.warning("the queue waits: %s", error)
        return {}
    return {kind: min(of["free"], max(1, of["slots"] // 2)) for kind, of in kinds.items()}


def run_all(claims: list[queue.Claim]) -> None:
    """Run `claims` side by side: they were claimed because each has a slot."""
    if len(claims) == 1:
        work(claims[0])
        return
    with ThreadPoolExecutor(len(claims)) as pool:
        for future in [pool.submit(_work_in_thread, claim) for claim in claims]:
            future.result()


def _work_in_thread(claim: queue.Claim) -> None:
    try:
        work(claim)
    finally:
        connection.close()


@shared_task
def sweep() -> int:
    """Put right what dead workers left, and say again what was not heard; return what moved."""
    swept = queue.sweep()
    if swept.stale or swept.requeued:
        wake()
    return swept.requeued + swept.lost + swept.timed_out + swept.cancelled


@shared_task
def inspect_pending() -> int:
    """Inspect revisions that wait for it; return how many were."""
    wakeups.taken(INSPECTIONS)
    return inspection.inspect_pending()
