"""The browser's vectors stay what `assay` makes."""

from __future__ import annotations

from tests.js.vectors import TARGET, make


def test_the_browsers_vectors_are_what_the_verifier_makes() -> None:
    assert TARGET.read_bytes() == make(), "run: python -m tests.js.vectors"
