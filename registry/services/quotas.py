"""What an owner may have: bytes stored, models, uploads at a time. Organisations have their own.

An owner is charged for a content once, from its upload or its first commit on, whoever brought it
and whoever else has it too. What an open upload announced counts already.

Every check is made in the transaction that adds what it allows, while nobody else adds to the same
owner (`locks.hold_account`): two uploads at once never pass a quota together. Commit point: that
transaction; a crash before it has added nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Count, QuerySet, Sum
from django.utils import timezone

from registry.choices import UploadState
from registry.errors import NotAllowedError, TooLargeError, TooManyError
from registry.models import Blob, Charge, Model, Owner, Quota, Upload
from registry.services.locks import hold_account

UNFINISHED = (UploadState.OPEN, UploadState.JOINING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an owner may have."""

    bytes: int
    models: int
    uploads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What an owner has: bytes stored, bytes announced by open uploads, models, open uploads."""

    stored: int
    coming: int
    models: int
    uploads: int

    @property
    def bytes(self) -> int:
        """Return what counts against the quota of bytes."""
        return self.stored + self.coming


def limits_of(owner: Owner) -> Limits:
    """Return what `owner` may have: as a moderator wrote, else as the settings say."""
    return _limits(Quota.objects.filter(owner=owner).first())


def _limits(row: Quota | None) -> Limits:
    own = (None, None, None) if row is None else (row.max_bytes, row.max_models, row.max_uploads)
    usual = (settings.QUOTA_BYTES, settings.QUOTA_MODELS, settings.QUOTA_UPLOADS)
    found = [there if mine is None else mine for mine, there in zip(own, usual, strict=True)]
    return Limits(bytes=found[0], models=found[1], uploads=found[2])


def usage_of(owner: Owner) -> Usage:
    """Return what `owner` has now."""
    ((_, usage, _),) = usages_of([owner])
    return usage


def _stored(owner: Owner) -> int:
    return Charge.objects.filter(owner=owner).aggregate(n=Sum("blob__size"))["n"] or 0


def _coming(owner: Owner) -> int:
    rows = Upload.objects.filter(owner=owner, state__in=UNFINISHED)
    return rows.aggregate(n=Sum("size"))["n"] or 0


def usages_of(owners: Sequence[Owner]) -> list[tuple[Owner, Usage, Limits]]:
    """Return what each of `owners` has and may have; as many queries as for one."""
    rows = {row.owner_id: row for row in Quota.objects.filter(owner__in=owners)}
    stored = _by_owner(Charge.objects.filter(owner__in=owners), Sum("blob__size"))
    open_ = Upload.objects.filter(owner__in=owners, state__in=UNFINISHED)
    begun = open_.order_by().values("owner_id").annotate(coming=Sum("size"), count=Count("pk"))
    coming = {row["owner_id"]: row["coming"] for row in begun}
    uploads = {row["owner_id"]: row["count"] for row in begun}
    models = _by_owner(Model.objects.filter(owner__in=owners, deleted_at=None), Count("pk"))
    return [
        (
            owner,
            Usage(
                stored=stored.get(owner.pk, 0),
                coming=coming.get(owner.pk, 0),
                models=models.get(owner.pk, 0),
                uploads=uploads.get(owner.pk, 0),
            ),
            _limits(rows.get(owner.pk)),
        )
        for owner in owners
    ]


def _by_owner(rows: QuerySet[Any], what: Sum | Count) -> dict[int, int]:
    return dict(rows.order_by().values("owner_id").annotate(n=what).values_list("owner_id", "n"))


def own_owner(user: AbstractBaseUser) -> Owner:
    """Return the owner that a person is; NotAllowedError for an account without a name."""
    owner = Owner.objects.filter(user_id=user.pk).first()
    if owner is None:
        raise NotAllowedError("This account has no owner name and cannot upload.")
    return owner


# ------------------------------------------------------------------ checks, inside a transaction


def need_room(owner: Owner, size: int) -> None:
    """Return when `size` bytes more fit; the caller's transaction adds them.

    Raises:
        TooLargeError: they do not; the detail has what is used and the quota.
    """
    hold_account(owner.pk)
    used, quota = _stored(owner) + _coming(owner), limits_of(owner).bytes
    if used + size > quota:
        raise TooLargeError(
            f"This would be more than the quota of {owner.name} allows.",
            owner=owner.name,
            size=size,
            used=used,
            quota=quota,
            remedy="Discard uploads that are not finished: they count, see /me/uploads/.",
        )


def need_upload(owner: Owner, size: int) -> None:
    """Return when one upload more, of `size` bytes, fits; the caller's transaction adds it.

    Raises:
        TooLargeError: too many bytes.
        TooManyError: too many uploads at a time.
    """
    need_room(owner, size)
    limit = limits_of(owner).uploads
    if Upload.objects.filter(owner=owner, state__in=UNFINISHED).count() >= limit:
        raise TooManyError(
            f"{owner.name} has {limit} uploads that are not finished: finish or discard some.",
            owner=owner.name,
            limit=limit,
        )


def need_model(owner: Owner) -> None:
    """Return when one model more fits; the caller's transaction adds it.

    Raises:
        TooManyError: the owner has as many models as it may.
    """
    hold_account(owner.pk)
    limit = limits_of(owner).models
    if Model.objects.filter(owner=owner, deleted_at=None).count() >= limit:
        raise TooManyError(
            f"{owner.name} has {limit} models, as many as it may have.",
            owner=owner.name,
            limit=limit,
        )


def check_room(owner: Owner, size: int) -> None:
    """Raise TooLargeError when `size` bytes more would not fit now; nothing is reserved."""
    with transaction.atomic():
        need_room(owner, size)


def charge(owner: Owner, blobs: Iterable[Blob], *, reserved: bool = False) -> None:
    """Put contents on the account of `owner`; what is on it stays, and counts as asked for now.

    `reserved`: the room was taken before, by the upload that ends in this transaction.

    Raises:
        TooLargeError: what is new does not fit.
    """
    wanted = {blob.pk: blob for blob in blobs}
    hold_account(owner.pk)
    known = set(
        Charge.objects.filter(owner=owner, blob_id__in=wanted).values_list("blob_id", flat=True)
    )
    new = sum(blob.size for pk, blob in wanted.items() if pk not in known)
    if new and not reserved:
        need_room(owner, new)
    now = timezone.now()
    Charge.objects.bulk_create(
        [Charge(owner=owner, blob=blob, touched_at=now) for _, blob in sorted(wanted.items())],
        update_conflicts=True,
        unique_fields=("owner", "blob"),
        update_fields=("touched_at",),
    )
