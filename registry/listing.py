"""The lists of models on pages: search, order, keyset paging. Cost does not grow with the page."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import (
    CharField,
    Model as Row,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
)
from django.db.models.functions import Cast, Concat, Lower

from registry.errors import InvalidInputError
from registry.models import Key, Model, Owner, Release, Revision
from registry.rights import Caller, readable

PAGE = 30
SORTS = (("new", "newest first"), ("name", "name"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of a list: the model, the version of its newest release, that card's metadata."""

    model: Model
    release: str | None
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One page, and the cursor of the next (`""` on the last)."""

    items: list[Item]
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to list. `drafts`: also models without a release."""

    owner: Owner | None = None
    search: str = ""
    sort: str = "new"
    drafts: bool = False


def listing(user: Caller, wanted: Wanted, cursor: str = "", limit: int = PAGE) -> Listing:
    """Return a page of the models that `user` may know of.

    Raises:
        InvalidInputError: a cursor that this function did not make.
    """
    rows = _rows(user, wanted)
    if wanted.sort == "name":
        found = _by_name(rows, cursor, limit + 1)
    else:
        if cursor:
            rows = rows.filter(_before(_read(cursor)))
        found = list(rows.order_by("-updated_at", "id")[: limit + 1])
    shown = found[:limit]
    more = len(found) > limit
    return Listing(items=_items(shown), next=_write(shown[-1], wanted.sort) if more else "")


def _by_name(rows: QuerySet[Model], cursor: str, limit: int) -> list[Model]:
    keyed = rows.annotate(
        key=Lower(Concat("owner__name", Value("/"), "name", output_field=CharField()))
    )
    if cursor:
        keyed = keyed.filter(key__gt=_read(cursor))
    return [*keyed.order_by("key")[:limit]]


def _rows(user: Caller, wanted: Wanted) -> QuerySet[Model]:
    newest = Release.objects.filter(model=OuterRef("pk"), yanked_at=None).order_by("-number")
    rows = (
        Model.objects.filter(readable(user))
        .select_related("owner")
        .annotate(
            latest=Subquery(newest.values("version")[:1]),
            latest_revision=Subquery(newest.values("revision_id")[:1]),
        )
    )
    if wanted.owner is not None:
        rows = rows.filter(owner=wanted.owner)
    if not wanted.drafts:
        rows = rows.filter(latest__isnull=False)
    words = wanted.search.split()[:8]
    if words:
        card = newest.values(text=Cast("revision__card_metadata", TextField()))[:1]
        rows = rows.annotate(card=Subquery(card))
    for word in words:
        rows = rows.filter(
            Q(name__icontains=word) | Q(owner__name__icontains=word) | Q(card__icontains=word)
        )
    return rows


def _items(models: list[Model]) -> list[Item]:
    revisions: dict[str, Revision] = Revision.objects.only("card_metadata").in_bulk(
        [found for model in models if (found := _extra(model, "latest_revision"))]
    )
    return [
        Item(
            model=model,
            release=_extra(model, "latest"),
            metadata=revisions[pk].card_metadata
            if (pk := _extra(model, "latest_revision"))
            else {},
        )
        for model in models
    ]


def _extra(row: Row, name: str) -> Any:
    return getattr(row, name)


def _write(model: Model, sort: str) -> str:
    if sort == "name":
        text = str(_extra(model, "key"))
    else:
        text = f"{model.updated_at.timestamp():.6f} {model.pk}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(cursor: str) -> str:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (ValueError, binascii.Error):
        raise _foreign() from None
    if "\0" in text:  # which no name has, and PostgreSQL does not take
        raise _foreign()
    return text


def _before(text: str) -> Q:
    try:
        seconds, pk = text.split(" ")
        at = datetime.fromtimestamp(float(seconds), UTC)
        return Q(updated_at__lt=at) | Q(updated_at=at, pk__gt=int(pk))
    except (ValueError, OverflowError, OSError):
        raise _foreign() from None


def _foreign() -> InvalidInputError:
    return InvalidInputError("This cursor was not made here.", field="cursor")


def newest_releases(user: Caller, limit: int) -> list[Release]:
    """Return the newest releases that `user` may know of and nobody withdrew."""
    rows = Release.objects.filter(readable(user, "model__"), yanked_at=None)
    return list(rows.select_related("model__owner", "revision").order_by("-created_at")[:limit])


def releases_of_key(key: Key, user: Caller, limit: int) -> list[Release]:
    """Return the newest releases that `key` signed and that `user` may know of."""
    rows = Release.objects.filter(readable(user, "model__"), key=key)
    return list(rows.select_related("model__owner").order_by("-created_at")[:limit])
