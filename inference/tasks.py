"""Celery's part: wake-ups that drain the queue, the sweeper, inspections of new revisions.

No work lives in the broker. Each task may be lost, doubled or late, and changes nothing but when.
"""

from __future__ import annotations

from celery import shared_task

from inference import outgoing, wakeups
from inference.failpoints import reach
from inference.services import (
    counting,
    deliveries,
    determinism,
    drain as draining,
    expiry,
    inspection,
    queue,
    schedules,
    traces,
    warming,
)

LANE = "executions"
INSPECTIONS = "inspections"
TRACES = "traces"


def wake() -> None:
    """Say that an execution waits; call it when its row is committed. Never fails."""
    wakeups.wake(LANE, drain.delay)


def wake_inspection() -> None:
    """Say that a revision waits for its inspection. Never fails."""
    wakeups.wake(INSPECTIONS, inspect_pending.delay)


def wake_warm_up(revision_id: str) -> None:
    """Say that a revision was released. Never fails."""
    wakeups.wake(f"warm:{revision_id}", lambda: warm_up.delay(revision_id))


def wake_traces() -> None:
    """Say that a trace is wanted. Never fails."""
    wakeups.wake(TRACES, make_traces.delay)


@shared_task
def drain() -> int:
    """Claim what is free and run it, until no row is left; return how many were claimed."""
    wakeups.taken(LANE)
    reach("worker-before-claim")
    # Rows may be left: the next worker joins while this one runs.
    return draining.drain(more=lambda: wakeups.wake(LANE, drain.delay))


@shared_task
def sweep() -> int:
    """Put right what dead workers left, and say again what was not heard; return what moved."""
    reach("sweeper-before")
    swept = queue.sweep()
    reach("sweeper-after")
    if swept.stale or swept.requeued:
        wake()
    return swept.requeued + swept.lost + swept.timed_out + swept.cancelled


@shared_task
def inspect_pending() -> int:
    """Inspect revisions that wait for it; return how many were."""
    wakeups.taken(INSPECTIONS)
    return inspection.inspect_pending()


@shared_task
def drop_expired() -> int:
    """Drop tensors whose time is over; return of how many executions."""
    return expiry.drop()


@shared_task
def deliver() -> int:
    """Send webhooks' messages that are due; return how many were tried."""
    wakeups.taken(outgoing.LANE)
    tried = deliveries.deliver_some()
    if tried:
        outgoing.wake()
    return tried


@shared_task
def sweep_deliveries() -> int:
    """Delete webhooks' messages that ended long ago; return how many."""
    return deliveries.sweep()


@shared_task
def fire_schedules() -> int:
    """Queue what schedules have due; return how many executions that made."""
    fired = schedules.fire_due()
    if fired:
        wake()
    return fired


@shared_task
def make_traces() -> int:
    """Make some of the traces that wait; return how many were tried."""
    wakeups.taken(TRACES)
    tried = traces.make_some()
    if tried and traces.waiting():
        wake_traces()
    return tried


@shared_task
def sweep_traces() -> int:
    """End traces that workers lost, forget those of dropped private tensors; return how many."""
    ended = traces.sweep()
    if traces.waiting():
        wake_traces()
    return ended


@shared_task
def warm_up(revision_id: str) -> bool:
    """Load a newly released revision and run it once on zeros."""
    return warming.warm_up(revision_id)


@shared_task
def warm_after_start() -> int:
    """Warm what was run last when the executor was started anew; return how many are warm."""
    return warming.warm_after_start()


@shared_task
def check_determinism() -> int:
    """Try some releases that were not tried: do they give the same bits each time?"""
    return determinism.check_some()


@shared_task
def count_executions() -> int:
    """Add what the ledger has taken in to the counters of releases; return how many."""
    return counting.count_executions()
