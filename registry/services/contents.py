"""Who may use which content: a digest alone is not a right to the bytes."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from registry.models import Blob, Holding
from registry.storage import Source, StoredBlob, blobs


def record(user: AbstractBaseUser, stored: StoredBlob) -> Blob:
    """Write the row of a blob that is durably stored, and that `user` holds it."""
    with transaction.atomic():
        blob, _ = Blob.objects.get_or_create(
            sha256=stored.sha256, defaults={"size": stored.size, "git_sha1": stored.git_sha1}
        )
        Holding.objects.get_or_create(user_id=user.pk, blob=blob)
    return blob


def store(user: AbstractBaseUser, source: Source) -> Blob:
    """Store content that the server itself made for `user`, such as an edited card.

    Order of writes: the blob is durable before its row is written (see `registry.storage`).
    """
    return record(user, blobs().put(source))


def read_small(sha256: str, limit: int) -> bytes:
    """Return the first `limit` bytes of a blob."""
    with blobs().open(sha256) as stream:
        return stream.read(limit)


def by_digest(digests: Iterable[str]) -> dict[str, Blob]:
    """Return the blobs that exist, by digest."""
    return Blob.objects.in_bulk(list(digests))
