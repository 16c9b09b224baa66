"""Errors as hub clients read them, and the wrapper of every view below `/hf`.

1. Every error is the JSON object `{"error": text}`: an array crashes the stock client, and of HTML
   or another key it shows nothing.
2. `X-Error-Code` decides which exception the client raises; `X-Error-Message` is ASCII on one line.
3. Whoever may not know of a repository gets the answer of one that is not there.
4. GET and HEAD may be read by pages of any origin: there is no cookie here.
"""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable
from typing import Any

from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from rest_framework.exceptions import AuthenticationFailed

from assay.errors import AssayError
from registry.errors import ModeratedError, RegistryError
from registry.hf.limits import WINDOW_S, TooFastError

View = Callable[..., HttpResponseBase]
BAD_TOKEN = "Invalid credentials in Authorization header"  # noqa: S105 (words that clients look for)
DISABLED = "Access to this resource is disabled."
EXPOSED = (
    "ETag, X-Repo-Commit, X-Linked-Etag, X-Linked-Size, Content-Range, Link, X-Error-Code, "
    "X-Error-Message"
)
_NOT_FOUND = {
    "unknown_model": "RepoNotFound",
    "unknown_revision": "RevisionNotFound",
    "unknown_file": "EntryNotFound",
}
log = logging.getLogger(__name__)


class NotSignedInError(Exception):
    """The call needs an account, and brought no token."""


class HubError(Exception):
    """An answer of this surface that no service knows: `status`, `code`, further fields."""

    def __init__(self, status: int, message: str, code: str = "", **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.fields = fields


def one_line(text: str) -> str:
    """Return `text` fit for a header: ASCII, no control characters, at most 500 characters."""
    words = " ".join(text.split())
    shown = "".join(char if " " <= char <= "~" else "?" for char in words)
    return shown[:500]


def refusal(
    status: int, message: str, code: str = "", headers: dict[str, str] | None = None, **fields: Any
) -> JsonResponse:
    """Return an error in the hub's form."""
    response = JsonResponse({**fields, "error": message}, status=status)
    response["X-Error-Message"] = one_line(message)
    if code:
        response["X-Error-Code"] = code
    for name, value in (headers or {}).items():
        response[name] = value
    return response


def describe(error: Exception) -> JsonResponse:
    """Return the answer that tells of `error`; a fault of ours is logged and says nothing."""
    match error:
        case HubError():
            return refusal(error.status, error.message, error.code, **error.fields)
        case AuthenticationFailed() | NotSignedInError():
            told = str(error.detail) if isinstance(error, AuthenticationFailed) else str(error)
            response = refusal(401, told, headers={"WWW-Authenticate": "Bearer"})
            response["X-Error-Message"] = BAD_TOKEN
            return response
        case RegistryError():
            return _describe_domain(error)
        case TooFastError():
            wait = math.ceil(error.wait_s)
            headers = {
                "Retry-After": str(wait),
                "RateLimit": f'"api";r=0;t={wait}',
                "RateLimit-Policy": f'"fixed window";"api";q={error.limit};w={WINDOW_S}',
            }
            return refusal(429, str(error), headers=headers)
        case AssayError():
            return refusal(400, str(error))
        case RequestDataTooBig():
            return refusal(413, "The body is longer than this address takes.")
        case SuspiciousOperation() | UnreadablePostError():
            return refusal(400, "This request is not well-formed.")
        case OperationalError() | InterfaceError():
            log.warning("a /hf view was not answered: %s", error)
            words = "The database does not answer; try again in a moment."
            return refusal(503, words, headers={"Retry-After": "5"})
    log.error("a /hf view failed", exc_info=error)
    return refusal(500, "Something broke on our side; it was noted.")


def _describe_domain(error: RegistryError) -> JsonResponse:
    headers: dict[str, str] = {}
    code = _NOT_FOUND.get(error.code, "")
    if error.code == "unknown_file" and "revision" in error.detail:
        headers["X-Repo-Commit"] = str(error.detail["revision"])
    if error.code == "gated":
        code = "GatedRepo"
    if isinstance(error, ModeratedError) and error.links:
        headers["Link"] = error.links
    if error.code == "taken_down":
        headers["X-Error-Message"] = DISABLED
    message = error.message
    remedy = error.detail.get("remedy")
    if isinstance(remedy, str):
        message = f"{message} {remedy}"
    return refusal(error.status, message, code, headers)


def endpoint(*methods: str) -> Callable[[View], View]:
    """Wrap a view: only `methods`, every error in the hub's form, the headers of every answer."""
    allowed = {*methods, "HEAD", "OPTIONS"} if "GET" in methods else set(methods)

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def wrapped(request: HttpRequest, **named: Any) -> HttpResponseBase:
            response = _answer(view, request, named, allowed)
            if request.method in ("GET", "HEAD", "OPTIONS"):
                response["Access-Control-Allow-Origin"] = "*"
                response["Access-Control-Expose-Headers"] = EXPOSED
            if not response.has_header("Cache-Control"):
                response["Cache-Control"] = "no-store"
            return response

        return wrapped

    return decorate


def _answer(
    view: View, request: HttpRequest, named: dict[str, Any], allowed: set[str]
) -> HttpResponseBase:
    if request.method not in allowed:
        names = ", ".join(sorted(allowed))
        return refusal(405, f"Here only {names} is answered.", headers={"Allow": names})
    if request.method == "OPTIONS":
        return HttpResponse(
            status=204,
            headers={
                "Access-Control-Allow-Methods": "GET, HEAD",
                "Access-Control-Allow-Headers": "Authorization, Range, If-Range, If-None-Match",
                "Access-Control-Max-Age": "86400",
            },
        )
    if "\0" in request.path_info:
        return refusal(400, "An address holds no NUL.")
    try:
        return view(request, **named)
    except Exception as error:  # noqa: BLE001 (the last line: MemoryError too gets JSON)
        return describe(error)
