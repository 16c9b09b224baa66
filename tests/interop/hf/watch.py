"""Writes down each request of the drives, and does to the site what a test asks for by a file.

No header that holds a token is written. `hold` has a pattern: a request that matches it is answered
after a minute only, though the site has done its work, and `HELD <path>` is written meanwhile.
`calls` has a number: the calls that one account may make.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from registry.hf import lists

HOLD, CALLS = "hold", "calls"
PATIENCE_S = 60
LIST_PAGE = 40  # models, so that few of them make several pages


class WatchMiddleware:
    """Appends a line per request to `requests.log` in the data folder."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        lists.MAX_PAGE = LIST_PAGE
        self.get_response = get_response
        self.folder = Path(settings.DATA)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        calls = self.folder / CALLS
        settings.HUB_CALLS = int(calls.read_text()) if calls.exists() else 0
        response = self.get_response(request)
        asked = request.headers.get("Range", "")
        self._write(f"{request.method} {request.path} {response.status_code} {asked}".rstrip())
        hold = self.folder / HOLD
        if hold.exists() and re.search(hold.read_text(), request.path):
            self._write(f"HELD {request.path}")
            threading.Event().wait(PATIENCE_S)
        return response

    def _write(self, line: str) -> None:
        with (self.folder / "requests.log").open("a") as log:
            log.write(line + "\n")
