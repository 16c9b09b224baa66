"""The browser's vectors stay what `assay` makes."""

from __future__ import annotations

from tests.js import vectors, verified


def test_the_browsers_vectors_are_what_the_verifier_makes() -> None:
    assert vectors.TARGET.read_bytes() == vectors.make(), "run: python -m tests.js.vectors"


def test_the_browsers_verdicts_are_what_the_verifier_says() -> None:
    assert verified.TARGET.read_bytes() == verified.make(), "run: python -m tests.js.verified"
