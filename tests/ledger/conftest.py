"""Fixtures of the ledger's tests: an open log, and witnesses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from assay.note import VKey
from ledger import services as ledger
from tests.ledger.witness import Witness, trust, witness


@pytest.fixture
def opened(db: None) -> None:
    """A log of size 0 without witnesses."""
    ledger.ensure_log()


@pytest.fixture
def log_vkey(opened: None) -> VKey:
    return VKey.parse(ledger.log_vkey())


@pytest.fixture
def policy_path(settings: Settings) -> Path:
    path: Path = settings.WITNESS_POLICY
    return path


@pytest.fixture
def wanda(log_vkey: VKey, policy_path: Path) -> Iterator[Witness]:
    """The honest witness, and the policy that asks for her."""
    with witness("wanda", log_vkey) as server:
        trust(policy_path, server)
        yield server
