"""`/api/v1/uploads`: declare, send parts, complete."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from uuid import UUID

from django.db import transaction
from django.http import UnreadablePostError
from rest_framework.request import Request
from rest_framework.response import Response

from registry import tasks
from registry.api import shapes
from registry.api.base import AccountView, account, content_digest, content_length, read
from registry.api.serializers import UploadIn
from registry.choices import UploadState
from registry.errors import InvalidInputError
from registry.services import uploads
from registry.storage import CHUNK


class Uploads(AccountView):
    """Declare content."""

    def post(self, request: Request) -> Response:
        declared = uploads.declare(account(request), **read(UploadIn, request))
        if declared.upload is None:
            return Response({"state": UploadState.STORED, "sha256": declared.sha256})
        return Response(shapes.upload(declared.upload), status=201)


class Upload(AccountView):
    """What is missing, and how it ended; or discard it."""

    def get(self, request: Request, upload_id: UUID) -> Response:
        return Response(shapes.upload(uploads.find(account(request), upload_id)))

    def delete(self, request: Request, upload_id: UUID) -> Response:
        uploads.discard(account(request), upload_id)
        return Response(status=204)


class Part(AccountView):
    """Take one part: raw bytes with Content-Length and Content-Digest."""

    def put(self, request: Request, upload_id: UUID, number: int) -> Response:
        length, sha256 = content_length(request), content_digest(request)
        upload = uploads.find(account(request), upload_id)
        size = uploads.part_size(upload, number)
        if length != size:
            raise InvalidInputError(
                f"Part {number} has {size} bytes.", number=number, expected=size, found=length
            )
        uploads.put_part(upload, number, _body(request), sha256)
        return Response({"number": number, "received": True})


def _body(request: Request) -> Iterator[bytes]:
    """Yield the raw body as it arrives; it is never whole in memory and DRF parses none of it."""
    try:
        while chunk := request.read(CHUNK):
            yield chunk
    except UnreadablePostError as error:
        raise InvalidInputError("The connection ended inside the part: send it again.") from error


class Completion(AccountView):
    """Close an upload whose parts are all here."""

    def post(self, request: Request, upload_id: UUID) -> Response:
        upload = uploads.complete(uploads.find(account(request), upload_id))
        if upload.state == UploadState.JOINING:
            transaction.on_commit(partial(tasks.announce, upload.pk))
        return Response(shapes.upload(upload), status=202)
