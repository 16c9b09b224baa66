"""Bytes to take away: files of a revision, a release's bundles, a key.

A publisher's file is a stranger's data: it is answered as an attachment of no particular type,
never sniffed, in a sandbox, so that no browser runs it under this origin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import quote

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_GET, require_safe

from assay.bundle import MEDIA_TYPE
from assay.dsse import PublicKey
from ledger import services as ledger
from registry import selectors
from registry.choices import ClaimKind, Visibility
from registry.models import RevisionFile
from registry.storage import CHUNK, blobs

FOREVER = "public, max-age=31536000, immutable"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_BUNDLES = {
    "model.sig": ClaimKind.MODEL_SIGNATURE,
    "card.sigstore.json": ClaimKind.CARD,
    "release.sigstore.json": ClaimKind.RELEASE,
}


@require_safe
def file(request: HttpRequest, owner: str, name: str, revision: str, path: str) -> HttpResponseBase:
    """Answer a file of a revision, whole or the one range that was asked for (RFC 9110, 14)."""
    model = selectors.find_model(f"{owner}/{name}", request.user)
    whole = selectors.find_revision(model, revision, request.user)
    found = selectors.file_of(whole, path)
    etag = f'"{found.blob_id}"'
    unchanged = get_conditional_response(request, etag=etag)
    if unchanged is not None:
        return unchanged
    span = _span(request, found.blob.size, etag)
    response = _unsatisfied(found.blob.size) if span is None else _stream(request, found, span)
    response["ETag"] = etag
    response["Accept-Ranges"] = "bytes"
    # What has not passed its inspection is its owner's alone: no shared cache may keep it.
    public = model.visibility == Visibility.PUBLIC and whole.state in selectors.INSPECTED
    response["Cache-Control"] = FOREVER if public else "private, no-cache"
    return response


def _span(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | None:
    """Return first byte and number of bytes; None when the range lies outside the file."""
    match = _RANGE.fullmatch(request.headers.get("Range", ""))
    if match is None or match.group() == "bytes=-":
        return 0, size
    if request.headers.get("If-Range", etag) != etag:
        return 0, size
    first, last = match.groups()
    if not first:
        count = min(int(last), size)
        return (size - count, count) if count else None
    if int(first) >= size:
        return None
    end = min(int(last), size - 1) if last else size - 1
    # A range that ends before it begins is no range at all: the whole file is the answer.
    return (int(first), end - int(first) + 1) if end >= int(first) else (0, size)


def _unsatisfied(size: int) -> HttpResponse:
    return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})


def _stream(request: HttpRequest, found: RevisionFile, span: tuple[int, int]) -> HttpResponseBase:
    first, count = span
    size = found.blob.size
    partial = count != size
    response: HttpResponseBase
    if request.method == "HEAD":
        response = HttpResponse()
    else:
        part = _Slice(blobs().open(found.blob_id), first, count)
        # Django calls the `close` of what it streams.
        response = StreamingHttpResponse(part)
    response.status_code = 206 if partial else 200
    if partial:
        response["Content-Range"] = f"bytes {first}-{first + count - 1}/{size}"
    base = found.path.rpartition("/")[2]
    response["Content-Type"] = "application/octet-stream"
    response["Content-Length"] = str(count)
    response["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(base)}"
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


@require_GET
def bundle(request: HttpRequest, owner: str, name: str, version: str, bundle: str) -> HttpResponse:
    """Answer a claim of a release as a Sigstore bundle with its proof of inclusion."""
    kind = _BUNDLES.get(bundle)
    if kind is None:
        raise Http404(bundle)
    model = selectors.find_model(f"{owner}/{name}", request.user)
    release = selectors.find_release(model, version)
    response = HttpResponse(
        ledger.receipt(release.claims.get(kind=kind).entry_id), content_type=MEDIA_TYPE
    )
    response["Content-Disposition"] = f'attachment; filename="{bundle}"'
    return response


@require_GET
def key_pem(request: HttpRequest, fingerprint: str) -> HttpResponse:
    """Answer a public key in PEM."""
    key = PublicKey(spki=bytes(selectors.find_key(fingerprint).spki))
    return HttpResponse(key.pem, content_type="application/x-pem-file")
