"""The Evidence tab of a model: which levels its newest answers reach, and who ran them again.

Levels are checks of one statement each (`/docs/evidence/`). Counted are the newest answers alone,
so that the page costs the same for a model with ten executions and for one with a million.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from inference import selectors
from inference.choices import ExecutionState, ReplayState, TraceState, Verdict
from inference.models import Execution, Replay, Trace
from inference.views_replays import shown_replays
from ledger import services as ledger
from ledger.errors import LedgerError
from registry.models import Claim
from registry.selectors import files
from registry.views.shown import evidence_context, shown

LOOKED_AT = 100
LISTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A level of evidence: its anchor in `/docs/evidence/`, and how many answers reach it."""

    anchor: str
    word: str
    shows: str
    reached: int
    but: str = ""


@require_safe
def model_evidence(request: HttpRequest, owner: str, name: str) -> HttpResponse:
    """Show what stands behind a model: its release, and the newest answers level by level."""
    found = shown(request, owner, name)
    page = selectors.page(
        request.user,
        model=found.model.full_name,
        state=ExecutionState.SUCCEEDED,
        size=LOOKED_AT,
    )
    replays = list(
        Replay.objects.filter(execution__in=page.executions, state=ReplayState.DONE)
        .select_related("entry")
        .order_by("-id")
    )
    verdicts = shown_replays(replays)
    context = {
        **found.context(),
        "answers": len(page.executions),
        "more_answers": bool(page.next),
        "levels": levels(page.executions, replays),
        "incidents": [one["row"].execution_id for one in verdicts if one["incident"]],
        "replays": verdicts[:LISTED],
        "more_replays": len(verdicts) > LISTED,
    }
    if found.release:
        statement: Claim = found.release.statement  # type: ignore[attr-defined]  # an annotation
        count = files(found.release.revision).count()
        context |= evidence_context(found.release, statement, count)
    return render(request, "inference/model_evidence.html", context)


def levels(answers: Sequence[Execution], replays: Sequence[Replay]) -> list[Level]:
    """Return the levels that this site offers, with how many of `answers` reach each."""
    head = _head()
    logged = sum(_is_logged(one, head) for one in answers)
    verdicts: dict[Any, set[str]] = {}
    for replay in replays:
        verdicts.setdefault(replay.execution_id, set()).add(replay.verdict)
    counted = Counter(verdict for found in verdicts.values() for verdict in found)
    traced = Trace.objects.filter(execution__in=answers, state=TraceState.DONE)
    diverged, close = counted[Verdict.DIVERGED], counted[Verdict.CLOSE]
    others = (f"{diverged} diverged" if diverged else "", f"{close} only close" if close else "")
    return [
        Level(
            anchor="signed",
            word="Signed",
            shows="The executor's key stated model, input, output and runtime of the answer.",
            reached=len(answers),
        ),
        Level(
            anchor="logged",
            word="Logged",
            shows=f"The statement is an entry of the log, under a tree that {_who_saw(head)}.",
            reached=logged,
            but=f"{len(answers) - logged} waiting" if logged < len(answers) else "",
        ),
        Level(
            anchor="replayed",
            word="Replayed",
            shows="Auditors ran the same bytes again and got the same bits.",
            reached=counted[Verdict.EXACT],
            but=", ".join(filter(None, others)),
        ),
        Level(
            anchor="traced",
            word="Traced",
            shows="The digest of each node's values is kept: a wrong step can be named.",
            reached=traced.values("execution").distinct().count(),
        ),
    ]


def _head() -> ledger.Head | None:
    try:
        return ledger.newest_checkpoint()
    except LedgerError:
        return None


def _is_logged(answer: Execution, head: ledger.Head | None) -> bool:
    """Tell whether a published checkpoint covers the answer: an index alone proves nothing yet."""
    entry = answer.entry
    if entry is None or entry.index is None:
        return False
    return not ledger.is_current(entry) or (head is not None and entry.index < head.size)


def _who_saw(head: ledger.Head | None) -> str:
    if head is None or not head.quorum:
        return "the log published; no witness is asked here"
    if head.witnesses < head.quorum:
        return "the log published; too few witnesses have seen the newest one"
    return "witnesses have seen"
