"""The body of an `infer` request: its length, its coding, and where JSON ends and bytes begin.

1. A chunked body is refused: under WSGI it would arrive empty and look like one (411).
2. Content-Length above the limit is refused before a byte is read (413).
3. gzip and deflate (RFC 1952, 1950) are inflated to at most the same limit; bytes after the end of
   the stream are refused, and so is every other coding (415).
4. `Inference-Header-Content-Length` counts bytes of the inflated body: 0 says that all of it is one
   raw tensor, no header says that all of it is JSON.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, UnreadablePostError

from inference.errors import (
    BadRequestError,
    BodyTooLargeError,
    LengthRequiredError,
    UnsupportedEncodingError,
)

LENGTH_HEADER = "Inference-Header-Content-Length"
_DECIMAL = re.compile(r"[0-9]{1,12}")
_WINDOW_BITS = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """An inflated body: `json` is None when all of `tail` is one raw tensor."""

    json: bytes | None
    tail: bytes


def read_body(request: HttpRequest) -> Body:
    """Return the body of `request`, inflated and split.

    Raises:
        LengthRequiredError, BodyTooLargeError, UnsupportedEncodingError: rules 1 to 3.
        BadRequestError: the body is shorter than announced, is not what its coding says, or the
            length header is no decimal from 0 to its length.
    """
    data = inflate(_read(request), request.headers.get("Content-Encoding", ""))
    return split(data, request.headers.get(LENGTH_HEADER))


def _read(request: HttpRequest) -> bytes:
    """Read exactly Content-Length bytes: `request.body` has a smaller limit of its own."""
    limit: int = settings.INFER_MAX_BYTES
    announced = request.META.get("CONTENT_LENGTH", "")
    if request.headers.get("Transfer-Encoding") or not announced:
        raise LengthRequiredError("Send a Content-Length: a chunked body is not taken here.")
    if _DECIMAL.fullmatch(announced) is None:
        raise BadRequestError("Content-Length is not a decimal number.")
    length = int(announced)
    if length > limit:
        raise BodyTooLargeError(f"The body has {length} bytes; at most {limit} are taken.")
    try:
        data = request.read(length)
    except UnreadablePostError as error:
        raise BadRequestError("The connection broke while the body was read.") from error
    if len(data) != length:
        raise BadRequestError(f"The body has {len(data)} bytes, not {length} as announced.")
    return data


def inflate(data: bytes, coding: str) -> bytes:
    """Return `data` decoded from the Content-Encoding `coding`.

    Raises:
        UnsupportedEncodingError: another coding than identity, gzip and deflate.
        BodyTooLargeError: more than the limit comes out.
        BadRequestError: not a whole stream of that coding, or bytes after it.
    """
    name = coding.strip().lower()
    if name in ("", "identity"):
        return data
    if name not in _WINDOW_BITS:
        raise UnsupportedEncodingError(
            "The Content-Encoding is none of identity, gzip and deflate.", received=coding[:64]
        )
    limit: int = settings.INFER_MAX_BYTES
    stream = zlib.decompressobj(_WINDOW_BITS[name])
    try:
        inflated = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise BadRequestError(f"The body is not {name}: {error}") from error
    if len(inflated) > limit:
        raise BodyTooLargeError(f"The body inflates to more than {limit} bytes.")
    if not stream.eof:
        raise BadRequestError(f"The {name} stream of the body has no end.")
    if stream.unused_data:
        raise BadRequestError(f"{len(stream.unused_data)} bytes follow the {name} stream.")
    return inflated


def split(data: bytes, header: str | None) -> Body:
    """Cut an inflated body at `header`, the text of the length header (None: absent).

    Raises:
        BadRequestError: no decimal from 0 to the length of `data`.
    """
    if header is None:
        return Body(json=data, tail=b"")
    if _DECIMAL.fullmatch(header) is None or int(header) > len(data):
        raise BadRequestError(
            f"{LENGTH_HEADER} is a decimal number from 0 to {len(data)}, the length of the "
            "(inflated) body.",
            received=header[:64],
        )
    length = int(header)
    if length == 0:
        return Body(json=None, tail=data)
    return Body(json=data[:length], tail=data[length:])
