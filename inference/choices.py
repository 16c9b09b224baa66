"""The closed lists of inference."""

from __future__ import annotations

from django.db import models


class ExecutionState(models.TextChoices):
    """Where an execution stands; see `TERMINAL`."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    FAILED = "failed", "failed"
    TIMED_OUT = "timed_out", "timed out"
    CANCELLED = "cancelled", "cancelled"


TERMINAL = (
    ExecutionState.SUCCEEDED,
    ExecutionState.FAILED,
    ExecutionState.TIMED_OUT,
    ExecutionState.CANCELLED,
)


class ExecutorKind(models.TextChoices):
    """Which engine runs the model."""

    PORTABLE = "portable", "portable"
    NATIVE = "native", "native"


class DeliveryState(models.TextChoices):
    """Where a webhook's message stands: it waits for an attempt, or it has ended."""

    WAITING = "waiting", "waiting"
    DELIVERED = "delivered", "delivered"
    FAILED = "failed", "failed"


class ReplayState(models.TextChoices):
    """Where a replay stands."""

    REQUESTED = "requested", "requested"
    RUNNING = "running", "running"
    DONE = "done", "done"


class ReplaySource(models.TextChoices):
    """Why an execution is replayed: a lot fell on it, somebody asked, or somebody has done it."""

    SAMPLE = "sample", "drawn by lot"
    REQUEST = "request", "asked for"
    SUBMITTED = "submitted", "handed in"


class Verdict(models.TextChoices):
    """What a replay says, in the words of its statement."""

    EXACT = "exact", "exact"
    CLOSE = "close", "close"
    DIVERGED = "diverged", "diverged"
    UNRUNNABLE = "unrunnable", "unrunnable"


class TraceState(models.TextChoices):
    """Where a trace stands."""

    QUEUED = "queued", "queued"
    RUNNING = "running", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"


class InputSource(models.TextChoices):
    """Where the input of a determinism check comes from."""

    DECLARED = "declared", "the example in the card"
    GENERATED = "generated", "an input generated from the schema"
