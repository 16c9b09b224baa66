"""Pages go out compressed to whoever takes gzip; everything else leaves as it is.

Files, receipts and tensors have digests and ranges, events must not wait, and programs' answers are
small: only HTML gains. Django's middleware adds a random length to each answer, so that the length
says nothing of a secret in it (BREACH), and it marks the answer as one that varies.
"""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware


class CompressionMiddleware(GZipMiddleware):
    """Compress whole HTML pages."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Return `response`, compressed where it is a page and the client takes that."""
        page = response.headers.get("Content-Type", "").startswith("text/html")
        if response.streaming or not page:
            return response
        compressed: HttpResponseBase = super().process_response(request, response)
        return compressed
