"""What the rules say of each forgery, the Python verifier says too."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.forgeries.corpus import KINDS, forgeries, questions, truths
from tests.forgeries.question import Question
from tests.forgeries.verdict import verdict

LEAST = 6_000


def by_artefact(asked: tuple[Question, ...]) -> list[object]:
    """Group questions by artefact and field: one test each, or there would be thousands."""
    groups: dict[str, list[Question]] = {}
    for question in asked:
        groups.setdefault(question.name.rpartition(":")[0] or question.kind, []).append(question)
    return [pytest.param(group, id=name) for name, group in groups.items()]


def wrongly_judged(asked: list[Question]) -> list[str]:
    found = []
    for question in asked:
        family, reason = verdict(question)
        if family != question.family:
            found.append(f"{question.name}: {question.family} is {family}: {reason[:200]}")
    return found


def test_the_corpus_holds_what_it_should() -> None:
    names = Counter(asked.name for asked in questions())
    assert [name for name, count in names.items() if count > 1] == []
    assert len(forgeries()) >= LEAST
    assert {asked.kind for asked in forgeries()} == KINDS
    assert {asked.kind for asked in truths()} == KINDS
    assert {asked.family for asked in questions()} == {
        "ok",
        "usage",
        "malformed",
        "refused",
        "split view",
        "could not check",
    }


@pytest.mark.parametrize("asked", by_artefact(forgeries()))
def test_mallory_is_found_out(asked: list[Question]) -> None:
    assert wrongly_judged(asked) == []


@pytest.mark.parametrize("asked", by_artefact(truths()))
def test_alice_is_believed(asked: list[Question]) -> None:
    assert wrongly_judged(asked) == []
