"""Uploads in parts: any order, in parallel, resumable from any device.

    declare   a row; the caller learns which parts are missing, or that the content is there
    put_part  bytes to `<uploads>/<id>/<number>`, then a row: the row says that the part is here
    complete  state `joining`; small files are joined at once, large ones by a worker
    join      parts to the blob storage, hashed again whole, then the rows of blob and holding

Commit points: a part exists when its row does, a blob when its row does; each row is written after
its bytes are durable. A crash between the two costs the bytes' transfer, never a wrong row: the
client sends the part again, or the sweeper runs the join again (both are idempotent). A mismatch of
the whole ends the upload as `failed` with both digests, and nothing is stored.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import IntegrityError, transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from registry import selectors
from registry.choices import UploadState
from registry.errors import (
    ConflictError,
    DigestMismatchError,
    InvalidInputError,
    NotAllowedError,
    RegistryError,
    TooLargeError,
    UnknownUploadError,
)
from registry.models import Holding, Owner, Upload, UploadPart
from registry.services import contents
from registry.storage import TemporaryFile, blobs, read_chunks, sweep_strays

MAX_PARTS = 10_000
MAX_PART_BYTES = 64 * 2**20
JOIN_AT_ONCE_BYTES = 64 * 2**20
ABANDONED = timedelta(days=7)
JOIN_LOST = timedelta(minutes=10)
_HEX = re.compile(r"[0-9a-f]{64}")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What `declare` answers: the content is stored already (`upload` is None), or an upload."""

    sha256: str
    upload: Upload | None


def declare(
    user: AbstractBaseUser, *, size: int, sha256: str, part_size: int | None = None
) -> Declared:
    """Announce content of `size` bytes; an open upload of the same content is taken up again.

    "Stored already" is said only of content that the caller holds or may read, so that nobody can
    ask which private files exist.

    Raises:
        InvalidInputError: a size or digest that is none.
        TooLargeError: larger than a file may be, or than what is left of the owner's quota.
    """
    part = _check_declaration(size, sha256, part_size)
    if sha256 in selectors.usable(user, [sha256]):
        return Declared(sha256=sha256, upload=None)
    with transaction.atomic():
        _lock_owner(user)
        upload = Upload.objects.filter(
            user_id=user.pk, sha256=sha256, size=size, state__in=_UNFINISHED
        ).first()
        if upload is None:
            _check_quota(user, size)
            upload = Upload.objects.create(
                user_id=user.pk, sha256=sha256, size=size, part_size=part
            )
    return Declared(sha256=sha256, upload=upload)


_UNFINISHED = (UploadState.OPEN, UploadState.JOINING)
_DISCARDABLE = (UploadState.OPEN, UploadState.FAILED)


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


def _lock_owner(user: AbstractBaseUser) -> None:
    """Let two declarations of one user wait for each other: both count against one quota."""
    if not Owner.objects.select_for_update().filter(user_id=user.pk).exists():
        raise NotAllowedError("This account has no owner name and cannot upload.")


def check_room(user: AbstractBaseUser, size: int) -> None:
    """Raise TooLargeError when `size` bytes more are beyond what the user may store."""
    with transaction.atomic():
        _lock_owner(user)
        _check_quota(user, size)


def _check_quota(user: AbstractBaseUser, size: int) -> None:
    held = Holding.objects.filter(user_id=user.pk).aggregate(n=Sum("blob__size"))["n"] or 0
    coming = Upload.objects.filter(user_id=user.pk, state__in=_UNFINISHED)
    used = held + (coming.aggregate(n=Sum("size"))["n"] or 0)
    if used + size > settings.OWNER_QUOTA_BYTES:
        raise TooLargeError(
            "This would be more than your quota allows.",
            size=size,
            used=used,
            quota=settings.OWNER_QUOTA_BYTES,
            remedy="Discard uploads that are not finished: they count, see /me/uploads/.",
        )


def find(user: AbstractBaseUser, upload_id: UUID) -> Upload:
    """Return an upload of `user`; UnknownUploadError for any other."""
    upload = Upload.objects.filter(pk=upload_id, user_id=user.pk).first()
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
        transaction.on_commit(lambda: shutil.rmtree(_folder(upload), ignore_errors=True))


def part_count(upload: Upload) -> int:
    """Return how many parts the upload has; an empty file has none."""
    return -(-upload.size // upload.part_size)


def missing(upload: Upload) -> list[int]:
    """Return the numbers of the parts that have not arrived, in order."""
    if upload.state != UploadState.OPEN:
        return []
    here = set(upload.parts.values_list("number", flat=True))
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
        ConflictError: the upload takes no parts any more.
        InvalidInputError: no such part, or more or fewer bytes than it has.
        DigestMismatchError: other bytes than were announced; the detail has both digests.
        UnknownUploadError: the upload was discarded meanwhile.
    """
    size = part_size(upload, number)
    if upload.state != UploadState.OPEN:
        raise ConflictError("This upload takes no parts any more.", state=upload.state)
    with TemporaryFile(_folder(upload)) as temporary:
        found, written = hashlib.sha256(), 0
        for chunk in chunks:
            written += len(chunk)
            if written > size:
                break
            found.update(chunk)
            temporary.file.write(chunk)
        digest = found.hexdigest()
        _check_part(number, size, written, sha256 or digest, digest)
        temporary.rename(_folder(upload) / str(number))
    try:
        UploadPart.objects.update_or_create(
            upload=upload, number=number, defaults={"size": size, "sha256": digest}
        )
    except IntegrityError:  # the upload was discarded while the part came; the sweeper clears up
        raise UnknownUploadError("This upload was discarded.", id=str(upload.pk)) from None
    Upload.objects.filter(pk=upload.pk).update(touched_at=timezone.now())
    return digest


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
    """
    with transaction.atomic():
        upload = Upload.objects.select_for_update().get(pk=upload.pk)
        if upload.state == UploadState.OPEN:
            absent = missing(upload)
            if absent:
                raise ConflictError("Some parts have not arrived.", missing=absent[:1000])
            upload.state = UploadState.JOINING
            upload.save(update_fields=("state", "touched_at"))
    if upload.state == UploadState.JOINING and upload.size <= JOIN_AT_ONCE_BYTES:
        join(upload.pk)
        upload.refresh_from_db()
    return upload


def join(upload_id: UUID) -> None:
    """Make the blob of an upload whose parts are all here; twice, or two at once, does no harm."""
    upload = Upload.objects.select_related("user").filter(pk=upload_id).first()
    if upload is None or upload.state != UploadState.JOINING:
        return
    try:
        stored = blobs().put(_joined(upload), upload.sha256, size=upload.size)
    except (DigestMismatchError, InvalidInputError) as error:
        _end(upload, UploadState.FAILED, error)
        return
    except FileNotFoundError:
        # Either the other of two joins has just ended, or a part is gone: the row tells which.
        lost = ConflictError("A part was lost on our side: declare the upload again.")
        _end(upload, UploadState.FAILED, lost)
        return
    with transaction.atomic():
        contents.record(upload.user, stored)
        _end(upload, UploadState.STORED)


def _joined(upload: Upload) -> Iterator[bytes]:
    for number in range(part_count(upload)):
        with (_folder(upload) / str(number)).open("rb") as stream:
            yield from read_chunks(stream)


def _end(upload: Upload, state: UploadState, error: RegistryError | None = None) -> None:
    told = error and {"code": error.code, "message": error.message, "detail": error.detail}
    won = Upload.objects.filter(pk=upload.pk, state=UploadState.JOINING).update(
        state=state, error=told, touched_at=timezone.now()
    )
    if won:
        transaction.on_commit(lambda: shutil.rmtree(_folder(upload), ignore_errors=True))


def _folder(upload: Upload) -> Path:
    return Path(settings.UPLOADS_DIR) / str(upload.pk)


def sweep() -> list[UUID]:
    """Remove what nobody waits for; return the uploads whose join was lost, to be run again.

    Open uploads untouched for a week end; folders without an unfinished upload go, and so do
    temporary files that are older than a day.
    """
    now = timezone.now()
    Upload.objects.filter(state=UploadState.OPEN, touched_at__lt=now - ABANDONED).delete()
    kept = {str(pk) for pk in _unfinished().values_list("pk", flat=True)}
    root = Path(settings.UPLOADS_DIR)
    for folder in root.iterdir() if root.is_dir() else ():
        # A folder that a declaration made just now is found in the rows read above or is young.
        if folder.name in kept or folder.name == "tmp":
            sweep_strays(folder)
        elif now.timestamp() - folder.stat().st_mtime > 3600:
            shutil.rmtree(folder, ignore_errors=True)
    removed = blobs().sweep()
    if removed:
        log.info("removed %d temporary files of the blob storage", removed)
    lost = Upload.objects.filter(state=UploadState.JOINING, touched_at__lt=now - JOIN_LOST)
    return list(lost.values_list("pk", flat=True))


def _unfinished() -> QuerySet[Upload]:
    return Upload.objects.filter(state__in=_UNFINISHED)
