"""Reads of the audit log, for those whose changes they are. Keyset paging: a page costs a page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import AbstractBaseUser
from django.db.models import Q, QuerySet

from registry.choices import Action
from registry.errors import InvalidInputError
from registry.models import AuditEvent, Model, Owner
from registry.rights import need

PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What to leave in: a verb or its first word (`token`), who did it, from when and to when."""

    action: str = ""
    by: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some events, newest first, and the cursor of the page after (`""` on the last)."""

    events: list[AuditEvent]
    next: str


def of_model(user: AbstractBaseUser, model: Model, wanted: Filter, cursor: str = "") -> Page:
    """Return what was done to `model`; raises as `need` for who may not change its settings."""
    need(user, Action.SETTINGS, model)
    return _page(AuditEvent.objects.filter(model=model), wanted, cursor)


def of_owner(user: AbstractBaseUser, owner: Owner, wanted: Filter, cursor: str = "") -> Page:
    """Return what was done to `owner` and to what it has; raises as `of_model`.

    That of a person has what they did elsewhere too.
    """
    need(user, Action.SETTINGS, owner)
    seen = Q(owner=owner)
    if owner.user_id is not None:
        seen |= Q(user_id=owner.user_id)
    return _page(AuditEvent.objects.filter(seen), wanted, cursor)


def _page(rows: QuerySet[AuditEvent], wanted: Filter, cursor: str) -> Page:
    action, by = (text.replace("\0", "") for text in (wanted.action, wanted.by))
    if action:
        rows = rows.filter(Q(action=action) | Q(action__startswith=f"{action}."))
    if by:
        rows = rows.filter(user__username__iexact=by)
    if wanted.since is not None:
        rows = rows.filter(created_at__gte=wanted.since)
    if wanted.until is not None:
        rows = rows.filter(created_at__lt=wanted.until)
    if cursor:
        rows = rows.filter(pk__lt=_read(cursor))
    found = list(rows.select_related("user", "owner", "model__owner").order_by("-pk")[: PAGE + 1])
    more = len(found) > PAGE
    return Page(events=found[:PAGE], next=str(found[PAGE - 1].pk) if more else "")


def _read(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit()) or len(cursor) > 18:
        raise InvalidInputError("This cursor was not made here.", field="cursor")
    return int(cursor)
