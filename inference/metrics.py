"""What an operator watches of executions: the queue in the database, and the executor's counters.

Read when asked for, kept nowhere. The rows that are alive are few and have indexes of their own;
those that have ended are counted over the last hour of creation only, so that a scrape costs the
same whatever the history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, F, Min, Q
from django.db.models.functions import Now

from inference.choices import TERMINAL, ExecutionState, ExecutorKind
from inference.client import ExecutorError, ExecutorUnavailableError, Status
from inference.models import Execution
from inference.services.asking import executor

RECENT = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The queue: rows by kind that can be claimed now, and those that wait for their time.

    `oldest_s` is for how many seconds the oldest claimable row could have been claimed, by kind;
    0 when there is none.
    """

    claimable: Mapping[str, float]
    delayed: Mapping[str, float]
    oldest_s: Mapping[str, float]
    running: Mapping[str, int]
    expired_leases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """What was asked for within the last hour: rows by state, and ended rows by attempts."""

    states: Mapping[str, int]
    attempts: Mapping[int, int]
    lost: int


def queue() -> Queue:
    """Return how the queue stands, by the database's clock."""
    waits = Execution.objects.filter(state=ExecutionState.QUEUED)
    can = Q(available_at__lte=Now(), deadline__gt=Now(), cancel_requested=None)
    rows = waits.values("executor_kind").annotate(
        claimable=Count("pk", filter=can),
        delayed=Count("pk", filter=~can),
        oldest=Now() - Min("available_at", filter=can),
    )
    claimable, delayed, oldest = (dict.fromkeys(ExecutorKind.values, 0.0) for _ in range(3))
    for kind, now, later, age in rows.values_list(
        "executor_kind", "claimable", "delayed", "oldest"
    ):
        claimable[kind], delayed[kind] = now, later
        oldest[kind] = age.total_seconds() if age else 0.0
    runs = Execution.objects.filter(state=ExecutionState.RUNNING)
    running = Counter(runs.values_list("executor_kind", flat=True))
    return Queue(
        claimable=claimable,
        delayed=delayed,
        oldest_s=oldest,
        running={kind: running[kind] for kind in ExecutorKind.values},
        expired_leases=runs.filter(lease_until__lt=Now()).count(),
    )


def recent() -> Recent:
    """Return what became of the last hour's executions."""
    rows = Execution.objects.filter(created_at__gte=Now() - RECENT)
    counted = rows.values("state", "attempts", "error_code").annotate(n=Count("pk")).order_by()
    states: Counter[str] = Counter()
    attempts: Counter[int] = Counter()
    lost = 0
    for row in counted.values_list("state", "attempts", "error_code", F("n")):
        state, tried, code, number = row
        states[state] += number
        if state in TERMINAL:
            attempts[tried] += number
        lost += number if code == "worker_lost" else 0
    return Recent(
        states={state: states[state] for state in ExecutionState.values},
        attempts=dict(attempts),
        lost=lost,
    )


def executor_status() -> Status | None:
    """Return what the executor of this machine says of itself; None when it does not answer."""
    try:
        return executor().status()
    except (ExecutorError, ExecutorUnavailableError):
        return None
