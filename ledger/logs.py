"""The logs of this installation: the one that it writes, and the frozen ones that came before."""

from __future__ import annotations

from django.conf import settings

from ledger.errors import LogBusyError
from ledger.models import Log


def current_log() -> Log:
    """Return the log that this installation writes.

    Raises:
        LogBusyError: no sequencer has opened it yet.
    """
    return log_of(settings.LEDGER_ORIGIN)


def log_of(origin: str) -> Log:
    """Return the log with this origin.

    Raises:
        LogBusyError: there is none, or not yet.
    """
    log = Log.objects.filter(origin=origin).first()
    if log is None:
        raise LogBusyError("The log is not open yet: its sequencer has not started.")
    return log


def all_logs() -> list[Log]:
    """Return every log, the oldest first: each one but the last was frozen."""
    return list(Log.objects.order_by("pk"))
