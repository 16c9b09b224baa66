"""Settings that contradict each other are told at start, with what to do."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning as CheckWarning, register
from django.http.request import validate_host

from registry.services.uploads import MAX_PART_BYTES, MAX_PARTS


@register("registry")
def check_uploads(**_: Any) -> list[CheckMessage]:
    """Compare the sizes of files, parts and quotas."""
    found: list[CheckMessage] = []
    if not 0 < settings.UPLOAD_PART_BYTES <= MAX_PART_BYTES:
        found.append(
            Error(
                f"UPLOAD_PART_BYTES is not from 1 to {MAX_PART_BYTES}.",
                hint="8 MiB suits most networks.",
                id="registry.E001",
            )
        )
    if settings.UPLOAD_MAX_BYTES > MAX_PART_BYTES * MAX_PARTS:
        found.append(
            Error(
                f"UPLOAD_MAX_BYTES is more than {MAX_PARTS} parts can hold.",
                hint=f"{MAX_PART_BYTES * MAX_PARTS} is the largest that can work.",
                id="registry.E002",
            )
        )
    if settings.QUOTA_BYTES < settings.UPLOAD_MAX_BYTES:
        found.append(
            CheckWarning(
                "QUOTA_BYTES is below UPLOAD_MAX_BYTES: the largest file fits nobody.",
                hint="Raise the quota, or lower the limit of a file.",
                id="registry.W001",
            )
        )
    return found


@register("registry")
def check_site(**_: Any) -> list[CheckMessage]:
    """The address that pages and receipts name must be one that is answered."""
    host = urlsplit(settings.SITE_URL).hostname or ""
    if validate_host(f"[{host}]" if ":" in host else host, settings.ALLOWED_HOSTS):
        return []
    return [
        Error(
            f"SITE_URL names {host!r}, which ALLOWED_HOSTS refuses.",
            hint=f"Set ALLOWED_HOSTS={host}.",
            id="registry.E003",
        )
    ]
