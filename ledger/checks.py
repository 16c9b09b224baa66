"""The settings of the log, checked before anything starts."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning as Hint
from django.http.request import validate_host

from assay.checkpoint import check_origin
from assay.errors import FormatError, MisuseError
from assay.policy import render_signing_config
from ledger.storage import parse_location

_ENDPOINT = re.compile(r"https?://[^/\s]+/?")


def check_ledger(app_configs: Any, **options: Any) -> list[CheckMessage]:
    """Check that the origin is one, that stock clients find it, and that the storage is named."""
    return [*_check_origin(), *_check_storage()]


def _check_origin() -> list[CheckMessage]:
    origin, url = settings.LEDGER_ORIGIN, settings.LEDGER_URL
    try:
        check_origin(origin)
    except MisuseError as error:
        return [Error(f"LEDGER_ORIGIN: {error}", id="ledger.E001")]
    try:
        render_signing_config(url, "2025-01-01T00:00:00Z", origin)
    except FormatError as error:
        return [Error(f"LEDGER_URL {url}: {error}", id="ledger.E002")]
    if urlsplit(url).hostname != origin:
        hint = "Stock Sigstore clients take the host of the log's address for its origin."
        return [Error(f"LEDGER_URL {url} is not on {origin}", hint=hint, id="ledger.E002")]
    if not validate_host(origin, settings.ALLOWED_HOSTS):
        hint = "Add it, unless a proxy serves /log/ from the log's files. Keep frozen logs' names."
        return [Hint(f"ALLOWED_HOSTS does not name {origin}", hint=hint, id="ledger.W001")]
    return []


def _check_storage() -> list[CheckMessage]:
    endpoint = settings.LEDGER_S3_ENDPOINT
    try:
        location = parse_location(settings.LEDGER_STORAGE)
    except MisuseError as error:
        return [Error(str(error), id="ledger.E003")]
    if location is None or not endpoint or _ENDPOINT.fullmatch(endpoint):
        return []
    return [Error(f"LEDGER_S3_ENDPOINT {endpoint} is no http(s) address", id="ledger.E004")]
