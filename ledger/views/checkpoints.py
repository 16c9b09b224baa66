"""`/ledger/checkpoints/` and `/ledger/logs/`: the signed heads, who vouches for them, the logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from ledger import selectors
from ledger.models import Checkpoint, Log
from ledger.publication import full_note
from ledger.selectors import neighbours, published, witnessing
from ledger.views.frame import address, number, pages, place_of, shown

PAGE = 50


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """List the published checkpoints, the newest first."""
    place = place_of(request)
    before, after = (number(request.GET.get(name, "")) for name in ("before", "after"))
    page = selectors.checkpoints(place.log, limit=PAGE, before=before, after=after)

    context = {
        "rows": _rows(place.log, page.rows),
        **pages("/ledger/checkpoints/", place, page),
    }
    return shown(request, "ledger/checkpoints.html", place, context)


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


def _rows(log: Log, found: Sequence[Checkpoint]) -> list[dict[str, Any]]:
    """Return what a line of the list shows; growth is since the checkpoint before, if any."""
    if not found:
        return []
    below = published(log).filter(size__lt=found[-1].size).values_list("size", flat=True).first()
    sizes = [*(row.size for row in found), below]
    return [
        {
            "checkpoint": row,
            "growth": None if lower is None else row.size - lower,
            "witnessing": witnessing(row),
        }
        for row, lower in zip(found, sizes[1:], strict=True)
    ]
