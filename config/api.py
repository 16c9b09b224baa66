"""A domain error becomes code, status and JSON here, and nowhere else.

REST: `{"error": {"code", "message", "detail"}}`; of what was taken down that is a problem document
too (RFC 9457). The OIP and Hugging Face addresses have forms of their own and use `describe` alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, JsonResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response

from assay.errors import AssayError
from inference.errors import InferenceError
from ledger.errors import LedgerError
from registry.errors import ModeratedError, MovedError, RegistryError
from registry.moved import new_address

AWAY = (OperationalError, InterfaceError)
TAKEN_DOWN = 451  # RFC 7725


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One error as every surface tells it."""

    status: int
    code: str
    message: str
    detail: Any = None
    retry_after_s: int | None = None
    location: str = ""
    links: str = ""

    def body(self) -> dict[str, Any]:
        """Return the REST form."""
        told = {"code": self.code, "message": self.message, "detail": self.detail or {}}
        if self.status != TAKEN_DOWN:
            return {"error": told}
        return {
            "type": f"urn:assay:problem:{self.code}",
            "title": "Unavailable For Legal Reasons",
            "status": self.status,
            "detail": self.message,
            "code": self.code,
            "error": told,
        }

    @property
    def content_type(self) -> str:
        """The media type of `body`."""
        return "application/problem+json" if self.status == TAKEN_DOWN else "application/json"

    def headers(self) -> dict[str, str]:
        """Return the headers that go with it. What is not there yet may be there in a moment."""
        headers = {"Cache-Control": "no-store"}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(self.retry_after_s)
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if self.location:
            headers["Location"] = self.location
        if self.links:
            headers["Link"] = self.links
        return headers


_DRF_CODES = {
    400: "invalid_input",
    401: "not_authenticated",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    415: "unsupported_media_type",
    429: "rate_limited",
}


FAULT = Problem(status=500, code="internal", message="Something broke on our side; it was noted.")


def describe(error: Exception) -> Problem | None:
    """Return what to tell about `error`, or None when it is a fault of ours."""
    if isinstance(error, RegistryError):
        return Problem(
            status=error.status,
            code=error.code,
            message=error.message,
            detail=error.detail,
            links=error.links if isinstance(error, ModeratedError) else "",
        )
    if isinstance(error, InferenceError):
        return Problem(
            status=error.status,
            code=error.code,
            message=error.message,
            detail=error.detail,
            retry_after_s=error.retry_after_s,
        )
    if isinstance(error, LedgerError):
        return Problem(
            status=error.status,
            code=error.code,
            message=error.message,
            retry_after_s=error.retry_after_s or (1 if error.status == 503 else None),
        )
    if isinstance(error, Http404):
        return Problem(status=404, code="not_found", message="There is nothing here.")
    if isinstance(error, PermissionDenied):
        return Problem(status=403, code="not_allowed", message="You may not do this.")
    if isinstance(error, exceptions.APIException):
        return _describe_drf(error)
    if isinstance(error, AssayError):
        return Problem(status=400, code="invalid_input", message=str(error))
    return _describe_django(error)


def _describe_django(error: Exception) -> Problem | None:
    if isinstance(error, RequestDataTooBig):
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        message = f"The body is longer than {limit} bytes, the limit of this address."
        return Problem(status=413, code="body_too_large", message=message)
    if isinstance(error, SuspiciousOperation | UnreadablePostError):
        return Problem(status=400, code="invalid_input", message="This request is not well-formed.")
    if isinstance(error, AWAY):
        message = "The database does not answer; try again in a moment."
        return Problem(status=503, code="unavailable", message=message, retry_after_s=5)
    return None


def _describe_drf(error: exceptions.APIException) -> Problem:
    code = _DRF_CODES.get(error.status_code, "error")
    if isinstance(error, exceptions.ValidationError):
        message = "Some fields are missing or wrong; detail names them."
        return Problem(status=400, code=code, message=message, detail={"fields": error.detail})
    if isinstance(error, exceptions.NotAuthenticated):
        message = "Nobody is signed in, or the session has ended: sign in, or send an API token."
        return Problem(status=401, code=code, message=message)
    return Problem(status=error.status_code, code=code, message=str(error.detail))


def relocate(problem: Problem, full_path: str, error: MovedError) -> Problem:
    """Return `problem` with the address of today; 404 where the old name is not in the address."""
    address = new_address(full_path, error)
    if address is None:
        return replace(problem, status=404)
    return replace(problem, location=address)


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Answer for DRF; None lets Django report a fault of ours."""
    problem = describe(error)
    if problem is None:
        return None
    if isinstance(error, MovedError):
        problem = relocate(problem, context["request"].get_full_path(), error)
    return Response(
        problem.body(),
        status=problem.status,
        headers=problem.headers(),
        content_type=problem.content_type,
    )


def json_problem(problem: Problem) -> JsonResponse:
    """Return the REST form of `problem` from a plain view."""
    return JsonResponse(
        problem.body(),
        status=problem.status,
        headers=problem.headers(),
        content_type=problem.content_type,
    )
