"""The one transaction that makes an outcome visible, and the fence around it.

Order of writes: blobs of large tensors (before; harmless alone), then in one transaction the rows
of the tensors, the pending ledger entry and the execution. The commit is the commit point: before
it nothing is visible and the statement is never shown; after it the answer is durable.

The fence is the UPDATE `WHERE id AND lease AND state = running`. Not exactly one row: another lease
owns the outcome, and everything is rolled back, the ledger entry with it. `lease` stays in the row,
so who got no answer to its COMMIT reads the row again: succeeded under my lease means I won.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Least, Now
from django.utils import timezone

from assay.dsse import compact
from inference.choices import ExecutionState
from inference.models import Execution
from inference.services.statement import Signed
from inference.services.tensors import Stored, save
from ledger.services import append

MAX_BACK_OFF_S = 60
_ERROR_CODE, _ERROR_TEXT = 32, 2_000


class LeaseLostError(Exception):
    """Another lease owns the outcome; what this one did is rolled back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """A run whose statement holds: its output, ready to be written, and what is told of it."""

    output: Stored
    signed: Signed
    run_ms: float


def insert_succeeded(execution: Execution, input_set: Stored, success: Success) -> None:
    """Write a synchronous execution whole: it is born succeeded.

    Raises:
        LedgerError: the log takes no entry; nothing is written.
    """
    with transaction.atomic():
        save(input_set, success.output)
        for name, value in _outcome(success, execution.model_name).items():
            setattr(execution, name, value)
        execution.state = ExecutionState.SUCCEEDED
        execution.finished_at = timezone.now()
        execution.attempts = 1
        execution.save(force_insert=True)


def finish(execution: Execution, lease: uuid.UUID, success: Success) -> None:
    """Write the outcome of a claimed execution. A COMMIT without an answer is looked up.

    Raises:
        LeaseLostError: another lease owns the outcome.
        LedgerError: the log takes no entry; nothing is written.
    """
    try:
        with transaction.atomic():
            save(success.output)
            _end(
                execution,
                lease,
                state=ExecutionState.SUCCEEDED,
                **_outcome(success, execution.model_name),
            )
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block or not _won(execution, lease):
            raise


def _won(execution: Execution, lease: uuid.UUID) -> bool:
    """Tell whether the row says that this lease wrote the outcome."""
    mine = Execution.objects.filter(pk=execution.pk, lease=lease)
    return mine.filter(state=ExecutionState.SUCCEEDED).exists()


def _outcome(success: Success, model: str) -> dict[str, Any]:
    """Append the pending ledger entry and return the columns of the outcome."""
    signed = success.signed
    entry_id = append(signed.envelope, signed.key, signed.statement, model=model)
    return {
        "output_id": success.output.sha256,
        "entry_id": entry_id,
        "executor": signed.key.fingerprint,
        "receipt": compact(signed.envelope),
        "runtime": signed.predicate.runtime.to_dict(),
        "run_ms": success.run_ms,
    }


def insert_failed(
    execution: Execution, input_set: Stored, state: ExecutionState, code: str, message: str
) -> None:
    """Write a synchronous execution that ended without an output."""
    with transaction.atomic():
        save(input_set)
        execution.state = state
        execution.error_code, execution.error_message = code[:_ERROR_CODE], _kept(message)
        execution.finished_at = timezone.now()
        execution.attempts = 1
        execution.save(force_insert=True)


def _kept(message: str) -> str:
    """Return a runtime's words, which may quote a hostile model, as a row can keep them."""
    return message[:_ERROR_TEXT].replace("\0", "\N{REPLACEMENT CHARACTER}")


def fail(
    execution: Execution,
    lease: uuid.UUID,
    state: ExecutionState,
    code: str,
    message: str,
    *,
    release_key: bool = False,
) -> None:
    """End a claimed execution without an output; `release_key` lets the caller try again.

    Raises:
        LeaseLostError: another lease owns the outcome.
    """
    key = {"idempotency_key": None} if release_key else {}
    text = {"error_code": code[:_ERROR_CODE], "error_message": _kept(message)}
    _end(execution, lease, state=state, **text, **key)


def give_back(execution: Execution, lease: uuid.UUID, *, untouched: bool) -> None:
    """Put a claimed execution back into the queue, or end it when its attempts are used up.

    `untouched` says that the executor never took it: the attempt does not count. Otherwise the next
    attempt waits 2^attempts seconds, at most a minute.

    Raises:
        LeaseLostError: another lease owns the outcome.
    """
    if not untouched and execution.attempts >= execution.max_attempts:
        message = f"The executor was lost {execution.attempts} times while it ran this."
        fail(execution, lease, ExecutionState.FAILED, "worker_lost", message)
        return
    wait = 2 if untouched else min(2**execution.attempts, MAX_BACK_OFF_S)
    mine = Execution.objects.filter(pk=execution.pk, lease=lease, state=ExecutionState.RUNNING)
    updated = mine.update(
        state=ExecutionState.QUEUED,
        lease_until=None,
        attempts=F("attempts") - Value(int(untouched)),
        # Never after the deadline: then it would wait for the sweeper alone.
        available_at=Least(Now() + timedelta(seconds=wait), F("deadline")),
    )
    if updated != 1:
        raise LeaseLostError(str(execution.pk))


def _end(execution: Execution, lease: uuid.UUID, **columns: Any) -> None:
    mine = Execution.objects.filter(pk=execution.pk, lease=lease, state=ExecutionState.RUNNING)
    if mine.update(lease_until=None, finished_at=Now(), **columns) != 1:
        raise LeaseLostError(str(execution.pk))
