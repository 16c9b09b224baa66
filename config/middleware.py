"""Request ids, and the short way for addresses that programs speak.

The plain paths (`/hf`, `/v2`, `/log`, `/.well-known/assay`, health) skip sessions, CSRF, messages
and redirects: their clients send no cookie, and a redirect would lose a POST.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, resolve

from config.api import AWAY, FAULT, describe, json_problem
from config.logs import about, note_request

# Whole words: `/v2ray/` is the page of an owner. Below `/v1` hub clients look for telemetry: 404.
_PLAIN = re.compile(
    r"/(?:(?:hf|v1|v2|healthz|readyz|metrics)(?:/|$)|(?:log|\.well-known|runtimes|sha256)/)"
)
_BODILESS = (204, 304)  # their length is not that of what they stand for (RFC 9110, 8.6)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
log = logging.getLogger(__name__)

Handler = Callable[[HttpRequest], HttpResponseBase]


def is_plain(path: str) -> bool:
    """Tell whether `path` is one that programs speak to."""
    return _PLAIN.match(path) is not None


class RequestIdMiddleware:
    """Give each answer an `X-Request-Id`: the caller's when it is well formed, else a new one.

    It stands in the log lines of the request too.
    """

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        request.META["assay.request_id"] = request_id
        begun = time.monotonic()
        with about("request_id", request_id):
            response = self.get_response(request)
            if settings.LOG_REQUESTS:
                note_request(request, response, begun)
        response["X-Request-Id"] = request_id
        return response


class PlainPathsMiddleware:
    """Answer the plain paths here, before any middleware that is made for browsers."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not is_plain(request.path_info):
            return self.get_response(request)
        request.urlconf = "config.urls_plain"
        try:
            match = resolve(request.path_info, urlconf="config.urls_plain")
        except Http404:
            return JsonResponse(
                {"error": "no such address", "code": "not_found"},
                status=404,
                headers={"Cache-Control": "no-store"},
            )
        request.resolver_match = match
        response = self._answer(request, match)
        if isinstance(response, HttpResponse) and response.status_code not in _BODILESS:
            response.headers.setdefault("Content-Length", str(len(response.content)))
        return response

    def _answer(self, request: HttpRequest, match: ResolverMatch) -> HttpResponseBase:
        try:
            answer: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        except AWAY as error:
            log.warning("%s was not answered: %s", request.path_info, error)
            return json_problem(describe(error) or FAULT)
        return answer
