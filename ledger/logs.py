"""The logs of this installation: the one that it writes, and the frozen ones that came before.

A log's origin is the host name of its address. So under `/log/` the host of a request says which
log is meant, and a frozen log stays where its readers know it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.http.request import split_domain_port

from ledger.errors import LogBusyError
from ledger.models import Log
from ledger.storage import LogStorage, log_storage


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


def address_of(log: Log) -> str:
    """Return the base URL of `log`: the setting's while it is current, then the one it ended at."""
    return str(settings.LEDGER_URL) if log.origin == settings.LEDGER_ORIGIN else log.url


@lru_cache(maxsize=1024)
def origin_of(log_id: int) -> str:
    """Return the origin of the log with this primary key; neither ever changes."""
    return Log.objects.values_list("origin", flat=True).get(pk=log_id)


# ------------------------------------------------------------------ by host name


def log_at(host: str) -> Log:
    """Return the log whose origin is `host` (its port does not matter), else the current one.

    Raises:
        LogBusyError: the current one is meant, and not open yet.
    """
    return Log.objects.filter(origin=_name(host)).first() or current_log()


def storage_at(host: str) -> LogStorage:
    """Return the files of the log that `log_at` would return, to be read; raises as `log_at`."""
    name = _name(host)
    try:
        return _files_of(name)
    except LogBusyError:
        if name == settings.LEDGER_ORIGIN:
            raise
    return _files_of(settings.LEDGER_ORIGIN)


def _name(host: str) -> str:
    return split_domain_port(host)[0]


def _files_of(origin: str) -> LogStorage:
    return _opened(origin, settings.LEDGER_DIR, settings.LEDGER_STORAGE)


@lru_cache(maxsize=16)
def _opened(origin: str, folder: Path, location: str) -> LogStorage:
    """Open the files of a log once: its place never changes, only the settings around it.

    A name that no log has is asked for again each time: the cache holds what exists.
    """
    return log_storage(log_of(origin).place)
