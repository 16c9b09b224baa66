"""In-toto Statement v1 and the predicates of Assay.

`parse_statement` reads any statement, `parse_predicate` the predicate of one of our kinds; a
predicate's `statement(subjects)` is the way to make one, `render` gives the bytes to sign.
"""

from __future__ import annotations

from assay.manifest import OMS
from assay.statements.fields import timestamp
from assay.statements.parts import Graph, Observed, Runtime, TensorSet
from assay.statements.predicates import (
    ALIAS,
    CARD,
    EXECUTION,
    KEY,
    MODERATION,
    RELEASE,
    REPLAY,
    AliasPredicate,
    CardPredicate,
    ExecutionPredicate,
    KeyPredicate,
    ModerationPredicate,
    Predicate,
    ReleasePredicate,
    ReplayPredicate,
    parse_predicate,
)
from assay.statements.statement import Statement, Subject, parse_statement, render

__all__ = [
    "ALIAS",
    "CARD",
    "EXECUTION",
    "KEY",
    "MODERATION",
    "OMS",
    "RELEASE",
    "REPLAY",
    "AliasPredicate",
    "CardPredicate",
    "ExecutionPredicate",
    "Graph",
    "KeyPredicate",
    "ModerationPredicate",
    "Observed",
    "Predicate",
    "ReleasePredicate",
    "ReplayPredicate",
    "Runtime",
    "Statement",
    "Subject",
    "TensorSet",
    "parse_predicate",
    "parse_statement",
    "render",
    "timestamp",
]
