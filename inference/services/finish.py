"""What ends an execution, and the fence around it.

Order of writes: blobs of large tensors (before; harmless alone), then in one transaction the rows
of the tensors, the pending ledger entry and the execution (`outcomes`; `finisher` shares that
transaction among what ends at the same time). The commit is the commit point: before it nothing is
visible and the statement is never shown; after it the answer is durable.

The fence is the UPDATE `WHERE id AND lease AND state = running`. Not exactly one row: another lease
owns the outcome, and nothing of this one is written, no ledger entry either. `lease` stays in the
row, so who got no answer to its COMMIT reads the row again: succeeded under my lease means I won.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Least, Now
from django.utils import timezone

from inference.choices import ExecutionState
from inference.models import Execution
from inference.services.finisher import finisher
from inference.services.outbox import ended
from inference.services.outcomes import Ending, LeaseLostError, Success
from inference.services.tensors import Stored, save
from inference.services.waiting import announce

MAX_BACK_OFF_S = 60
_ERROR_CODE, _ERROR_TEXT = 32, 2_000
__all__ = [
    "MAX_BACK_OFF_S",
    "LeaseLostError",
    "Success",
    "fail",
    "finish",
    "give_back",
    "insert_failed",
    "insert_succeeded",
]


def insert_succeeded(execution: Execution, input_set: Stored, success: Success) -> None:
    """Write a synchronous execution whole: it is born succeeded.

    Raises:
        LedgerError: the log takes no entry; nothing is written.
    """
    finisher.write(Ending(execution=execution, success=success, input_set=input_set))


def finish(execution: Execution, lease: uuid.UUID, success: Success) -> None:
    """Write the outcome of a claimed execution. A COMMIT without an answer is looked up.

    Raises:
        LeaseLostError: another lease owns the outcome.
        LedgerError: the log takes no entry; nothing is written.
    """
    finisher.write(Ending(execution=execution, success=success, lease=lease))


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
        ended([execution])


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
    with transaction.atomic():
        if mine.update(lease_until=None, finished_at=Now(), **columns) != 1:
            raise LeaseLostError(str(execution.pk))
        ended([execution])
        announce([execution.pk])
