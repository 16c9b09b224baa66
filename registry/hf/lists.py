"""The list of models: what a caller may know of, by search words, owner, tags, task and size.

Whom a caller may know of, owners and words in names are the search's own (`finding`, `listing`).
Tags and tasks are those of the card that stands in the list: that of `main`, which is what a client
downloads next, and not that of the newest release, which the pages find a model by.

A page is cut by keys (time, id), so that nothing is repeated and nothing missing while models come.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.http import QueryDict

from registry.choices import Standing, Visibility
from registry.errors import InvalidInputError
from registry.finding import MAX_TYPED, MAX_VALUE, Filters, clean, named
from registry.hf.calls import query_text, read_cursor, write_cursor
from registry.listing import matches
from registry.models import DownloadCount, Model, Revision
from registry.rights import Caller
from registry.selectors import INSPECTED

MAX_PAGE = 1_000
_KEYS = {"createdAt": "created_at", "created_at": "created_at", "downloads": "fetched"}
_NUMBER = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([KMBT]?)")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page: each model with the revision that its card is of, and the next cursor."""

    items: list[tuple[Model, Revision | None]]
    next: str


def page(user: Caller, asked: QueryDict) -> Page:
    """Return the page that the query asks for.

    Raises:
        InvalidInputError: a limit, a size or a cursor that is none.
    """
    limit = _limit(asked.get("limit", ""))
    key = _KEYS.get(asked.get("sort", ""), "updated_at")
    rows = _rows(user, asked)
    if key == "fetched":
        total = DownloadCount.objects.filter(model=OuterRef("pk")).order_by().values("model")
        rows = rows.annotate(fetched=Coalesce(Subquery(total.values(n=Sum("count"))), 0))
    cursor = asked.get("cursor", "")
    if cursor:
        value, pk = _place(read_cursor(cursor), key)
        rows = rows.filter(Q(**{f"{key}__lt": value}) | Q(**{key: value}, pk__gt=pk))
    found = list(rows.order_by(f"-{key}", "pk")[: limit + 1])
    kept = found[:limit]
    cards = Revision.objects.in_bulk([pk for model in kept if (pk := vars(model)["shown"])])
    return Page(
        items=[(model, cards.get(vars(model)["shown"])) for model in kept],
        next=_cursor(kept[-1], key) if len(found) > limit else "",
    )


def _limit(value: str) -> int:
    if not value:
        return MAX_PAGE
    if not value.isdecimal() or int(value[:9]) < 1:
        raise InvalidInputError("'limit' is a whole number from 1.", field="limit")
    return min(int(value[:9]), MAX_PAGE)


def _rows(user: Caller, asked: QueryDict) -> QuerySet[Model]:
    up = Q(release=None) | ~Q(release__standing=Standing.TAKEN_DOWN)
    passed = Revision.objects.filter(up, model=OuterRef("pk"), state__in=INSPECTED)
    head = passed.filter(pk=OuterRef("head_id"))
    known = matches(user, Filters(owner=clean(asked.get("author", ""), MAX_VALUE)))
    words = asked.get("search", "")
    if words.strip():
        known = named(known, clean(words, MAX_TYPED))
    rows = known.select_related("owner").annotate(
        shown=Coalesce(
            Subquery(head.values("pk")[:1]),
            Subquery(passed.order_by("-created_at").values("pk")[:1]),
        )
    )
    card = _card(asked)
    if card is not None:
        rows = rows.filter(Exists(Revision.objects.filter(card, pk=OuterRef("shown"))))
    gated = asked.get("gated", "").lower()
    if gated in ("true", "auto", "manual"):
        rows = rows.filter(visibility=Visibility.GATED)
    if gated in ("auto", "manual"):
        rows = rows.filter(gate=gated)
    if gated == "false":
        rows = rows.exclude(visibility=Visibility.GATED)
    return rows


def _card(asked: QueryDict) -> Q | None:
    """Return what the card must hold, None when nothing is asked of it."""
    wanted = [word for value in asked.getlist("filter") for word in value.split(",") if word]
    parts = [_tagged(word.replace("\0", "\ufffd")) for word in wanted[:20]]
    task = query_text(asked, "pipeline_tag")
    if task:
        parts.append(_is("pipeline_tag", task))
    parts += _sizes(asked.get("num_parameters", ""))
    if not parts:
        return None
    whole = Q()
    for part in parts:
        whole &= part
    return whole


def _is(key: str, word: str) -> Q:
    """Return the condition that `key` of the card is `word`, or a list that holds it."""
    name = f"card_metadata__{key}"
    return Q(**{name: word}) | Q(**{f"{name}__contains": [word]})


def _tagged(word: str) -> Q:
    prefix, colon, rest = word.partition(":")
    key = {"license": "license", "dataset": "datasets", "base_model": "base_model"}.get(prefix)
    if colon and key:
        return _is(key, rest) | _is("tags", word)
    found = _is("tags", word)
    for name in ("library_name", "pipeline_tag", "language"):
        found |= _is(name, word)
    return found


def _sizes(value: str) -> list[Q]:
    parts = []
    for item in value.split(",") if value else ():
        bound, _, number = item.partition(":")
        match = _NUMBER.fullmatch(number.strip().upper())
        if bound not in ("min", "max") or match is None:
            raise InvalidInputError(
                "'num_parameters' is min:6B,max:128B, or one of both.", field="num_parameters"
            )
        count = int(float(match[1]) * _UNITS[match[2]])
        word = "gte" if bound == "min" else "lte"
        parts.append(Q(**{f"report__facts__parameters__{word}": count}))
    return parts


def _cursor(model: Model, key: str) -> str:
    value: Any = getattr(model, key)
    if isinstance(value, datetime):
        value = f"{int(value.timestamp())}.{value.microsecond:06d}"
    return write_cursor(f"{value} {model.pk}")


def _place(text: str, key: str) -> tuple[Any, int]:
    value, _, pk = text.partition(" ")
    if not (pk.isdecimal() and len(pk) < 19 and len(value) < 30):
        raise InvalidInputError("This cursor was not made here.", field="cursor")
    try:
        if key == "fetched":
            return int(value), int(pk)
        seconds, micros = value.split(".")
        at = datetime.fromtimestamp(int(seconds), UTC).replace(microsecond=int(micros))
    except (ValueError, OverflowError, OSError):
        raise InvalidInputError("This cursor was not made here.", field="cursor") from None
    return at, int(pk)
