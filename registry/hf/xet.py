"""The Xet upload bridge on the wire: tokens, pieces, shards. Nothing is ever read back by Xet.

A shard's answer is a stream of JSON lines, so that a client waits for a long file without a
time-out; a failure is a line too, and the last.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO
from uuid import UUID

from django.conf import settings
from django.db import Error as DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from assay.canonical import canonical_json
from registry.errors import InvalidInputError, RegistryError, TooLargeError
from registry.hf.answers import NotSignedInError, endpoint
from registry.hf.calls import length, read_call, reader
from registry.hf.repos import answer
from registry.services import xet, xet_format
from registry.services.xet import Access
from registry.services.xet_source import spool_folder
from registry.storage import CHUNK, TemporaryFile

_HEX = frozenset("0123456789abcdef")
log = logging.getLogger(__name__)


@endpoint("GET")
def write_token(request: HttpRequest, owner: str, name: str, revision: str) -> HttpResponse:
    """Hand out an address and a token for pieces of this model."""
    call = read_call(request)
    user = call.account(write=True)
    space, token, ends = xet.open_space(user, call.model(owner, name))
    url = f"{call.base}/xet/{space.pk}/{space.epoch}"
    response = answer({"casUrl": url, "exp": ends, "accessToken": token})
    response["X-Xet-Cas-Url"] = url
    response["X-Xet-Access-Token"] = token
    response["X-Xet-Token-Expiration"] = str(ends)
    return response


def _access(request: HttpRequest, space: UUID) -> Access:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotSignedInError("Send the access token of xet-write-token.")
    return xet.check(space, token.strip())


def _limited(request: HttpRequest, limit: int) -> int:
    size = length(request)
    if size > limit:
        raise TooLargeError(f"This body has at most {limit} bytes.", limit=limit)
    return size


@endpoint("POST")
def xorb(request: HttpRequest, space: UUID, epoch: str, name: str) -> HttpResponse:
    """Take a piece; the first body under a name stays."""
    access = _access(request, space)
    size = _limited(request, settings.XET_MAX_XORB_BYTES)
    if len(name) != 64 or not _HEX.issuperset(name):
        raise InvalidInputError("A xorb's name is 64 lower-case hex digits.")
    read = reader(request)
    if xet.knows(access, name):
        while read(CHUNK):
            pass
        return JsonResponse({"was_inserted": True})
    xet.put_xorb(access, name, xet_format.chunks(read), size)
    return JsonResponse({"was_inserted": True})


def _with_shard(
    view: Callable[[Access, BinaryIO, int], HttpResponseBase],
) -> Callable[..., HttpResponseBase]:
    """Spool the body of a shard to a file before `view` gets it."""

    @endpoint("POST")
    @functools.wraps(view)
    def wrapped(request: HttpRequest, space: UUID, epoch: str) -> HttpResponseBase:
        access = _access(request, space)
        size = _limited(request, settings.XET_MAX_SHARD_BYTES)
        read = reader(request)
        with TemporaryFile(spool_folder()) as temporary:
            while chunk := read(CHUNK):
                temporary.file.write(chunk)
            temporary.file.flush()
            # The open stream outlives the name.
            stream = temporary.path.open("rb")
        return view(access, stream, size)

    return wrapped


def _lines(access: Access, stream: BinaryIO, size: int) -> Iterator[dict[str, Any]]:
    """Yield what the client reads: progress, and at the end a result or an error."""
    try:
        with stream:
            for progress in xet.take_shard(access, stream, size):
                yield {"type": "validating", "verified": progress.done, "total": progress.total}
        yield {"type": "result"}
    except RegistryError as error:
        log.info("a shard was refused: %s", error.message)
        yield {"type": "error", "message": error.message, "retryable": False}
    except (OSError, DatabaseError):
        log.exception("a shard was not taken")
        words = "Something broke on our side: send the shard again."
        yield {"type": "error", "message": words, "retryable": True}


@_with_shard
def shard(access: Access, stream: BinaryIO, size: int) -> HttpResponseBase:
    """Take a shard; answer in lines while its files are rebuilt."""
    written = (canonical_json(line) + b"\n" for line in _lines(access, stream, size))
    return StreamingHttpResponse(written, content_type="application/x-ndjson")


@_with_shard
def old_shard(access: Access, stream: BinaryIO, size: int) -> HttpResponseBase:
    """Take a shard; answer once, as older clients want it."""
    *_, last = _lines(access, stream, size)
    if last["type"] == "result":
        return JsonResponse({"result": 1})
    return JsonResponse({"error": last["message"]}, status=503 if last["retryable"] else 400)
