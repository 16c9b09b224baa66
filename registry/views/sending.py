"""How stored bytes go out: whole or the one range that was asked for (RFC 9110, section 14).

A publisher's file is a stranger's data: an attachment of no particular type, never sniffed, in a
sandbox. It is read in pieces, never compressed, and HEAD has every header of a whole GET.

Several ranges at once are answered by the whole file, as section 14.2 allows: what they save is
little, and they have been used to make servers send a file many times. `If-Range` counts when it is
the strong ETag of these very bytes.

Where the bytes lie in an object store, a GET is led there by an address that is signed for it and
soon expires, with every header that says what will come. A page's script is not: it may ask this
host alone.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response

from registry.models import Blob
from registry.storage import CHUNK, blobs, bucket

if TYPE_CHECKING:
    from registry.storage_s3 import S3Blobs

FOREVER = "public, max-age=31536000, immutable"
OWN = "private, no-cache"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
# A client follows at once; caches of what is public may lead others there for half the time.
_PUBLIC_S, _PRIVATE_S = 3600, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """`count` bytes from `first` on; `partial` when a range was asked for."""

    first: int
    count: int
    partial: bool


def send(
    request: HttpRequest, blob: Blob, *, etag: str, disposition: str, public: bool = False
) -> HttpResponseBase:
    """Answer `blob`: 200, 206, 302, 304, 416, or 412 for a precondition that does not hold.

    `public`: everybody may have it, now and always: shared caches may keep it.
    """
    unchanged = get_conditional_response(request, etag=etag)
    if unchanged is not None:
        if unchanged.status_code == 304:
            unchanged["Cache-Control"] = FOREVER if public else OWN
        return unchanged
    span = _span(request, blob.size, etag)
    if span is None:
        response: HttpResponseBase = HttpResponse(
            status=416, headers={"Content-Range": f"bytes */{blob.size}"}
        )
    elif (store := _store_for(request)) is not None:
        response = _lead(store, blob, etag, disposition, public=public)
    else:
        response = _stream(request, blob, span)
        response["Content-Disposition"] = disposition
        response["Cache-Control"] = FOREVER if public else OWN
    response["ETag"] = etag
    response["Accept-Ranges"] = "bytes"
    digest = base64.b64encode(bytes.fromhex(blob.sha256)).decode()
    response["Repr-Digest"] = f"sha-256=:{digest}:"
    return response


def _span(request: HttpRequest, size: int, etag: str) -> Span | None:
    """Return what to send; None when the range lies outside the file. Ranges are GET's alone."""
    whole = Span(first=0, count=size, partial=False)
    match = _RANGE.fullmatch(request.headers.get("Range", ""))
    if match is None or match.group() == "bytes=-" or request.method != "GET":
        return whole
    if request.headers.get("If-Range", etag) != etag:
        return whole
    first, last = match.groups()
    if not first:
        count = min(int(last), size)
        return Span(first=size - count, count=count, partial=True) if count else None
    if int(first) >= size:
        return None
    end = min(int(last), size - 1) if last else size - 1
    if end < int(first):  # a range that ends before it begins is no range at all
        return whole
    return Span(first=int(first), count=end - int(first) + 1, partial=True)


# ------------------------------------------------------------------ away


def _store_for(request: HttpRequest) -> S3Blobs | None:
    """Return the object store from which the client is to fetch the bytes; None: from here."""
    if request.method != "GET" or not settings.BLOBS_S3_DIRECT:
        return None
    return bucket() if request.headers.get("Sec-Fetch-Dest", "document") != "empty" else None


def _lead(
    store: S3Blobs, blob: Blob, etag: str, disposition: str, *, public: bool
) -> HttpResponseBase:
    lifetime = _PUBLIC_S if public else _PRIVATE_S
    cache = FOREVER if public else OWN
    url = store.address(blob.sha256, lifetime, disposition=disposition, cache=cache)
    response = HttpResponse(status=302, headers={"Location": url})
    response["X-Linked-Etag"] = etag
    response["X-Linked-Size"] = str(blob.size)
    response["Cache-Control"] = f"public, max-age={lifetime // 2}" if public else "no-store"
    return response


# ------------------------------------------------------------------ from here


def _stream(request: HttpRequest, blob: Blob, span: Span) -> HttpResponseBase:
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse()
    else:
        # Django calls the `close` of what it streams.
        part = _Slice(blobs().open(blob.sha256), span.first, span.count)
        response = StreamingHttpResponse(part)
    response.status_code = 206 if span.partial else 200
    if span.partial:
        last = span.first + span.count - 1
        response["Content-Range"] = f"bytes {span.first}-{last}/{blob.size}"
    response["Content-Type"] = "application/octet-stream"
    response["Content-Length"] = str(span.count)
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


class _Slice:
    """`count` bytes of `stream`; whoever answers closes it, also when nobody reads."""

    def __init__(self, stream: BinaryIO, first: int, count: int) -> None:
        stream.seek(first)
        self.stream = stream
        self.count = count

    def __iter__(self) -> Iterator[bytes]:
        while self.count > 0 and (chunk := self.stream.read(min(CHUNK, self.count))):
            self.count -= len(chunk)
            yield chunk

    def close(self) -> None:
        """Close the file."""
        self.stream.close()
