"""`/api/v1/uploads`: declare, send parts or the whole, complete."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from uuid import UUID

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.http import UnreadablePostError
from rest_framework.request import Request
from rest_framework.response import Response

from registry import selectors, tasks
from registry.api import shapes
from registry.api.base import AccountView, account, content_digest, content_length, read
from registry.api.paging import page_rows
from registry.api.serializers import PartsIn, UploadIn
from registry.choices import UploadState
from registry.errors import InvalidInputError
from registry.models import Owner, Upload as UploadRow
from registry.rights import need_write
from registry.services import direct, uploads
from registry.storage import CHUNK


class Uploads(AccountView):
    """The caller's uploads that are not stored yet, or a new one."""

    def get(self, request: Request) -> Response:
        """List them, the newest first."""
        rows = UploadRow.objects.filter(user_id=account(request).pk)
        rows = rows.exclude(state=UploadState.STORED).select_related("user", "owner")
        return page_rows(request, rows, ("-created_at", "id"), shapes.upload)

    def post(self, request: Request) -> Response:
        body, user = read(UploadIn, request), account(request)
        name, straight = body.pop("model"), body.pop("direct")
        declared = uploads.declare(user, owner=_payer(user, name), straight=straight, **body)
        if declared.upload is None:
            return Response({"state": UploadState.STORED, "sha256": declared.sha256})
        return Response(shapes.upload(declared.upload), status=201)


def _payer(user: AbstractBaseUser, name: str | None) -> Owner | None:
    """Return whose quota the content of a model counts against; None: the caller's own."""
    if name is None:
        return None
    model = selectors.find_model(name, user)
    need_write(user, model)
    return model.owner


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


class Content(AccountView):
    """Take the whole in one stream: raw bytes with Content-Length."""

    def put(self, request: Request, upload_id: UUID) -> Response:
        length = content_length(request)
        upload = uploads.find(account(request), upload_id)
        if length != upload.size:
            raise InvalidInputError(
                f"The content has {upload.size} bytes.", expected=upload.size, found=length
            )
        return Response(shapes.upload(uploads.put_whole(upload, _body(request))))


class Addresses(AccountView):
    """Say where parts are sent that go straight to the object store."""

    def post(self, request: Request, upload_id: UUID) -> Response:
        upload = uploads.find(account(request), upload_id)
        found = direct.addresses(upload, read(PartsIn, request)["parts"])
        return Response({"addresses": [shapes.address(one) for one in found]})


class Completion(AccountView):
    """Close an upload whose parts are all here."""

    def post(self, request: Request, upload_id: UUID) -> Response:
        upload = uploads.complete(uploads.find(account(request), upload_id))
        if upload.state == UploadState.JOINING:
            transaction.on_commit(partial(tasks.announce, upload.pk))
        return Response(shapes.upload(upload), status=202)
