"""Uploads: in parts, in any order, in parallel, resumable from any device; or whole in one stream.

    declare    a row; the caller learns which parts are missing, or that the content is there
    put_part   bytes to `<uploads>/<id>/<number>`, then a row: the row says that the part is here
    complete   state `joining`; small files are joined at once, large ones by a worker
    join       parts to the blob storage, hashed again whole, then the rows (`registry.services.
               joining`)
    put_whole  all at once to the blob storage, hashed while it comes; then the rows

Commit points: a part exists when its row does, a blob when its row does. A blob's row is written
after its bytes are durable; a part's after they are where every process sees them. A crash between
the two costs the bytes' transfer, never a wrong row: the client sends the part again, or the
sweeper runs the join again (both are idempotent). Parts are not synced to the disk, for most are
joined before they would get there: what is lost with the machine is noticed by the join, which
reads and hashes every byte. A mismatch of the whole ends the upload as `failed` with both digests,
and nothing is stored.

A part takes its place while nobody may complete the upload, and only while it is open: what was
complete is never changed under the eyes of whoever joins it.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import connection, transaction
from django.utils import timezone

from registry import selectors
from registry.choices import UploadState
from registry.errors import (
    ConflictError,
    DigestMismatchError,
    InvalidInputError,
    TooLargeError,
    UnknownUploadError,
)
from registry.hashing import Hashing
from registry.models import Owner, Upload, UploadPart
from registry.services import contents, direct, quotas
from registry.services.joining import clear, folder_of, join, part_count, sweep
from registry.services.locks import hold_account
from registry.storage import TemporaryFile, blobs

__all__ = [
    "check_room",
    "complete",
    "declare",
    "discard",
    "find",
    "join",
    "missing",
    "part_count",
    "part_size",
    "put_part",
    "put_whole",
    "sweep",
]
MAX_PARTS = 10_000
MAX_PART_BYTES = 64 * 2**20
JOIN_AT_ONCE_BYTES = 64 * 2**20
_HEX = re.compile(r"[0-9a-f]{64}")
_DISCARDABLE = (UploadState.OPEN, UploadState.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What `declare` answers: the content is stored already (`upload` is None), or an upload."""

    sha256: str
    upload: Upload | None


# ------------------------------------------------------------------ declare, find, discard


def declare(
    user: AbstractBaseUser,
    *,
    size: int,
    sha256: str,
    part_size: int | None = None,
    owner: Owner | None = None,
    straight: bool = False,
) -> Declared:
    """Announce content of `size` bytes; an open upload of the same content is taken up again.

    It counts against the quota of `owner`, by default of the person; the caller has seen to it that
    they may write there. `straight`: the parts are sent to the object store, where there is one.

    "Stored already" is said only of content that the caller holds or may read, so that nobody can
    ask which private files exist.

    Raises:
        InvalidInputError: a size or digest that is none, or nowhere to send it straight.
        TooLargeError, TooManyError: larger than a file may be, or beyond the owner's quota.
    """
    part = _check_declaration(size, sha256, part_size)
    if sha256 in selectors.usable(user, [sha256]):
        contents.touch(user, sha256)
        return Declared(sha256=sha256, upload=None)
    account = quotas.own_owner(user) if owner is None else owner
    if straight:
        direct.check(size, part)
    with transaction.atomic():
        hold_account(account.pk)
        upload = _begun(user, account, sha256, size, straight=straight)
        if upload is None:
            quotas.need_upload(account, size)
            new = uuid.uuid4()
            upload = Upload.objects.create(
                id=new,
                user_id=user.pk,
                owner=account,
                sha256=sha256,
                size=size,
                part_size=part,
                multipart=direct.start(new) if straight else "",
            )
    return Declared(sha256=sha256, upload=upload)


def _begun(
    user: AbstractBaseUser, account: Owner, sha256: str, size: int, *, straight: bool
) -> Upload | None:
    """Return the upload of the same content that the caller began and did not end, or None."""
    rows = Upload.objects.filter(
        user_id=user.pk, owner=account, sha256=sha256, size=size, state__in=quotas.UNFINISHED
    )
    return (rows.exclude(multipart="") if straight else rows.filter(multipart="")).first()


def _check_declaration(size: int, sha256: str, part_size: int | None) -> int:
    if _HEX.fullmatch(sha256) is None:
        raise InvalidInputError("A SHA-256 is 64 lower-case hex digits.", field="sha256")
    if size < 0:
        raise InvalidInputError("A size is not negative.", field="size")
    if size > settings.UPLOAD_MAX_BYTES:
        raise TooLargeError(
            "A file may not be that large.", size=size, limit=settings.UPLOAD_MAX_BYTES
        )
    part = settings.UPLOAD_PART_BYTES if part_size is None else part_size
    if part_size is None:  # a default that suits every size
        part = max(part, -(-size // MAX_PARTS))
    if not 1 <= part <= MAX_PART_BYTES or -(-size // part) > MAX_PARTS:
        raise InvalidInputError(
            f"A part has 1 to {MAX_PART_BYTES} bytes, and an upload at most {MAX_PARTS} parts.",
            field="part_size",
        )
    return part


def check_room(user: AbstractBaseUser, size: int) -> None:
    """Raise TooLargeError when `size` bytes more are beyond what the user may store."""
    quotas.check_room(quotas.own_owner(user), size)


def find(user: AbstractBaseUser, upload_id: UUID) -> Upload:
    """Return an upload of `user`; UnknownUploadError for any other."""
    upload = (
        Upload.objects.select_related("user", "owner").filter(pk=upload_id, user_id=user.pk).first()
    )
    if upload is None:
        raise UnknownUploadError("You have no such upload.", id=str(upload_id))
    return upload


def discard(user: AbstractBaseUser, upload_id: UUID) -> None:
    """Forget an upload that is not stored, and its parts: it counts against the quota no more.

    Raises:
        UnknownUploadError: the caller has no such upload.
        ConflictError: its parts are being joined, or the content is stored.
    """
    with transaction.atomic():
        upload = find(user, upload_id)
        gone, _ = Upload.objects.filter(pk=upload.pk, state__in=_DISCARDABLE).delete()
        if not gone:
            raise ConflictError("This upload cannot be discarded any more.", state=upload.state)
        transaction.on_commit(lambda: clear(upload))


# ------------------------------------------------------------------ parts


def missing(upload: Upload) -> list[int]:
    """Return the numbers of the parts that have not arrived, in order."""
    if upload.state != UploadState.OPEN:
        return []
    here = (
        direct.here(upload)
        if upload.multipart
        else set(upload.parts.values_list("number", flat=True))
    )
    return [number for number in range(part_count(upload)) if number not in here]


def part_size(upload: Upload, number: int) -> int:
    """Return how many bytes part `number` has; the last one may be shorter.

    Raises:
        InvalidInputError: the upload has no such part.
    """
    if not 0 <= number < part_count(upload):
        raise InvalidInputError("The upload has no part of this number.", number=number)
    return min(upload.part_size, upload.size - number * upload.part_size)


def put_part(
    upload: Upload, number: int, chunks: Iterable[bytes], sha256: str | None = None
) -> str:
    """Take part `number`; return its SHA-256 (hex), which is to be `sha256` where that is given.

    The same part again is welcome. A part without an announced digest is checked with the whole.

    Raises:
        ConflictError: the upload takes no parts any more, or they go straight to the store.
        InvalidInputError: no such part, or more or fewer bytes than it has.
        DigestMismatchError: other bytes than were announced; the detail has both digests.
        UnknownUploadError: the upload was discarded meanwhile.
    """
    size = part_size(upload, number)
    _check_open(upload.state)
    _check_not_straight(upload)
    with TemporaryFile(folder_of(upload)) as temporary:
        found, written = hashlib.sha256(), 0
        with Hashing(found) as hashing:
            for chunk in chunks:
                written += len(chunk)
                if written > size:
                    break
                hashing.update(chunk)
                temporary.file.write(chunk)
        digest = found.hexdigest()
        _check_part(number, size, written, sha256 or digest, digest)
        with transaction.atomic():
            _check_open(_held_state(upload))
            temporary.rename(folder_of(upload) / str(number), durable=False)
            UploadPart.objects.update_or_create(
                upload=upload, number=number, defaults={"size": size, "sha256": digest}
            )
    Upload.objects.filter(pk=upload.pk).update(touched_at=timezone.now())
    return digest


def _held_state(upload: Upload) -> str:
    """Return the state, which stays so until the transaction ends; other parts need not wait."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT state FROM registry_upload WHERE id = %s FOR SHARE", [upload.pk])
        row = cursor.fetchone()
    if row is None:
        raise UnknownUploadError("This upload was discarded.", id=str(upload.pk))
    return str(row[0])


def _check_open(state: str) -> None:
    if state != UploadState.OPEN:
        raise ConflictError("This upload takes no parts any more.", state=state)


def _check_not_straight(upload: Upload) -> None:
    if upload.multipart:
        raise ConflictError(
            "The parts of this upload go straight to the store: ask for their addresses.",
            id=str(upload.pk),
        )


def _check_part(number: int, size: int, written: int, sha256: str, found: str) -> None:
    if written != size:
        what = "more" if written > size else "fewer"
        raise InvalidInputError(
            f"Part {number} came with {what} bytes than it has.",
            number=number,
            expected=size,
            found=written,
        )
    if found != sha256:
        raise DigestMismatchError(
            f"Part {number} arrived with other bytes than were announced.",
            number=number,
            expected=sha256,
            found=found,
        )


def complete(upload: Upload) -> Upload:
    """Close the upload; files up to 64 MiB are joined now, larger ones wait for `join`.

    Repeating the call is harmless.

    Raises:
        ConflictError: parts are missing; the detail lists them.
        UnknownUploadError: the upload was discarded meanwhile.
    """
    with transaction.atomic():
        rows = Upload.objects.select_for_update(of=("self",)).select_related("user", "owner")
        found = rows.filter(pk=upload.pk).first()
        if found is None:
            raise UnknownUploadError("This upload was discarded.", id=str(upload.pk))
        if found.state == UploadState.OPEN:
            absent = missing(found)
            if absent:
                raise ConflictError("Some parts have not arrived.", missing=absent[:1000])
            found.state = UploadState.JOINING
            found.save(update_fields=("state", "touched_at"))
    if found.state == UploadState.JOINING and found.size <= JOIN_AT_ONCE_BYTES:
        join(found.pk)
        found.refresh_from_db()
    return found


# ------------------------------------------------------------------ whole


def put_whole(upload: Upload, chunks: Iterable[bytes]) -> Upload:
    """Take all bytes in one stream: they are hashed once, on their way to the blob storage.

    What is not whole, or has another digest, leaves nothing, and the upload stays open: send the
    bytes again, or in parts.

    Raises:
        ConflictError: the upload takes nothing any more, or goes straight to the store.
        InvalidInputError: more or fewer bytes than were declared.
        DigestMismatchError: other bytes than were declared; the detail has both digests.
        UnknownUploadError: the upload was discarded meanwhile.
    """
    _check_open(upload.state)
    _check_not_straight(upload)
    stored = blobs().put(chunks, upload.sha256, size=upload.size)
    with transaction.atomic():
        found = Upload.objects.select_for_update().filter(pk=upload.pk).first()
        if found is None:
            raise UnknownUploadError("This upload was discarded.", id=str(upload.pk))
        if found.state == UploadState.FAILED:
            _check_open(found.state)
        if found.state != UploadState.STORED:
            found.state = UploadState.STORED
            found.save(update_fields=("state", "touched_at"))
            contents.record(upload.user, stored, owner=upload.owner, reserved=True)
            transaction.on_commit(lambda: shutil.rmtree(folder_of(upload), ignore_errors=True))
    return found
