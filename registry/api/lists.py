"""`GET /api/v1/models`: the list with its filters, counts, links to the next page, and an ETag."""

from __future__ import annotations

from typing import Any

from django.http import QueryDict
from django.utils.cache import get_conditional_response
from rest_framework.request import Request
from rest_framework.response import Response

from assay.canonical import canonical_json
from assay.digests import sha256_hex
from registry import finding
from registry.api import shapes
from registry.errors import InvalidInputError
from registry.finding import Counts
from registry.listing import PAGE, Item, listing, matches, sort_of
from registry.rights import Caller

MAX_PAGE = 100


def answer(request: Request, user: Caller) -> Response:
    """Return the page that the query asks for; 304 when the caller has just that.

    Raises:
        InvalidInputError: an order, a limit or a cursor that is none.
    """
    asked = request.query_params
    wanted = finding.read_filters(asked, released=asked.get("released") in ("1", "true"))
    page = listing(
        user,
        wanted,
        sort=sort_of(asked.get("sort", ""), wanted),
        cursor=asked.get("cursor", ""),
        limit=_limit(asked.get("limit", "")),
    )
    body: dict[str, Any] = {"items": [_item(item) for item in page.items], "next": page.next}
    if asked.get("facets") in ("1", "true"):
        body["counts"] = _counts(finding.count(matches(user, wanted)))
    response = Response(body)
    response["ETag"] = f'W/"{sha256_hex(canonical_json(body))[:32]}"'
    # Who asks decides what is listed, so no cache in between may answer for another.
    response["Cache-Control"] = "private, no-cache"
    if page.next:
        response["Link"] = f'<{_following(request, asked, page.next)}>; rel="next"'
    found = get_conditional_response(request, response["ETag"], None, response)
    if found is not None and found.status_code == 304:
        return Response(status=304, headers=dict(found.headers))
    return response


def _limit(value: str) -> int:
    if not value:
        return PAGE
    if not (value.isascii() and value.isdecimal()) or not 1 <= int(value[:9]) <= MAX_PAGE:
        raise InvalidInputError(f"'limit' is 1 to {MAX_PAGE}.", field="limit")
    return int(value)


def _following(request: Request, asked: QueryDict, cursor: str) -> str:
    query = asked.copy()
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")


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
