"""What aliases mean, and meant. The instant of a move is the one at which its row was written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet
from django.utils import timezone

from registry import selectors
from registry.errors import InvalidInputError, UnknownRevisionError
from registry.models import Alias, AliasMove, Model, Release

PAGE = selectors.PAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What `name` stood for at an instant; `move` put it there (None for `latest`).

    Before the first move, or the first release, it stood for nothing: both are None.
    """

    name: str
    at: datetime
    release: Release | None
    move: AliasMove | None


def find_alias(model: Model, name: str) -> Alias:
    """Return an alias of `model` that somebody made; UnknownRevisionError when there is none."""
    found = (
        Alias.objects.select_related("release__revision")
        .filter(model=model, name__iexact=name.replace("\0", "\ufffd"))
        .first()
    )
    if found is None:
        raise UnknownRevisionError(
            f"{model.full_name} has no alias '{name[:96]}'.", alias=name[:96]
        )
    return found


def newest_moves(model: Model) -> QuerySet[AliasMove]:
    """Return the newest move of each alias of `model`, by the alias's name."""
    newest = _with_all(AliasMove.objects.filter(alias__model=model))
    return newest.order_by("alias__name", "alias_id", "-number").distinct("alias__name", "alias_id")


def moves_of(alias: Alias, before: int | None = None) -> QuerySet[AliasMove]:
    """Return the moves of `alias`, newest first; those with a number below `before`."""
    rows = AliasMove.objects.filter(alias=alias)
    if before is not None:
        rows = rows.filter(number__lt=before)
    return _with_all(rows).order_by("-number")


def find_move(alias: Alias, number: int) -> AliasMove:
    """Return a move by its number; UnknownRevisionError when there is none."""
    move = _with_all(AliasMove.objects.filter(alias=alias, number=number)).first()
    if move is None:
        raise UnknownRevisionError(f"'{alias.name}' has no move {number}.", alias=alias.name)
    return move


def meaning(model: Model, name: str, at: datetime) -> Meaning:
    """Return what the alias `name` of `model` stood for at `at`.

    `latest` stood for the newest release that had not been withdrawn by then.

    Raises:
        UnknownRevisionError: no such alias.
        InvalidInputError: `at` is still to come.
    """
    if at > timezone.now():
        raise InvalidInputError("That time is still to come: nobody knows.", field="at")
    if name.lower() == selectors.LATEST:
        standing = Q(yanked_at=None) | Q(yanked_at__gt=at)
        release = selectors.releases(model).filter(standing, created_at__lte=at).first()
        return Meaning(name=selectors.LATEST, at=at, release=release, move=None)
    alias = find_alias(model, name)
    move = moves_of(alias).filter(created_at__lte=at).first()
    release = move.release if move else None
    return Meaning(name=alias.name, at=at, release=release, move=move)


def _with_all(rows: QuerySet[AliasMove]) -> QuerySet[AliasMove]:
    return rows.select_related(
        *("alias__model__owner", "release__revision", "previous", "key", "author", "entry")
    )
