"""Queued executions: the row is written, and that is the acceptance. A message only hurries it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.utils import timezone

from assay.tensors import decode_tensors
from inference.choices import TERMINAL
from inference.errors import (
    BadRequestError,
    DroppedError,
    IdempotencyMismatchError,
    StillRunningError,
    UnknownExecutionError,
)
from inference.failpoints import reach
from inference.ids import uuid7
from inference.models import Execution
from inference.selectors import own, tensor_bytes
from inference.services.plan import MAX_KEY, Plan, find_target, plan_again
from inference.services.run import KEY_KEPT, find_earlier, insert_keyed
from inference.services.tensors import prepare, save
from registry.moderated import need_tensors
from registry.rights import Caller

MAX_BATCH = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """The execution of a request; `new` is False when its Idempotency-Key had started it before."""

    execution: Execution
    new: bool


def submit(plan: Plan) -> Submitted:
    """Write `plan` as a queued execution; wake a worker when the transaction has committed.

    Raises:
        IdempotencyMismatchError: the key was used for other content.
    """
    execution = plan.execution
    input_set = prepare(plan.data, execution.input_id, nonce=plan.nonce)
    if execution.idempotency_key is None:
        with transaction.atomic():
            save(input_set)
            execution.save(force_insert=True)
        reach("web-after-insert")
        return Submitted(execution=execution, new=True)
    while True:
        earlier = find_earlier(plan)
        if earlier is not None:
            return Submitted(execution=earlier, new=False)
        if insert_keyed(execution, input_set):
            reach("web-after-insert")
            return Submitted(execution=execution, new=True)


def retry(user: Caller, execution_id: uuid.UUID, *, key: str | None = None) -> Submitted:
    """Queue once more what `user` has run: a new execution with the same request.

    The release must still be one that they may run, and the tensors must be kept.

    Raises:
        UnknownExecutionError: `user` has started no such execution.
        StillRunningError: it has not ended.
        DroppedError: its tensors are not kept any more.
        RegistryError: the model cannot be run by them any more.
    """
    earlier = _ended(user, execution_id)
    target = find_target(earlier.model_name, earlier.revision_id, user)
    inputs = decode_tensors(tensor_bytes(earlier.input))
    plan = plan_again(earlier, target, inputs, key=key)
    return submit(plan)


def _ended(user: Caller, execution_id: uuid.UUID) -> Execution:
    row = own(user).filter(pk=execution_id).select_related("input").first()
    if row is None:
        raise UnknownExecutionError("There is no such execution of yours.")
    if row.state not in TERMINAL:
        raise StillRunningError("The execution has not ended: wait for it, or cancel it.")
    if row.dropped_at is not None:
        raise DroppedError("The tensors of this execution are not kept any more.")
    need_tensors(row.pk)
    return row


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The executions of one request, in its order; `new` as in `Submitted`."""

    id: uuid.UUID
    executions: tuple[Execution, ...]
    new: bool


def submit_many(plans: Sequence[Plan]) -> Batch:
    """Write all of `plans` as queued executions of one batch, or none of them.

    An Idempotency-Key, the same in every plan, is the batch's: a repetition finds the whole batch.

    Raises:
        BadRequestError: no plan, or more than `MAX_BATCH`.
        IdempotencyMismatchError: the key was used for other content.
    """
    if not 0 < len(plans) <= MAX_BATCH:
        raise BadRequestError(f"A batch has 1 to {MAX_BATCH} items, not {len(plans)}.")
    _number_keys(plans)
    sets = [prepare(plan.data, plan.execution.input_id, nonce=plan.nonce) for plan in plans]
    batch = uuid7()
    for plan in plans:
        plan.execution.batch = batch
    while True:
        earlier = _earlier_batch(plans)
        if earlier is not None:
            return earlier
        try:
            with transaction.atomic():
                save(*sets)
                Execution.objects.bulk_create([plan.execution for plan in plans])
        except IntegrityError as error:
            if "execution_idempotency_unique" not in str(error):
                raise
        else:
            rows = tuple(plan.execution for plan in plans)
            return Batch(id=batch, executions=rows, new=True)


def _number_keys(plans: Sequence[Plan]) -> None:
    """Give each item a key of its own: the batch's, and its place in it."""
    for number, plan in enumerate(plans):
        key = plan.execution.idempotency_key
        if key is None:
            continue
        numbered = f"{key}/{number}"
        if len(numbered) > MAX_KEY:
            raise BadRequestError(f"The Idempotency-Key of a batch has at most {MAX_KEY - 4}.")
        plan.execution.idempotency_key = numbered


def _earlier_batch(plans: Sequence[Plan]) -> Batch | None:
    """Return the batch that this key started; None when the key is free, or its time is over."""
    keys = [plan.execution.idempotency_key for plan in plans]
    if keys[0] is None:
        return None
    rows = Execution.objects.filter(
        caller_id=plans[0].execution.caller_id, idempotency_key__in=keys
    )
    found = {row.idempotency_key: row for row in rows.select_related("revision__release")}
    if not found:
        return None
    old = timezone.now() - KEY_KEPT
    if all(row.state in TERMINAL and row.created_at < old for row in found.values()):
        rows.update(idempotency_key=None)
        return None
    asked = {plan.execution.idempotency_key: plan.execution.request_digest for plan in plans}
    batches = {row.batch for row in found.values()}
    same = asked == {key: row.request_digest for key, row in found.items()}
    (batch,) = batches if len(batches) == 1 else (None,)
    if not same or batch is None or _count(batch) != len(plans):
        raise IdempotencyMismatchError("This Idempotency-Key was used for another request.")
    return Batch(id=batch, executions=tuple(found[key] for key in keys), new=False)


def _count(batch: uuid.UUID) -> int:
    return Execution.objects.filter(batch=batch).count()
