"""Git LFS as hub clients speak it: the batch, the transfers `basic` and `multipart`, `verify`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from registry.errors import InvalidInputError, RegistryError
from registry.hf.answers import endpoint
from registry.hf.calls import (
    Call,
    items,
    length,
    read_call,
    read_json,
    reader,
    text,
    whole,
)
from registry.models import Model, Upload
from registry.rights import need_write
from registry.services import lfs, uploads
from registry.storage import CHUNK

MEDIA_TYPE = "application/vnd.git-lfs+json"
MAX_OBJECTS = 1_000


def _answer(body: dict[str, Any]) -> JsonResponse:
    return JsonResponse(body, content_type=MEDIA_TYPE)


@endpoint("POST")
def batch(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Say of each object: it is here, or where to send it."""
    call = read_call(request)
    user = call.account(write=True)
    model = call.model(owner, name)
    need_write(user, model)
    fields = read_json(request)
    if text(fields, "operation") != "upload":
        raise InvalidInputError("Downloads go by /resolve/; 'operation' is upload.")
    if text(fields, "hash_algo", "sha256") not in ("sha256", "sha_256"):
        raise InvalidInputError("'hash_algo' is sha256.", field="hash_algo")
    transfers = fields.get("transfers") or ["basic"]
    many = isinstance(transfers, list) and "multipart" in transfers
    asked = items(fields, "objects", MAX_OBJECTS)
    split = many and any(_is_large(item) for item in asked)
    told = [_object(call, model, item, many=many) for item in asked]
    return _answer({"transfer": "multipart" if split else "basic", "objects": told})


def _is_large(item: dict[str, Any]) -> bool:
    size = item.get("size")
    return isinstance(size, int) and size > settings.LFS_PART_BYTES


def _object(call: Call, model: Model, item: dict[str, Any], *, many: bool) -> dict[str, Any]:
    oid, size = text(item, "oid"), whole(item, "size")
    told: dict[str, Any] = {"oid": oid, "size": size}
    user = call.account(write=True)
    try:
        upload = lfs.want(user, model, oid, size)
    except RegistryError as error:
        return {**told, "error": {"code": error.status, "message": error.message}}
    if upload is None:
        return told
    verify = f"{call.base}/{model.full_name}.git/info/lfs/objects/verify"
    actions = {"upload": _action(call, model, upload, many=many), "verify": {"href": verify}}
    return {**told, "authenticated": True, "actions": actions}


def _action(call: Call, model: Model, upload: Upload, *, many: bool) -> dict[str, Any]:
    user = call.account(write=True)

    def href(kind: str, part: int) -> str:
        signed = quote(lfs.sign(user, model, upload, part), safe="")
        return f"{call.base}/lfs/{kind}?pass={signed}"

    count = uploads.part_count(upload)
    if count <= 1 or not many:
        return {"href": href("whole", lfs.MANY)}
    header = {"chunk_size": str(upload.part_size)}
    header |= {str(number + 1): href("part", number) for number in range(count)}
    return {"href": href("complete", lfs.MANY), "header": header}


def _body(request: HttpRequest) -> Iterator[bytes]:
    read = reader(request)
    while chunk := read(CHUNK):
        yield chunk


@endpoint("PUT")
def put(request: HttpRequest) -> HttpResponse:
    """Take a part, or a whole, at a signed address; the ETag is the SHA-256 of what came."""
    held = lfs.check(request.GET.get("pass", ""))
    digest = lfs.put(held, _body(request), length(request))
    return HttpResponse(headers={"ETag": f'"{digest}"'})


@endpoint("POST")
def complete(request: HttpRequest) -> HttpResponse:
    """End a multipart upload: every part with the ETag that it was answered with."""
    held = lfs.check(request.GET.get("pass", ""))
    fields = read_json(request)
    digests = {
        whole(item, "partNumber") - 1: text(item, "etag").strip('"')
        for item in items(fields, "parts", uploads.MAX_PARTS)
    }
    if text(fields, "oid", held.upload.sha256) != held.upload.sha256:
        raise InvalidInputError("'oid' is another upload's.", field="oid")
    lfs.finish_parts(held, digests)
    return _answer({"oid": held.upload.sha256, "size": held.upload.size})


@endpoint("POST")
def verify(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Say whether an object is stored."""
    call = read_call(request)
    user = call.account(write=True)
    need_write(user, call.model(owner, name))
    fields = read_json(request)
    lfs.verify(user, text(fields, "oid"), whole(fields, "size"))
    return _answer({"message": "stored"})
