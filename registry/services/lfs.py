"""Git LFS uploads of hub clients: the registry's own uploads behind signed, expiring addresses.

The `PUT`s carry no token, so their addresses do: an HMAC over model, user, digest, size, upload and
part, checked when the request starts. The right to write is asked again then.

Nothing is written here but by `registry.services.uploads`: its parts, its join, its commit points.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core import signing

from registry import selectors
from registry.choices import UploadState
from registry.errors import (
    ConflictError,
    DigestMismatchError,
    InvalidInputError,
    NotAllowedError,
    UnknownFileError,
    UnknownModelError,
    UnknownUploadError,
)
from registry.models import Blob, Model, Upload
from registry.rights import may_read, need_write
from registry.services import uploads

LIFETIME = timedelta(hours=24)
_SALT = "registry.lfs"
MANY = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What an address allows: part `part` of an upload; all of it in one stream for `MANY`."""

    model: int
    user: int
    oid: str
    size: int
    upload: str
    part: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Who sends, and to which upload, after every check of an address."""

    user: AbstractBaseUser
    model: Model
    upload: Upload
    allowed: Pass


def want(user: AbstractBaseUser, model: Model, oid: str, size: int) -> Upload | None:
    """Return the upload that brings this content, None when the caller may use it already.

    Raises:
        NotAllowedError: the model is somebody else's.
        InvalidInputError, TooLargeError: no digest or size, or too much.
        DigestMismatchError: the content is there, and has another size.
    """
    need_write(user, model)
    part = min(settings.LFS_PART_BYTES, uploads.MAX_PART_BYTES)
    declared = uploads.declare(user, size=size, sha256=oid, part_size=part, owner=model.owner)
    if declared.upload is None:
        _check_size(oid, size)
        return None
    if declared.upload.state != UploadState.JOINING:
        return declared.upload
    uploads.join(declared.upload.pk)
    again = uploads.declare(user, size=size, sha256=oid, part_size=part, owner=model.owner)
    return again.upload


def _check_size(oid: str, size: int) -> None:
    found = Blob.objects.get(pk=oid).size
    if found != size:
        raise InvalidInputError(f"This content has {found} bytes, not {size}.", field="size")


def sign(user: AbstractBaseUser, model: Model, upload: Upload, part: int) -> str:
    """Return the text that makes an address for `part` of `upload` (`MANY`: the whole)."""
    allowed = Pass(
        model=model.pk,
        user=user.pk,
        oid=upload.sha256,
        size=upload.size,
        upload=str(upload.pk),
        part=part,
    )
    return signing.dumps(asdict(allowed), salt=_SALT)


def check(signed: str) -> Held:
    """Return what a signed address allows.

    Raises:
        NotAllowedError: not ours, expired, or the right to write is gone.
        UnknownModelError, UnknownUploadError: the model or the upload is gone.
    """
    try:
        fields: dict[str, Any] = signing.loads(signed, salt=_SALT, max_age=LIFETIME)
        allowed = Pass(**fields)
    except (signing.BadSignature, TypeError):
        raise NotAllowedError(
            "This upload address is not ours or has expired: start the upload again."
        ) from None
    user = get_user_model().objects.filter(pk=allowed.user, is_active=True).first()
    model = Model.objects.select_related("owner").filter(pk=allowed.model).first()
    if model is None or user is None or not may_read(user, model):
        raise UnknownModelError("The model of this upload is gone.")
    need_write(user, model)
    upload = (
        Upload.objects.select_related("user", "owner")
        .filter(pk=UUID(allowed.upload), user_id=allowed.user)
        .first()
    )
    if upload is None:
        raise UnknownUploadError("This upload was discarded: start it again.")
    return Held(user=user, model=model, upload=upload, allowed=allowed)


# ------------------------------------------------------------------ bytes


def put(held: Held, chunks: Iterable[bytes], length: int) -> str:
    """Take one part, or the whole in one stream; return the hex SHA-256 of what came.

    A whole is hashed on its way and stored at once.

    Raises:
        InvalidInputError: another length than it should have.
        DigestMismatchError: other bytes than were announced; nothing is stored.
        ConflictError, UnknownUploadError: the upload takes no parts any more, or is gone.
    """
    upload, part = held.upload, held.allowed.part
    expected = upload.size if part == MANY else uploads.part_size(upload, part)
    if length != expected:
        raise InvalidInputError(
            f"This address takes {expected} bytes, and {length} came.",
            expected=expected,
            found=length,
        )
    if part != MANY:
        return uploads.put_part(upload, part, chunks)
    if upload.state in (UploadState.STORED, UploadState.JOINING):  # sent again: it is here
        finish(held)
        return upload.sha256
    uploads.put_whole(upload, chunks)
    return upload.sha256


def finish(held: Held) -> None:
    """Join the parts and check the whole; harmless when that has happened.

    Raises:
        ConflictError: parts are missing, or were lost.
        DigestMismatchError: the whole has another digest; nothing is stored.
    """
    upload = uploads.complete(held.upload)
    if upload.state == UploadState.JOINING:
        uploads.join(upload.pk)
        upload.refresh_from_db()
    if upload.state == UploadState.FAILED:
        told = upload.error or {}
        if told.get("code") == DigestMismatchError.code:
            raise DigestMismatchError(told["message"], **told["detail"])
        raise ConflictError(str(told.get("message", "The upload failed: start it again.")))


def finish_parts(held: Held, digests: dict[int, str]) -> None:
    """End a multipart upload whose parts (from 0) answered with these digests.

    Raises:
        InvalidInputError: not the parts that came; else as `finish`.
    """
    if held.upload.state == UploadState.OPEN:
        here = dict(held.upload.parts.values_list("number", "sha256"))
        if digests != here or len(here) != uploads.part_count(held.upload):
            raise InvalidInputError("These are not the parts that came, each with its ETag.")
    finish(held)


def verify(user: AbstractBaseUser, oid: str, size: int) -> None:
    """Check that the content is stored and the caller may use it.

    Raises:
        UnknownFileError: it is not there for this caller.
        InvalidInputError: it has another size.
    """
    if oid not in selectors.usable(user, [oid]):
        raise UnknownFileError("This content was not uploaded.", sha256=oid[:80])
    _check_size(oid, size)
