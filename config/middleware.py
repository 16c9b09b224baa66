"""Request ids, and the short way for addresses that programs speak.

The plain paths (`/v2`, `/log`, `/.well-known/assay`, health) skip sessions, CSRF, messages and
redirects: their clients send no cookie, and a redirect would lose a POST.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable

from django.http import Http404, HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import resolve

PLAIN = ("/v2", "/log/", "/.well-known/", "/healthz", "/readyz", "/runtimes/", "/sha256/")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
log = logging.getLogger(__name__)

Handler = Callable[[HttpRequest], HttpResponseBase]


class RequestIdMiddleware:
    """Give each answer an `X-Request-Id`: the caller's when it is well formed, else a new one."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        request.META["assay.request_id"] = request_id
        response = self.get_response(request)
        response["X-Request-Id"] = request_id
        return response


class PlainPathsMiddleware:
    """Answer the plain paths here, before any middleware that is made for browsers."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(PLAIN):
            return self.get_response(request)
        request.urlconf = "config.urls_plain"
        try:
            match = resolve(request.path_info, urlconf="config.urls_plain")
        except Http404:
            return JsonResponse({"error": "no such address", "code": "not_found"}, status=404)
        request.resolver_match = match
        response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        if not response.streaming and not response.has_header("Content-Length"):
            response["Content-Length"] = str(len(response.content))  # type: ignore[attr-defined] # not streaming, so it has content
        return response
