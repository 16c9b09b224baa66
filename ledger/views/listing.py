"""`/ledger/`: the list of entries, its filters, and the search box."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any
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
from ledger.selectors import entry_at
from ledger.services.links import entry_url
from ledger.summary import summary
from ledger.views.frame import Place, address, number, pages, place_of, shown

PAGE = 50
WAITING = 10
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

    `?q=` is recognised by its form. What leads to one entry alone goes there.
    """
    place = place_of(request)
    typed = request.GET.get("q", "").strip()[:TYPED]
    asked = recognise(typed) if typed else None
    wanted = _with(_filter(request.GET), asked)
    if asked and asked.form is Form.INDEX:
        entry = entry_at(place.log, int(asked.value))
        if entry is not None:
            return redirect(entry_url(entry))
    before, after = (number(request.GET.get(name, "")) for name in ("before", "after"))
    page, waits = _found(place, asked, wanted, before, after)
    chosen = {**asdict(_filter(request.GET)), "q": typed}
    kept = {name: value for name, value in chosen.items() if value}
    found = (*page.rows, *waits)
    if len(found) == 1 and kept.keys() == {"q"} and before is after is None:
        return redirect(entry_url(found[0]))
    context = {
        **_rows(page, waits, wanted),
        **pages("/ledger/", place, page, urlencode(kept)),
        "asked": asked,
        "chosen": chosen,
        "chips": _chips(place, kept),
        "kinds": Kind.choices,
        "matches": _matches(place, wanted, page, waits) if any(asdict(wanted).values()) else None,
        "counted": COUNTED,
    }
    return shown(request, "ledger/list.html", place, context)


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
    return page, search.waiting(place.log, wanted, WAITING) if newest else []


def _matches(place: Place, wanted: Filter, page: Page[Entry], waits: list[Entry]) -> int:
    """Return how many entries match; more than `COUNTED` are not counted."""
    if page.newer is None and page.older is None and len(waits) < WAITING:
        return len(page.rows) + len(waits)
    return search.count(place.log, wanted, COUNTED + 1)


def _rows(page: Page[Entry], waits: list[Entry], wanted: Filter) -> dict[str, Any]:
    every = [*waits, *page.rows]
    roles = search.roles(every, wanted.digest) if wanted.digest and every else {}

    def rows(entries: Iterable[Entry]) -> list[dict[str, Any]]:
        return [
            {"entry": row, "summary": summary(row), "roles": roles.get(row.pk)} for row in entries
        ]

    return {"waiting": rows(waits), "entries": rows(page.rows), "by_digest": bool(wanted.digest)}


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
