"""Who may use which content: a digest alone is not a right to the bytes.

A row of `Blob` says that the bytes are stored. It is written, and taken away, by whoever holds the
content's lock (`registry.services.locks`), and written only when the bytes are there at that
moment: the collector takes bytes away under the same lock. Commit point: the transaction of the
row. A crash before it leaves bytes without a row, which the collector takes away after the grace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import BinaryIO

from django.contrib.auth.models import AbstractBaseUser
from django.db import connection, transaction
from django.utils import timezone

from registry.errors import ConflictError
from registry.models import Blob, Holding, Owner
from registry.services import quotas
from registry.services.locks import hold_blob
from registry.storage import Source, StoredBlob, blobs


def record(
    user: AbstractBaseUser,
    stored: StoredBlob,
    *,
    owner: Owner | None = None,
    reserved: bool = False,
) -> Blob:
    """Write the row of a blob that is durably stored, that `user` holds it, and who is charged.

    That is `owner`, by default the person; `reserved` as in `quotas.charge`.

    Raises:
        ConflictError: the bytes were collected since they were stored: store them again.
        TooLargeError: beyond the owner's quota.
        NotAllowedError: the account has no owner name.
    """
    account = quotas.own_owner(user) if owner is None else owner
    with transaction.atomic():
        hold_blob(stored.sha256)
        if not blobs().exists(stored.sha256):
            raise ConflictError(
                "This content was taken away before anything named it: send it again.",
                sha256=stored.sha256,
            )
        blob, _ = Blob.objects.get_or_create(
            sha256=stored.sha256, defaults={"size": stored.size, "git_sha1": stored.git_sha1}
        )
        Holding.objects.update_or_create(user_id=user.pk, blob=blob)
        quotas.charge(account, [blob], reserved=reserved)
    return blob


def store(user: AbstractBaseUser, source: Source, *, owner: Owner | None = None) -> Blob:
    """Store content that the server itself made for `user`, such as an edited card.

    Order of writes: the blob is durable before its row is written (see `registry.storage`).

    Raises:
        As `record`.
    """
    return record(user, blobs().put(source), owner=owner)


def touch(user: AbstractBaseUser, digest: str) -> None:
    """Note that `user` was told of this content just now: the collector's grace begins anew."""
    now = timezone.now()
    Holding.objects.filter(user_id=user.pk, blob_id=digest).update(touched_at=now)


def keep(digests: Iterable[str]) -> set[str]:
    """Keep the rows of these contents as they are until the transaction ends; return those found.

    Whoever writes a row that names a content calls this before: the collector waits for the end of
    the transaction, and then sees what names it.
    """
    wanted = sorted(set(digests))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sha256 FROM registry_blob WHERE sha256 = ANY(%s) ORDER BY sha256 FOR KEY SHARE",
            [wanted],
        )
        return {sha256 for (sha256,) in cursor.fetchall()}


def read_small(sha256: str, limit: int) -> bytes:
    """Return the first `limit` bytes of a blob."""
    with blobs().open(sha256) as stream:
        return stream.read(limit)


def opened(sha256: str) -> BinaryIO:
    """Return a seekable stream of a blob, which the caller closes."""
    return blobs().open(sha256)


def by_digest(digests: Iterable[str]) -> dict[str, Blob]:
    """Return the blobs that exist, by digest."""
    return Blob.objects.in_bulk(list(digests))


def note_kinds(kinds: Mapping[str, str]) -> None:
    """Write down what contents were taken for when they were looked at: digest to kind."""
    for kind in set(kinds.values()):
        found = [digest for digest, its in kinds.items() if its == kind]
        Blob.objects.filter(pk__in=found).exclude(kind=kind).update(kind=kind)
