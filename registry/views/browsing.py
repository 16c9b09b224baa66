"""The list of models with its filters: every state of it is an address.

A filter is a link that adds one parameter, a chip a link that leaves one out; the form carries what
is chosen along. Without JavaScript everything is there; with it, results follow what is typed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.http import urlencode

from registry import finding
from registry.finding import FACETS, Counts, Filters
from registry.listing import SORTS, Listing, listing, matches, sort_of
from registry.rights import Caller

_ALSO = {"owner": "Owner", "operator": "Operator"}
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A filter that can be added, or (a chip) left out: `url` leads to the list that then is."""

    label: str
    url: str
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """The values of one kind among the present matches, the commonest first."""

    title: str
    links: list[Link]


def address(pairs: Iterable[Pair]) -> str:
    """Return the address of the list with these parameters."""
    query = urlencode([pair for pair in pairs if pair[1]])
    return f"?{query}" if query else "/models/"


def browsing(request: HttpRequest, wanted: Filters) -> dict[str, Any]:
    """Return all that the page shows. Queries: the list (by relevance two), the counts, the words.

    Raises:
        InvalidInputError: a cursor of somewhere else.
    """
    asked = request.GET.get("sort", "")
    known = asked in dict(SORTS) and not (asked == "relevance" and not wanted.text)
    sort = sort_of(asked if known else "", wanted)
    kept = [("q", wanted.text), ("sort", asked if known else ""), *wanted.pairs()]
    found = listing(request.user, wanted, sort=sort, cursor=request.GET.get("cursor", ""))
    counts = _counts(request.user, wanted, found, request)
    return {
        "models": found.items,
        "first_url": address(kept) if request.GET.get("cursor") else "",
        "next_url": address([*kept, ("cursor", found.next)]) if found.next else "",
        "q": wanted.text,
        "sort": "" if sort == "relevance" else asked if known else "",
        "sorts": [
            ("", "best match or newest"),
            *(one for one in SORTS if one[0] != "relevance"),
        ],
        "kept": list(wanted.pairs()),
        "chips": _chips(wanted, kept, counts),
        "counts": counts,
        "facets": _facets(wanted, kept, counts),
        "by_date": address([("q", wanted.text), ("sort", "new"), *wanted.pairs()]),
        "unranked": sort == "relevance"
        and not found.next
        and counts.total > finding.CANDIDATES["newest"],
    }


def _counts(user: Caller, wanted: Filters, found: Listing, request: HttpRequest) -> Counts:
    """Return the counts; nothing is asked where an empty first page has said it."""
    if not found.items and not request.GET.get("cursor"):
        return Counts(total=0, more=False)
    return finding.count(matches(user, wanted))


def _without(kept: list[Pair], pair: Pair) -> str:
    return address(one for one in kept if one != pair)


def _chips(wanted: Filters, kept: list[Pair], counts: Counts) -> list[Link]:
    chips = []
    if wanted.text:
        chips.append(Link(label=f"Words: {wanted.text}", url=_without(kept, ("q", wanted.text))))
    words = {(one.kind, one.value): one.label for some in counts.facets.values() for one in some}
    unknown = [pair for pair in wanted.facets if pair not in words]
    words |= finding.labels(unknown)
    for kind, value in wanted.pairs():
        title = FACETS.get(kind) or _ALSO[kind]
        label = words.get((kind, value), value)
        chips.append(Link(label=f"{title}: {label}", url=_without(kept, (kind, value))))
    return chips


def _facets(wanted: Filters, kept: list[Pair], counts: Counts) -> list[Facet]:
    """Return the facets that matches have values of; what is chosen is among the chips."""
    chosen = set(wanted.facets)
    facets = []
    for kind, title in FACETS.items():
        links = [
            Link(label=one.label, url=address([*kept, (kind, one.value)]), count=one.count)
            for one in counts.facets.get(kind, ())
            if (kind, one.value) not in chosen
        ]
        if links:
            facets.append(Facet(title=title, links=links))
    return facets
