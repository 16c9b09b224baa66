"""What every page knows."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

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
        "passkeys_at": SimpleLazyObject(lambda: _by_name(request)),
    }


def _by_name(request: HttpRequest) -> str:
    """Return this page's address under `localhost` for who came by a loopback address, else `""`.

    WebAuthn binds a passkey to a domain name; browsers refuse it to an IP address.
    """
    here = urlsplit(request.build_absolute_uri())
    try:
        if not ipaddress.ip_address(here.hostname or "").is_loopback:
            return ""
    except ValueError:
        return ""
    port = f":{here.port}" if here.port else ""
    return here._replace(netloc=f"localhost{port}").geturl()


def _head() -> object:
    try:
        return ledger.newest_checkpoint()
    except LedgerError:
        return None
