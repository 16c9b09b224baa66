"""Writes down each request of the drives: method, path, range. No header that holds a token."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class WatchMiddleware:
    """Appends a line per request to `requests.log` in the data folder."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.file = Path(settings.DATA) / "requests.log"

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        words = f"{request.method} {request.path} {response.status_code}"
        asked = request.headers.get("Range", "")
        with self.file.open("a") as log:
            log.write(f"{words} {asked}".rstrip() + "\n")
        return response
