"""A site with something on every page: alice's models, bob's secret, a ledger."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.test import Client

from registry.choices import Visibility
from registry.models import Model, Release, Revision
from tests import builders
from tests.ledger.builders import sequence
from tests.people import Person

ACCEPT = "text/html,*/*;q=0.8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What is on the site: `release` is alice/double 1.0.0, `waiting` was not inspected yet."""

    alice: Person
    bob: Person
    release: Release
    waiting: Revision
    secret: Model

    @property
    def model(self) -> str:
        return self.release.model.full_name


@pytest.fixture
def site(alice: Person, bob: Person) -> Site:
    release = builders.publish_release(alice)
    waiting = builders.make_revision(alice, builders.make_model(alice, "waiting"), report=None)
    secret = builders.make_model(alice, "secret", Visibility.PRIVATE)
    builders.publish_release(
        alice, builders.make_revision(alice, secret), key=builders.known_key(release.key, alice)
    )
    sequence()
    return Site(alice=alice, bob=bob, release=release, waiting=waiting, secret=secret)


@pytest.fixture
def reader() -> Client:
    """A browser that nobody has signed in with."""
    return Client(headers={"accept": ACCEPT})


@pytest.fixture
def as_alice(reader: Client, alice: Person) -> Client:
    reader.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    return reader


@pytest.fixture
def as_bob(bob: Person) -> Client:
    client = Client(headers={"accept": ACCEPT})
    client.force_login(bob.user, backend="django.contrib.auth.backends.ModelBackend")
    return client
