"""The whole corpus: all questions, made once, in one order."""

from __future__ import annotations

from functools import cache

from tests.forgeries import (
    documents,
    folders,
    fresh,
    keys,
    liars,
    logged,
    notes,
    parts,
    statements,
    tensors,
)
from tests.forgeries.lies import OK
from tests.forgeries.question import Question

# What may not go missing from the corpus: the kinds of tests/js/verdict.mjs.
KINDS = {
    "receipt", "bundle", "oms", "alias", "registration", "checkpoint", "cosignature", "note",
    "tlog-proof", "inclusion", "consistency", "statement", "predicate", "manifest", "tensors",
    "policy", "trusted-root", "keys", "envelope", "entry", "runtime", "vkey", "key", "compact",
    "split-view", "json",
}  # fmt: skip


@cache
def questions() -> tuple[Question, ...]:
    """Return every question, the honest artefacts among them."""
    sources = (
        *(logged, liars, folders, fresh, notes, statements),
        *(documents, keys, tensors, parts),
    )
    return tuple(asked for source in sources for asked in source.questions())


def forgeries() -> tuple[Question, ...]:
    return tuple(asked for asked in questions() if asked.family != OK)


def truths() -> tuple[Question, ...]:
    return tuple(asked for asked in questions() if asked.family == OK)
