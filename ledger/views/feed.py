"""What came to the list of entries since a reader looked: the live part of `/ledger/`.

A page carries its place as `since`, the index up to which it shows the log. Each look answers what
a checkpoint has covered from there on, in rows that stay, and anew whatever still moves. The answer
brings the next look with it, so nothing is remembered here: it comes after 2 s while something
happens, and later and later, up to 30 s, while nothing does.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ledger import search
from ledger.models import Checkpoint, Entry
from ledger.search import Filter
from ledger.selectors import newest_published
from ledger.views.frame import Place, address, head_of, number
from ledger.views.rows import Shown

FIRST_S, LONGEST_S = 2, 30
PATIENCE = 5  # so many looks in vain before they get rarer
NEW = 25
MOVING = 10


def is_look(request: HttpRequest) -> bool:
    """Tell whether a page asks what is new; whoever follows such an address gets a whole page."""
    return "since" in request.GET and request.headers.get("HX-Request") == "true"


def look(request: HttpRequest, place: Place, wanted: Filter, query: str) -> HttpResponse:
    """Answer what is new since `?since=`; `query` is what the address of the list keeps."""
    newest = newest_published(place.log)
    since = number(request.GET["since"])
    # An index of nobody's making shows nothing, and leads on to what comes.
    after = min(-1 if since is None else since, newest.size - 1)
    page = search.page(place.log, wanted, limit=NEW, before=newest.size, after=after)
    moving = moving_of(place, wanted, newest)
    quiet = 0 if page.rows or moving else 1 + (number(request.GET.get("quiet", "")) or 0)
    context = {
        **Shown(moving=moving, settled=page.rows).context(wanted.digest),
        "live": live(place, query, newest, min(quiet, 99)),
        "gap_url": _gap_url(page.older, place, query),
        "place": place,
        "log_query": place.query,
        "log_head": head_of(newest),
    }
    answer = render(request, "ledger/feed.html", context)
    answer["Cache-Control"] = "no-store"
    return answer


def live(place: Place, query: str, newest: Checkpoint, quiet: int = 0) -> dict[str, Any] | None:
    """Return where and when to look next, None where nothing comes any more."""
    if place.log.frozen_at or not place.current:
        return None
    seen = f"since={newest.size - 1}" if newest.size else ""
    url = address("/ledger/", query, seen or "since=", f"quiet={quiet}")
    return {"url": url, "delay_s": delay_s(quiet)}


def delay_s(quiet: int) -> int:
    """Return the seconds until the next look, after `quiet` looks in vain."""
    return min(FIRST_S << max(quiet - PATIENCE, 0), LONGEST_S)


def moving_of(place: Place, wanted: Filter, newest: Checkpoint) -> list[Entry]:
    """Return at most `MOVING` entries without an index, and as many that no checkpoint covers."""
    waits = search.waiting(place.log, wanted, MOVING)
    uncovered = search.page(place.log, wanted, limit=MOVING, after=newest.size - 1)
    return [*waits, *uncovered.rows]


def _gap_url(older: int | None, place: Place, query: str) -> str:
    """Return the address of what came too fast to be shown one by one."""
    return "" if older is None else address("/ledger/", query, place.parameters, f"before={older}")
