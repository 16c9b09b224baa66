"""Who is suspended reads every page, and changes nothing but what is about the account itself.

The REST API asks in its permissions, `/hf` and `/v2` where they see who calls; services ask again
through `registry.rights`. This is the same rule for the forms of pages.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from config.api import FAULT, describe
from config.error_pages import answer
from registry.errors import SuspendedError
from registry.moderated import need_active

_READS = ("GET", "HEAD", "OPTIONS")
# Signing out and in, passwords and factors; appeals and reports; searches; leaving, with one's own.
_OPEN = ("/accounts/", "/api/", "/moderation/", "/search/")
_OWN = ("/settings/account/", "/settings/export/", "/settings/sessions/", "/settings/tokens/")


class SuspendedMiddleware:
    """Refuse the forms of a suspended account."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponse | None:
        """Answer 403 to a write of an account that is suspended; None lets the view answer."""
        if request.method in _READS or request.path_info.startswith((*_OPEN, *_OWN)):
            return None
        try:
            need_active(request.user)
        except SuspendedError as error:
            return answer(request, describe(error) or FAULT)
        return None
