"""`/ledger/checkpoints/` and `/ledger/logs/`: the signed heads, who vouches for them, the logs.

The charts of the list say nothing that its tables do not.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from ledger import selectors
from ledger.history import growth, waited
from ledger.models import Checkpoint, Log
from ledger.publication import full_note
from ledger.selectors import Witnessing, neighbours, newest_published, published, witnessing
from ledger.views import charts
from ledger.views.frame import address, number, pages, place_of, shown

PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the list: a checkpoint, and who vouches for it.

    `growth` is how many entries it adds (None: the first one), `waited_s` for how many seconds the
    first of these waited for it (None: there is none).
    """

    checkpoint: Checkpoint
    growth: int | None
    witnessing: Witnessing
    waited_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """A witness of the policy, and which checkpoints of the page it signed, the newest first."""

    name: str
    signed: Sequence[bool]
    size: int | None
    at: datetime | None

    @property
    def count(self) -> int:
        """How many of them it signed."""
        return sum(self.signed)


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """List the published checkpoints, the newest first, with charts of them."""
    place = place_of(request)
    newest = newest_published(place.log)
    before, after = (number(request.GET.get(name, "")) for name in ("before", "after"))
    page = selectors.checkpoints(place.log, limit=PAGE, before=before, after=after)

    rows = _rows(place.log, page.rows)
    watching = _watching([row.witnessing for row in rows], page.rows)
    context = {
        "rows": rows,
        "watching": watching,
        "charts": [*_growth(place.log, newest), *_waits(rows), *_signed(rows, watching)],
        **pages("/ledger/checkpoints/", place, page),
    }
    return shown(request, "ledger/checkpoints.html", place, context, newest=newest)


@require_safe
def checkpoint(request: HttpRequest, size: int) -> HttpResponse:
    """Show a published checkpoint, and which witness signed it when."""
    place = place_of(request)
    found = published(place.log).filter(size=size).first()
    if found is None:
        raise Http404
    previous, following = neighbours(published(place.log), "size", size)
    context = {
        "checkpoint": found,
        "growth": None if previous is None else size - previous,
        "witnessing": witnessing(found),
        "note_text": full_note(found).decode(),
        "entries_url": address("/ledger/", place.parameters, f"before={size}"),
        "previous": previous,
        "next": following,
    }
    return shown(request, "ledger/checkpoint.html", place, context)


@require_safe
def logs(request: HttpRequest) -> HttpResponse:
    """Show the current log and the frozen ones: what to pin, and which follows which."""
    place = place_of(request)
    rows = [replace(place, log=log) for log in reversed(place.logs)]
    return shown(request, "ledger/logs.html", place, {"rows": rows})


def _rows(log: Log, found: Sequence[Checkpoint]) -> list[Row]:
    if not found:
        return []
    below = published(log).filter(size__lt=found[-1].size).values_list("size", flat=True).first()
    sizes = [*(row.size for row in found), below]
    return [
        Row(
            checkpoint=row,
            growth=None if lower is None else row.size - lower,
            witnessing=witnessing(row),
            waited_s=None if wait is None else max(wait.total_seconds(), 0.0),
        )
        for row, lower, wait in zip(found, sizes[1:], waited(log, found, below), strict=True)
    ]


def _watching(signed: Sequence[Witnessing], found: Sequence[Checkpoint]) -> list[Watching]:
    """Return what each witness of today's policy did about the checkpoints of the page."""
    if not signed:
        return []
    times = [{one.name: one.at for one in row.signed} for row in signed]
    names = sorted({*times[0], *signed[0].silent})
    watching = []
    for name in names:
        there = [name in row for row in times]
        at = there.index(True) if any(there) else None
        watching.append(
            Watching(
                name=name,
                signed=there,
                size=None if at is None else found[at].size,
                at=None if at is None else times[at][name],
            )
        )
    return watching


# ------------------------------------------------------------------ charts


def _growth(log: Log, newest: Checkpoint) -> list[charts.Chart]:
    points = [(one.at, one.size) for one in growth(log, newest.size)]
    if len(points) < 2:
        return []
    words = f"{newest.size} entries since {points[0][0]:%Y-%m-%d %H:%M} UTC."
    return [charts.steps("Growth", words, points)]


def _waits(rows: Sequence[Row]) -> list[charts.Chart]:
    timed = [(row.checkpoint.size, row.waited_s) for row in reversed(rows)]
    found = [(size, wait) for size, wait in timed if wait is not None]
    if len(found) < 2:
        return []
    seconds = [wait for _, wait in found]
    words = f"Half waited less than {statistics.median(seconds):.1f} s, none more than "
    ends = (f"checkpoint {found[0][0]}", str(found[-1][0]))
    title = "From signed to proven"
    return [charts.delays(title, f"{words}{max(seconds):.1f} s.", seconds, ends)]


def _signed(rows: Sequence[Row], watching: Sequence[Watching]) -> list[charts.Chart]:
    if not watching or len(rows) < 2:
        return []
    met = sum(row.witnessing.met for row in rows)
    words = f"{met} of {len(rows)} checkpoints have all the cosignatures that are needed."
    ends = (f"checkpoint {rows[-1].checkpoint.size}", str(rows[0].checkpoint.size))
    strips = [(one.name, tuple(reversed(one.signed))) for one in watching]
    return [charts.presence("Cosignatures", words, strips, ends)]
