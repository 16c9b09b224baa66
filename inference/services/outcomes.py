"""Successes as rows: what one transaction writes for executions that ended together.

Order of writes: the rows of the tensors (their blobs, if any, are durable before), the pending
ledger entries, then the executions: born succeeded, or moved there under their lease. The caller's
commit is the commit point; before it nothing is visible, after it everything is durable.

The fence is the UPDATE `WHERE id AND lease AND state = running`. A row that it does not find
belongs to another lease: the caller takes everything back and writes the others without it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection
from django.utils import timezone

from assay.dsse import compact
from inference.choices import ExecutionState
from inference.models import Execution
from inference.services.outbox import ended
from inference.services.statement import Signed
from inference.services.tensors import Stored, save
from inference.services.waiting import announce
from ledger.services import NewClaim, append_many

_FINISH = """
UPDATE inference_execution e SET state = 'succeeded', finished_at = o.finished_at,
  lease_until = NULL, output_id = o.output, entry_id = o.entry, executor = o.executor,
  receipt = o.receipt, runtime = o.runtime, run_ms = o.run_ms, queue_ms = o.queue_ms,
  cold = o.cold, salts = o.salts
FROM jsonb_to_recordset(%s::jsonb) AS o(id uuid, lease uuid, finished_at timestamptz, output text,
  entry bigint, executor text, receipt text, runtime jsonb, run_ms float8, queue_ms float8,
  cold bool, salts jsonb)
WHERE e.id = o.id AND e.lease = o.lease AND e.state = 'running' RETURNING e.id
"""
# All columns by their names: a set of rows costs one parameter, and the ORM's compiler is left out.
_INSERT = """
INSERT INTO inference_execution
SELECT * FROM jsonb_populate_recordset(NULL::inference_execution, %s::jsonb)
"""


class LeaseLostError(Exception):
    """Another lease owns the outcome; what this one did is rolled back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """A run whose statement holds: its output, ready to be written, and what is told of it.

    `salts` are those of input and output (32 bytes each) of a private execution.
    """

    output: Stored
    signed: Signed
    run_ms: float
    queue_ms: float | None = None
    cold: bool | None = None
    salts: tuple[bytes, bytes] | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Ending:
    """A success to be written: a row of its own with its inputs, or (`lease`) over a claimed one.

    `settled` once it is written, or is known never to be; then `error` says why not.
    """

    execution: Execution
    success: Success
    input_set: Stored | None = None
    lease: uuid.UUID | None = None
    error: Exception | None = None
    settled: bool = False


def write(endings: Sequence[Ending]) -> list[Ending]:
    """Write `endings` inside the caller's transaction; return those whose lease is lost.

    When it returns some, the caller rolls everything back.

    Raises:
        LedgerError: the log takes no entry.
    """
    sets = [item for one in endings for item in (one.input_set, one.success.output)]
    save(*(item for item in sets if item is not None))
    _append(endings)
    claimed = [one for one in endings if one.lease is not None]
    found = _finish(claimed) if claimed else set()
    lost = [one for one in claimed if one.execution.pk not in found]
    if not lost:
        _insert([one.execution for one in endings if one.lease is None])
        ended([one.execution for one in endings])
        announce(one.execution.pk for one in claimed)
    return lost


def _append(endings: Sequence[Ending]) -> None:
    """Log the statements and put the outcomes into the executions, not yet into their rows."""
    entries = append_many(
        [
            NewClaim(
                envelope=one.success.signed.envelope,
                key=one.success.signed.key,
                statement=one.success.signed.statement,
                model=one.execution.model_name,
                checked=True,
            )
            for one in endings
        ]
    )
    now = timezone.now()
    for one, entry in zip(endings, entries, strict=True):
        row, success = one.execution, one.success
        row.state, row.finished_at, row.lease_until = ExecutionState.SUCCEEDED, now, None
        row.output_id, row.entry_id = success.output.sha256, entry
        row.executor, row.receipt = success.signed.key.fingerprint, compact(success.signed.envelope)
        row.runtime = success.signed.predicate.runtime.to_dict()
        row.run_ms, row.queue_ms, row.cold = success.run_ms, success.queue_ms, success.cold
        row.salts = _salts(success)
        row.attempts = max(row.attempts, 1)


def _salts(success: Success) -> dict[str, str] | None:
    if success.salts is None:
        return None
    return {"input": success.salts[0].hex(), "output": success.salts[1].hex()}


def _finish(claimed: Sequence[Ending]) -> set[uuid.UUID]:
    """Move claimed rows to their end where the lease still holds; return which."""
    # One order for everybody: two groups that share rows wait for each other, and never lock up.
    ordered = sorted(claimed, key=lambda one: one.execution.pk)
    rows = [
        {
            "id": one.execution.pk,
            "lease": one.lease,
            "finished_at": one.execution.finished_at,
            "output": one.execution.output_id,
            "entry": one.execution.entry_id,
            "executor": one.execution.executor,
            "receipt": one.execution.receipt,
            "runtime": one.execution.runtime,
            "run_ms": one.execution.run_ms,
            "queue_ms": one.execution.queue_ms,
            "cold": one.execution.cold,
            "salts": one.execution.salts,
        }
        for one in ordered
    ]
    with connection.cursor() as cursor:
        cursor.execute(_FINISH, [_json(rows)])
        return {pk for (pk,) in cursor.fetchall()}


def _insert(executions: Sequence[Execution]) -> None:
    """Write rows that are born succeeded."""
    if not executions:
        return
    fields = Execution._meta.concrete_fields  # noqa: SLF001 (Django documents it)
    rows = []
    for row in executions:
        row.created_at = row.finished_at or timezone.now()
        rows.append({field.column: getattr(row, field.attname) for field in fields})
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [_json(rows)])
    for row in executions:
        row._state.adding = False  # noqa: SLF001 (Django documents it)


def _json(value: object) -> str:
    return json.dumps(value, default=str)  # noqa: TID251 (columns, neither hashed nor signed)
