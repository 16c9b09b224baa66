"""The answer to an `infer` request: JSON, or JSON and bytes, compressed when asked for plainly.

FP32 is written as the shortest decimal of the value widened to double, exact for any reader that
parses doubles. What JSON cannot carry (FP16, a NaN) is an error, never `null`.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from django.http import HttpResponse

from assay.tensors import Tensor
from inference.oip.body import LENGTH_HEADER
from inference.services.values import unpack

JSON_TYPE, BINARY_TYPE = "application/json", "application/octet-stream"
# allow_nan=False: a value that is not finite can never become a word that is no JSON.
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def render_outputs(
    head: Mapping[str, Any], outputs: Sequence[Tensor], *, binary: Mapping[str, bool], default: bool
) -> tuple[bytes, int | None]:
    """Return the body and, when an output is binary, the length of its JSON part.

    `head` holds the fields before `outputs`; `binary` says for an output whether it comes as bytes,
    `default` for those that it does not name.

    Raises:
        BadTensorError: JSON cannot carry an output.
    """
    items: list[dict[str, Any]] = []
    tail: list[bytes] = []
    for tensor in outputs:
        item: dict[str, Any] = tensor.header()
        if binary.get(tensor.name, default):
            item["parameters"] = {"binary_data_size": len(tensor.data)}
            tail.append(tensor.data)
        else:
            item["data"] = unpack(tensor)
        items.append(item)
    text = _ENCODER.encode({**head, "outputs": items}).encode()
    if not tail:
        return text, None
    return b"".join((text, *tail)), len(text)


def respond(body: bytes, json_length: int | None, accept_encoding: str) -> HttpResponse:
    """Return the response with its lengths and types; compressed if one coding is asked for."""
    coding = _coding(accept_encoding)
    if coding == "gzip":
        body = gzip.compress(body, compresslevel=1, mtime=0)
    elif coding == "deflate":
        body = zlib.compress(body, level=1)
    response = HttpResponse(body, content_type=JSON_TYPE if json_length is None else BINARY_TYPE)
    response["Content-Length"] = str(len(body))
    response["Vary"] = "Accept-Encoding"
    if json_length is not None:
        response[LENGTH_HEADER] = str(json_length)
    if coding:
        response["Content-Encoding"] = coding
    return response


def _coding(accept: str) -> str:
    """Return gzip or deflate when that is the one coding named, else "".

    Stock clients that would break on a compressed answer name several codings by default; those
    whose user asked for one name just that.
    """
    name = accept.strip().lower()
    return name if name in ("gzip", "deflate") else ""
