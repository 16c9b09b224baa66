"""Which models the executor keeps out, as the web knows it: asked every few seconds at most.

An execution learns it from the executor's own refusal. This is for whoever only looks: the model's
pages, and `/v2/models/NAME/ready`. An executor that does not answer keeps nobody out.
"""

from __future__ import annotations

import functools
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings

from inference.choices import ExecutorKind
from inference.client import (
    ExecutorClient,
    ExecutorError,
    ExecutorUnavailableError,
    ModelRef,
    Status,
)

FRESH_S = 3.0
_PATIENCE_S = 1.0  # a page does not wait longer for an executor that hangs


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Why a model is not run now: a sentence, and until when if it comes back by itself."""

    reason: str
    until: datetime | None


def notice_of(ref: ModelRef, kind: str = ExecutorKind.PORTABLE) -> Notice | None:
    """Return why the executor does not run a model; None when nothing speaks against it."""
    status = _asker(Path(settings.EXECUTOR_SOCKET)).status()
    if status is None:
        return None
    for item in (*status.quarantined, *status.unrunnable):
        if (item["key"], item["kind"]) == (ref.key, str(kind)):
            until = item.get("until")
            return Notice(
                reason=item["reason"],
                until=None if until is None else datetime.fromtimestamp(until, UTC),
            )
    return None


def is_any() -> bool:
    """Tell whether the executor keeps out any model at all, which is seldom so."""
    status = _asker(Path(settings.EXECUTOR_SOCKET)).status()
    return status is not None and bool(status.quarantined or status.unrunnable)


class _Asker:
    """Remembers an executor's status for a moment; one thread asks, others take the old one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._asked_at = -FRESH_S
        self._status: Status | None = None

    def status(self) -> Status | None:
        """Return the status, None when the executor does not answer."""
        if time.monotonic() - self._asked_at < FRESH_S:
            return self._status
        if not self._lock.acquire(blocking=self._status is None):
            return self._status
        try:
            if time.monotonic() - self._asked_at >= FRESH_S:
                self._status = self._ask()
                self._asked_at = time.monotonic()
            return self._status
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Ask anew next time."""
        self._asked_at = -FRESH_S

    def _ask(self) -> Status | None:
        try:
            with ExecutorClient(self._path, timeout=_PATIENCE_S) as client:
                return client.status()
        except (ExecutorError, ExecutorUnavailableError):
            return None


@functools.lru_cache(maxsize=4)
def _asker(path: Path) -> _Asker:
    return _Asker(path)
