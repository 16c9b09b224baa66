"""Closing an account: a week to think, then an end that leaves the ledger true."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from inference.models import Execution, Hook, Schedule
from inference.services import expiry
from inference.services.submit import submit
from ledger import services as ledger
from ledger.models import Entry
from registry import belongings
from registry.choices import TransferState
from registry.errors import (
    ConflictError,
    LastAdminError,
    NameTakenError,
    NotAllowedError,
    UnknownOwnerError,
    UnknownRequestError,
)
from registry.models import (
    ApiToken,
    AuditEvent,
    Closing,
    KeyBackup,
    Letter,
    Membership,
    Model,
    Report,
    Session,
    Transfer,
)
from registry.rights import carry
from registry.services import closing, keys, models, organisations, tokens, transfers
from registry.services.owners import create_person
from registry.tasks import sweep_accounts
from tests import builders
from tests.inference.builders import fp32, plan, publish
from tests.inference.executor.models import add
from tests.people import PASSWORD, Person
from tests.registry import executing
from tests.registry.houses import make_house

PAGE = "/settings/account/"
COPY: dict[str, Any] = {
    "wrapped": b"w" * 154,
    "salt": b"s" * 16,
    "iv": b"i" * 12,
    "iterations": 600_000,
}
INPUTS = [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]


def due() -> None:
    """Let the week pass."""
    Closing.objects.update(due_at=timezone.now() - timedelta(seconds=1))


def browser(person: Person, *, again: bool = True) -> Client:
    """Return a browser of `person`, who has `again` just said who they are."""
    client = Client(headers={"accept": "text/html"})
    client.force_login(person.user, backend="django.contrib.auth.backends.ModelBackend")
    if again:
        client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


# ------------------------------------------------------------------ the week


def test_alice_asks_and_nothing_happens_for_a_week(alice: Person) -> None:
    release = builders.publish_release(alice)
    row = closing.ask(alice.user)
    assert timedelta(days=6, hours=23) < row.due_at - timezone.now() <= timedelta(days=7)
    sweep_accounts()
    alice.user.refresh_from_db()
    assert alice.user.is_active
    assert Model.objects.get(pk=release.model_id).deleted_at is None
    letter = Letter.objects.get(user=alice.user, subject__startswith="Your account")
    assert f"{row.due_at:%d %B %Y at %H:%M} UTC" in letter.body
    assert "/settings/account/" in letter.body
    with pytest.raises(ConflictError):
        closing.ask(alice.user)


def test_alice_changes_her_mind(alice: Person) -> None:
    closing.ask(alice.user)
    closing.cancel(alice.user)
    assert AuditEvent.objects.filter(action="account.keep").exists()
    with pytest.raises(UnknownRequestError):
        closing.cancel(alice.user)
    assert closing.sweep() == 0
    closing.ask(alice.user)


def test_trying_it_today_changes_nothing(alice: Person, bob: Person) -> None:
    acme = make_house(bob, admin=alice)
    builders.make_model(alice, "draft")
    token = alice.token()
    before = AuditEvent.objects.count()
    closing.ask(alice.user, to="acme")
    assert AuditEvent.objects.count() == before + 1
    assert Model.objects.get(name="draft").owner == alice.owner
    assert ApiToken.objects.filter(user=alice.user).count() == 1
    assert acme.memberships.filter(user=alice.user).exists()
    assert token


# ------------------------------------------------------------------ what is in the way


def test_the_only_admin_is_told_today_and_not_in_a_week(alice: Person) -> None:
    make_house(alice)
    with pytest.raises(LastAdminError):
        closing.ask(alice.user)
    assert not Closing.objects.exists()


def test_models_go_only_to_an_organisation_that_the_caller_runs(alice: Person, bob: Person) -> None:
    make_house(bob, writer=alice)
    for name in ("acme", "bob", "nobody", "a\0b"):
        with pytest.raises(UnknownOwnerError):
            closing.ask(alice.user, to=name)


def test_a_name_that_is_taken_there_is_told_today(alice: Person, bob: Person) -> None:
    make_house(bob, admin=alice)
    models.create(bob.user, name="double", owner="acme")
    builders.make_model(alice, "double")
    with pytest.raises(NameTakenError):
        closing.ask(alice.user, to="acme")


def test_what_comes_in_the_way_meanwhile_ends_the_wish_and_not_the_account(
    alice: Person, bob: Person
) -> None:
    acme = make_house(bob, admin=alice)
    closing.ask(alice.user, to="acme")
    organisations.set_role(bob.user, acme, name="alice", role="reader")
    due()
    assert closing.sweep() == 0
    alice.user.refresh_from_db()
    assert alice.user.is_active
    assert not Closing.objects.exists()
    assert "no admin of acme any more" in Letter.objects.order_by("-pk")[0].body
    assert AuditEvent.objects.get(action="account.keep").data == {"because": "not_allowed"}


@pytest.mark.parametrize("scope", ["read", "write", "publish"])
def test_a_lesser_token_closes_nothing(scope: str, alice: Person) -> None:
    carry(alice.user, tokens.create(alice.user, name="t", scope=scope)[0])
    for act in (closing.ask, closing.cancel, closing.close):
        with pytest.raises(NotAllowedError):
            act(alice.user)


# ------------------------------------------------------------------ the day


def test_personal_data_is_erased_and_what_was_signed_stays(alice: Person, bob: Person) -> None:
    key = builders.make_key(alice)
    keys.backup(alice.user, key.fingerprint, **COPY)
    release = builders.publish_release(alice, key=key)
    draft = builders.make_model(alice, "draft")
    make_house(bob, reader=alice)
    EmailAddress.objects.create(user=alice.user, email=alice.user.email, verified=True)
    organisations.describe(alice.user, alice.owner, title="Alice Liddell")
    cookie, token = browser(alice), alice.token()
    entries = list(Entry.objects.values_list("pk", "signature"))
    closing.ask(alice.user)
    due()
    assert closing.sweep() == 1
    alice.user.refresh_from_db()
    alice.owner.refresh_from_db()
    assert (alice.user.is_active, alice.user.email, alice.owner.title) == (False, "", "")
    assert alice.user.last_login is None
    assert not alice.user.has_usable_password()
    for rows in (EmailAddress, Session, ApiToken, Membership, Letter, Closing):
        assert not rows.objects.filter(user=alice.user).exists(), rows
    assert not KeyBackup.objects.exists()
    assert cookie.get(PAGE).status_code == 302
    assert token
    # The ledger, and what people rely on, stay.
    assert list(Entry.objects.values_list("pk", "signature")) == entries
    assert Model.objects.get(pk=release.model_id).deleted_at is None
    assert Model.objects.get(pk=draft.pk).deleted_at is not None
    page = Client(headers={"accept": "text/html"}).get("/models/alice/double/releases/1.0.0/")
    assert page.status_code == 200
    # The name is nobody else's, ever.
    bob.user.username = "Alice"
    with pytest.raises(NameTakenError):
        create_person(bob.user)


def test_nobody_can_tell_who_reported_once_the_account_is_closed(alice: Person) -> None:
    row = Report.objects.create(
        kind="owner", name="bob", text="He is rude.", email="alice@example.org", user=alice.user
    )
    closing.close(alice.user)
    row.refresh_from_db()
    assert (row.user, row.email, row.text) == (None, "", "He is rude.")


def test_models_go_to_the_organisation_and_their_old_addresses_lead_there(
    alice: Person, bob: Person, mallory: Person
) -> None:
    make_house(bob, admin=alice)
    release = builders.publish_release(alice)
    draft = builders.make_model(alice, "draft")
    transfers.offer(alice.user, release.model, to="mallory")
    closing.ask(alice.user, to="acme")
    due()
    assert closing.sweep() == 1
    names = {model.full_name for model in Model.objects.filter(deleted_at=None)}
    assert names == {"acme/double", f"acme/{draft.name}"}
    assert Transfer.objects.filter(state=TransferState.WAITING).count() == 0
    moved = Client(headers={"accept": "text/html"}).get("/models/alice/double/")
    assert (moved.status_code, moved["Location"]) == (301, "/models/acme/double/")


def test_what_was_run_loses_its_inputs_and_keeps_its_receipt(alice: Person) -> None:
    release = builders.publish_release(alice)
    done = executing.run(release.revision)
    with connection.cursor() as cursor:  # an ended row has its caller for good
        cursor.execute("SET LOCAL session_replication_role = replica")
        Execution.objects.filter(pk=done.id).update(caller=alice.user)
        cursor.execute("SET LOCAL session_replication_role = origin")
    closing.ask(alice.user)
    due()
    assert closing.sweep() == 1
    assert expiry.drop() == 1
    row = Execution.objects.get(pk=done.id)
    assert row.dropped_at is not None
    assert row.input.inline == b""
    assert row.entry is not None


def test_what_waits_is_cancelled_and_schedules_and_webhooks_end(alice: Person) -> None:
    ledger.ensure_log()
    publish(alice, "add", add())
    waiting = submit(plan("alice/add", [fp32("x", 3.0)], limit_s=900, user=alice.user)).execution
    hook = alice.api().post(
        "/api/v1/webhooks", {"url": "https://hooks.example.org/a"}, format="json"
    )
    assert hook.status_code == 201
    wish = {"model": "alice/add", "interval_s": 3600, "inputs": INPUTS}
    assert alice.api().post("/api/v1/schedules", wish, format="json").status_code == 201
    closing.ask(alice.user)
    due()
    assert closing.sweep() == 1
    waiting.refresh_from_db()
    assert waiting.cancel_requested is not None
    assert Schedule.objects.get().stopped_at is not None
    ended = Hook.objects.get()
    assert (ended.url, ended.deleted_at is not None) == ("", True)


class BrokenError(Exception):
    """The machine goes away."""


def test_a_crash_on_the_way_leaves_the_account_and_the_next_sweep_ends_it(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.make_model(alice, "draft")
    closing.ask(alice.user)
    due()

    def broken(_: int) -> None:
        raise BrokenError

    keeper = belongings.Keeper(export=lambda _: iter(()), forget=broken)
    with monkeypatch.context() as patched:
        patched.setitem(belongings._keepers, "broken", keeper)
        with pytest.raises(BrokenError), transaction.atomic():
            closing.sweep()
    alice.user.refresh_from_db()
    assert alice.user.is_active
    assert Model.objects.get(name="draft").deleted_at is None
    assert closing.sweep() == 1
    assert not Closing.objects.exists()


def test_what_nobody_foresaw_holds_up_nobody_else(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    for person in (alice, bob):
        closing.ask(person.user)
        due()

    def broken(user: int) -> None:
        if user == alice.user.pk:
            raise BrokenError

    keeper = belongings.Keeper(export=lambda _: iter(()), forget=broken)
    monkeypatch.setitem(belongings._keepers, "broken", keeper)
    with pytest.raises(BrokenError):
        closing.sweep()
    alice.user.refresh_from_db()
    bob.user.refresh_from_db()
    assert (alice.user.is_active, bob.user.is_active) == (True, False)


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_close_an_account_once(alice: Person) -> None:
    closing.ask(alice.user)
    due()
    ended: list[int] = []

    def sweep() -> None:
        ended.append(closing.sweep())
        connection.close()

    sweeps = [threading.Thread(target=sweep) for _ in range(2)]
    for one in sweeps:
        one.start()
    for one in sweeps:
        one.join()
    assert sum(ended) == 1
    assert AuditEvent.objects.filter(action="owner.delete").count() == 1


# ------------------------------------------------------------------ page and API


def test_who_has_not_just_said_who_they_are_is_asked_to(alice: Person) -> None:
    client = browser(alice, again=False)
    assert client.get(PAGE).status_code == 200
    answer = client.post(PAGE, {"name": "alice"})
    assert answer["Location"].startswith("/accounts/reauthenticate/?next=")
    assert not Closing.objects.exists()
    # Once they have, what they sent is done.
    client.post(answer["Location"], {"password": PASSWORD})
    assert Closing.objects.filter(user=alice.user).exists()


def test_alice_asks_on_the_page_sees_the_day_and_keeps_the_account(
    alice: Person, bob: Person
) -> None:
    make_house(bob, admin=alice)
    client = browser(alice)
    assert client.post(PAGE, {"name": "alcie"}).status_code == 400
    assert client.post(PAGE, {"name": "alice", "to": "elsewhere"}).status_code == 400
    assert client.post(PAGE, {"name": "alice", "to": "acme"}).status_code == 302
    page = client.get(PAGE).content.decode()
    assert "Your models go to acme." in page
    assert "Keep the account" in page
    assert "The account stays." in client.post(f"{PAGE}keep/", follow=True).content.decode()
    assert "does not wait" in client.post(f"{PAGE}keep/", follow=True).content.decode()


def test_a_program_may_ask_too_and_is_told_the_day(alice: Person, bob: Person) -> None:
    make_house(bob, admin=alice)
    api: Any = alice.api()
    body = {"name": "alice", "to": "acme"}
    answer = api.delete("/api/v1/account", body, format="json")
    assert answer.status_code == 202
    row = Closing.objects.get(user=alice.user)
    assert answer.json() == {
        "closes_at": f"{row.due_at:%Y-%m-%dT%H:%M:%S.}{row.due_at.microsecond // 1000:03}Z",
        "to": "acme",
    }
    again = api.delete("/api/v1/account", body, format="json")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
