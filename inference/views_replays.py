"""What an execution's page says of its replays, and the button that asks for one."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from inference import quota
from inference.api.replays import COST, PAGE
from inference.choices import ExecutionState, ReplayState, Verdict
from inference.errors import (
    AccountNeededError,
    NotReplayableError,
    TooManyReplaysError,
    TooManyRequestsError,
)
from inference.models import Execution, Replay
from inference.services.replays.asked import request_replay
from registry.choices import KeyRole
from registry.models import Key
from registry.rights import Caller

_REFUSALS = (AccountNeededError, NotReplayableError, TooManyReplaysError, TooManyRequestsError)
_TONES = {Verdict.DIVERGED: "bad", Verdict.UNRUNNABLE: "muted"}


@require_POST
def ask(request: HttpRequest, execution: uuid.UUID) -> HttpResponse:
    """Ask for a replay, and show the page again."""
    try:
        quota.take(request, request.user, cost=COST)
        asked = request_replay(execution, request.user)
    except _REFUSALS as error:
        messages.error(request, error.message)
    else:
        told = "The auditor will run it again." if asked.new else "A replay is pending already."
        messages.success(request, told)
    return redirect(f"/executions/{execution}/#replays")


def replays_context(execution: Execution, user: Caller) -> dict[str, Any]:
    """Return what `inference/replays.html` and the row of the evidence show; two queries."""
    rows = Replay.objects.filter(execution=execution).select_related("entry", "requested_by")
    found = list(rows.order_by("-id")[:PAGE])
    done = [row for row in found if row.state == ReplayState.DONE]
    shown = shown_replays(done)
    return {
        "replays": shown,
        "replay_pending": next((row for row in found if row.state != ReplayState.DONE), None),
        "replay_words": _words(done),
        "replay_incident": any(one["incident"] for one in shown),
        "may_replay": execution.state == ExecutionState.SUCCEEDED,
    }


def shown_replays(done: list[Replay]) -> list[dict[str, Any]]:
    """Return what a table of verdicts shows of each, with who gave it; one query."""
    keys = Key.objects.select_related("owner").filter(
        pk__in={row.auditor for row in done}, role=KeyRole.AUDITOR
    )
    names = {key.pk: key for key in keys} if done else {}
    return [_shown(row, names.get(row.auditor)) for row in done]


def _shown(row: Replay, key: Key | None) -> dict[str, Any]:
    own = key is not None and key.owner_id is None
    name = (
        "the registry's own auditor" if own else f"{key.owner}" if key and key.owner else "auditor"
    )
    return {
        "row": row,
        "own": own,
        "name": name,
        "tone": _TONES.get(Verdict(row.verdict), ""),
        "incident": own and row.verdict == Verdict.DIVERGED,
    }


def _words(done: list[Replay]) -> str:
    """Return the verdicts in a few words, "" without any."""
    counted = Counter(row.verdict for row in done)
    return ", ".join(f"{counted[one]} {one}" for one in Verdict.values if counted[one])
