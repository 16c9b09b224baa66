"""Says that a webhook's message waits. The row is the message; this only hurries it."""

from __future__ import annotations

from celery import current_app

from inference import wakeups

LANE = "deliveries"
TASK = "inference.tasks.deliver"


def wake() -> None:
    """Wake a deliverer, once for many messages; call it when they are committed. Never fails."""
    # By its name: services write messages, and know no task.
    wakeups.wake(LANE, lambda: current_app.send_task(TASK))
