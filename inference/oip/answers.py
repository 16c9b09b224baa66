"""Errors as the Open Inference Protocol's clients read them, and the wrapper of every view.

`{"error": text, "code": code}`, type exactly `application/json`, never compressed, no traceback.
Every address below `/v2` answers in this form, whatever happens in the view.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework.exceptions import AuthenticationFailed

from assay.errors import AssayError
from inference.errors import InferenceError
from inference.executor.protocol import CallerGoneError
from ledger.errors import LedgerError
from registry.errors import ModeratedError, RegistryError

View = Callable[..., HttpResponse]
log = logging.getLogger(__name__)


def error_response(
    status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> JsonResponse:
    """Return an error in the protocol's form."""
    response = JsonResponse({"error": message, "code": code}, status=status, headers=headers)
    response["Content-Length"] = str(len(response.content))
    response["Cache-Control"] = "no-store"
    return response


def describe(error: Exception) -> JsonResponse:
    """Return the answer that tells of `error`; a fault of ours is logged and says nothing."""
    match error:
        case InferenceError():
            retry = error.retry_after_s
            headers = {} if retry is None else {"Retry-After": str(retry)}
            if error.status == 401:
                headers["WWW-Authenticate"] = "Bearer"
            return error_response(error.status, error.code, error.message, headers)
        case RegistryError() | LedgerError():
            headers = {"Retry-After": "1"} if error.status == 503 else {}
            if isinstance(error, ModeratedError) and error.links:
                headers["Link"] = error.links
            return error_response(error.status, error.code, error.message, headers)
        case AuthenticationFailed():
            headers = {"WWW-Authenticate": "Bearer"}
            return error_response(401, "not_authenticated", str(error.detail), headers)
        case AssayError():
            return error_response(400, "bad_request", str(error))
        case OperationalError() | InterfaceError():
            log.warning("a /v2 view was not answered: %s", error)
            words = "The database does not answer; try again in a moment."
            return error_response(503, "unavailable", words, {"Retry-After": "5"})
        case CallerGoneError():
            return error_response(499, "caller_gone", "The caller hung up.")  # nobody reads it
    log.error("a /v2 view failed", exc_info=error)
    return error_response(500, "internal", "Something broke on our side; it was noted.")


def endpoint(*methods: str) -> Callable[[View], View]:
    """Wrap a view: only `methods`, and every error in the protocol's form."""
    allowed = {*methods, "HEAD"} if "GET" in methods else set(methods)

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def wrapped(request: HttpRequest, **named: str) -> HttpResponse:
            if request.method not in allowed:
                names = ", ".join(sorted(allowed))
                return error_response(
                    405,
                    "method_not_allowed",
                    f"Here only {names} is answered.",
                    {"Allow": names},
                )
            try:
                return view(request, **named)
            except Exception as error:  # noqa: BLE001 (the last line: MemoryError too gets JSON)
                return describe(error)

        return wrapped

    return decorate
