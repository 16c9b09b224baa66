"""`/api/v1/activity`: the audit log, for those whose changes it tells of."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rest_framework.request import Request
from rest_framework.response import Response

from registry import activity, members, selectors
from registry.api import people
from registry.api.base import AccountView, account
from registry.errors import InvalidInputError
from registry.services.owners import own_of


def _instant(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    try:
        found = parse_datetime(text)
    except ValueError:
        found = None
    if found is None:
        raise InvalidInputError(f"'{name}' is a time such as 2026-11-25T12:00:00Z.", field=name)
    return found if timezone.is_aware(found) else timezone.make_aware(found)


class Activity(AccountView):
    """Changes, newest first: the caller's own, `?owner=` or `?model=`; further filters."""

    def get(self, request: Request) -> Response:
        user, asked = account(request), request.query_params
        wanted = activity.Filter(
            action=asked.get("action", ""),
            by=asked.get("by", ""),
            since=_instant(request, "since"),
            until=_instant(request, "until"),
        )
        cursor = asked.get("cursor", "")
        if asked.get("model"):
            model = selectors.find_model(asked["model"], user, follow=True)
            page = activity.of_model(user, model, wanted, cursor)
        else:
            name = asked.get("owner", "")
            owner = members.existing_owner(name) if name else own_of(user)
            page = activity.of_owner(user, owner, wanted, cursor)
        return Response({"items": [people.event(row) for row in page.events], "next": page.next})
