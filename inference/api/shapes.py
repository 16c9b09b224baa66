"""The shape of what goes out: an execution's row to JSON, and nothing decided."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from assay.statements import timestamp
from assay.tensors import Tensor
from inference.choices import ExecutionState
from inference.errors import BadTensorError
from inference.models import Execution
from inference.services.run import outcome_of
from inference.services.values import unpack


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else timestamp(instant)


def execution(row: Execution) -> dict[str, Any]:
    """Return an execution as lists show it: digests and addresses, no tensors."""
    base = f"/executions/{row.pk}"
    done = row.state == ExecutionState.SUCCEEDED
    error = {"code": row.error_code, "message": row.error_message} if row.error_code else None
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
        "attempts": row.attempts,
        "created_at": _time(row.created_at),
        "deadline": _time(row.deadline),
        "finished_at": _time(row.finished_at),
        "cancel_requested_at": _time(row.cancel_requested),
        "run_ms": row.run_ms,
        "input": {"sha256": row.input_id, "url": f"{base}/input.tensors"},
        "output": {"sha256": row.output_id, "url": f"{base}/output.tensors"} if done else None,
        "receipt": row.receipt or None,
        "receipt_url": f"{base}/receipt" if done else None,
        "executor": row.executor or None,
        "error": error,
    }


def whole(row: Execution) -> dict[str, Any]:
    """Return an execution with its outputs, as the Open Inference Protocol's JSON has them.

    `data` is null where JSON cannot carry a tensor, and where the set is too large for a row: the
    bytes are at `output.url`.
    """
    shape = execution(row)
    if row.output is None:
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
