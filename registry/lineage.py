"""Lineage: the models that a card names as its base, and those whose cards name this one.

A card may say anything: that it descends from a model is its publisher's claim, on both pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Exists, F, Func, JSONField, OuterRef, Q, Subquery, Value
from django.db.models.functions import Concat, Lower

from registry.models import FormerName, Model, Release, Revision
from registry.rights import Caller, readable
from registry.selectors import INSPECTED, STANDS

MAX_PARENTS, MAX_CHILDREN, MAX_FORMER = 20, 50, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """A name in `base_model`; `model` is the full name of the model of this site, `""` if none."""

    name: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A model whose card names this one, and the relation that it claims (`""` for none)."""

    model: str
    relation: str


def parents(metadata: Mapping[str, Any], user: Caller = None) -> list[Parent]:
    """Return the models that `metadata` names, with those of them that `user` may know of here."""
    value = metadata.get("base_model")
    items = value if isinstance(value, list) else [value]
    names = [item for item in items if isinstance(item, str) and item][:MAX_PARENTS]
    known = _models(names, user) if names else {}
    return [Parent(name=name, model=known.get(name.lower(), "")) for name in names]


def _models(names: list[str], user: Caller) -> dict[str, str]:
    """Return the full names of models by the names (in lower case) that they have or once had."""
    halves = [name.split("/") for name in names if name.count("/") == 1 and "\0" not in name]
    if not halves:
        return {}
    wanted = [Q(lower_owner=owner.lower(), lower=name.lower()) for owner, name in halves]
    present = (
        Model.objects.alias(lower_owner=Lower("owner__name"), lower=Lower("name"))
        .filter(reduce(or_, wanted), readable(user))
        .values_list(Lower(Concat("owner__name", Value("/"), "name")), "owner__name", "name")
    )
    former = (
        FormerName.objects.alias(lower=Lower("name"))
        .filter(readable(user, "model__"), lower__in=["/".join(pair).lower() for pair in halves])
        .values_list(Lower("name"), "model__owner__name", "model__name")
    )
    return {was: f"{owner}/{name}" for was, owner, name in former.union(present, all=True)}


def children(model: Model, user: Caller = None) -> list[Child]:
    """Return the models whose shown card names `model`, by name, at most `MAX_CHILDREN`.

    The shown card is that of the newest release; of a model without any, the head's once it has
    passed its inspection. A model is found by its present name and by the last `MAX_FORMER` that it
    had, each as statements spell it. One query.
    """
    newest = Release.objects.filter(STANDS, model=OuterRef("model")).order_by("-number")
    former = FormerName.objects.filter(model=model).order_by("-created_at", "-pk")
    as_json = former.annotate(json=Func("name", function="to_jsonb", output_field=JSONField()))
    names: list[Any] = [model.full_name]
    # Each is one value to PostgreSQL before it looks: a list of them would read every card.
    names += [Subquery(as_json.values("json")[at : at + 1]) for at in range(MAX_FORMER)]
    named = reduce(or_, (Q(card_metadata__base_model__contains=name) for name in names))
    rows = (
        Revision.objects.filter(
            named, readable(user, "model__"), card_metadata__has_key="base_model"
        )
        .filter(state__in=INSPECTED)
        .exclude(model=model)
        .filter(
            Q(pk=Subquery(newest.values("revision_id")[:1]))
            | (Q(pk=F("model__head_id")) & ~Exists(newest))
        )
        .select_related("model__owner")
        .order_by("model__owner__name", "model__name")
    )
    return [
        Child(model=row.model.full_name, relation=_relation(row)) for row in rows[:MAX_CHILDREN]
    ]


def _relation(revision: Revision) -> str:
    value = revision.card_metadata.get("base_model_relation")
    return value if isinstance(value, str) else ""
