"""Fixtures of the registry's tests."""

from __future__ import annotations

import pytest

from ledger import services as ledger


@pytest.fixture
def opened(db: None) -> None:
    """A log of size 0 without witnesses."""
    ledger.ensure_log()
