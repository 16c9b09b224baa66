"""Asking the executor: one execution over the socket, its answer checked, its errors ours."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket

from django.conf import settings

from assay.dsse import PublicKey
from assay.errors import AssayError
from assay.statements import Graph, Observed
from assay.tensors import Tensor, encode_tensors, tensor_digest
from inference.bulk import BulkClient
from inference.client import (
    ExecutorError,
    ExecutorUnavailableError,
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
from inference.failpoints import reach
from inference.models import Execution
from inference.recent import Recent
from inference.selectors import executor_keys
from inference.services.outcomes import Success
from inference.services.plan import Signature
from inference.services.statement import Expected, check
from inference.services.tensors import new_nonce, prepare
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
_heads: Recent[Head] = Recent()
_keys: Recent[list[PublicKey]] = Recent()
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An execution, what its graph takes and gives, and its inputs."""

    execution: Execution
    signature: Signature
    inputs: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model gave, in the order that was asked for, and the outcome ready to be written."""

    outputs: tuple[Tensor, ...]
    success: Success


def executor() -> BulkClient:
    """Return this process's client of the executor."""
    return _client(Path(settings.EXECUTOR_SOCKET))


@functools.lru_cache(maxsize=8)
def _client(path: Path) -> BulkClient:
    return BulkClient(path)


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
        CallerGoneError: the run was stopped.
    """
    asked = Asked(execution=execution, signature=signature, inputs=tuple(inputs))
    head = _heads.get(None, newest_checkpoint)
    request = _request(asked, head, deadline_s)
    reach("before-send")
    with _translating():
        result = executor().infer(request, read_blob, caller=caller)
    reach("after-answer")
    return _believed(asked, request, result, head, _keys.get(None, executor_keys))


def ask_many(
    asked: Sequence[Asked], *, deadlines_s: Sequence[float], stop_after_s: float, caller: socket
) -> list[Answer | InferenceError]:
    """Run executions of one revision one after the other; return for each what came of it.

    What was not begun `stop_after_s` seconds after the first comes back as ExecutorBusyError.

    Raises:
        NobodyThereError, CallerGoneError: as `ask`, for all of them.
        ExecutorAwayError: no answer to any; some may have run.
    """
    head = _heads.get(None, newest_checkpoint)
    requests = [
        _request(one, head, limit_s) for one, limit_s in zip(asked, deadlines_s, strict=True)
    ]
    reach("before-send")
    with _translating():
        results = executor().infer_many(
            requests, read_blob, stop_after_s=stop_after_s, caller=caller
        )
    reach("after-answer")
    keys = _keys.get(None, executor_keys)
    answers: list[Answer | InferenceError] = []
    for one, request, result in zip(asked, requests, results, strict=True):
        try:
            if isinstance(result, ExecutorError):
                raise _translated(result) from result
            answers.append(_believed(one, request, result, head, keys))
        except InferenceError as error:
            answers.append(error)
    return answers


@contextlib.contextmanager
def _translating() -> Iterator[None]:
    """Turn the executor's refusals and its absence into errors of ours."""
    try:
        yield
    except ExecutorError as error:
        raise _translated(error) from error
    except ExecutorUnavailableError as error:
        refused = isinstance(error.__cause__, OSError)
        kind = NobodyThereError if refused else ExecutorAwayError
        raise kind("No executor answers; try again in a moment.") from error


def _request(asked: Asked, head: Head, deadline_s: float) -> InferRequest:
    execution = asked.execution
    return InferRequest(
        execution=str(execution.pk),
        model=execution.model_name,
        revision=execution.revision_id,
        target=asked.signature.ref,
        checkpoint=head.note.decode(),
        inputs=asked.inputs,
        outputs=_outputs(execution),
        deadline_s=deadline_s,
        slot_wait_s=float(settings.INFER_QUEUE_S),
        kind=str(execution.executor_kind),
        private=execution.private,
        party="anonymous" if execution.caller_id is None else str(execution.caller_id),
    )


class NobodyThereError(ExecutorAwayError):
    """The connection was refused: the executor has not seen the request."""


def _outputs(execution: Execution) -> tuple[str, ...] | None:
    wanted = execution.requested_outputs
    return None if wanted is None else tuple(wanted)


def _believed(
    asked: Asked,
    request: InferRequest,
    result: InferResult,
    head: Head,
    keys: Sequence[PublicKey],
) -> Answer:
    """Check what the executor says against what was asked, and make it ready to be written.

    Raises:
        ExecutorAwayError: it cannot be believed; that is logged.
    """
    execution = asked.execution
    names = tuple(tensor.name for tensor in result.outputs)
    if names != (request.outputs or tuple(item.name for item in asked.signature.outputs)):
        log.error("the executor gave other outputs for %s than were asked for", execution.pk)
        raise ExecutorAwayError("The executor's answer could not be believed.")
    digests = dict(request.target.resources)
    try:
        output = prepare(
            encode_tensors(result.outputs), nonce=new_nonce() if execution.private else b""
        )
        expected = Expected(
            execution=request.execution,
            model=request.model,
            revision=request.revision,
            manifest=execution.manifest,
            graph=Graph(path=request.target.graph, sha256=digests[request.target.graph]),
            input_digest=_input_digest(asked),
            output_digest=output.digest,
            kind=request.kind,
            observed=Observed(origin=head.origin, tree_size=head.size, root_hash=head.root.hex()),
            private=request.private,
            salts=result.salts,
        )
        signed = check(result.envelope, expected, keys)
    except AssayError as error:
        log.exception("the executor's statement about %s was refused", execution.pk)
        raise ExecutorAwayError("The executor's answer could not be believed.") from error
    success = Success(
        output=output,
        signed=signed,
        run_ms=result.run_ms,
        queue_ms=result.queue_ms,
        cold=result.cold,
        salts=result.salts,
    )
    return Answer(outputs=result.outputs, success=success)


def _input_digest(asked: Asked) -> str:
    # The row of a private set is named by another digest: its nonce is in it.
    execution = asked.execution
    return tensor_digest(asked.inputs) if execution.private else execution.input_id


def _translated(error: ExecutorError) -> InferenceError:
    kind = _ERRORS.get(error.code)
    if kind is None:
        log.error("the executor failed: %s", error)
        return InferenceError("The executor failed; it was noted.")
    text = error.message[:1].upper() + error.message[1:]
    return kind(text if text.endswith(".") else f"{text}.")
