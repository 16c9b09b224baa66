"""The queue is the table: submit, claim, renew, cancel, sweep. Every step is one statement.

A claim takes rows that nobody else is looking at (SKIP LOCKED), gives each a new lease and counts
an attempt. Whoever holds the lease renews it; whoever lost it can change nothing any more (see
`services.finish`). The sweeper puts right what a dead worker left. All times are the database's.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.db.models.functions import Now

from inference.choices import ExecutionState, ExecutorKind
from inference.errors import UnknownExecutionError
from inference.models import Execution
from inference.services.finish import MAX_BACK_OFF_S
from registry.rights import Caller

LEASE_S = 30
RENEW_S = 10
STALE_S = 5

_CLAIM = """
WITH picked AS MATERIALIZED (
  SELECT id FROM inference_execution
  WHERE state = 'queued' AND available_at <= clock_timestamp()
    AND deadline > clock_timestamp() AND cancel_requested IS NULL AND executor_kind = %s
  ORDER BY priority, available_at, id LIMIT %s FOR UPDATE SKIP LOCKED)
UPDATE inference_execution e SET state = 'running', attempts = attempts + 1,
  lease = gen_random_uuid(), lease_until = clock_timestamp() + make_interval(secs => %s)
FROM picked WHERE e.id = picked.id RETURNING e.id, e.lease
"""
_RENEW = """
UPDATE inference_execution SET lease_until = clock_timestamp() + make_interval(secs => %s)
WHERE id = %s AND lease = %s AND state = 'running' RETURNING cancel_requested IS NOT NULL
"""
_SWEEP = """
WITH picked AS MATERIALIZED (
  SELECT id, CASE WHEN cancel_requested IS NOT NULL THEN 'cancelled'
    WHEN deadline <= clock_timestamp() THEN 'timed_out'
    WHEN attempts >= max_attempts THEN 'failed' ELSE 'queued' END AS next
  FROM inference_execution
  WHERE state = 'running' AND lease_until < clock_timestamp()
    OR state = 'queued' AND (deadline <= clock_timestamp() OR cancel_requested IS NOT NULL)
  FOR UPDATE SKIP LOCKED),
moved AS (
  UPDATE inference_execution e SET state = next, lease_until = NULL,
    finished_at = CASE WHEN next <> 'queued' THEN clock_timestamp() END,
    available_at = CASE WHEN next = 'queued'
      THEN clock_timestamp() + make_interval(secs => least(power(2, attempts), %s))
      ELSE available_at END,
    error_code = CASE next WHEN 'failed' THEN 'worker_lost' WHEN 'timed_out' THEN 'deadline'
      WHEN 'cancelled' THEN 'cancelled' ELSE '' END,
    error_message = CASE next WHEN 'failed' THEN 'The worker was lost at each attempt.'
      WHEN 'timed_out' THEN 'The deadline passed.' ELSE '' END
  FROM picked WHERE e.id = picked.id RETURNING next)
SELECT next, count(*) FROM moved GROUP BY next
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An execution that is ours to run until the lease is over, and the lease."""

    execution: Execution
    lease: uuid.UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep did, and how many rows wait longer than they should (say it again)."""

    requeued: int
    lost: int
    timed_out: int
    cancelled: int
    stale: int


def claim(free: int, *, kind: str = ExecutorKind.PORTABLE) -> list[Claim]:
    """Claim at most `free` executions: as many as there are free slots, never more."""
    if free < 1:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, [kind, free, LEASE_S])
        leases = dict(cursor.fetchall())
    rows = Execution.objects.filter(pk__in=leases)
    related = rows.select_related("revision__model__owner", "input")
    ordered = related.order_by("priority", "available_at", "id")
    return [Claim(execution=row, lease=leases[row.pk]) for row in ordered]


def renew(execution_id: uuid.UUID, lease: uuid.UUID) -> bool | None:
    """Keep a lease; return whether the caller wants it cancelled, None when the lease is lost."""
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, [LEASE_S, execution_id, lease])
        row = cursor.fetchone()
    return None if row is None else bool(row[0])


def cancel(execution_id: uuid.UUID, user: Caller) -> Execution:
    """Ask for the end of an execution; return it as it stands then.

    A queued one is cancelled at once. A running one is stopped by its lease holder, and its finish
    wins a race. An ended one stays as it is.

    Raises:
        UnknownExecutionError: `user` has started no such execution.
    """
    if user is None or not user.is_authenticated:
        raise UnknownExecutionError("There is no such execution of yours.")
    mine = Execution.objects.filter(pk=execution_id, caller_id=user.pk)
    queued = mine.filter(state=ExecutionState.QUEUED)
    changed = queued.update(
        state=ExecutionState.CANCELLED, cancel_requested=Now(), finished_at=Now()
    )
    if not changed:
        running = mine.filter(state=ExecutionState.RUNNING, cancel_requested__isnull=True)
        running.update(cancel_requested=Now())
    found = mine.select_related("revision__release", "revision__model__owner").first()
    if found is None:
        raise UnknownExecutionError("There is no such execution of yours.")
    return found


def cancel_batch(batch: uuid.UUID, user: Caller) -> None:
    """Ask for the end of every execution of a batch of `user`'s; as `cancel` for each.

    Raises:
        UnknownExecutionError: `user` has started no such batch.
    """
    if user is None or not user.is_authenticated:
        raise UnknownExecutionError("There is no such batch of yours.")
    mine = Execution.objects.filter(batch=batch, caller_id=user.pk)
    if not mine.exists():
        raise UnknownExecutionError("There is no such batch of yours.")
    mine.filter(state=ExecutionState.QUEUED).update(
        state=ExecutionState.CANCELLED, cancel_requested=Now(), finished_at=Now()
    )
    running = mine.filter(state=ExecutionState.RUNNING, cancel_requested__isnull=True)
    running.update(cancel_requested=Now())


def sweep() -> Swept:
    """Put right what dead workers and passed deadlines left; two sweepers do no harm."""
    with connection.cursor() as cursor:
        cursor.execute(_SWEEP, [MAX_BACK_OFF_S])
        moved = dict(cursor.fetchall())
    waiting = Execution.objects.filter(
        state=ExecutionState.QUEUED, available_at__lt=Now() - timedelta(seconds=STALE_S)
    )
    return Swept(
        requeued=moved.get(ExecutionState.QUEUED, 0),
        lost=moved.get(ExecutionState.FAILED, 0),
        timed_out=moved.get(ExecutionState.TIMED_OUT, 0),
        cancelled=moved.get(ExecutionState.CANCELLED, 0),
        stale=waiting.count(),
    )
