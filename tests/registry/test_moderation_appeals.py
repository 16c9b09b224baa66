"""Appeals: one for an action, by its owner, decided by another moderator, undone in the open."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.test import Client

from assay.statements import parse_statement
from registry import moderated
from registry.choices import Act, ObjectionState, Standing, Target
from registry.errors import (
    ConflictError,
    InvalidInputError,
    NotAllowedError,
    UnknownActionError,
)
from registry.models import Letter, Model, ModerationAction, Objection, Release
from registry.services import objections, transfers
from tests.ledger.builders import sequence
from tests.people import Person
from tests.registry.houses import house_model, make_house
from tests.registry.moderating import Things, make_moderator, things_of
from tests.registry.test_moderation_matrix import signed_in

TEXT = "It is my own work: see the paper that the card names."
ANSWER = "The paper shows that it is her own work."


@pytest.fixture
def carol(db: None) -> User:
    return make_moderator("carol")


@pytest.fixture
def dave(db: None) -> User:
    return make_moderator("dave")


@pytest.fixture
def things(first: Release) -> Things:
    return things_of(first)


def test_alice_appeals_and_dave_undoes_it_by_a_statement_of_its_own(
    carol: User, dave: User, things: Things, alice: Person, first: Release
) -> None:
    done = things.do(carol, Act.TAKEDOWN, Target.MODEL)
    asked = objections.ask(alice.user, moderated.find_action(done.number), TEXT)
    answered = objections.decide(dave, asked, ObjectionState.GRANTED, ANSWER, seen=done.number)
    outcome = answered.outcome
    assert outcome is not None
    assert (outcome.act, outcome.category, outcome.reason) == (Act.RESTORE, "correction", ANSWER)
    assert Model.objects.get(pk=first.model_id).standing == Standing.GOOD
    statement = parse_statement(bytes(outcome.entry.payload.payload))
    assert statement.predicate["reason"] == ANSWER
    assert ANSWER in Letter.objects.get(subject__contains="Your appeal").body


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (act, kind)
        for kind, acts in moderated.ACTS.items()
        for act in acts
        if act in moderated.UNDONE_BY and kind != Target.EXECUTION
    ],
)
def test_alice_may_appeal_against_each_act_about_what_is_hers(
    act: Act, kind: Target, carol: User, things: Things, alice: Person, mallory: Person
) -> None:
    found = moderated.find_action(things.do(carol, act, kind).number)
    assert objections.may_ask(alice.user, found)
    for user in (mallory.user, None):
        assert not objections.may_ask(user, found)
    with pytest.raises(UnknownActionError):
        objections.ask(mallory.user, found, TEXT)
    objections.ask(alice.user, found, TEXT)
    assert not objections.may_ask(alice.user, moderated.find_action(found.number))
    with pytest.raises(ConflictError):
        objections.ask(alice.user, found, TEXT)


def test_nobody_in_particular_owns_the_run_of_who_was_not_signed_in(
    carol: User, things: Things, alice: Person
) -> None:
    found = things.do(carol, Act.HIDE, Target.EXECUTION)
    assert not objections.may_ask(alice.user, found)


def test_an_admin_appeals_for_an_organisation_and_a_writer_does_not(
    carol: User, alice: Person, bob: Person, opened: None
) -> None:
    acme = make_house(alice, writer=bob)
    house_model(alice, acme, "shared")
    found = Things(names={Target.OWNER: "acme"}).do(carol, Act.SUSPEND, Target.OWNER)
    assert not objections.may_ask(bob.user, found)
    assert objections.may_ask(alice.user, found)


def test_only_another_moderator_decides_and_once(
    carol: User, dave: User, things: Things, alice: Person
) -> None:
    done = things.do(carol, Act.HIDE, Target.MODEL)
    asked = objections.ask(alice.user, moderated.find_action(done.number), TEXT)
    with pytest.raises(NotAllowedError, match="Another moderator"):
        objections.decide(carol, asked, ObjectionState.GRANTED, ANSWER, seen=done.number)
    with pytest.raises(NotAllowedError):
        objections.decide(alice.user, asked, ObjectionState.GRANTED, ANSWER, seen=done.number)
    for state, answer in (("waiting", ANSWER), ("upheld", "No.")):
        with pytest.raises(InvalidInputError):
            objections.decide(dave, asked, state, answer, seen=done.number)
    objections.decide(dave, asked, ObjectionState.UPHELD, ANSWER, seen=done.number)
    with pytest.raises(ConflictError, match="answered already"):
        objections.decide(dave, asked, ObjectionState.GRANTED, ANSWER, seen=done.number)
    for change in ({"answer": "Something else."}, {"state": ObjectionState.WAITING}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Objection.objects.filter(pk=asked.pk).update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        Objection.objects.filter(pk=asked.pk)._raw_delete("default")
    assert ModerationAction.objects.count() == 1


def test_what_was_undone_meanwhile_leaves_the_appeal_waiting(
    carol: User, dave: User, things: Things, alice: Person
) -> None:
    done = things.do(carol, Act.HIDE, Target.MODEL)
    asked = objections.ask(alice.user, moderated.find_action(done.number), TEXT)
    restored = things.do(carol, Act.RESTORE, Target.MODEL)
    with pytest.raises(ConflictError):
        objections.decide(dave, asked, ObjectionState.GRANTED, ANSWER, seen=restored.number)
    asked.refresh_from_db()
    assert asked.state == ObjectionState.WAITING
    with pytest.raises(InvalidInputError, match="nobody"):
        objections.ask(alice.user, moderated.find_action(restored.number), TEXT)


def test_the_end_of_a_key_is_answered_and_not_undone(
    carol: User, dave: User, things: Things, alice: Person
) -> None:
    done = things.do(carol, Act.SUSPEND, Target.KEY)
    asked = objections.ask(alice.user, moderated.find_action(done.number), TEXT)
    with pytest.raises(InvalidInputError, match="key stands"):
        objections.decide(dave, asked, ObjectionState.GRANTED, ANSWER, seen=done.number)
    objections.decide(dave, asked, ObjectionState.UPHELD, ANSWER, seen=done.number)


@pytest.mark.parametrize("kind", [Target.MODEL, Target.RELEASE])
def test_a_model_that_changed_hands_is_restored_under_its_name_of_today(
    kind: Target, carol: User, dave: User, things: Things, alice: Person, first: Release
) -> None:
    done = things.do(carol, Act.HIDE, kind)
    asked = objections.ask(alice.user, moderated.find_action(done.number), TEXT)
    make_house(alice)
    transfers.offer(alice.user, first.model, to="acme")
    answered = objections.decide(dave, asked, ObjectionState.GRANTED, ANSWER, seen=done.number)
    assert answered.outcome is not None
    assert answered.outcome.name.startswith("acme/double")


# ------------------------------------------------------------------ on the pages


def test_alice_appeals_on_the_page_even_when_she_is_suspended(
    carol: User, dave: User, things: Things, alice: Person, mallory: Person
) -> None:
    done = things.do(carol, Act.SUSPEND, Target.OWNER)
    page = f"/moderation/{done.number}/"
    browser, stranger = signed_in(alice.user), signed_in(mallory.user)
    assert "Appeal against action" in browser.get(page).content.decode()
    assert "Appeal against action" not in stranger.get(page).content.decode()
    assert stranger.post(f"{page}appeal/", {"text": TEXT}).status_code == 404
    assert Client().post(f"{page}appeal/", {"text": TEXT})["Location"].startswith("/accounts/login")
    assert browser.post(f"{page}appeal/", {"text": "No."}).status_code == 400
    assert browser.post(f"{page}appeal/", {"text": TEXT}).status_code == 302
    assert TEXT not in stranger.get(page).content.decode()
    row = Objection.objects.get()
    place = f"/admin/registry/objection/{row.pk}/change/"
    desk = signed_in(dave)
    assert TEXT in desk.get(place).content.decode()
    assert "another moderator decides" in signed_in(carol).get(place).content.decode()
    sent = {"state": "granted", "answer": ANSWER}
    assert desk.post(place, {"state": "granted", "answer": "No."}).status_code == 400
    assert "The appeal is granted" in desk.post(place, sent).content.decode()
    final = {**sent, "seen": str(done.number), "do": "1"}
    late = signed_in(dave, sure=False).post(place, final)
    assert late["Location"].startswith("/accounts/reauthenticate/")
    assert desk.post(place, {**final, "seen": "7"}).status_code == 400
    assert desk.post(place, final)["Location"] == page
    assert ANSWER in desk.get(place).content.decode()
    sequence()
    shown = stranger.get(page).content.decode()
    assert ANSWER in shown
    assert 'href="/moderation/2/"' in shown
    assert "granted the appeal" in stranger.get("/moderation/2/").content.decode()
    (one, two) = stranger.get("/api/v1/moderation").json()["items"]
    assert (one["number"], two["appeal"]["state"]) == (2, "granted")
