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
from socket import socket
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
from inference.executor.protocol import CallerGoneError
from inference.failpoints import reach
from inference.models import Execution
from inference.selectors import tensor_bytes
from inference.services import expiry
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


def infer(plan: Plan, *, caller: socket | None = None) -> Outcome:
    """Run `plan` now and return its outcome, which is durable.

    The run is stopped when the other end of `caller` closes: nobody waits for the answer.

    Raises:
        InferenceError, LedgerError: see the errors' own words.
        CallerGoneError: that happened; without an Idempotency-Key nothing was written.
    """
    keyed = plan.execution.idempotency_key is not None
    outcome = _run_keyed(plan, caller) if keyed else _run_fresh(plan, caller)
    expiry.given(outcome.execution)
    return outcome


def _run_fresh(plan: Plan, caller: socket | None) -> Outcome:
    execution = plan.execution
    try:
        answer = _ask(plan, caller)
    except (ModelFailedError, DeadlineError) as error:
        insert_failed(execution, _input(plan), _end_of(error), error.code, error.message)
        raise
    insert_succeeded(execution, _input(plan), answer.success)
    return Outcome(execution=execution, outputs=answer.outputs)


def _run_keyed(plan: Plan, caller: socket | None) -> Outcome:
    until = time.monotonic() + _seconds_left(plan.execution)
    while True:
        # Looking comes before writing: who waits asks often, and an INSERT is refused at a price.
        earlier = find_earlier(plan)
        if earlier is None:
            lease = _open(plan)
            if lease is not None:
                reach("web-after-open")
                return _run_leased(plan, lease, caller)
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


def _run_leased(plan: Plan, lease: uuid.UUID, caller: socket | None) -> Outcome:
    execution = plan.execution
    try:
        answer = _ask(plan, caller)
        finish(execution, lease, answer.success)
    except LeaseLostError as error:
        raise StillRunningError("The execution was taken over; ask again.") from error
    except (ModelFailedError, DeadlineError) as error:
        with suppress(LeaseLostError):
            fail(execution, lease, _end_of(error), error.code, error.message)
        raise
    except Exception as error:
        gone = isinstance(error, CallerGoneError)
        code = getattr(error, "code", "caller_gone" if gone else "internal")
        words = "Its caller hung up." if gone else getattr(error, "message", "The server failed.")
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


def _ask(plan: Plan, caller: socket | None) -> Answer:
    execution = plan.execution
    return ask(
        execution,
        plan.target.signature,
        plan.inputs,
        deadline_s=max(_seconds_left(execution), _LEAST_S),
        caller=caller,
    )


def _seconds_left(execution: Execution) -> float:
    return (execution.deadline - timezone.now()).total_seconds()


def _input(plan: Plan) -> Stored:
    return prepare(plan.data, plan.execution.input_id, nonce=plan.nonce)


def _end_of(error: InferenceError) -> ExecutionState:
    timed_out = isinstance(error, DeadlineError)
    return ExecutionState.TIMED_OUT if timed_out else ExecutionState.FAILED
