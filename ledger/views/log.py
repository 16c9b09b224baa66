"""`/log/`: the bytes that other programs read (C2SP tlog-tiles), and the envelopes of the leaves.

The same under `/log/api/v2/`, where Rekor's clients look. Nothing here computes: files as they lie
in the storage, with the caching that each can bear.

The host of the request says which log is meant: a frozen log goes on being served under its origin,
and every other name that this site answers to means the current one.
"""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from assay.digests import parse_hex, sha256_hex
from assay.errors import AssayError, FormatError
from assay.tiles import parse_path
from ledger.errors import LogBusyError
from ledger.logs import log_at, storage_at
from ledger.selectors import leaves_of
from ledger.services.envelopes import render_envelope
from ledger.storage import CHECKPOINT

FOREVER = "public, max-age=31536000, immutable"
MINUTES = "public, max-age=300"
ENVELOPE_TYPE = "application/vnd.dsse.envelope.v1+json"
log = logging.getLogger(__name__)


@require_safe
def checkpoint(request: HttpRequest) -> HttpResponseBase:
    """Answer the newest published checkpoint."""
    return _file(request, CHECKPOINT, "text/plain; charset=utf-8", "no-cache")


@require_safe
def tile(request: HttpRequest, path: str) -> HttpResponseBase:
    """Answer a tile or an entry bundle; every spelling of its path but one is 404."""
    try:
        wanted = parse_path(f"tile/{path}")
    except FormatError:
        return _not_found()
    return _file(request, wanted.path, "application/octet-stream", FOREVER)


@require_safe
def envelope(request: HttpRequest, digest: str) -> HttpResponseBase:
    """Answer the payload under SHA-256(PAE), and the signatures of its leaves in log order."""
    try:
        leaves = leaves_of(log_at(request.get_host()), parse_hex(digest))
    except (FormatError, LogBusyError):
        return _not_found()
    if not leaves:
        return _not_found()
    return _answer(request, render_envelope(leaves), ENVELOPE_TYPE, MINUTES)


def _file(request: HttpRequest, path: str, content_type: str, caching: str) -> HttpResponseBase:
    try:
        data = storage_at(request.get_host()).get(path)
    except (AssayError, LogBusyError):
        return _not_found()
    except OSError as error:
        # Whether the file exists is not known: "not found" would be a statement about the log.
        log.warning("%s of the log cannot be read: %s", path, error)
        return _plain("the log's storage does not answer; try again in a moment\n", 503)
    return _answer(request, data, content_type, caching)


def _answer(request: HttpRequest, data: bytes, content_type: str, caching: str) -> HttpResponseBase:
    response = HttpResponse(data, content_type=content_type)
    response["Cache-Control"] = caching
    response["ETag"] = f'"{sha256_hex(data)}"'
    return get_conditional_response(request, etag=response["ETag"], response=response) or response


def _not_found() -> HttpResponse:
    return _plain("no such resource\n", 404)


def _plain(words: str, status: int) -> HttpResponse:
    # A tile or an envelope that is not there yet will be: nobody may remember this.
    headers = {"Cache-Control": "no-store"} | ({"Retry-After": "1"} if status == 503 else {})
    return HttpResponse(
        words, status=status, content_type="text/plain; charset=utf-8", headers=headers
    )
