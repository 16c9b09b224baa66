"""The synchronous road: executor, one finishing transaction, answer. Answered means durable.

Without an Idempotency-Key nothing is written before the model has run. With one the row is written
first, as running under a lease of its own, so that a second request with that key finds it:

- ended: the same answer again;
- still running: wait for it, at most as long as a synchronous call may take;
- other content: refused.

A fault that the caller should simply try again (no slot, no executor) leaves no row, or a failed
row that gives its key up.
"""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

from django.db import IntegrityError, InterfaceError, OperationalError, transaction
from django.utils import timezone

from assay.tensors import Tensor, decode_tensors
from inference.choices import TERMINAL, ExecutionState
from inference.errors import (
    DeadlineError,
    EndedError,
    IdempotencyMismatchError,
    InferenceError,
    ModelFailedError,
    StillRunningError,
)
from inference.models import Execution
from inference.selectors import tensor_bytes
from inference.services.asking import Answer, ask
from inference.services.finish import LeaseLostError, fail, finish, insert_failed, insert_succeeded
from inference.services.plan import Plan, output_names
from inference.services.tensors import Stored, prepare, save

KEY_KEPT = timedelta(hours=24)
LEASE_SLACK_S = 10
POLL_S = 0.05
_LEAST_S = 0.001
_KEPT: dict[str, type[InferenceError]] = {
    error.code: error for error in (ModelFailedError, DeadlineError)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A durable success: its row, and the outputs in the order that was asked for."""

    execution: Execution
    outputs: tuple[Tensor, ...]


def infer(plan: Plan) -> Outcome:
    """Run `plan` now and return its outcome, which is durable.

    Raises:
        InferenceError, LedgerError: see the errors' own words.
    """
    if plan.execution.idempotency_key is None:
        return _run_fresh(plan)
    return _run_keyed(plan)


def _run_fresh(plan: Plan) -> Outcome:
    execution = plan.execution
    try:
        answer = _ask(plan)
    except (ModelFailedError, DeadlineError) as error:
        insert_failed(execution, _input(plan), _end_of(error), error.code, error.message)
        raise
    insert_succeeded(execution, _input(plan), answer.success)
    return Outcome(execution=execution, outputs=answer.outputs)


def _run_keyed(plan: Plan) -> Outcome:
    until = time.monotonic() + _seconds_left(plan.execution)
    while True:
        # Looking comes before writing: who waits asks often, and an INSERT is refused at a price.
        earlier = find_earlier(plan)
        if earlier is None:
            lease = _open(plan)
            if lease is not None:
                return _run_leased(plan, lease)
            continue
        if earlier.state in TERMINAL:
            return outcome_of(earlier)
        if time.monotonic() >= until:
            raise StillRunningError("The execution that this key started has not ended.")
        time.sleep(POLL_S)


def _open(plan: Plan) -> uuid.UUID | None:
    """Write the row as running under a new lease; None when its key is taken."""
    execution, lease = plan.execution, uuid.uuid4()
    execution.state = ExecutionState.RUNNING
    execution.attempts = 1
    execution.lease = lease
    execution.lease_until = execution.deadline + timedelta(seconds=LEASE_SLACK_S)
    return lease if insert_keyed(execution, _input(plan)) else None


def insert_keyed(execution: Execution, input_set: Stored) -> bool:
    """Write a row that has an idempotency key; False when the caller's key is taken."""
    try:
        with transaction.atomic():
            save(input_set)
            execution.save(force_insert=True)
    except IntegrityError as error:
        if "execution_idempotency_unique" not in str(error):
            raise
        return False
    return True


def find_earlier(plan: Plan) -> Execution | None:
    """Return the execution that has this key; None when it is free, or its time is over.

    Raises:
        IdempotencyMismatchError: it was for other content.
    """
    asked = plan.execution
    rows = Execution.objects.filter(
        caller_id=asked.caller_id, idempotency_key=asked.idempotency_key
    )
    earlier = rows.select_related("revision__release", "revision__model__owner", "output").first()
    if earlier is None:
        return None
    if earlier.state in TERMINAL and earlier.created_at < timezone.now() - KEY_KEPT:
        rows.filter(pk=earlier.pk).update(idempotency_key=None)
        return None
    if earlier.request_digest != asked.request_digest:
        raise IdempotencyMismatchError(
            "This Idempotency-Key was used for another request.", execution=str(earlier.pk)
        )
    return earlier


def _run_leased(plan: Plan, lease: uuid.UUID) -> Outcome:
    execution = plan.execution
    try:
        answer = _ask(plan)
        finish(execution, lease, answer.success)
    except LeaseLostError as error:
        raise StillRunningError("The execution was taken over; ask again.") from error
    except (ModelFailedError, DeadlineError) as error:
        with suppress(LeaseLostError):
            fail(execution, lease, _end_of(error), error.code, error.message)
        raise
    except Exception as error:
        code = getattr(error, "code", "internal")
        words = getattr(error, "message", "The server failed.")
        # When the lease is lost, or the database is away, the sweeper ends the row.
        with suppress(LeaseLostError, OperationalError, InterfaceError):
            fail(execution, lease, ExecutionState.FAILED, code, words, release_key=True)
        raise
    found = Execution.objects.select_related("revision__release", "revision__model__owner")
    return Outcome(execution=found.get(pk=execution.pk), outputs=answer.outputs)


def outcome_of(execution: Execution) -> Outcome:
    """Return the outcome of an ended execution as it was answered then.

    Raises:
        InferenceError: it ended without an output; the error says how.
    """
    if execution.output is None:
        _raise_end(execution)
    tensors = {item.name: item for item in decode_tensors(tensor_bytes(execution.output))}
    outputs = tuple(tensors[name] for name in output_names(execution))
    return Outcome(execution=execution, outputs=outputs)


def _raise_end(execution: Execution) -> NoReturn:
    kind = _KEPT.get(execution.error_code, EndedError)
    message = execution.error_message or f"The execution has ended: {execution.state}."
    raise kind(message, execution=str(execution.pk), state=execution.state)


def _ask(plan: Plan) -> Answer:
    execution = plan.execution
    return ask(
        execution,
        plan.target.signature,
        plan.inputs,
        deadline_s=max(_seconds_left(execution), _LEAST_S),
    )


def _seconds_left(execution: Execution) -> float:
    return (execution.deadline - timezone.now()).total_seconds()


def _input(plan: Plan) -> Stored:
    return prepare(plan.data, plan.execution.input_id)


def _end_of(error: InferenceError) -> ExecutionState:
    timed_out = isinstance(error, DeadlineError)
    return ExecutionState.TIMED_OUT if timed_out else ExecutionState.FAILED
