"""Executions, and what is kept about them."""

from __future__ import annotations

from inference.models.determinism import DeterminismCheck
from inference.models.execution import INLINE_BYTES, Execution, Tensors
from inference.models.hooks import Delivery, Hook
from inference.models.replays import AuditRound, Replay
from inference.models.schedules import Fire, Schedule
from inference.models.traces import Trace

__all__ = [
    "INLINE_BYTES",
    "AuditRound",
    "Delivery",
    "DeterminismCheck",
    "Execution",
    "Fire",
    "Hook",
    "Replay",
    "Schedule",
    "Tensors",
    "Trace",
]
