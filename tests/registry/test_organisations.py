"""Organisations: who joins, who leaves, and that somebody always stays who may decide."""

from __future__ import annotations

from functools import partial

import pytest
from django.contrib.auth.models import User
from django.core import mail
from pytest_django import Settings
from rest_framework.test import APIClient

from registry.choices import MemberState, Role
from registry.errors import (
    ConflictError,
    InvalidInputError,
    LastAdminError,
    NameTakenError,
    NotAllowedError,
    TooLargeError,
    UnknownOwnerError,
    UnknownRequestError,
)
from registry.models import AuditEvent, Letter, Membership, Owner
from registry.services import closing, letters, models, organisations, transfers
from registry.services.owners import create_person
from tests import builders
from tests.people import Person, make_person
from tests.registry import calls
from tests.registry.calls import API
from tests.registry.houses import at_once, house_model, join, make_house, sent


def _actions(owner: Owner) -> list[str]:
    rows = AuditEvent.objects.filter(owner=owner).order_by("pk")
    return list(rows.values_list("action", flat=True))


def test_alice_founds_acme_and_bob_joins(alice: Person, bob: Person) -> None:
    acme = organisations.create(alice.user, name="acme", title=" Acme, Inc. ")
    assert (acme.name, acme.title) == ("acme", "Acme, Inc.")
    organisations.invite(alice.user, acme, name="BOB", role="writer")
    assert sent("alice invites you to acme") == ["bob@example.org"]
    assert "/settings/organisations/" in mail.outbox[0].body
    assert organisations.accept(bob.user, acme).role == Role.WRITER
    assert _actions(acme) == ["owner.create", "member.invite", "member.accept"]


@pytest.mark.parametrize("name", ["alice", "Alice", "acme", "ACME"])
def test_people_and_organisations_share_one_space_of_names(alice: Person, name: str) -> None:
    make_house(alice)
    with pytest.raises(NameTakenError):
        organisations.create(alice.user, name=name)


@pytest.mark.parametrize("name", ["settings", "a--b", "-a", "", "x" * 97])
def test_an_organisation_has_a_name_that_can_stand_in_an_address(alice: Person, name: str) -> None:
    with pytest.raises(InvalidInputError):
        organisations.create(alice.user, name=name)


def test_a_title_is_short_and_printable(alice: Person) -> None:
    for title in ("x" * 81, "a\nb"):
        with pytest.raises(InvalidInputError):
            organisations.create(alice.user, name="acme", title=title)
    acme = make_house(alice)
    assert organisations.describe(alice.user, acme, title="Acme").title == "Acme"


@pytest.mark.parametrize("role", [Role.READER, Role.WRITER, Role.PUBLISHER])
def test_only_an_admin_says_who_is_a_member(role: Role, alice: Person, bob: Person) -> None:
    acme = make_house(alice, **{role: bob})
    make_person("carol")
    for act in (
        lambda: organisations.invite(bob.user, acme, name="carol", role="reader"),
        lambda: organisations.set_role(bob.user, acme, name="bob", role="admin"),
        lambda: organisations.remove(bob.user, acme, name="alice"),
        lambda: organisations.describe(bob.user, acme, title="mine"),
        lambda: organisations.delete(bob.user, acme),
    ):
        with pytest.raises(NotAllowedError, match="role 'admin' in acme"):
            act()


def test_mallory_may_not_touch_acme(alice: Person, mallory: Person) -> None:
    acme = make_house(alice)
    with pytest.raises(NotAllowedError):
        organisations.invite(mallory.user, acme, name="mallory", role="admin")
    with pytest.raises(UnknownRequestError):
        organisations.accept(mallory.user, acme)
    with pytest.raises(UnknownRequestError):
        organisations.decline(mallory.user, acme)
    with pytest.raises(UnknownOwnerError):
        organisations.remove(mallory.user, acme, name="mallory")
    with pytest.raises(NotAllowedError):
        house_model(mallory, acme)


def test_mallory_may_not_accept_bobs_invitation_nor_raise_her_own(
    alice: Person, bob: Person, mallory: Person
) -> None:
    acme = make_house(alice)
    organisations.invite(alice.user, acme, name="bob", role="admin")
    with pytest.raises(UnknownRequestError):
        organisations.accept(mallory.user, acme)
    organisations.invite(alice.user, acme, name="mallory", role="reader")
    with pytest.raises(NotAllowedError):
        organisations.set_role(mallory.user, acme, name="mallory", role="admin")


def test_an_invitation_can_be_changed_declined_and_taken_back(alice: Person, bob: Person) -> None:
    acme = make_house(alice)
    organisations.invite(alice.user, acme, name="bob", role="admin")
    organisations.invite(alice.user, acme, name="bob", role="reader")
    assert Membership.objects.get(user=bob.user).role == Role.READER
    organisations.decline(bob.user, acme)
    with pytest.raises(UnknownRequestError):
        organisations.accept(bob.user, acme)
    organisations.invite(alice.user, acme, name="bob", role="reader")
    organisations.remove(alice.user, acme, name="bob")
    with pytest.raises(UnknownRequestError):
        organisations.accept(bob.user, acme)


def test_who_is_a_member_is_not_invited_again(alice: Person, bob: Person) -> None:
    acme = make_house(alice, reader=bob)
    with pytest.raises(ConflictError):
        organisations.invite(alice.user, acme, name="bob", role="admin")
    assert Membership.objects.get(user=bob.user).role == Role.READER


@pytest.mark.parametrize(
    ("name", "role", "error"),
    [
        ("nobody", "reader", UnknownOwnerError),
        ("acme", "reader", UnknownOwnerError),
        ("a\0b", "reader", UnknownOwnerError),
        ("bob", "owner", InvalidInputError),
    ],
)
def test_bad_invitations_are_refused(
    name: str, role: str, error: type[Exception], alice: Person, bob: Person
) -> None:
    acme = make_house(alice)
    with pytest.raises(error):
        organisations.invite(alice.user, acme, name=name, role=role)


def test_nobody_is_invited_to_a_person(alice: Person, bob: Person) -> None:
    with pytest.raises(InvalidInputError):
        organisations.invite(alice.user, alice.owner, name="bob", role="reader")
    with pytest.raises(InvalidInputError):
        organisations.delete(alice.user, alice.owner)


def test_numbers_have_limits(alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    acme = make_house(alice)
    monkeypatch.setattr(organisations, "MAX_MEMBERS", 1)
    with pytest.raises(TooLargeError):
        organisations.invite(alice.user, acme, name="bob", role="reader")
    monkeypatch.setattr(organisations, "MAX_ADMINISTERED", 1)
    with pytest.raises(TooLargeError):
        organisations.create(alice.user, name="second")


# ------------------------------------------------------------------ the last admin


def test_the_last_admin_stays(alice: Person, bob: Person) -> None:
    acme = make_house(alice, writer=bob)
    for act in (
        lambda: organisations.remove(alice.user, acme, name="alice"),
        lambda: organisations.set_role(alice.user, acme, name="alice", role="reader"),
        lambda: closing.close(alice.user),
    ):
        with pytest.raises(LastAdminError):
            act()
    assert Membership.objects.get(user=alice.user).role == Role.ADMIN
    organisations.set_role(alice.user, acme, name="bob", role="admin")
    organisations.remove(alice.user, acme, name="alice")
    assert list(acme.memberships.values_list("user__username", flat=True)) == ["bob"]


def test_an_invited_admin_is_none_yet(alice: Person, bob: Person) -> None:
    acme = make_house(alice)
    organisations.invite(alice.user, acme, name="bob", role="admin")
    with pytest.raises(LastAdminError):
        organisations.remove(alice.user, acme, name="alice")


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_leaveat_once_leave_one(alice: Person, bob: Person) -> None:
    acme = make_house(alice, admin=bob)
    ended = at_once(
        lambda: organisations.remove(alice.user, acme, name="alice"),
        lambda: organisations.remove(bob.user, acme, name="bob"),
    )
    assert ended == ["LastAdminError", "done"]
    assert acme.memberships.filter(role=Role.ADMIN, state=MemberState.MEMBER).count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_invitation_is_accepted_once(alice: Person, bob: Person) -> None:
    acme = make_house(alice)
    organisations.invite(alice.user, acme, name="bob", role="reader")
    act = partial(organisations.accept, bob.user, acme)
    assert at_once(act, act) == ["UnknownRequestError", "done"]
    assert _actions(acme).count("member.accept") == 1


# ------------------------------------------------------------------ the end


def test_a_deleted_organisation_leaves_a_tombstone(alice: Person, mallory: Person) -> None:
    acme = make_house(alice)
    house_model(alice, acme)
    organisations.delete(alice.user, acme)
    for name in ("acme", "Acme"):
        with pytest.raises(NameTakenError):
            organisations.create(mallory.user, name=name)
    with pytest.raises(NotAllowedError):
        models.create(alice.user, owner="acme", name="new")
    with pytest.raises(NotAllowedError):  # the membership went with it
        organisations.invite(alice.user, acme, name="mallory", role="admin")


def test_an_organisation_with_releases_stays(alice: Person) -> None:
    acme = make_house(alice)
    transfers.offer(alice.user, builders.publish_release(alice).model, to="acme")
    with pytest.raises(ConflictError, match="acme/double"):
        organisations.delete(alice.user, acme)


def test_a_closed_account_keeps_its_name_and_what_was_released(alice: Person, bob: Person) -> None:
    released = builders.publish_release(alice).model
    draft = builders.make_model(alice, "draft")
    acme = make_house(bob, reader=alice)
    token = alice.token()
    closing.close(alice.user)
    alice.user.refresh_from_db()
    assert (alice.user.is_active, alice.user.email) == (False, "")
    assert not alice.user.has_usable_password()
    assert calls.declare(_client(token), b"x").status_code == 401
    assert not acme.memberships.filter(user=alice.user).exists()
    draft.refresh_from_db()
    released.refresh_from_db()
    assert draft.deleted_at is not None
    assert released.deleted_at is None
    with pytest.raises(NameTakenError):
        create_person(_renamed(bob, "Alice"))


def _client(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def _renamed(person: Person, name: str) -> User:
    person.user.username = name
    return person.user


def test_a_letter_waits_for_the_mail_server(alice: Person, bob: Person, settings: Settings) -> None:
    acme = make_house(alice)
    organisations.invite(alice.user, acme, name="bob", role="reader")
    backend = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "tests.registry.houses.Away"
    assert letters.send_due() == 0
    row = Letter.objects.get()
    assert (row.attempts, row.sent_at) == (1, None)
    settings.EMAIL_BACKEND = backend
    assert letters.send_due() == 0  # not yet
    Letter.objects.update(next_at=row.created_at)
    assert letters.send_due() == 1
    assert letters.send_due() == 0
    assert len(mail.outbox) == 1


# ------------------------------------------------------------------ REST


def test_all_of_it_over_rest(alice: Person, bob: Person, mallory: Person) -> None:
    api, bobs = alice.api(), bob.api()
    made = api.post(f"{API}/organisations", {"name": "acme"}, format="json")
    assert (made.status_code, made.json()["role"]) == (201, "admin")
    body = {"name": "bob", "role": "reader"}
    assert api.post(f"{API}/owners/acme/members", body, format="json").status_code == 201
    assert bobs.get(f"{API}/invitations").json()["items"][0]["owner"] == "acme"
    seen = APIClient().get(f"{API}/owners/acme/members").json()["items"]
    assert [row["name"] for row in seen] == ["alice"]
    seen = api.get(f"{API}/owners/acme/members").json()["items"]
    assert [(row["name"], row["state"]) for row in seen] == [
        ("alice", "member"),
        ("bob", "invited"),
    ]
    assert bobs.post(f"{API}/owners/acme/invitation").json()["state"] == "member"
    changed = api.patch(f"{API}/owners/acme/members/bob", {"role": "writer"}, format="json")
    assert changed.json()["role"] == "writer"
    assert bobs.get(f"{API}/owners/acme").json()["role"] == "writer"
    named = api.patch(f"{API}/owners/acme", {"title": "Acme"}, format="json")
    assert named.json()["title"] == "Acme"
    assert [row["name"] for row in bobs.get(f"{API}/organisations").json()["items"]] == ["acme"]
    refused = mallory.api().delete(f"{API}/owners/acme/members/bob")
    assert calls.error(refused) == (403, "not_allowed")
    assert bobs.delete(f"{API}/owners/acme/members/bob").status_code == 204
    again = api.post(f"{API}/owners/acme/members", body, format="json")
    assert again.status_code == 201
    assert bobs.delete(f"{API}/owners/acme/invitation").status_code == 204
    slip = api.delete(f"{API}/owners/acme", {"name": "acne"}, format="json")
    assert calls.error(slip) == (400, "invalid_input")
    assert api.delete(f"{API}/owners/acme", {"name": "acme"}, format="json").status_code == 204
    assert calls.error(api.get(f"{API}/owners/acme")) == (404, "unknown_owner")


def test_an_account_is_closed_over_rest_by_its_name(alice: Person) -> None:
    api = alice.api()
    assert api.get(f"{API}/account").json()["name"] == "alice"
    slip = api.delete(f"{API}/account", {"name": "bob"}, format="json")
    assert calls.error(slip) == (400, "invalid_input")
    writer = alice.api("write").delete(f"{API}/account", {"name": "alice"}, format="json")
    assert calls.error(writer) == (403, "not_allowed")
    assert api.delete(f"{API}/account", {"name": "alice"}, format="json").status_code == 202
    assert api.get(f"{API}/account").status_code == 200  # for another week


@pytest.mark.parametrize("scope", ["write", "publish"])
def test_a_lesser_token_founds_and_joins_nothing(scope: str, alice: Person, bob: Person) -> None:
    made = alice.api(scope).post(f"{API}/organisations", {"name": "acme"}, format="json")
    assert calls.error(made) == (403, "not_allowed")
    acme = make_house(alice)
    organisations.invite(alice.user, acme, name="bob", role="admin")
    assert calls.error(bob.api(scope).post(f"{API}/owners/acme/invitation")) == (403, "not_allowed")
    join(alice, acme, bob, "admin")
