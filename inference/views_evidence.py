"""The Evidence tab of a model: which levels its newest answers reach, and who ran them again.

Levels are checks of one statement each (`/docs/evidence/`). Counted are the newest answers alone,
so that the page costs the same for a model with ten executions and for one with a million.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from inference import selectors
from inference.choices import ExecutionState, ReplayState, TraceState, Verdict
from inference.models import Execution, Replay, Trace
from inference.views_replays import shown_replays
from ledger import services as ledger
from ledger.errors import LedgerError
from registry.choices import KeyRole
from registry.models import Claim, Key
from registry.selectors import files
from registry.views.shown import evidence_context, shown

LOOKED_AT = 100
LISTED = 20


class Told(NamedTuple):
    """That an auditor, the registry's `own` or another, came to this verdict on an answer."""

    execution: uuid.UUID
    verdict: str
    own: bool


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
    replays = Replay.objects.filter(execution__in=page.executions, state=ReplayState.DONE)
    told = _told(replays)
    wrong = {one.execution for one in told if one.own and one.verdict == Verdict.DIVERGED}
    newest = list(replays.select_related("entry").order_by("-id")[: LISTED + 1])
    context = {
        **found.context(),
        "answers": len(page.executions),
        "more_answers": bool(page.next),
        "levels": levels(page.executions, told),
        "incidents": sorted(wrong),
        "replays": shown_replays(newest[:LISTED]),
        "more_replays": len(newest) > LISTED,
    }
    if found.release:
        statement: Claim = found.release.statement  # type: ignore[attr-defined]  # an annotation
        count = files(found.release.revision).count()
        context |= evidence_context(found.release, statement, count)
    return render(request, "inference/model_evidence.html", context)


def _told(replays: QuerySet[Replay]) -> set[Told]:
    """Return who got what of which answer; few, however many replays strangers hand in."""
    own = Key.objects.filter(pk=OuterRef("auditor"), role=KeyRole.AUDITOR, owner=None)
    rows = replays.annotate(own=Exists(own)).order_by()
    return {Told(*row) for row in rows.values_list("execution_id", "verdict", "own").distinct()}


def levels(answers: Sequence[Execution], told: set[Told]) -> list[Level]:
    """Return the levels that this site offers, with how many of `answers` reach each.

    `told` are the verdicts on `answers`.
    """
    head = _head()
    logged = sum(_is_logged(one, head) for one in answers)
    counted = Counter(verdict for _, verdict in {(one.execution, one.verdict) for one in told})
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
