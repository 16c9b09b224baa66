"""How much of the REST API one caller may call, and the headers that say so.

The counting is `inference.quota`'s: a bucket for each account, and for each address without one,
shared by the web processes through Redis. Every counted answer has the header fields of the IETF's
draft-ietf-httpapi-ratelimit-headers-10, so that a program slows down before it is refused:

    RateLimit-Policy: "calls";q=6000;w=60     so many in so many seconds
    RateLimit: "calls";r=5990;t=1             so many are left, all are back after so many seconds

A refusal is 429 with `Retry-After` besides.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from inference import quota
from inference.errors import TooManyRequestsError

if TYPE_CHECKING:
    # DRF's views import this module, by its name in the settings, while they are imported.
    from rest_framework.views import APIView

POLICY = "calls"
WINDOW_S = 60
_KEPT = "assay.calls"


class ApiThrottle(BaseThrottle):
    """Count each call of a view, of whoever makes it."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        """Return True, or raise the refusal that says when to come back."""
        try:
            left = quota.take_call(request, request.user)
        except TooManyRequestsError as error:
            rate, wait_s = quota.call_rate(request.user), error.retry_after_s or 1
            request.META[_KEPT] = _fields(rate, 0, wait_s)
            raise
        back_s = math.ceil((left.rate - left.left) * WINDOW_S / left.rate)
        request.META[_KEPT] = _fields(left.rate, left.left, back_s)
        return True


class RateLimitMiddleware:
    """Write what the throttle counted into the headers."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        for name, value in request.META.get(_KEPT, {}).items():
            response[name] = value
        return response


def _fields(rate: int, left: int, back_s: int) -> dict[str, str]:
    return {
        "RateLimit-Policy": f'"{POLICY}";q={rate};w={WINDOW_S}',
        "RateLimit": f'"{POLICY}";r={left};t={back_s}',
    }
