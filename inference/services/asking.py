"""Asking the executor: one execution over the socket, its answer checked, its errors ours."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from django.conf import settings

from assay.errors import AssayError
from assay.statements import Graph, Observed
from assay.tensors import Tensor, encode_tensors
from inference.client import (
    ExecutorClient,
    ExecutorError,
    ExecutorUnavailable,
    InferRequest,
    InferResult,
)
from inference.errors import (
    BadTensorError,
    DeadlineError,
    ExecutorAwayError,
    ExecutorBusyError,
    InferenceError,
    ModelFailedError,
    NotRunnableError,
)
from inference.executor.protocol import MAX_BLOB_BYTES
from inference.models import Execution
from inference.selectors import executor_keys
from inference.services.finish import Success
from inference.services.plan import Signature
from inference.services.statement import Expected, check
from inference.services.tensors import prepare
from ledger.services import Head, newest_checkpoint
from registry.storage import blobs

_ERRORS: dict[str, type[InferenceError]] = {
    "busy": ExecutorBusyError,
    "deadline": DeadlineError,
    "model_failed": ModelFailedError,
    "load_failed": NotRunnableError,
    "load_memory": NotRunnableError,
    "load_time": NotRunnableError,
    "quarantined": NotRunnableError,
    "bad_input": BadTensorError,
    "unavailable": ExecutorAwayError,
}
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model gave, in the order that was asked for, and the outcome ready to be written."""

    outputs: tuple[Tensor, ...]
    success: Success


def executor() -> ExecutorClient:
    """Return this process's client of the executor."""
    return _client(Path(settings.EXECUTOR_SOCKET))


@functools.lru_cache(maxsize=8)
def _client(path: Path) -> ExecutorClient:
    return ExecutorClient(path)


def read_blob(sha256: str) -> bytes:
    """Return a file of a model for the executor, which hashes it again.

    Raises:
        UnknownFileError: it is not stored.
        NotRunnableError: it is larger than an executor takes; nothing of it was read.
    """
    with blobs().open(sha256) as stream:
        size = stream.seek(0, os.SEEK_END)
        if size > MAX_BLOB_BYTES:
            raise NotRunnableError(
                f"A file of {size} bytes: an executor takes at most {MAX_BLOB_BYTES}."
            )
        stream.seek(0)
        return stream.read()


def ask(
    execution: Execution,
    signature: Signature,
    inputs: Sequence[Tensor],
    *,
    deadline_s: float,
    caller: socket | None = None,
) -> Answer:
    """Run `execution` and return its checked answer; the end of `caller` stops the run.

    Raises:
        InferenceError: the executor's refusal, or an answer that cannot be believed.
        NobodyThereError: no executor took it.
        CallerGone: the run was stopped.
    """
    head = newest_checkpoint()
    request = InferRequest(
        execution=str(execution.pk),
        model=execution.model_name,
        revision=execution.revision_id,
        target=signature.ref,
        checkpoint=head.note.decode(),
        inputs=tuple(inputs),
        outputs=_outputs(execution),
        deadline_s=deadline_s,
        slot_wait_s=float(settings.INFER_QUEUE_S),
        kind=str(execution.executor_kind),
    )
    try:
        result = executor().infer(request, read_blob, caller=caller)
    except ExecutorError as error:
        raise _translated(error) from error
    except ExecutorUnavailable as error:
        refused = isinstance(error.__cause__, OSError)
        kind = NobodyThereError if refused else ExecutorAwayError
        raise kind("No executor answers; try again in a moment.") from error
    names = tuple(tensor.name for tensor in result.outputs)
    if names != (request.outputs or tuple(item.name for item in signature.outputs)):
        log.error("the executor gave other outputs for %s than were asked for", execution.pk)
        raise ExecutorAwayError("The executor's answer could not be believed.")
    return _checked(execution, request, result, head)


class NobodyThereError(ExecutorAwayError):
    """The connection was refused: the executor has not seen the request."""


def _outputs(execution: Execution) -> tuple[str, ...] | None:
    wanted = execution.requested_outputs
    return None if wanted is None else tuple(wanted)


def _checked(
    execution: Execution, request: InferRequest, result: InferResult, head: Head
) -> Answer:
    digests = dict(request.target.resources)
    try:
        output = prepare(encode_tensors(result.outputs))
        signed = check(
            result.envelope,
            Expected(
                execution=request.execution,
                model=request.model,
                revision=request.revision,
                manifest=execution.manifest,
                graph=Graph(path=request.target.graph, sha256=digests[request.target.graph]),
                input_digest=execution.input_id,
                output_digest=output.sha256,
                kind=request.kind,
                observed=Observed(
                    origin=head.origin, tree_size=head.size, root_hash=head.root.hex()
                ),
            ),
            executor_keys(),
        )
    except AssayError as error:
        log.exception("the executor's statement about %s was refused", execution.pk)
        raise ExecutorAwayError("The executor's answer could not be believed.") from error
    success = Success(output=output, signed=signed, run_ms=result.run_ms)
    return Answer(outputs=result.outputs, success=success)


def _translated(error: ExecutorError) -> InferenceError:
    kind = _ERRORS.get(error.code)
    if kind is None:
        log.error("the executor failed: %s", error)
        return InferenceError("The executor failed; it was noted.")
    text = error.message[:1].upper() + error.message[1:]
    return kind(text if text.endswith(".") else f"{text}.")
