"""Waiting for an execution to end, outside any transaction: the row is asked, not the broker."""

from __future__ import annotations

import time
import uuid

from inference.choices import TERMINAL
from inference.models import Execution

FIRST_S, SLOW_S = 0.02, 0.25


def wait_ended(execution_id: uuid.UUID, timeout_s: float) -> bool:
    """Return True when the execution has ended, False when `timeout_s` seconds went by first."""
    until = time.monotonic() + timeout_s
    pause = FIRST_S
    ended = Execution.objects.filter(pk=execution_id, state__in=TERMINAL)
    while not ended.exists():
        left = until - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, SLOW_S)
    return True
