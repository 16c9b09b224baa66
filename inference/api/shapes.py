"""The shape of what goes out: an execution's row to JSON, and nothing decided."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from assay.dsse import parse_compact
from assay.receipt import execution_of
from assay.statements import ExecutionPredicate, TensorSet, parse_statement, timestamp
from assay.tensors import Tensor
from inference.choices import ExecutionState
from inference.errors import BadTensorError
from inference.models import Execution
from inference.selectors import may_see_tensors
from inference.services.expiry import kept_until
from inference.services.run import outcome_of
from inference.services.values import unpack
from registry.rights import Caller


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else timestamp(instant)


def execution(row: Execution, user: Caller = None) -> dict[str, Any]:
    """Return an execution as lists show it to `user`: digests and addresses, no tensors."""
    base = f"/executions/{row.pk}"
    done = row.state == ExecutionState.SUCCEEDED
    statement = _predicate(row)
    return {
        "id": str(row.pk),
        "state": row.state,
        "url": f"/api/v1/executions/{row.pk}",
        "page_url": f"{base}/",
        "model": row.model_name,
        "version": row.revision.release.version,
        "revision": row.revision_id,
        "manifest": row.manifest,
        "executor_kind": row.executor_kind,
        "batch": None if row.batch is None else str(row.batch),
        "retry_of": None if row.retry_of_id is None else str(row.retry_of_id),
        "attempts": row.attempts,
        "created_at": _time(row.created_at),
        "deadline": _time(row.deadline),
        "finished_at": _time(row.finished_at),
        "cancel_requested_at": _time(row.cancel_requested),
        "run_ms": row.run_ms,
        "private": row.private,
        "disclosed_at": _time(row.disclosed_at),
        "kept_until": _time(kept_until(row)),
        "dropped_at": _time(row.dropped_at),
        "input": _set(row, "input", None if statement is None else statement.input),
        "output": _set(row, "output", None if statement is None else statement.output)
        if done
        else None,
        "receipt": row.receipt or None,
        "receipt_url": f"{base}/receipt" if done else None,
        "executor": row.executor or None,
        "error": _error(row, user),
    }


def batch(batch_id: uuid.UUID, states: dict[str, int]) -> dict[str, Any]:
    """Return how far a batch is."""
    return {"id": str(batch_id), "total": sum(states.values()), "states": states}


def _error(row: Execution, user: Caller) -> dict[str, str] | None:
    if not row.error_code:
        return None
    # A runtime's words may quote what it was given.
    shown = may_see_tensors(row, user)
    message = row.error_message if shown else "What was said about it is its caller's alone."
    return {"code": row.error_code, "message": message}


def _predicate(row: Execution) -> ExecutionPredicate | None:
    """Return what was signed about a private execution: the commitments are in it alone."""
    if not row.private or not row.receipt:
        return None
    return execution_of(parse_statement(parse_compact(row.receipt).payload))


def _set(row: Execution, which: str, signed: TensorSet | None) -> dict[str, Any]:
    url = f"/executions/{row.pk}/{which}.tensors"
    if not row.private:
        return {"sha256": getattr(row, f"{which}_id"), "url": url}
    told = row.salts if row.disclosed_at is not None and row.salts is not None else {}
    return {
        "sha256": told.get(f"{which}_digest"),
        "commitment": None if signed is None else signed.sha256,
        "url": url,
    }


def whole(row: Execution, user: Caller = None) -> dict[str, Any]:
    """Return an execution with its outputs, as the Open Inference Protocol's JSON has them.

    `data` is null where JSON cannot carry a tensor, and where the set is too large for a row: the
    bytes are at `output.url`. `outputs` is null where there are none, none any more, or none for
    `user`. `salts` open the commitments of a private execution.
    """
    shown = may_see_tensors(row, user)
    salts = row.salts if shown and row.salts is not None else {}
    opening = {which: salts[which] for which in ("input", "output") if which in salts} or None
    shape = {**execution(row, user), **({"salts": opening} if row.private else {})}
    if row.output is None or row.dropped_at is not None or not shown:
        return {**shape, "outputs": None}
    if row.output.inline is None:
        return {**shape, "outputs": []}
    return {**shape, "outputs": [_tensor(item) for item in outcome_of(row).outputs]}


def _tensor(tensor: Tensor) -> dict[str, Any]:
    try:
        data = unpack(tensor)
    except BadTensorError:
        data = None
    return {**tensor.header(), "data": data}
