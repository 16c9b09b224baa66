"""Fixtures of the hub surface's tests: a spool of one's own, and callers."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from registry.hf import calls
from registry.hf.limits import Windows
from tests import builders
from tests.builders import CARD, ONNX
from tests.hf.hub import WEIGHTS, Hub
from tests.people import Person
from tests.registry.conftest import opened

__all__ = ["opened"]


@pytest.fixture(autouse=True)
def _spool(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.XET_DIR = tmp_path / "xet"
    monkeypatch.setattr(calls, "_windows", Windows())


@pytest.fixture
def alices(alice: Person) -> Hub:
    """What alice's programs call, with a token that may write."""
    return Hub(token=alice.token())


@pytest.fixture
def bobs(bob: Person) -> Hub:
    return Hub(token=bob.token())


@pytest.fixture
def mallorys(mallory: Person) -> Hub:
    return Hub(token=mallory.token())


@pytest.fixture
def nobodys(db: None) -> Hub:
    """What a program without a token calls."""
    return Hub()


@pytest.fixture
def head(alice: Person, alices: Hub) -> str:
    """A revision of alice/double with a model, weights and text in folders."""
    files = {
        "model.onnx": ONNX,
        "README.md": CARD,
        "data/weights.bin": WEIGHTS,
        "data/deep/er/a b#%é.txt": b"words",
        "empty": b"",
    }
    return str(builders.make_revision(alice, files=files).pk)
