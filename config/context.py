"""What every page knows."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, object]:
    """Give templates the ledger's origin and the address of the site."""
    return {"ledger_origin": settings.LEDGER_ORIGIN, "site_url": settings.SITE_URL}
