"""Pages and files of executions."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseNotModified,
    JsonResponse,
)
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.views.decorators.http import require_safe

from assay.statements import timestamp
from inference import selectors, shown as shows
from inference.choices import TERMINAL
from inference.errors import (
    BadRequestError,
    DroppedError,
    InferenceError,
    PrivateError,
    UnknownExecutionError,
)
from inference.models import Execution, Tensors
from inference.oip.views import caller_of
from inference.services import expiry
from inference.views_replays import replays_context
from inference.views_traces import trace_context
from ledger import services as ledger
from ledger.errors import LedgerError, NotIncludedError
from registry.moderated import need_tensors
from registry.rights import Caller
from registry.views.lines import verify_lines
from registry.views.shown import shown

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
MAX_WAIT_S = 30


@require_safe
def execution_list(request: HttpRequest) -> HttpResponse:
    """List executions, newest first; `?mine=1` only the reader's, `?cursor=` goes on."""
    mine = request.GET.get("mine") == "1"
    cursor = request.GET.get("cursor", "")
    page = selectors.page(request.user, mine=mine, cursor=cursor)
    context = {"executions": page.executions, "next": page.next, "mine": mine}
    return render(request, "inference/list.html", context)


@require_safe
def model_executions(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """List the executions of one model."""
    found = shown(request, owner, name)
    cursor = request.GET.get("cursor", "")
    page = selectors.page(request.user, model=found.model.full_name, cursor=cursor)
    context = {**found.context(), "executions": page.executions, "next": page.next}
    return render(request, "inference/list.html", context)


@require_safe
def execution_page(request: HttpRequest, execution: uuid.UUID) -> HttpResponse:
    """Show an execution with its evidence, as the server tells it."""
    row = selectors.find(execution, request.user)
    context = {
        "execution": row,
        "ended": row.state in TERMINAL,
        "entry_status": ledger.entry_status(row.entry_id) if row.entry_id else None,
        "statement_json": shows.statement_text(row),
        "receipt_url": f"/executions/{row.pk}/receipt",
        "sets": shows.set_views(row, request.user),
        "kept_until": expiry.kept_until(row),
        "cli": _lines(row),
        **replays_context(row, request.user),
        **trace_context(row, request.user),
    }
    return render(request, "inference/execution.html", context)


def _lines(row: Execution) -> dict[str, str]:
    """Return the command lines that check this execution elsewhere."""
    site = settings.SITE_URL
    lines = {name: text.replace("/ID/", f"/{row.pk}/") for name, text in verify_lines(site).items()}
    key = f"curl -fo executor.pub {site}/keys/{row.executor}/key.pem"
    return {**lines, "cosign": f"{key}\n{lines['cosign']}"}


# ------------------------------------------------------------------ files


@require_safe
def receipt(request: HttpRequest, execution: uuid.UUID) -> HttpResponse:
    """Return the receipt; `?wait=` seconds (at most 30) for the log to include it."""
    try:
        row = _succeeded(selectors.find(execution, _reader(request)))
        _wait(request, row)
        data = ledger.receipt(int(row.entry_id or 0))
    except (InferenceError, LedgerError) as error:
        return _problem(error)
    response = HttpResponse(data, content_type=BUNDLE_TYPE)
    # A later checkpoint gives a better proof of the same entry.
    response["Cache-Control"] = "private, no-cache"
    return response


def _reader(request: HttpRequest) -> Caller:
    """Return who reads: a program shows the token with which it runs models, a browser a cookie.

    Raises:
        AuthenticationFailed: the token is not valid.
    """
    return caller_of(request) or request.user


def _wait(request: HttpRequest, row: Execution) -> None:
    asked = request.GET.get("wait", "0")
    if not (asked.isascii() and asked.isdigit() and len(asked) <= 4):
        raise BadRequestError("wait is a number of seconds.")
    seconds = min(int(asked), MAX_WAIT_S)
    if not ledger.wait_included(int(row.entry_id or 0), seconds):
        raise NotIncludedError("No published checkpoint covers the entry yet; ask again soon.")


@require_safe
def statement(request: HttpRequest, execution: uuid.UUID) -> HttpResponse:
    """Return the signed statement in its compact form."""
    try:
        row = _succeeded(selectors.find(execution, _reader(request)))
    except InferenceError as error:
        return _problem(error)
    return HttpResponse(
        row.receipt,
        content_type="text/plain; charset=utf-8",
        headers={"Cache-Control": "private, no-cache"},
    )


@require_safe
def output_tensors(request: HttpRequest, execution: uuid.UUID) -> HttpResponseBase:
    """Return `output.tensors`: the bytes that the statement is about."""
    try:
        reader = _reader(request)
        row = _succeeded(selectors.find(execution, reader))
        _check_tensors(row, reader)
        response = _tensors(request, row.output, "output.tensors")
    except InferenceError as error:
        return _problem(error)
    if selectors.is_caller(row, reader):
        expiry.given(row)
    return response


@require_safe
def input_tensors(request: HttpRequest, execution: uuid.UUID) -> HttpResponseBase:
    """Return `input.tensors`: the bytes that were run."""
    try:
        reader = _reader(request)
        row = selectors.find(execution, reader)
        _check_tensors(row, reader)
        return _tensors(request, row.input, "input.tensors")
    except InferenceError as error:
        return _problem(error)


def _check_tensors(row: Execution, reader: Caller) -> None:
    need_tensors(row.pk)
    if not selectors.may_see_tensors(row, reader):
        raise PrivateError("This execution is private: its tensors are its caller's alone.")
    if row.dropped_at is not None:
        raise DroppedError(
            "The tensors of this execution are not kept any more; its receipt and digests stay.",
            dropped_at=timestamp(row.dropped_at),
        )


def _tensors(request: HttpRequest, row: Tensors | None, name: str) -> HttpResponseBase:
    if row is None:
        return _problem(UnknownExecutionError("There are no such tensors."))
    headers = {
        "ETag": f'"{row.sha256}"',
        # Whoever may not know of the model must not find it in a cache that others share.
        "Cache-Control": "private, no-cache",
    }
    known = get_conditional_response(request, etag=headers["ETag"])
    if known is not None and known.status_code == 304:
        response: HttpResponseBase = HttpResponseNotModified(headers=headers)
    else:
        # Large sets leave as they lie in the blob storage, piece by piece.
        stream = selectors.open_tensors(row)
        response = FileResponse(stream, as_attachment=True, filename=name, headers=headers)
        response["Content-Type"] = "application/octet-stream"
        response["Content-Length"] = str(row.size)
    patch_vary_headers(response, ("Cookie", "Authorization"))
    return response


def _succeeded(row: Execution) -> Execution:
    if row.entry_id is None:
        words = "ended without an answer" if row.state in TERMINAL else "has not ended yet"
        raise UnknownExecutionError(f"The execution {words}.", state=row.state)
    return row


def _problem(error: InferenceError | LedgerError) -> JsonResponse:
    detail = getattr(error, "detail", {})
    body = {"error": {"code": error.code, "message": error.message, "detail": detail}}
    # A receipt that is not there yet will be: nobody may remember this.
    headers = {"Cache-Control": "no-store"}
    if error.status == 503 or isinstance(error, NotIncludedError):
        headers["Retry-After"] = "1"
    return JsonResponse(body, status=error.status, headers=headers)
