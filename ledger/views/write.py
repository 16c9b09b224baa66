"""`/log/`, what is written: entries, as stock Rekor v2 clients send them, and envelopes before.

A stock client never tries again, prints our answer as it is, and gives up after half a minute. So
each refusal is a sentence for a person, and a call answers within 20 s. It holds a thread of the
web server meanwhile: only a few may, and the next one is told so at once.

Commit point: `ledger.services.write` and `ledger.services.staging` say theirs. An answer that is
lost loses no claim: the same request again is 409 with the index.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.http import require_POST
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from assay import rekor
from assay.bundle import tlog_entry_dict
from assay.canonical import canonical_json
from assay.errors import AssayError, FormatError
from assay.limits import LIMITS
from ledger.errors import LedgerError, LogBusyError, LogFrozenError
from ledger.logs import current_log
from ledger.models import Entry, Log
from ledger.services.entries import find_entry, wait_included
from ledger.services.receipts import log_entry
from ledger.services.staging import stage_signed, stage_unsigned
from ledger.services.write import submit

BLOCKS_S = 20.0
WAITERS: Final = 8
JSON = "application/json"
_CODES = {
    400: rekor.INVALID_ARGUMENT,
    403: rekor.PERMISSION_DENIED,
    429: rekor.RESOURCE_EXHAUSTED,
    503: rekor.UNAVAILABLE,
}
slots = threading.BoundedSemaphore(WAITERS)


# ------------------------------------------------------------------ entries, for Rekor's clients


@require_POST
def entries(request: HttpRequest) -> HttpResponse:
    """Log a claim: 201 with the entry and its proof when a published checkpoint covers it."""
    deadline = time.monotonic() + BLOCKS_S
    try:
        log = _named_log(request)
        if log.frozen_at is not None:
            return _frozen(log)
        return _create(request, deadline)
    except AssayError as error:
        return _refusal(400, rekor.INVALID_ARGUMENT, f"The entry was refused: {error}.")
    except LogFrozenError:  # since we looked
        return _frozen(_named_log(request))
    except LedgerError as error:
        answer = _refusal(error.status, _CODES.get(error.status, rekor.INTERNAL), error.message)
        if error.retry_after_s is not None:
            answer["Retry-After"] = str(error.retry_after_s)
        return answer


def _named_log(request: HttpRequest) -> Log:
    """Return the log that the address names: a frozen one keeps its host name, and takes nothing.

    What a client of the old log asks for must not go into the new one, whose key it does not know.
    """
    host = request.get_host().partition(":")[0].lower()
    return Log.objects.filter(origin=host).first() or current_log()


def _create(request: HttpRequest, deadline: float) -> HttpResponse:
    entry = rekor.parse_create_entry(_read(request))
    if not slots.acquire(blocking=False):
        raise LogBusyError(
            "Too many others wait for this log just now. Nothing was stored: try again in a moment."
        )
    try:
        return _log(entry, deadline)
    finally:
        slots.release()


def _read(request: HttpRequest) -> bytes:
    try:
        return request.read(LIMITS.rekor_request + 1)
    except UnreadablePostError as error:
        raise FormatError("the body broke off") from error


def _log(entry: rekor.CreateEntry, deadline: float) -> HttpResponse:
    submitted = submit(entry, timezone.now())
    included = wait_included(submitted.entry_id, max(deadline - time.monotonic(), 0.0))
    row = find_entry(submitted.entry_id)
    if not submitted.new and row.index is not None:
        return _duplicate(row)
    if not included:
        raise LogBusyError(
            "The claim is stored and will be logged, but the log does not get to it now. Nothing "
            f"is lost: {_address(row)} has the bundle as soon as it is."
        )
    body = canonical_json(tlog_entry_dict(log_entry(row)))
    return HttpResponse(body, status=201, content_type=JSON)


def _duplicate(row: Entry) -> HttpResponse:
    answer = _refusal(
        409,
        rekor.ALREADY_EXISTS,
        f"This key has logged this statement before: it is entry {row.index} of {row.log.origin}. "
        f"{_address(row)} has its bundle.",
    )
    answer["x-log-index"] = str(row.index)
    return answer


def _address(row: Entry) -> str:
    """Return where an entry's bundle is handed out, whichever log the entry is in."""
    digest = bytes(row.payload_id).hex()
    return f"{settings.SITE_URL}/api/v1/ledger/claims/{row.fingerprint}/{digest}"


def _refusal(status: int, code: int, message: str) -> HttpResponse:
    return HttpResponse(
        rekor.render_status(code, message),
        status=status,
        content_type=JSON,
        headers={"Cache-Control": "no-store"},
    )


def _frozen(log: Log) -> HttpResponse:
    text = f"The log {log.origin} is frozen and takes no more entries."
    if log.successor:
        following = Log.objects.filter(origin=log.successor).first()
        where = f" ({following.url})" if following is not None and following.url else ""
        text += f" The log {log.successor}{where} goes on in its place."
    return HttpResponse(
        text + "\n",
        status=405,
        content_type="text/plain; charset=utf-8",
        headers={"Allow": "", "Cache-Control": "no-store"},
    )


# ------------------------------------------------------------------ envelopes, payload first


class EnvelopesView(APIView):
    """Hand in a statement before it is logged: signed by `?key=`, or with a person's token."""

    def post(self, request: Request) -> Response:
        fingerprint = request.query_params.get("key")
        now = timezone.now()
        if fingerprint is not None:
            staged = stage_signed(request.body, fingerprint, now)
        elif request.user.is_authenticated:
            staged = stage_unsigned(request.body, f"user:{request.user.pk}", now)
        else:
            raise NotAuthenticated
        digest = staged.pae_sha256.hex()
        address = f"{settings.LEDGER_URL}/envelopes/{digest}"
        return Response(
            {"pae_sha256": digest, "envelope": address}, status=201 if staged.new else 200
        )


def envelopes(request: HttpRequest) -> HttpResponse:
    """Answer as `EnvelopesView`; the plain addresses take finished answers only."""
    answer = EnvelopesView.as_view()(request)
    assert isinstance(answer, Response)  # noqa: S101 (a plain view of DRF gives nothing else)
    finished: HttpResponse = answer.render()
    return finished
