"""What inference refuses: a stable code, an HTTP status, words for people, and detail.

`docs/reference/errors.md` lists every code; a test compares the two.
"""

from __future__ import annotations

from typing import Any


class InferenceError(Exception):
    """Base: `code` is stable, `status` the HTTP status; `retry_after_s` where waiting helps."""

    code = "inference_error"
    status = 500
    retry_after_s: int | None = None

    def __init__(self, message: str, **detail: Any) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail


class BadRequestError(InferenceError):
    """The request's form is wrong: JSON, headers, parameters."""

    code = "bad_request"
    status = 400


class BadTensorError(InferenceError):
    """A tensor is missing, unknown, or has another datatype, shape or length; `detail` names it."""

    code = "bad_tensor"
    status = 400


class ModelFailedError(InferenceError):
    """The model itself failed on this input."""

    code = "model_failed"
    status = 400


class NotRunnableError(InferenceError):
    """The model cannot be run here now: quarantined, or too large for the runtime."""

    code = "not_runnable"
    status = 503
    retry_after_s = 60


class LengthRequiredError(InferenceError):
    """The body has no Content-Length."""

    code = "length_required"
    status = 411


class BodyTooLargeError(InferenceError):
    """The body is larger than the limit, before or after inflating."""

    code = "body_too_large"
    status = 413


class UnsupportedEncodingError(InferenceError):
    """The Content-Encoding is none of identity, gzip and deflate."""

    code = "unsupported_encoding"
    status = 415


class NotOfferedError(InferenceError):
    """A feature or datatype of the protocol that is not offered here."""

    code = "not_offered"
    status = 501


class ExecutorBusyError(InferenceError):
    """No slot became free in time."""

    code = "executor_busy"
    status = 503
    retry_after_s = 1


class ExecutorAwayError(InferenceError):
    """No executor answers."""

    code = "executor_away"
    status = 503
    retry_after_s = 2


class DeadlineError(InferenceError):
    """The deadline passed while the model ran."""

    code = "deadline"
    status = 504


class UnknownExecutionError(InferenceError):
    """No such execution, or none that the caller may know of."""

    code = "unknown_execution"
    status = 404


class IdempotencyMismatchError(InferenceError):
    """The same Idempotency-Key came with other content."""

    code = "idempotency_mismatch"
    status = 422


class StillRunningError(InferenceError):
    """The execution that this key started has not ended."""

    code = "still_running"
    status = 409
    retry_after_s = 1


class EndedError(InferenceError):
    """The execution that this key started has ended without an answer."""

    code = "ended"
    status = 409
