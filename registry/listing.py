"""The lists of models: filters, order, keyset paging. Cost does not grow with the page.

A page is cut by keys (the sorted value, then the id), so nothing is repeated and nothing missing
while models come. By relevance only the best candidates are ranked (`finding.best`), and the list
says so at its end.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from registry import finding
from registry.choices import Action
from registry.errors import InvalidInputError
from registry.finding import Filters
from registry.models import Key, Model, Release, SearchDocument
from registry.rights import Caller, owned, readable
from registry.selectors import STANDS

PAGE = 30
SORTS = (
    ("relevance", "relevance"),
    ("verified", "verified executions"),
    ("new", "newest first"),
    ("name", "name"),
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of a list: a model, the version of its newest release, that card's metadata."""

    model: Model
    release: str | None
    metadata: dict[str, Any]
    executions: int
    downloads: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One page, and the cursor of the next (`""` on the last)."""

    items: list[Item]
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """An order: the field that is sorted by, which way, and how its value stands in a cursor."""

    field: str
    write: Callable[[Any], str]
    read: Callable[[str], Any]
    down: bool = True


def _micros(instant: datetime) -> str:
    return str((instant - _EPOCH) // timedelta(microseconds=1))


def _instant(text: str) -> datetime:
    return _EPOCH + timedelta(microseconds=int(text))


_ORDERS = {
    "new": _Order(field="search__updated_at", write=_micros, read=_instant),
    "verified": _Order(field="total__executions", write=str, read=int),
    "name": _Order(field="search__full_name", write=str, read=str, down=False),
}


def sort_of(asked: str, wanted: Filters) -> str:
    """Return the order that is meant: relevance when words are searched, else the newest first.

    Raises:
        InvalidInputError: there is no such order, or nothing to be relevant to.
    """
    sort = asked or ("relevance" if wanted.text else "new")
    if sort not in dict(SORTS):
        raise InvalidInputError(f"'sort' is one of {', '.join(dict(SORTS))}.", field="sort")
    if sort == "relevance" and not wanted.text:
        raise InvalidInputError("Relevance needs words to search for.", field="sort")
    return sort


def matches(user: Caller, wanted: Filters) -> QuerySet[Model]:
    """Return the models that `user` may know of and for which `wanted` holds, in no order."""
    known = Model.objects.filter(readable(user), search__isnull=False)
    if wanted.mine:
        known = known.filter(owned(user, Action.READ))
    return finding.matching(known, wanted)


def listing(
    user: Caller, wanted: Filters, *, sort: str = "new", cursor: str = "", limit: int = PAGE
) -> Listing:
    """Return a page of the models that `user` may know of; `sort` is one of `SORTS`.

    One query; by relevance two.

    Raises:
        InvalidInputError: a cursor that this function did not make for this order.
    """
    if sort == "relevance":
        return _best(matches(user, replace(wanted, text="")), wanted.text, cursor, limit)
    rows = matches(user, wanted)
    order = _ORDERS[sort]
    if sort == "verified":  # every model has counters: said, so that their index gives the order
        rows = rows.filter(total__isnull=False)
    if cursor:
        value, pk = _read(cursor, sort, order.read)
        beyond = Q(**{f"{order.field}__{'lt' if order.down else 'gt'}": value})
        rows = rows.filter(beyond | Q(**{order.field: value}, pk__gt=pk))
    sign = "-" if order.down else ""
    ids = rows.order_by(f"{sign}{order.field}", "pk").values("pk")[: limit + 1]
    found = list(_whole(Model.objects.filter(pk__in=ids)).order_by(f"{sign}{order.field}", "pk"))
    if len(found) <= limit:
        return Listing(items=[_item(model) for model in found], next="")
    last: Any = found[limit - 1]
    for name in order.field.split("__"):
        last = getattr(last, name)
    following = _write(sort, order.write(last), found[limit - 1].pk)
    return Listing(items=[_item(model) for model in found[:limit]], next=following)


def _best(rows: QuerySet[Model], text: str, cursor: str, limit: int) -> Listing:
    ranked = finding.best(rows, text)
    if cursor:
        points, pk = _read(cursor, "relevance", float)
        ranked = [one for one in ranked if (-one[0], one[1]) > (-points, pk)]
    shown = ranked[:limit]
    models = _whole(Model.objects.all()).in_bulk([pk for _, pk in shown])
    items = [_item(models[pk]) for _, pk in shown if pk in models]
    more = len(ranked) > limit
    following = _write("relevance", repr(shown[-1][0]), shown[-1][1]) if more else ""
    return Listing(items=items, next=following)


def _whole(rows: QuerySet[Model]) -> QuerySet[Model]:
    """Return `rows` with all that a line of a list shows, and without what is large."""
    return rows.select_related("owner", "total", "search__release", "search__revision").defer(
        "search__names",
        "search__document",
        "search__revision__report",
        "search__revision__card_body",
        "search__release__notes",
    )


def _item(model: Model) -> Item:
    search: SearchDocument = model.search
    return Item(
        model=model,
        release=search.release.version if search.release else None,
        metadata=search.revision.card_metadata if search.revision else {},
        executions=model.total.executions,
        downloads=model.total.downloads,
    )


# ------------------------------------------------------------------ cursors


def _write(sort: str, value: str, pk: int) -> str:
    return base64.urlsafe_b64encode(f"{sort} {value} {pk}".encode()).decode().rstrip("=")


def _read(cursor: str, sort: str, read: Callable[[str], Any]) -> tuple[Any, int]:
    try:
        padded = cursor.encode() + b"=" * (-len(cursor) % 4)
        made_for, text, number = base64.urlsafe_b64decode(padded).decode("ascii").split(" ")
        value, pk = read(text), int(number)
        if made_for != sort or "\0" in text or not 0 <= pk < 2**63:
            raise ValueError(cursor)
        if isinstance(value, int) and not 0 <= value < 2**63:
            raise ValueError(cursor)
    except (ValueError, OverflowError, binascii.Error):
        raise InvalidInputError("This cursor was not made here.", field="cursor") from None
    return value, pk


# ------------------------------------------------------------------ releases


def newest_releases(user: Caller, limit: int) -> list[Release]:
    """Return the newest releases that `user` may know of and nobody withdrew."""
    rows = Release.objects.filter(STANDS, readable(user, "model__"))
    # Rows are numbered as they come, and the newest numbers are found without sorting them all.
    return list(rows.select_related("model__owner", "revision").order_by("-pk")[:limit])


def releases_of_key(key: Key, user: Caller, limit: int) -> list[Release]:
    """Return the newest releases that `key` signed and that `user` may know of."""
    rows = Release.objects.filter(readable(user, "model__"), key=key)
    return list(rows.select_related("model__owner").order_by("-created_at")[:limit])
