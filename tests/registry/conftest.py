"""Fixtures of the registry's tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

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


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """Run an object store on this machine; its address."""
    from tests.ledger.s3 import give_credentials, object_store  # takes a second, and few need it

    with pytest.MonkeyPatch.context() as patch:
        give_credentials(patch)
        with object_store() as endpoint:
            yield endpoint


@pytest.fixture
def kept(store: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, str]:
    """Keep blobs in a new bucket; a client of the store, and the bucket's name."""
    from tests.ledger.s3 import give_credentials
    from tests.registry.bucket import keep_blobs_in

    give_credentials(monkeypatch)
    return keep_blobs_in(settings, store)
