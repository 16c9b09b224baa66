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


class NotDrawnError(InferenceError):
    """The graph is too large for a drawing, or cannot be read; the message says why."""

    code = "not_drawn"
    status = 422


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


class DroppedError(InferenceError):
    """The tensors have expired; what was signed about them stays."""

    code = "dropped"
    status = 410


class PrivateError(InferenceError):
    """The tensors are the caller's alone."""

    code = "private"
    status = 403


class AccountNeededError(InferenceError):
    """Nobody is signed in, and this needs an account."""

    code = "account_needed"
    status = 401


class TooManyStreamsError(InferenceError):
    """This process sends as many event streams as it may: poll instead."""

    code = "too_many_streams"
    status = 503
    retry_after_s = 5


class WebhookAddressError(InferenceError):
    """A webhook may not go to this address."""

    code = "webhook_address"
    status = 400


class UnknownWebhookError(InferenceError):
    """No such webhook, or delivery of it, that is the caller's."""

    code = "unknown_webhook"
    status = 404


class TooManyWebhooksError(InferenceError):
    """The caller has as many webhooks as one account may have."""

    code = "too_many_webhooks"
    status = 409


class WebhookBusyError(InferenceError):
    """A message that was asked for by hand has just been asked for."""

    code = "webhook_busy"
    status = 429
    retry_after_s = 10


class BadScheduleError(InferenceError):
    """A schedule's time is none that is offered, or the schedule has ended."""

    code = "bad_schedule"
    status = 400


class UnknownScheduleError(InferenceError):
    """No such schedule that is the caller's."""

    code = "unknown_schedule"
    status = 404


class TooManySchedulesError(InferenceError):
    """The caller has as many schedules as one account may have."""

    code = "too_many_schedules"
    status = 409


class TooManyRequestsError(InferenceError):
    """The caller asks for more in a minute, or at the same time, than is allowed."""

    code = "too_many_requests"
    status = 429
    retry_after_s = 1


class NotReplayableError(InferenceError):
    """There is nothing to replay: the execution has not succeeded."""

    code = "not_replayable"
    status = 409


class TooManyReplaysError(InferenceError):
    """As many replays wait as this site keeps waiting."""

    code = "too_many_replays"
    status = 503
    retry_after_s = 60


class BadReplayError(InferenceError):
    """A replay statement that cannot be taken: `detail` has the field, what it should be and is."""

    code = "bad_replay"
    status = 400


class NotTraceableError(InferenceError):
    """There is nothing to trace: the execution has not succeeded."""

    code = "not_traceable"
    status = 409


class TooManyTracesError(InferenceError):
    """As many traces wait, or exist of this execution, as this site keeps."""

    code = "too_many_traces"
    status = 503
    retry_after_s = 60


class UnknownTraceError(InferenceError):
    """No such trace that the caller may see, or it holds nothing yet."""

    code = "unknown_trace"
    status = 404


class NotComparableError(InferenceError):
    """Two traces are not of one run, or they have nothing to tell apart."""

    code = "not_comparable"
    status = 409
