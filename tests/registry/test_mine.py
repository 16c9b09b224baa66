"""One's own models, and those of one's organisations; what a page remembers of its reader."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client, RequestFactory
from rest_framework.test import APIClient

from registry import rights, selectors
from registry.choices import Action, Role, Visibility
from registry.errors import UnknownModelError
from registry.models import Model, Owner
from registry.services import organisations, transfers
from registry.views.shown import shown
from tests import builders
from tests.people import Person
from tests.registry import calls
from tests.registry.calls import API
from tests.registry.houses import house_model, make_house
from tests.registry.searching import publish


def signed_in(person: Person) -> Client:
    client = Client(headers={"accept": "text/html"})
    client.force_login(person.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def mine(person: Person, query: str = "") -> set[str]:
    answer = person.api().get(f"{API}/models?mine=1&{query}").json()
    return {item["id"] for item in answer["items"]}


@pytest.fixture
def house(alice: Person, bob: Person) -> Owner:
    """acme of alice, where bob only reads: a private model there, and one of each person."""
    owner = make_house(alice, "acme", reader=bob)
    house_model(alice, owner, "quiet", visibility=Visibility.PRIVATE)
    builders.make_model(alice, "hers", Visibility.PRIVATE)
    builders.make_model(bob, "his")
    return owner


def test_a_member_sees_what_is_the_organisations(house: Owner, alice: Person, bob: Person) -> None:
    assert mine(bob) == {"acme/quiet", "bob/his"}
    assert mine(alice) == {"acme/quiet", "alice/hers"}
    assert mine(bob, "owner=acme") == {"acme/quiet"}
    page = signed_in(bob).get("/me/models/").content.decode()
    for name, there in (("acme/quiet", True), ("bob/his", True), ("alice/hers", False)):
        assert (f'href="/models/{name}/"' in page) == there, name


def test_bob_who_left_no_longer_does(house: Owner, bob: Person) -> None:
    client = signed_in(bob)
    assert "acme/quiet" in client.get("/me/models/").content.decode()
    organisations.remove(bob.user, house, name="bob")
    assert "acme/quiet" not in client.get("/me/models/").content.decode()
    assert mine(bob) == {"bob/his"}


def test_mallory_sees_nothing_of_others_and_a_stranger_is_asked_to_sign_in(
    house: Owner, mallory: Person
) -> None:
    assert mine(mallory) == set()
    assert "You have no model yet" in signed_in(mallory).get("/me/models/").content.decode()
    assert calls.error(APIClient().get(f"{API}/models?mine=1")) == (401, "not_authenticated")


def test_the_numbers_beside_ones_own_are_of_ones_own(house: Owner, alice: Person) -> None:
    publish(alice, "shown", license="mit")
    counts = alice.api().get(f"{API}/models?mine=1&facets=1").json()["counts"]
    assert counts["total"] == Model.objects.filter(owner__name__in=("alice", "acme")).count() == 3


# ------------------------------------------------------------------ what a page remembers


def test_a_page_asks_once_what_its_reader_may_do(
    house: Owner, bob: Person, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        model = selectors.find_model("acme/quiet", bob.user, reading=True)
        assert rights.can(bob.user, Action.FILES, model)
        assert not rights.can(bob.user, Action.WRITE, model)


def test_what_a_page_remembers_ends_with_its_request(house: Owner, bob: Person) -> None:
    client, path = signed_in(bob), "/models/acme/quiet/"
    assert client.get(path).status_code == 200
    organisations.remove(bob.user, house, name="bob")
    assert client.get(path).status_code == 404


def test_mallory_is_not_remembered_as_whom_she_is_not(house: Owner, mallory: Person) -> None:
    with pytest.raises(UnknownModelError):
        selectors.find_model("acme/quiet", mallory.user, reading=True)
    assert rights.role_in(mallory.user, house) is None
    house_models = Model.objects.filter(owner=house)
    assert not house_models.filter(rights.owned(mallory.user, Action.READ)).exists()


def test_what_writes_asks_anew(house: Owner, alice: Person, bob: Person) -> None:
    request = RequestFactory().post("/")
    request.user = bob.user
    found = shown(request, "acme", "quiet")
    assert not rights.can(request.user, Action.WRITE, found.model)
    organisations.set_role(alice.user, house, name="bob", role=Role.WRITER)
    assert rights.can(request.user, Action.WRITE, found.model)


# ------------------------------------------------------------------ after a transfer


def test_a_release_names_the_key_owner_who_signed_it_after_the_model_moved(
    alice: Person, bob: Person
) -> None:
    model = publish(alice, "moving")
    row = transfers.offer(alice.user, model, to="bob")
    transfers.accept(bob.user, row.pk)
    key = model.releases.get().key_id
    text = Client(headers={"accept": "text/html"}).get("/models/bob/moving/").content.decode()
    chips = [part for part in text.split('href="/keys/')[1:] if part.startswith(key)]
    assert chips
    for chip in chips:
        assert "alice" in chip[:600]
