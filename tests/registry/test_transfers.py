"""Models that change hands: both sides agree, the old address leads on, no name is given twice."""

from __future__ import annotations

from functools import partial

import pytest
from rest_framework.test import APIClient

from registry import selectors
from registry.choices import TransferState, Visibility
from registry.errors import (
    ConflictError,
    InvalidInputError,
    MovedError,
    NameTakenError,
    NotAllowedError,
    UnknownModelError,
    UnknownOwnerError,
    UnknownRequestError,
)
from registry.models import AuditEvent, FormerName, Model, Revision, TrustedPublisher
from registry.services import closing, models, organisations, repos, revisions, transfers
from tests import builders
from tests.people import Person
from tests.registry import calls
from tests.registry.calls import API
from tests.registry.houses import at_once, house_model, join, make_house, sent


def _give(alice: Person, bob: Person, model: Model) -> Model:
    """Let `model` go from alice to bob, who accepts."""
    row = transfers.offer(alice.user, model, to=bob.name)
    return transfers.accept(bob.user, row.pk).model


def test_bob_accepts_what_alice_gives(alice: Person, bob: Person) -> None:
    model = builders.publish_release(alice).model
    row = transfers.offer(alice.user, model, to="BOB")
    assert row.state == TransferState.WAITING
    assert sent("alice/double is offered to bob") == ["bob@example.org"]
    assert transfers.accept(bob.user, row.pk).state == TransferState.ACCEPTED
    model.refresh_from_db()
    assert model.full_name == "bob/double"
    assert selectors.find_release(model, "1.0.0").key.owner == alice.owner
    for name in ("alice/double", "ALICE/Double", "alice--double"):
        with pytest.raises(MovedError) as moved:
            selectors.find_model(name)
        assert moved.value.detail["now"] == "bob/double"
        assert selectors.find_model(name, follow=True) == model
    rows = AuditEvent.objects.filter(model=model, action__startswith="transfer.")
    assert [row.owner for row in rows.order_by("pk")] == [alice.owner, alice.owner]
    assert AuditEvent.objects.get(action="model.arrive").owner == bob.owner


def test_who_decides_for_both_needs_nobody(alice: Person, bob: Person) -> None:
    make_house(alice)
    row = transfers.offer(alice.user, builders.make_model(alice), to="acme")
    assert (row.state, row.model.full_name) == (TransferState.ACCEPTED, "acme/double")


def test_a_member_who_is_no_admin_accepts_nothing(alice: Person, bob: Person) -> None:
    make_house(bob, publisher=alice)
    row = transfers.offer(alice.user, builders.make_model(alice), to="acme")
    assert row.state == TransferState.WAITING
    with pytest.raises(UnknownRequestError):
        transfers.accept(alice.user, row.pk)
    assert transfers.accept(bob.user, row.pk).model.full_name == "acme/double"


def test_mallory_may_not_give_take_decline_or_cancel(
    alice: Person, bob: Person, mallory: Person
) -> None:
    model = builders.make_model(alice)
    secret = builders.make_model(alice, "secret", Visibility.PRIVATE)
    with pytest.raises(NotAllowedError):
        transfers.offer(mallory.user, model, to="mallory")
    with pytest.raises(UnknownModelError):
        transfers.offer(mallory.user, secret, to="mallory")
    row = transfers.offer(alice.user, model, to="bob")
    for act in (transfers.accept, transfers.decline, transfers.cancel):
        with pytest.raises(UnknownRequestError):
            act(mallory.user, row.pk)
        with pytest.raises(UnknownRequestError):
            act(mallory.user, row.pk + 1)
    with pytest.raises(UnknownRequestError):
        transfers.cancel(bob.user, row.pk)
    with pytest.raises(UnknownRequestError):
        transfers.accept(alice.user, row.pk)


@pytest.mark.parametrize("role", ["reader", "writer", "publisher"])
def test_only_an_admin_gives_a_model_of_the_organisation(
    role: str, alice: Person, bob: Person
) -> None:
    acme = make_house(alice, **{role: bob})
    model = house_model(alice, acme)
    with pytest.raises(NotAllowedError):
        transfers.offer(bob.user, model, to="bob")


def test_an_offer_is_answered_once(alice: Person, bob: Person) -> None:
    model = builders.make_model(alice)
    row = transfers.offer(alice.user, model, to="bob")
    with pytest.raises(ConflictError):
        transfers.offer(alice.user, model, to="bob")
    assert transfers.decline(bob.user, row.pk).state == TransferState.DECLINED
    for act, person in ((transfers.accept, bob), (transfers.cancel, alice)):
        with pytest.raises(ConflictError):
            act(person.user, row.pk)
    row = transfers.offer(alice.user, model, to="bob")
    assert transfers.cancel(alice.user, row.pk).state == TransferState.CANCELLED
    with pytest.raises(ConflictError):
        transfers.accept(bob.user, row.pk)
    model.refresh_from_db()
    assert model.owner == alice.owner


def test_bad_targets_are_refused(alice: Person, bob: Person) -> None:
    model = builders.make_model(alice)
    builders.make_model(bob, "Double")
    for to, error in (
        ("alice", InvalidInputError),
        ("nobody", UnknownOwnerError),
        ("a\0", UnknownOwnerError),
        ("bob", NameTakenError),
    ):
        with pytest.raises(error):
            transfers.offer(alice.user, model, to=to)


def test_a_name_that_is_taken_meanwhile_stops_the_transfer(alice: Person, bob: Person) -> None:
    row = transfers.offer(alice.user, builders.make_model(alice), to="bob")
    mine = builders.make_model(bob)
    with pytest.raises(NameTakenError):
        transfers.accept(bob.user, row.pk)
    repos.delete(bob.user, mine)  # its tombstone keeps the name
    with pytest.raises(NameTakenError):
        transfers.accept(bob.user, row.pk)


def test_the_old_name_is_never_given_out_again(alice: Person, bob: Person) -> None:
    model = _give(alice, bob, builders.make_model(alice))
    for name in ("double", "DOUBLE"):
        with pytest.raises(NameTakenError):
            models.create(alice.user, name=name)
    other = builders.make_model(bob, "other")
    Model.objects.filter(pk=other.pk).update(name="Double2")
    assert FormerName.objects.get().model == model


def test_a_model_may_come_home(alice: Person, bob: Person) -> None:
    model = _give(alice, bob, builders.make_model(alice))
    model = _give(bob, alice, model)
    assert selectors.find_model("alice/double") == model
    with pytest.raises(MovedError):
        selectors.find_model("bob/double")
    assert _give(alice, bob, model).full_name == "bob/double"


def test_nobody_learns_where_a_private_model_went(
    alice: Person, bob: Person, mallory: Person
) -> None:
    _give(alice, bob, builders.make_model(alice, visibility=Visibility.PRIVATE))
    for person in (mallory, alice):
        with pytest.raises(UnknownModelError):
            selectors.find_model("alice/double", person.user)


def test_the_old_owner_has_no_right_left(alice: Person, bob: Person) -> None:
    pair = builders.make_key(alice)
    model = builders.make_revision(alice).model
    head = Model.objects.get(pk=model.pk).head
    TrustedPublisher.objects.create(
        model=model, issuer="https://x", repository="a/b", workflow="w", created_by=alice.user
    )
    _give(alice, bob, model)
    with pytest.raises(NotAllowedError):
        revisions.commit(alice.user, model, files=[], parent=None)
    with pytest.raises(NotAllowedError):  # her key is not the new owner's
        builders.publish_release(
            bob,
            selectors.find_revision(
                Model.objects.get(pk=model.pk), str(head and head.pk), bob.user
            ),
            key=pair,
        )
    assert TrustedPublisher.objects.get().removed_at is not None


def test_a_closed_account_takes_nothing(alice: Person, bob: Person) -> None:
    model = builders.make_model(alice)
    row = transfers.offer(alice.user, model, to="bob")
    closing.close(bob.user)
    row.refresh_from_db()
    assert row.state == TransferState.CANCELLED
    with pytest.raises(UnknownOwnerError):
        transfers.offer(alice.user, model, to="bob")


# ------------------------------------------------------------------ races


@pytest.mark.django_db(transaction=True)
def test_of_two_who_accept_at_once_one_does(alice: Person, bob: Person) -> None:
    model = builders.make_model(alice)
    row = transfers.offer(alice.user, model, to="bob")
    act = partial(transfers.accept, bob.user, row.pk)
    assert at_once(act, act) == ["ConflictError", "done"]
    assert AuditEvent.objects.filter(action="transfer.accept").count() == 1


@pytest.mark.django_db(transaction=True)
def test_accepting_and_taking_back_at_once_have_one_winner(alice: Person, bob: Person) -> None:
    model = builders.make_model(alice)
    row = transfers.offer(alice.user, model, to="bob")
    ended = at_once(
        lambda: transfers.accept(bob.user, row.pk), lambda: transfers.cancel(alice.user, row.pk)
    )
    assert len(ended) == 2
    assert "done" in ended
    assert ended[0] in ("ConflictError", "UnknownRequestError")
    row.refresh_from_db()
    model.refresh_from_db()
    assert (model.owner == bob.owner) is (row.state == TransferState.ACCEPTED)


@pytest.mark.django_db(transaction=True)
def test_a_commit_during_the_transfer_is_the_old_owners_or_is_refused(
    alice: Person, bob: Person
) -> None:
    model = builders.make_model(alice)
    row = transfers.offer(alice.user, model, to="bob")
    blob = builders.store_blob(b"text", alice.user).sha256

    def commit() -> None:
        revisions.commit(alice.user, model, files=[("a.txt", blob)], parent=None)

    ended = at_once(lambda: transfers.accept(bob.user, row.pk), commit)
    assert ended in (["NotAllowedError", "done"], ["done", "done"])
    assert Revision.objects.count() == ended.count("done") - 1
    model.refresh_from_db()
    assert model.owner == bob.owner


@pytest.mark.django_db(transaction=True)
def test_the_old_name_is_not_taken_while_the_model_leaves(alice: Person, bob: Person) -> None:
    model = builders.make_model(alice)
    row = transfers.offer(alice.user, model, to="bob")
    ended = at_once(
        lambda: transfers.accept(bob.user, row.pk),
        lambda: models.create(alice.user, name="Double"),
    )
    assert ended == ["NameTakenError", "done"]
    assert Model.objects.count() == 1


# ------------------------------------------------------------------ addresses


def test_the_old_address_leads_on_everywhere(alice: Person, bob: Person) -> None:
    model = builders.publish_release(alice).model
    _give(alice, bob, model)
    api = APIClient()
    answer = api.get(f"{API}/models/Alice/double/releases?x=alice/double")
    assert (answer.status_code, answer.json()["error"]["code"]) == (308, "moved")
    assert answer["Location"] == f"{API}/models/bob/double/releases?x=alice/double"
    posted = alice.api().post(f"{API}/models/alice/double/releases/1.0.0/yank", {}, format="json")
    assert posted["Location"] == f"{API}/models/bob/double/releases/1.0.0/yank"
    page = api.get("/models/alice/double/files/", headers={"accept": "text/html"})
    assert (page.status_code, page["Location"]) == (301, "/models/bob/double/files/")
    assert page["Cache-Control"] == "no-store"
    assert api.get("/alice/double/", headers={"accept": "text/html"})["Location"] == "/bob/double/"
    # Stock hub clients follow no redirect of a commit: there the old name means the model.
    assert api.get("/hf/api/models/alice/double").json()["id"] == "bob/double"
    assert api.get("/search/?q=alice/double")["Location"] == "/models/bob/double/"


def test_a_move_is_no_news_for_who_may_not_know(alice: Person, bob: Person) -> None:
    _give(alice, bob, builders.make_model(alice, visibility=Visibility.PRIVATE))
    for address in ("/api/v1/models/{}", "/models/{}/", "/hf/api/models/{}"):
        assert APIClient().get(address.format("alice/double")).status_code == 404


def test_all_of_it_over_rest(alice: Person, bob: Person, mallory: Person) -> None:
    builders.make_model(alice)
    make_house(bob)
    api, bobs = alice.api(), bob.api()
    address = f"{API}/models/alice/double/transfers"
    assert calls.error(mallory.api().post(address, {"to": "mallory"}, format="json"))[0] == 403
    for end in ("decline", "cancel", "accept"):
        made = api.post(address, {"to": "acme"}, format="json")
        assert (made.status_code, made.json()["state"]) == (201, "waiting")
        pk = made.json()["id"]
        assert [row["id"] for row in bobs.get(f"{API}/transfers").json()["items"]] == [pk]
        assert mallory.api().get(f"{API}/transfers").json() == {"items": [], "next": ""}
        refused = mallory.api().post(f"{API}/transfers/{pk}/{end}")
        assert calls.error(refused) == (404, "unknown_request")
        who = api if end == "cancel" else bobs
        assert who.post(f"{API}/transfers/{pk}/{end}").status_code == 200
    assert api.get(f"{API}/models/acme/double").status_code == 200


def test_a_lesser_token_gives_and_takes_nothing(alice: Person, bob: Person) -> None:
    model = builders.make_model(alice)
    address = f"{API}/models/alice/double/transfers"
    assert calls.error(alice.api("publish").post(address, {"to": "bob"}, format="json"))[0] == 403
    row = transfers.offer(alice.user, model, to="bob")
    taken = bob.api("publish").post(f"{API}/transfers/{row.pk}/accept")
    assert calls.error(taken) == (404, "unknown_request")


def test_a_deleted_organisation_takes_its_offers_along(alice: Person, bob: Person) -> None:
    acme = make_house(bob)
    join(bob, acme, alice, "admin")
    model = house_model(bob, acme)
    row = transfers.offer(alice.user, model, to="alice")
    assert row.state == TransferState.ACCEPTED
    waiting = transfers.offer(alice.user, builders.make_model(alice, "b"), to="bob")
    organisations.delete(bob.user, acme)
    waiting.refresh_from_db()
    assert waiting.state == TransferState.WAITING
