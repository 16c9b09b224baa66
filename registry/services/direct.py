"""Uploads whose parts go straight from the client to the object store, by signed addresses.

The rows are those of other uploads; `multipart` is the store's name for it. The store keeps the
parts, so no row says which are here: the store is asked. Addresses last an hour, are for one part
and one length, and lead nowhere once the upload is complete. The digest is checked by reading the
whole back (`registry.storage_s3`), as it stands in the store, before anything names it.

Commit points are those of `registry.services.joining`. A crash after `start` and before the row
leaves parts without a row in the store; `sweep` takes them after a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from registry.choices import UploadState
from registry.errors import ConflictError, InvalidInputError
from registry.models import Upload
from registry.services.quotas import UNFINISHED
from registry.storage import StoredBlob, bucket

if TYPE_CHECKING:
    from registry.storage_s3 import S3Blobs

MIN_PART_BYTES = 5 * 2**20  # the store's own limit
MAX_ADDRESSES = 1_000
LIFETIME = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where part `number` (from 0) is to be sent by `PUT`, with exactly `size` bytes."""

    number: int
    size: int
    url: str
    expires_at: datetime


def _store() -> S3Blobs:
    store = bucket()
    if store is None or not settings.BLOBS_S3_DIRECT:
        raise InvalidInputError(
            "This site takes parts itself: declare the upload without 'direct'.", field="direct"
        )
    return store


def check(size: int, part_size: int) -> None:
    """Return when an upload of this size may go straight to the store.

    Raises:
        InvalidInputError: the site keeps files in no object store, or one that is not offered; or
            the parts are smaller than the store takes; or there is nothing to send.
    """
    _store()
    if size == 0:
        raise InvalidInputError("An empty file has no parts to send.", field="size")
    if part_size < MIN_PART_BYTES and size > part_size:
        raise InvalidInputError(
            f"A part has at least {MIN_PART_BYTES} bytes, but the last.", field="part_size"
        )


def start(upload_id: UUID) -> str:
    """Begin it in the store; return the store's name for it."""
    return _store().start(str(upload_id))


def here(upload: Upload) -> set[int]:
    """Return the numbers of the parts that the store has, whole; from 0."""
    return {
        part.number - 1
        for part in _store().parts(str(upload.pk), upload.multipart)
        if part.size == _size(upload, part.number - 1)
    }


def _size(upload: Upload, number: int) -> int:
    return min(upload.part_size, upload.size - number * upload.part_size)


def addresses(upload: Upload, numbers: Sequence[int]) -> list[Address]:
    """Return where to send these parts (from 0).

    Raises:
        ConflictError: the upload takes no parts any more, or takes them here.
        InvalidInputError: it has no such part, or that are too many at a time.
    """
    if not upload.multipart:
        raise ConflictError("The parts of this upload are sent here.", id=str(upload.pk))
    if upload.state != UploadState.OPEN:
        raise ConflictError("This upload takes no parts any more.", state=upload.state)
    if not 1 <= len(numbers) <= MAX_ADDRESSES:
        raise InvalidInputError(f"Ask for 1 to {MAX_ADDRESSES} addresses.", field="parts")
    count = -(-upload.size // upload.part_size)
    found, store, ends = [], _store(), timezone.now() + LIFETIME
    for number in numbers:
        if not 0 <= number < count:
            raise InvalidInputError("The upload has no part of this number.", number=number)
        size = _size(upload, number)
        url = store.part_address(str(upload.pk), upload.multipart, number + 1, size)
        found.append(Address(number=number, size=size, url=url, expires_at=ends))
    return found


def adopt(upload: Upload) -> StoredBlob:
    """Let the store make one object of the parts, hash it, and make it a blob.

    Raises:
        DigestMismatchError: the bytes have another digest; nothing is stored.
        UnknownFileError: the parts are gone, or were changed while they were read.
        StoreAwayError: the store does not answer.
    """
    store, name = _store(), str(upload.pk)
    store.join(name, upload.multipart)
    return store.adopt(name, upload.sha256, upload.size)


def forget(upload: Upload) -> None:
    """Remove what came for an upload that has ended."""
    _store().forget(str(upload.pk), upload.multipart)


def sweep() -> int:
    """Remove from the store what came a day ago for no unfinished upload; return how many."""
    store = bucket()
    if store is None:
        return 0
    old = (timezone.now() - timedelta(days=1)).timestamp()
    rows = Upload.objects.filter(state__in=UNFINISHED).exclude(multipart="")
    kept = {str(pk) for pk in rows.values_list("pk", flat=True)}
    left = [one for one in store.walk_incoming() if one.name not in kept and one.begun_at < old]
    for one in left:
        store.forget(one.name, one.multipart)
    return len(left)
