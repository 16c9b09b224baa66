"""The end of an upload: its parts become one blob, or it fails and says why; and what is left over.

Commit point: one transaction ends the upload and writes the rows of its blob, after the bytes are
durable and had the declared digest. A crash before it leaves an upload that waits to be joined:
the sweeper finds it, and the join begins anew. Two joins at once do the same twice, and the second
changes nothing.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from registry.choices import UploadState
from registry.errors import (
    ConflictError,
    DigestMismatchError,
    InvalidInputError,
    RegistryError,
    UnknownFileError,
)
from registry.models import Upload
from registry.services import contents, direct
from registry.services.quotas import UNFINISHED
from registry.storage import StoredBlob, blobs, read_chunks, sweep_strays

ABANDONED = timedelta(days=7)
JOIN_LOST = timedelta(minutes=10)
TRIES = 3
_LOST = ConflictError("A part was lost on our side: declare the upload again.")
log = logging.getLogger(__name__)


def part_count(upload: Upload) -> int:
    """Return how many parts the upload has; an empty file has none."""
    return -(-upload.size // upload.part_size)


def folder_of(upload: Upload) -> Path:
    """Return where the parts of an upload wait."""
    return Path(settings.UPLOADS_DIR) / str(upload.pk)


def join(upload_id: UUID) -> None:
    """Make the blob of an upload whose parts are all here; twice, or two at once, does no harm.

    Raises:
        StoreAwayError: the object store does not answer; the upload waits on.
    """
    for _ in range(TRIES):
        upload = Upload.objects.select_related("user", "owner").filter(pk=upload_id).first()
        if upload is None or upload.state != UploadState.JOINING or _joined(upload):
            return
    log.warning("upload %s: its content is taken away each time it is stored", upload_id)


def _joined(upload: Upload) -> bool:
    """Store what came and end the upload; False: it is to be done again."""
    try:
        stored = _store(upload)
    except (DigestMismatchError, InvalidInputError) as error:
        _fail(upload, _LOST if _has_lost(upload) else error)
        return True
    except (FileNotFoundError, UnknownFileError):
        # Either the other of two joins has just ended, or a part is gone: the row tells which.
        _fail(upload, _LOST)
        return True
    try:
        with transaction.atomic():
            if _end(upload, UploadState.STORED):
                contents.record(upload.user, stored, owner=upload.owner, reserved=True)
    except ConflictError:  # collected between the two: the parts are still here
        return False
    return True


def _store(upload: Upload) -> StoredBlob:
    if upload.multipart:
        return direct.adopt(upload)
    return blobs().put(_chunks(upload), upload.sha256, size=upload.size)


def _chunks(upload: Upload) -> Iterator[bytes]:
    for number in range(part_count(upload)):
        with (folder_of(upload) / str(number)).open("rb") as stream:
            yield from read_chunks(stream)


def _has_lost(upload: Upload) -> bool:
    """Tell whether a part is not any more what it was when it came."""
    if upload.multipart:
        return False
    for part in upload.parts.all():
        with (folder_of(upload) / str(part.number)).open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != part.sha256:
                return True
    return False


def _fail(upload: Upload, error: RegistryError) -> None:
    with transaction.atomic():
        _end(upload, UploadState.FAILED, error)


def _end(upload: Upload, state: UploadState, error: RegistryError | None = None) -> bool:
    """End the upload; False when another has ended it."""
    told = error and {"code": error.code, "message": error.message, "detail": error.detail}
    won = Upload.objects.filter(pk=upload.pk, state=UploadState.JOINING).update(
        state=state, error=told, touched_at=timezone.now()
    )
    if won:
        transaction.on_commit(lambda: clear(upload))
    return won > 0


def clear(upload: Upload) -> None:
    """Remove the parts of an upload that has ended."""
    shutil.rmtree(folder_of(upload), ignore_errors=True)
    if upload.multipart:
        direct.forget(upload)


def sweep() -> list[UUID]:
    """Remove what nobody waits for; return the uploads whose join was lost, to be run again.

    Open uploads untouched for a week end; folders without an unfinished upload go, and so do
    temporary files that are older than a day, and what lies in the object store for no upload.
    """
    now = timezone.now()
    Upload.objects.filter(state=UploadState.OPEN, touched_at__lt=now - ABANDONED).delete()
    kept = {str(pk) for pk in _unfinished()}
    root = Path(settings.UPLOADS_DIR)
    for folder in root.iterdir() if root.is_dir() else ():
        # A folder that a declaration made just now is found in the rows read above or is young.
        if folder.name in kept or folder.name == "tmp":
            sweep_strays(folder)
        elif now.timestamp() - folder.stat().st_mtime > 3600:
            shutil.rmtree(folder, ignore_errors=True)
    direct.sweep()
    removed = blobs().sweep()
    if removed:
        log.info("removed %d temporary files of the blob storage", removed)
    lost = Upload.objects.filter(state=UploadState.JOINING, touched_at__lt=now - JOIN_LOST)
    return list(lost.values_list("pk", flat=True))


def _unfinished() -> list[UUID]:
    return list(Upload.objects.filter(state__in=UNFINISHED).values_list("pk", flat=True))
