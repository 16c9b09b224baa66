"""How long tensors are kept, and their end: bytes go; receipt, digests and history stay.

`keep_until` of an execution says when its tensors may go; without one the policy does, so many days
after the end. A private execution's answer, once given, is kept for `keep_s` more seconds.

`drop` works in steps of some hundred executions, each safe to repeat:

1. One transaction: executions that are due get `dropped_at`, and lose their salts unless they are
   disclosed; their tensor sets that no living execution needs get `dropped_at` and lose their
   inline bytes. **Commit point**: from here on downloads answer 410. A crash before it changes
   nothing.
2. The blob of a large set is deleted while its row is held and still marked. A crash in between
   leaves a marked row whose `inline` is NULL, where a finished one has no bytes (b""): the next run
   deletes that blob.

A new execution with the same input may come at any moment: `services.tensors.save` has the rules.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from inference.models import Execution, Tensors
from inference.selectors import tensor_files

# An answer that its caller has not fetched is kept so long, whatever `keep` says.
UNFETCHED_S = 24 * 3600
STEP = 500

_DUE = """
WITH asked AS MATERIALIZED (
  SELECT id FROM inference_execution
  WHERE dropped_at IS NULL AND keep_until <= %(now)s AND finished_at IS NOT NULL
  ORDER BY keep_until LIMIT %(step)s FOR UPDATE SKIP LOCKED),
policy AS MATERIALIZED (
  SELECT id FROM inference_execution
  WHERE dropped_at IS NULL AND keep_until IS NULL AND finished_at <= %(newest)s
    AND finished_at <= %(now)s - CASE WHEN caller_id IS NULL THEN %(anonymous)s ELSE %(known)s END
  ORDER BY finished_at LIMIT %(step)s FOR UPDATE SKIP LOCKED)
UPDATE inference_execution e SET dropped_at = %(now)s,
  salts = CASE WHEN disclosed_at IS NULL THEN NULL ELSE salts END
WHERE id IN (SELECT id FROM asked UNION ALL SELECT id FROM policy)
RETURNING e.input_id, e.output_id
"""
_HOLD = """
SELECT sha256, inline IS NULL FROM inference_tensors
WHERE sha256 = ANY(%s) AND dropped_at IS NULL ORDER BY sha256 FOR UPDATE
"""
_NEEDED = """
SELECT t.sha256 FROM unnest(%s::text[]) AS t(sha256) WHERE EXISTS (
  SELECT FROM inference_execution WHERE input_id = t.sha256 AND dropped_at IS NULL)
  OR EXISTS (SELECT FROM inference_execution WHERE output_id = t.sha256 AND dropped_at IS NULL)
  OR EXISTS (SELECT FROM inference_schedule WHERE input_id = t.sha256 AND stopped_at IS NULL)
"""
_GIVEN = """
UPDATE inference_execution SET keep_until = clock_timestamp() + make_interval(secs => keep_s)
WHERE id = %s AND private AND disclosed_at IS NULL AND dropped_at IS NULL AND state = 'succeeded'
  AND keep_until > clock_timestamp() + make_interval(secs => keep_s)
"""


def policy_s(caller_id: int | None) -> int:
    """Return for how many seconds after its end an execution of `caller_id` is kept at most."""
    anonymous = caller_id is None
    days = settings.EXECUTION_KEEP_ANONYMOUS_DAYS if anonymous else settings.EXECUTION_KEEP_DAYS
    return int(days) * 86_400


def keep(execution: Execution, asked_s: int | None) -> None:
    """Set on a new execution how long its tensors shall be kept after its end.

    `asked_s` counts up to the policy; None is the policy, or for a private execution the setting.
    The end is not known yet and the deadline bounds it, so `keep_until` counts from there.
    """
    limit = policy_s(execution.caller_id)
    if execution.private:
        default = int(settings.EXECUTION_KEEP_PRIVATE_S)
        execution.keep_s = min(default if asked_s is None else asked_s, limit)
        seconds = min(max(execution.keep_s, UNFETCHED_S), limit)
    elif asked_s is None:
        return
    else:
        seconds = execution.keep_s = min(asked_s, limit)
    execution.keep_until = execution.deadline + timedelta(seconds=seconds)


def given(execution: Execution) -> None:
    """Note that the caller of a private execution has its answer: its last seconds begin."""
    if execution.private and execution.disclosed_at is None:
        with connection.cursor() as cursor:
            cursor.execute(_GIVEN, [execution.pk])


def kept_until(execution: Execution) -> datetime | None:
    """Return when the tensors may go, as settings stand; None without an end to count from."""
    if execution.keep_until is not None:
        return execution.keep_until
    if execution.finished_at is None:
        return None
    return execution.finished_at + timedelta(seconds=policy_s(execution.caller_id))


def drop(now: datetime | None = None) -> int:
    """Drop the tensors of every execution that is due; return how many executions there were."""
    now = now or timezone.now()
    dropped, found = 0, STEP
    while found >= STEP:
        with transaction.atomic():
            sets = _mark_executions(now)
            _mark_sets({digest for pair in sets for digest in pair if digest is not None})
        found = len(sets)
        dropped += found
    _delete_blobs()
    return dropped


def _mark_executions(now: datetime) -> list[tuple[str, str | None]]:
    anonymous = timedelta(days=settings.EXECUTION_KEEP_ANONYMOUS_DAYS)
    known = timedelta(days=settings.EXECUTION_KEEP_DAYS)
    named: dict[str, Any] = {
        "now": now,
        "newest": now - min(anonymous, known),
        "anonymous": anonymous,
        "known": known,
        "step": STEP,
    }
    with connection.cursor() as cursor:
        cursor.execute(_DUE, named)
        return list(cursor.fetchall())


def _mark_sets(digests: set[str]) -> None:
    """Take the bytes out of the rows that nobody needs."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLD, [sorted(digests)])
        large = dict(cursor.fetchall())
        # A statement of its own, after the locks: it sees what was committed while this one waited.
        cursor.execute(_NEEDED, [list(large)])
        for (sha256,) in cursor.fetchall():
            del large[sha256]
    rows = Tensors.objects.filter(pk__in=large)
    rows.filter(inline__isnull=False).update(inline=b"", dropped_at=Now())
    rows.filter(inline__isnull=True).update(dropped_at=Now())


def _delete_blobs() -> None:
    marked = Tensors.objects.filter(dropped_at__isnull=False, inline__isnull=True)
    for sha256 in list(marked.values_list("pk", flat=True)):
        with transaction.atomic():
            held = marked.select_for_update().filter(pk=sha256)
            # Whoever saves it again has taken the mark away, and has its bytes.
            if held.first() is not None:
                tensor_files().delete(sha256)
                held.update(inline=b"")
