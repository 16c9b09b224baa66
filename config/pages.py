"""The two pages that show all apps at once: the first one, and the state of the parts."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from inference import selectors as executions, shown as shows
from inference.client import ExecutorClient, ExecutorError, ExecutorUnavailableError
from inference.services.replays import standing as replays
from inference.views_replays import replays_context
from ledger import services as ledger
from ledger.choices import LeaderState
from ledger.errors import LedgerError
from registry import listing
from registry.views.lines import verify_lines

NEWEST = 5
_EXECUTOR_S = 2.0
_QUIET_S = 24 * 3600
Part = tuple[str, str, str]


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Explain the idea, and show the newest of everything."""
    context = {
        "hide_search": True,
        "releases": listing.newest_releases(request.user, NEWEST),
        "executions": executions.page(request.user, size=NEWEST).executions,
        **_example(),
    }
    return render(request, "home.html", context)


def _example() -> dict[str, Any]:
    """Return the newest public execution with its evidence, as a stranger sees it.

    The newest checkpoint is the one that the page shows anyway.
    """
    row = executions.newest_example()
    if row is None or row.entry is None or row.entry.index is None:
        return {"execution": None}
    head = ledger.newest_checkpoint()
    included = row.entry.index < head.size
    return {
        "ledger_head": head,
        "execution": row,
        "place": f"/executions/{row.pk}/",  # where the links of the evidence lead
        "entry_status": ledger.EntryStatus(
            index=row.entry.index,
            included=included,
            checkpoint_size=head.size if included else None,
            witnesses=head.witnesses if included else 0,
        ),
        "sets": shows.set_views(row, None),
        "check_lines": _check_lines(row.pk),
        **replays_context(row, None),
    }


def _check_lines(execution: object) -> str:
    """Return how to take a receipt and check it offline, ready to paste."""
    lines = verify_lines(settings.SITE_URL)
    return "\n".join((lines["pin"], lines["get"].replace("/ID/", f"/{execution}/"), lines["assay"]))


@require_safe
def status(request: HttpRequest) -> HttpResponse:
    """Say which parts answer. This page could be made, so web process and database do."""
    parts = [("Pages and database", "up", ""), _ledger(), _executor(), _replays()]
    return render(request, "status.html", {"parts": parts})


def _ledger() -> Part:
    try:
        head, log = ledger.newest_checkpoint(), ledger.log_state()
    except LedgerError as error:
        return "Ledger", "down", error.message
    if log.state == LeaderState.STOPPED:
        return "Ledger", "stopped", f"nothing is logged until its operator has looked: {log.reason}"
    if not log.alive:
        return "Ledger", "not leading", "no sequencer was heard a moment ago: what is signed waits"
    if log.state == LeaderState.HELD:
        return "Ledger", "held", log.reason
    age_s = int((timezone.now() - head.signed_at).total_seconds())
    if head.witnesses < head.quorum:
        return "Ledger", "not witnessed", f"{head.witnesses} of {head.quorum} needed witnesses"
    quiet = "; nothing was logged since" if age_s > _QUIET_S else ""
    return "Ledger", "up", f"newest checkpoint {age_s} s old{quiet}"


def _executor() -> Part:
    client = ExecutorClient(settings.EXECUTOR_SOCKET, timeout=_EXECUTOR_S)
    try:
        found = client.status()
    except (ExecutorError, ExecutorUnavailableError):
        return "Executor", "down", "models cannot be run now; queued executions wait"
    finally:
        client.close()
    return "Executor", "up", f"{found.free} of {found.slots} slots free"


def _replays() -> Part:
    found = replays.standing()
    if found.diverged:
        words = f"{found.diverged} of the auditor's own replays gave another output than was signed"
        return "Replays", "diverged", f"{words}, the newest of execution {found.newest_diverged}"
    if found.behind:
        return "Replays", "behind", f"{found.waiting} wait, some for more than a quarter of an hour"
    if found.newest_at is None:
        return "Replays", "up", "nothing was replayed by the auditor yet"
    age_s = int((timezone.now() - found.newest_at).total_seconds())
    return "Replays", "up", f"none diverged, {found.waiting} wait; the newest is {age_s} s old"
