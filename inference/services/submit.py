"""Queued executions: the row is written, and that is the acceptance. A message only hurries it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from inference.models import Execution
from inference.services.plan import Plan
from inference.services.run import find_earlier, insert_keyed
from inference.services.tensors import prepare, save


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
    input_set = prepare(plan.data, execution.input_id)
    if execution.idempotency_key is None:
        with transaction.atomic():
            save(input_set)
            execution.save(force_insert=True)
        return Submitted(execution=execution, new=True)
    while True:
        earlier = find_earlier(plan)
        if earlier is not None:
            return Submitted(execution=earlier, new=False)
        if insert_keyed(execution, input_set):
            return Submitted(execution=execution, new=True)
