"""Fixtures of the registry's tests."""

from __future__ import annotations

import pytest

from ledger import services as ledger
from registry.models import Release
from tests import builders
from tests.people import Person
from tests.registry.alias_calls import another


@pytest.fixture
def opened(db: None) -> None:
    """A log of size 0 without witnesses."""
    ledger.ensure_log()


@pytest.fixture
def first(opened: None, alice: Person) -> Release:
    """Release 1.0.0 of alice/double."""
    return builders.publish_release(alice)


@pytest.fixture
def second(alice: Person, first: Release) -> Release:
    """Release 2.0.0 of alice/double, with other files."""
    return another(alice, first, "2.0.0")
