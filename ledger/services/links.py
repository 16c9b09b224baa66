"""The addresses of the ledger's pages. An index alone means the current log: others are named."""

from __future__ import annotations

from urllib.parse import urlencode

from django.conf import settings

from ledger.logs import origin_of
from ledger.models import Entry


def entry_url(entry: Entry) -> str:
    """Return the path of the page of `entry`, which may be pending or of a frozen log."""
    if entry.index is None:
        return f"/ledger/pending/{entry.pk}/"
    return f"/ledger/{entry.index}/{_query(entry)}"


def checkpoint_url(entry: Entry, size: int) -> str:
    """Return the path of the page of the checkpoint of `size` leaves in the log of `entry`."""
    return f"/ledger/checkpoints/{size}/{_query(entry)}"


def log_origin(entry: Entry) -> str:
    """Return the origin of the log that `entry` is in."""
    return origin_of(entry.log_id)


def is_current(entry: Entry) -> bool:
    """Tell whether `entry` is in the log that this installation writes."""
    return log_origin(entry) == settings.LEDGER_ORIGIN


def _query(entry: Entry) -> str:
    return "" if is_current(entry) else f"?{urlencode({'log': log_origin(entry)})}"
