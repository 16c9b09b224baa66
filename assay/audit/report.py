"""The report of an audit: what was drawn, what came of it, as JSON and as text for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from assay.audit.found import (
    DIVERGED,
    EXACT,
    OUTCOMES,
    REFUSED,
    UNCHECKED,
    UNRUNNABLE,
    Drawn,
    Plan,
    Result,
    Sent,
)

FORMAT = "assay-audit-report-v1"
_WORDS = {
    EXACT: "exact: the same bits",
    DIVERGED: "DIVERGED: other bits than were signed",
    UNRUNNABLE: "unrunnable: the runtime refused the model",
    REFUSED: "REFUSED: not what was signed",
    UNCHECKED: "unchecked: could not be had, or not be run here",
}


@dataclass(slots=True, kw_only=True)
class Audited:
    """One round: its plan, and the results and answers so far, by index of the entry."""

    plan: Plan
    results: dict[int, Result] = field(default_factory=dict)
    sent: dict[int, Sent] = field(default_factory=dict)

    @property
    def waiting(self) -> list[int]:
        """The indices of what was drawn and has no result yet."""
        return [item.index for item in self.plan.drawn if item.index not in self.results]

    @property
    def unsent(self) -> list[Result]:
        """The results whose statements the registry has not answered."""
        signed = (result for result in self.results.values() if result.envelope is not None)
        return [result for result in signed if result.index not in self.sent]

    def count(self, outcome: str) -> int:
        """Return how many results have this outcome."""
        return sum(result.outcome == outcome for result in self.results.values())

    @property
    def taken(self) -> int:
        """How many statements the registry took."""
        return sum(sent.taken for sent in self.sent.values())


def _totals(rounds: Sequence[Audited]) -> dict[str, int]:
    counts = {outcome: sum(one.count(outcome) for one in rounds) for outcome in OUTCOMES}
    return {
        "executions": sum(one.plan.executions for one in rounds),
        "drawn": sum(len(one.plan.drawn) for one in rounds),
        "waiting": sum(len(one.waiting) for one in rounds),
        **counts,
        "signed": sum(r.envelope is not None for one in rounds for r in one.results.values()),
        "taken": sum(one.taken for one in rounds),
    }


def report_json(rounds: Sequence[Audited]) -> dict[str, Any]:
    """Return the whole report; whoever reads it can draw each round's lots again."""
    return {
        "format": FORMAT,
        "totals": _totals(rounds),
        "rounds": [_round(one) for one in rounds],
    }


def _round(one: Audited) -> dict[str, Any]:
    told = one.plan.to_dict()
    told["drawn"] = [_line(one, item) for item in one.plan.drawn]
    return told


def _line(one: Audited, item: Drawn) -> dict[str, Any]:
    result, sent = one.results.get(item.index), one.sent.get(item.index)
    found: dict[str, Any] = {"outcome": None} if result is None else result.to_dict()
    return {
        **item.to_dict(),
        **found,
        "sent": None if sent is None else {"taken": sent.taken, "reason": sent.reason},
    }


def report_text(rounds: Sequence[Audited]) -> str:
    """Return the report for people: the sums, and each execution that is not exact."""
    totals = _totals(rounds)
    lines = [
        f"Audit of {rounds[0].plan.origin}" if rounds else "Audit: nothing was drawn yet",
        "",
        *(_plan_words(number, one.plan) for number, one in enumerate(rounds, 1)),
        "",
        *(f"{totals[outcome]:>8}  {_WORDS[outcome]}" for outcome in OUTCOMES),
        f"{totals['waiting']:>8}  not looked at yet",
        f"{totals['signed']:>8}  statements signed, {totals['taken']} taken by the registry",
    ]
    worth = [words for one in rounds for words in _worth(one)]
    refused = [
        f"  entry {sent.index}: the registry did not take the statement: {sent.reason}"
        for one in rounds
        for sent in one.sent.values()
        if not sent.taken
    ]
    return "\n".join([*lines, *(["", "What is not exact:"] if worth else []), *worth, *refused, ""])


def _worth(one: Audited) -> list[str]:
    """Return what people have to know of: every result that is not exact, in order of entries."""
    found = [(item, one.results.get(item.index)) for item in one.plan.drawn]
    return [_words(item, r) for item, r in found if r is not None and r.outcome != EXACT]


def _plan_words(number: int, plan: Plan) -> str:
    asked = "all" if plan.sample is None else f"{plan.sample} asked for"
    return (
        f"Round {number}, {plan.began_at}: entries {plan.start} to {plan.end - 1}, "
        f"{plan.executions} executions, {len(plan.drawn)} drawn ({asked}) "
        f"by root {plan.root} and nonce {plan.nonce}"
    )


def _words(drawn: Drawn, result: Result) -> str:
    lines = [f"  entry {result.index}, {drawn.execution or 'unreadable'} of {drawn.model or '?'}"]
    lines.append(f"    {result.outcome}: {result.reason}")
    if result.first_divergence:
        by = "the operator's own trace" if result.basis == "trace" else "the signed output"
        lines.append(f"    first diverging node, by {by}: {result.first_divergence}")
    if result.evidence:
        lines.append(f"    evidence: {result.evidence}")
    return "\n".join(lines)
