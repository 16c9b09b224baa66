"""The queue is the table: claim, renew, cancel, sweep. Every step is one statement.

A claim takes rows that nobody else is looking at (SKIP LOCKED), gives each a new lease and counts
an attempt. Whoever holds the lease renews it; whoever lost it can change nothing any more (see
`services.finish`). The sweeper puts right what a dead worker left. All times are the database's.

**Turns.** Each caller has a share of the queue, those without an account have one together. A claim
begins at the share after the one that was served last and goes round, so that ten thousand rows of
one caller keep nobody waiting for more than a turn. Priority orders the rows within a share.

The commit point of each statement is its own. A claim whose answer was lost holds rows until their
leases are over; then the sweeper gives them back. A turn that was lost or taken twice costs a turn.
"""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from inference.choices import ExecutionState, ExecutorKind
from inference.errors import UnknownExecutionError
from inference.models import Execution
from inference.selectors import own
from inference.services import outbox
from inference.services.finish import MAX_BACK_OFF_S
from inference.services.waiting import announce
from registry.rights import Caller

LEASE_S = 30
RENEW_S = 10
STALE_S = 5
SWEEP_STEP = 1_000

# `turn` walks over shares, not over rows: one look into the index for each share that is served, at
# most as many as there are free slots. `first` gives each an equal part, `rest` fills what is left.
# LIMIT pulls rows out of the lateral subqueries one by one, so no more are locked than are taken.
_CLAIM = """
WITH RECURSIVE turn(share, number, start) AS (
  SELECT share, 1, share FROM (SELECT {next_after_last} AS share) begun WHERE share IS NOT NULL
  UNION ALL
  SELECT share, number, start FROM (
    SELECT {next_after_turn} AS share, number + 1 AS number, start
    FROM turn WHERE number < %(free)s) onward
  WHERE share <> start),
served AS MATERIALIZED (SELECT share, number, count(*) OVER () AS shares FROM turn),
first AS MATERIALIZED (
  SELECT id, share, number FROM (SELECT * FROM served ORDER BY number) s, LATERAL (
    SELECT id FROM inference_execution e WHERE {waits} AND coalesce(caller_id, 0) = s.share
    ORDER BY priority, available_at, id
    LIMIT ceil(%(free)s::float8 / s.shares)::bigint FOR UPDATE SKIP LOCKED) own
  LIMIT %(free)s),
rest AS MATERIALIZED (
  SELECT id, share, number FROM (SELECT * FROM served ORDER BY number) s, LATERAL (
    SELECT id FROM inference_execution e WHERE {waits} AND coalesce(caller_id, 0) = s.share
      AND id NOT IN (SELECT id FROM first)
    ORDER BY priority, available_at, id LIMIT %(free)s FOR UPDATE SKIP LOCKED) own
  LIMIT %(free)s - (SELECT count(*) FROM first)),
picked AS MATERIALIZED (SELECT * FROM first UNION ALL SELECT * FROM rest),
turned AS MATERIALIZED (
  SELECT setval('inference_turns_{kind}', (SELECT share FROM first ORDER BY number DESC LIMIT 1)))
UPDATE inference_execution e SET state = 'running', attempts = attempts + 1,
  lease = gen_random_uuid(), lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
FROM picked, turned WHERE e.id = picked.id RETURNING e.id, e.lease
"""
_WAITS = """executor_kind = '{kind}' AND state = 'queued' AND available_at <= clock_timestamp()
      AND deadline > clock_timestamp() AND cancel_requested IS NULL"""
_NEXT = """coalesce(
    (SELECT coalesce(caller_id, 0) FROM inference_execution
     WHERE {waits} AND coalesce(caller_id, 0) > {after}
     ORDER BY executor_kind, coalesce(caller_id, 0) LIMIT 1),
    (SELECT coalesce(caller_id, 0) FROM inference_execution
     WHERE {waits} ORDER BY executor_kind, coalesce(caller_id, 0) LIMIT 1))"""


def _claim_of(kind: str) -> str:
    waits = _WAITS.format(kind=kind)
    last = f"(SELECT last_value FROM inference_turns_{kind})"  # noqa: S608 (a constant of ours)
    return _CLAIM.format(
        kind=kind,
        waits=waits,
        next_after_last=_NEXT.format(waits=waits, after=last),
        next_after_turn=_NEXT.format(waits=waits, after="turn.share"),
    )


_CLAIMS = {str(kind): _claim_of(str(kind)) for kind in ExecutorKind.values}
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
  LIMIT %s FOR UPDATE SKIP LOCKED),
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
  FROM picked WHERE e.id = picked.id RETURNING e.id, e.hook_id, next)
SELECT id, hook_id, next FROM moved
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
        cursor.execute(_CLAIMS[kind], {"free": free, "lease": LEASE_S})
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
    mine = _mine(user, "execution").filter(pk=execution_id)
    _cancel(mine)
    found = mine.select_related("revision__release", "revision__model__owner").first()
    if found is None:
        raise UnknownExecutionError("There is no such execution of yours.")
    return found


def cancel_batch(batch: uuid.UUID, user: Caller) -> None:
    """Ask for the end of every execution of a batch of `user`'s; as `cancel` for each.

    Raises:
        UnknownExecutionError: `user` has started no such batch.
    """
    mine = _mine(user, "batch").filter(batch=batch)
    if not mine.exists():
        raise UnknownExecutionError("There is no such batch of yours.")
    _cancel(mine)


def _mine(user: Caller, what: str) -> QuerySet[Execution]:
    if user is None or not user.is_authenticated:
        raise UnknownExecutionError(f"There is no such {what} of yours.")
    return own(user)


def _cancel(rows: QuerySet[Execution]) -> None:
    with transaction.atomic():
        queued = rows.filter(state=ExecutionState.QUEUED).select_for_update(of=("self",))
        ending = list(queued.order_by("pk").only("pk", "hook_id"))
        Execution.objects.filter(pk__in=[row.pk for row in ending]).update(
            state=ExecutionState.CANCELLED,
            cancel_requested=Now(),
            finished_at=Now(),
            error_code="cancelled",
        )
        _told(ending)
    running = rows.filter(state=ExecutionState.RUNNING, cancel_requested__isnull=True)
    running.update(cancel_requested=Now())


def _told(ended: list[Execution]) -> None:
    """Tell hooks and waiters of executions that this transaction ends."""
    outbox.ended(ended)
    announce(row.pk for row in ended)


def sweep() -> Swept:
    """Put right what dead workers and passed deadlines left; two sweepers do no harm."""
    moved: Counter[str] = Counter()
    found = SWEEP_STEP
    while found == SWEEP_STEP:
        with transaction.atomic():
            rows = _sweep_some()
            _told([row for row, state in rows if state != ExecutionState.QUEUED])
        moved.update(state for _, state in rows)
        found = len(rows)
    waiting = Execution.objects.filter(
        state=ExecutionState.QUEUED, available_at__lt=Now() - timedelta(seconds=STALE_S)
    )
    return Swept(
        requeued=moved[ExecutionState.QUEUED],
        lost=moved[ExecutionState.FAILED],
        timed_out=moved[ExecutionState.TIMED_OUT],
        cancelled=moved[ExecutionState.CANCELLED],
        stale=waiting.count(),
    )


def _sweep_some() -> list[tuple[Execution, str]]:
    with connection.cursor() as cursor:
        cursor.execute(_SWEEP, [SWEEP_STEP, MAX_BACK_OFF_S])
        return [(Execution(pk=pk, hook_id=hook), state) for pk, hook, state in cursor.fetchall()]
