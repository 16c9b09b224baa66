"""`GET /api/v1/models`: the list with its filters and counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from registry import finding
from registry.api import shapes
from registry.api.paging import read_limit
from registry.finding import Counts
from registry.listing import PAGE, Item, listing, matches, sort_of
from registry.rights import Caller

_TRUE = ("1", "true")


def answer(request: Request, user: Caller) -> Response:
    """Return the page that the query asks for.

    Raises:
        InvalidInputError: an order, a limit or a cursor that is none.
        NotAuthenticated: (DRF's) `mine` from somebody who has not signed in.
    """
    asked = request.query_params
    wanted = finding.read_filters(asked, released=asked.get("released") in _TRUE)
    if asked.get("mine") in _TRUE:
        if not isinstance(user, AbstractBaseUser):
            raise NotAuthenticated
        wanted = replace(wanted, mine=True)
    page = listing(
        user,
        wanted,
        sort=sort_of(asked.get("sort", ""), wanted),
        cursor=asked.get("cursor", ""),
        limit=read_limit(request, PAGE),
    )
    body: dict[str, Any] = {"items": [_item(item) for item in page.items], "next": page.next}
    if asked.get("facets") in _TRUE:
        body["counts"] = _counts(finding.count(matches(user, wanted)))
    return Response(body)


def _item(item: Item) -> dict[str, Any]:
    metadata = item.metadata
    return {
        **shapes.model(item.model),
        "latest": item.release,
        "task": metadata.get("pipeline_tag"),
        "license": metadata.get("license"),
        "verified_executions": item.executions,
        "downloads": item.downloads,
    }


def _counts(counts: Counts) -> dict[str, Any]:
    return {
        "total": counts.total,
        "more": counts.more,
        "facets": {
            kind: [{"value": one.value, "label": one.label, "count": one.count} for one in found]
            for kind, found in counts.facets.items()
        },
    }
