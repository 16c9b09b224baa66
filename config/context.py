"""What every page knows."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from ledger import services as ledger
from ledger.errors import LedgerError


def site(request: HttpRequest) -> dict[str, object]:
    """Give templates the ledger's origin and head, the site's address, the request's id.

    The head is asked for when a template first uses it; it is None before the log is open.
    """
    return {
        "ledger_origin": settings.LEDGER_ORIGIN,
        "ledger_head": SimpleLazyObject(_head),
        "site_url": settings.SITE_URL,
        "request_id": request.META.get("assay.request_id", ""),
    }


def _head() -> object:
    try:
        return ledger.newest_checkpoint()
    except LedgerError:
        return None
