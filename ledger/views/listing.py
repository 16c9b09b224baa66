"""`/ledger/`: the list of entries, its filters, and the search box."""

from __future__ import annotations

from dataclasses import asdict, replace
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.views.decorators.http import require_safe

from ledger import search
from ledger.choices import Kind
from ledger.keyset import Page
from ledger.models import Entry
from ledger.recognition import Asked, Form, recognise
from ledger.search import Filter
from ledger.selectors import entry_at, newest_published
from ledger.services.links import entry_url
from ledger.views import feed
from ledger.views.frame import Place, address, number, pages, place_of, shown
from ledger.views.rows import Shown

PAGE = 50
COUNTED = 1000
TYPED = 400
_WORDS = {
    "kind": "kind",
    "model": "model",
    "owner": "owner",
    "signer": "signed by",
    "q": "search",
}


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """List the newest entries, or those of `?before=` or `?after=` an index, that match.

    `?q=` is recognised by its form. What leads to one entry alone goes there. `?since=` is how the
    page itself asks what is new (`ledger.views.feed`).
    """
    place = place_of(request)
    typed = request.GET.get("q", "").strip()[:TYPED]
    asked = recognise(typed) if typed else None
    one = _one(place, asked)
    if one is not None:
        return redirect(one)
    wanted = _with(_filter(request.GET), asked)
    chosen = {**asdict(_filter(request.GET)), "q": typed}
    kept = {name: value for name, value in chosen.items() if value}
    if feed.is_look(request):
        return feed.look(request, place, wanted, urlencode(kept))
    before, after = (number(request.GET.get(name, "")) for name in ("before", "after"))
    # The head comes first: whatever it covers is there when the rows are read.
    newest = newest_published(place.log)
    page, waits = _found(place, asked, wanted, before, after)
    found = (*waits, *page.rows)
    at_top = before is after is None
    if len(found) == 1 and kept.keys() == {"q"} and at_top:
        return redirect(entry_url(found[0]))
    context = {
        **Shown(
            moving=[row for row in found if row.index is None or row.index >= newest.size],
            settled=[row for row in page.rows if (row.index or 0) < newest.size],
        ).context(wanted.digest),
        **pages("/ledger/", place, page, urlencode(kept)),
        "asked": asked,
        "chosen": chosen,
        "chips": _chips(place, kept),
        "kinds": Kind.choices,
        "matches": _matches(place, wanted, page, waits) if any(asdict(wanted).values()) else None,
        "counted": COUNTED,
        "live": feed.live(place, urlencode(kept), newest) if at_top and found else None,
    }
    return shown(request, "ledger/list.html", place, context, newest=newest)


def _one(place: Place, asked: Asked | None) -> str | None:
    """Return the address that a number or an id leads to, None for whatever needs a search."""
    if asked and asked.form is Form.EXECUTION:
        return f"/executions/{asked.value}/"
    if asked and asked.form is Form.INDEX:
        entry = entry_at(place.log, int(asked.value))
        return None if entry is None else entry_url(entry)
    return None


def _filter(given: QueryDict) -> Filter:
    kind = given.get("kind", "")
    return Filter(
        kind=kind if kind in Kind.values else "",
        model=given.get("model", "").strip()[:200],
        owner=given.get("owner", "").strip()[:100],
        signer=given.get("signer", "").strip().lower()[:64],
    )


def _with(wanted: Filter, asked: Asked | None) -> Filter:
    """Return the filter with what was typed into the search box."""
    match asked:
        case Asked(form=Form.MODEL, value=name):
            return replace(wanted, model=name)
        case Asked(form=Form.OWNER, value=name):
            return replace(wanted, owner=name)
        case Asked(form=Form.DIGEST | Form.ENVELOPE | Form.KEY, value=digest):
            return replace(wanted, digest=digest)
        case _:
            return wanted


def _found(
    place: Place, asked: Asked | None, wanted: Filter, before: int | None, after: int | None
) -> tuple[Page[Entry], list[Entry]]:
    """Return the page, and what waits for an index: that stands above the newest entries only."""
    if asked and asked.form in (Form.INDEX, Form.UNKNOWN):
        return Page(rows=(), newer=None, older=None), []
    page = search.page(place.log, wanted, limit=PAGE, before=before, after=after)
    newest = before is None and after is None
    return page, search.waiting(place.log, wanted, feed.MOVING) if newest else []


def _matches(place: Place, wanted: Filter, page: Page[Entry], waits: list[Entry]) -> int:
    """Return how many entries match; more than `COUNTED` are not counted."""
    if page.newer is None and page.older is None and len(waits) < feed.MOVING:
        return len(page.rows) + len(waits)
    return search.count(place.log, wanted, COUNTED + 1)


def _chips(place: Place, kept: dict[str, str]) -> list[dict[str, str]]:
    """Return each filter in words, with the address of the list without it."""
    return [
        {
            "word": _WORDS[name],
            "value": str(Kind(value).label) if name == "kind" else value,
            "without": address(
                "/ledger/",
                urlencode({key: kept[key] for key in kept if key != name}),
                place.parameters,
            ),
        }
        for name, value in kept.items()
    ]
