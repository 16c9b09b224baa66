"""Garbage collection: content that nothing names goes, after a grace, and never under an upload.

What names a content: any row with a foreign key to it, whichever table that is; but three kinds are
weak. A holding (somebody brought it) and a charge (somebody pays for it) are as good as none once
nobody has touched them for the grace. A place in a Xet piece goes with the content, and the piece
with it: its model's epoch is raised, so that clients which remember the piece send it again.

For each content, in this order:

    1. look      nothing names it, and it is older than the grace
    2. forget    under the content's lock, with its row locked: look again, delete the rows
                 COMMIT POINT: from here on it is not stored
    3. aside     under the content's lock: no row names the bytes; they are moved to `aside/`
    4. drop      after that transaction has ended well they are removed; else they are put back

Whoever stores the same content anew writes its row under the same lock, and only while the bytes
are there (`contents.record`); whoever names it holds its row till the end of the transaction
(`contents.keep`). So each of them comes before step 2, and is seen there, or after step 4, and is
told to send the content again; or finds it stored anew.

A crash after 2 leaves bytes without a row, after 3 bytes in `aside/`. The next run takes both up:
bytes without a row go after the grace, and what lies aside is put back if a row names it.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import Error, transaction
from django.db.models import Exists, F, ForeignObjectRel, OuterRef, QuerySet
from django.utils import timezone

from registry.models import Blob, Charge, Holding, RevisionFile, XetSpace, Xorb, XorbRange
from registry.services.locks import hold_blob
from registry.storage import blobs

BATCH = 500
log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Collected:
    """What one run took away, or would have: contents, their bytes, the rest by kind."""

    blobs: int = 0
    bytes: int = 0
    charges: int = 0
    strays: int = 0
    put_back: int = 0


def reached(step: str) -> None:
    """Do nothing: tests stop here, at `look`, `forget`, `forgotten`, `aside`, `drop`."""


def collect(*, dry_run: bool = False, grace: timedelta | None = None) -> Collected:
    """Take away what nothing names; several runs at once do no harm. Return what went.

    `dry_run`: only count. `grace`: instead of COLLECT_GRACE_HOURS.
    """
    kept = timedelta(hours=settings.COLLECT_GRACE_HOURS) if grace is None else grace
    before = timezone.now() - kept
    done = Collected()
    if not dry_run:
        _mend(done)
    _drop_charges(before, done, dry_run=dry_run)
    for blob in _unnamed(before):
        reached("look")
        if dry_run or _forget(blob.pk, before):
            done.blobs += 1
            done.bytes += blob.size
            if not dry_run:
                reached("forgotten")
                _remove(blob.pk)
    for sha256 in _rowless(before):
        done.strays += 1
        if not dry_run:
            _remove(sha256)
    if done.blobs or done.strays:
        log.info(
            "collected %d contents of %d bytes, %d strays", done.blobs, done.bytes, done.strays
        )
    return done


# ------------------------------------------------------------------ 1: look


def _unnamed(before: datetime) -> Iterator[Blob]:
    """Yield the contents that nothing names, by digest, a batch at a time."""
    after = ""
    while batch := list(_candidates(before).filter(pk__gt=after).order_by("pk")[:BATCH]):
        yield from batch
        after = batch[-1].pk


def _candidates(before: datetime) -> QuerySet[Blob]:
    rows = Blob.objects.filter(created_at__lt=before)
    for relation in _relations():
        model, field = relation.related_model, relation.field.name
        naming: QuerySet[Any] = QuerySet(model).filter(**{field: OuterRef("pk")})
        if model in (Holding, Charge):
            naming = naming.filter(touched_at__gte=before)
        if model is not XorbRange:
            rows = rows.filter(~Exists(naming))
    return rows


def _relations() -> list[ForeignObjectRel]:
    """Return every foreign key to a content: a table that comes later counts by itself."""
    fields = Blob._meta.get_fields(include_hidden=True)  # noqa: SLF001 (Django's way to ask a model)
    return [field for field in fields if isinstance(field, ForeignObjectRel)]


def _drop_charges(before: datetime, done: Collected, *, dry_run: bool) -> None:
    """Take contents off the accounts of owners none of whose models names them any more."""
    named = RevisionFile.objects.filter(
        blob_id=OuterRef("blob_id"), revision__model__owner_id=OuterRef("owner_id")
    )
    rows = Charge.objects.filter(~Exists(named), touched_at__lt=before)
    if dry_run:
        done.charges = rows.count()
        return
    # A commit that names one touches it first: whoever waits for that row then leaves it alone.
    done.charges, _ = rows.delete()


# ------------------------------------------------------------------ 2: forget


def _forget(sha256: str, before: datetime) -> bool:
    """Delete the rows of a content; False when something names it after all."""
    with transaction.atomic():
        hold_blob(sha256)
        reached("forget")
        # Waits for whoever keeps the row, and then sees what they wrote.
        if not Blob.objects.select_for_update().filter(pk=sha256).exists():
            return False
        blob = _candidates(before).filter(pk=sha256).first()
        if blob is None:
            return False
        _forget_pieces(blob)
        blob.delete()
    return True


def _forget_pieces(blob: Blob) -> None:
    """Forget the Xet pieces that are found in a content, and let clients send them again."""
    pieces = Xorb.objects.filter(ranges__blob=blob, spool="").distinct()
    spaces = set(pieces.values_list("space_id", flat=True))
    Xorb.objects.filter(pk__in=list(pieces.values_list("pk", flat=True))).delete()
    XetSpace.objects.filter(pk__in=spaces).update(epoch=F("epoch") + 1)


# ------------------------------------------------------------------ 3 and 4: bytes


def _remove(sha256: str) -> None:
    """Remove bytes that no row names; nothing happens where one does."""
    store = blobs()
    try:
        with transaction.atomic():
            hold_blob(sha256)
            if Blob.objects.filter(pk=sha256).exists():
                return
            store.set_aside(sha256)
            reached("aside")
    except Error:  # the lock may have been lost with the connection
        store.put_back(sha256)
        raise
    reached("drop")
    store.drop_aside(sha256)


def _mend(done: Collected) -> None:
    """Finish what a run before this one left aside."""
    store = blobs()
    for sha256 in list(store.walk_aside()):
        with transaction.atomic():
            hold_blob(sha256)
            if Blob.objects.filter(pk=sha256).exists():
                store.put_back(sha256)
                done.put_back += 1
            else:
                store.drop_aside(sha256)


def _rowless(before: datetime) -> Iterator[str]:
    """Yield the digests of bytes that no row names and that are older than the grace."""
    old = (one.sha256 for one in blobs().walk() if one.written_at < before.timestamp())
    while batch := list(itertools.islice(old, BATCH)):
        known = set(Blob.objects.filter(pk__in=batch).values_list("pk", flat=True))
        yield from (sha256 for sha256 in batch if sha256 not in known)
