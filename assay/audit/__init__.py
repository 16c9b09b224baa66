"""The core of an audit: which executions, what was found, who is to blame, what is signed.

plan = draw(round, executions, count)       # lots that nobody could know beforehand
blame(mine, theirs, outputs, claimed)       # the first step at which the two part
render(replay_statement(...))               # what an auditor signs about it
"""

from __future__ import annotations

from assay.audit.blame import BY_OUTPUT, BY_TRACE, Blame, blame, with_claimed
from assay.audit.found import (
    DIVERGED,
    EXACT,
    REFUSED,
    UNCHECKED,
    UNRUNNABLE,
    Drawn,
    Plan,
    Result,
    Sent,
)
from assay.audit.lots import draw, lot, seed_of
from assay.audit.report import Audited, report_json, report_text
from assay.audit.said import replay_statement

__all__ = [
    "BY_OUTPUT",
    "BY_TRACE",
    "DIVERGED",
    "EXACT",
    "REFUSED",
    "UNCHECKED",
    "UNRUNNABLE",
    "Audited",
    "Blame",
    "Drawn",
    "Plan",
    "Result",
    "Sent",
    "blame",
    "draw",
    "lot",
    "replay_statement",
    "report_json",
    "report_text",
    "seed_of",
    "with_claimed",
]
