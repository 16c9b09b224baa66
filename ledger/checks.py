"""The settings of the log, checked before anything starts."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from assay.checkpoint import check_origin
from assay.errors import MisuseError


@register
def check_ledger(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Check that the origin is one, and that stock clients find it in the log's address."""
    origin, url = settings.LEDGER_ORIGIN, settings.LEDGER_URL
    try:
        check_origin(origin)
    except MisuseError as error:
        return [Error(f"LEDGER_ORIGIN: {error}", id="ledger.E001")]
    if urlsplit(url).hostname != origin:
        hint = "Stock Sigstore clients take the host of the log's address for its origin."
        return [Error(f"LEDGER_URL {url} is not on {origin}", hint=hint, id="ledger.E002")]
    return []
