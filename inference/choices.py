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
