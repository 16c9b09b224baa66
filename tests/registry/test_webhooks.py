"""Owners are told of changes: once for each, in its transaction, and nobody else is."""

from __future__ import annotations

import ast
import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from inference import wakeups
from inference.choices import DeliveryState
from inference.models import Delivery, Hook
from inference.services import deliveries, hooks
from inference.webhooks.signature import sign
from registry.choices import Act, Target
from registry.models import AuditEvent, Model, Owner, Release, Watch
from registry.services import (
    aliases,
    closing,
    gates,
    keys,
    models,
    organisations,
    releases,
    tokens,
    transfers,
    webhooks,
)
from tests import builders
from tests.inference.receiver import Receiver, receiving
from tests.people import PASSWORD, Person
from tests.registry import houses
from tests.registry.alias_calls import point
from tests.registry.calls import API, error
from tests.registry.moderating import make_moderator, things_of

HOOKS = f"{API}/webhooks"
URL = "https://hooks.example.org/acme?token=hush"
PAGE = "/settings/webhooks/"
# Verbs of the audit log that no webhook tells of: secrets, webhooks, and what is the site's.
SILENT = {
    *("token.create", "token.revoke", "token.leaked", "webhook.create", "webhook.watch"),
    "webhook.delete",
    *("key.backup", "key.rename", "owner.create", "owner.delete", "owner.title", "quota.set"),
    *("execution.disclose", "schedule.create", "schedule.pause", "schedule.stop"),
    *("schedule.resume", "revision.appeal", "revision.appeal_answered", "trusted.exchange"),
    *("account.close", "account.export", "account.keep", "session.end", "session.end_others"),
    *("report.dismiss", "moderation.appeal", "moderation.appeal_answered"),
}
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _no_broker(settings: Settings) -> Iterator[None]:
    """No worker listens here: a wake-up goes into a queue in memory."""
    settings.CELERY_BROKER_URL = "memory://"
    wakeups._client.cache_clear()
    yield
    wakeups._client.cache_clear()


def made(person: Person, **fields: Any) -> Any:
    return person.api().post(HOOKS, {"url": URL, **fields}, format="json")


def told() -> list[str]:
    return [f"{row.event} {row.body['data']['target']}" for row in Delivery.objects.order_by("id")]


# ------------------------------------------------------------------ what is told


def test_alice_is_told_of_a_release_a_withdrawal_and_a_move(alice: Person, first: Release) -> None:
    assert made(alice, model="alice/double").status_code == 201
    assert point(alice, first).status_code == 201
    aliases.protect(alice.user, first.model, "production", protected=True)
    releases.yank(alice.user, first.model, "1.0.0", reason="It was wrong.")
    assert told() == [
        *("alias.move alice/double", "alias.protect alice/double", "release.yank alice/double")
    ]
    body = Delivery.objects.get(event="release.yank").body
    event = AuditEvent.objects.get(action="release.yank")
    assert body == {
        "type": "release.yank",
        "timestamp": body["timestamp"],
        "data": {
            "event": event.pk,
            "owner": "alice",
            "model": "alice/double",
            "by": "alice",
            "target": "alice/double",
            "detail": {"version": "1.0.0", "reason": "It was wrong."},
            "page_url": "http://127.0.0.1:8000/models/alice/double/",
        },
    }
    assert body["timestamp"].endswith("Z")


def test_alice_is_told_when_moderators_act_on_what_is_hers(alice: Person, first: Release) -> None:
    assert made(alice, owner="alice").status_code == 201
    carol, things = make_moderator("carol"), things_of(first)
    things.do(carol, Act.HIDE, Target.MODEL)
    things.do(carol, Act.RESTORE, Target.MODEL)
    things.do(carol, Act.SUSPEND, Target.KEY)
    key = things.names[Target.KEY]
    expected = ["hide alice/double", "restore alice/double", f"suspend {key}"]
    assert told() == [f"moderation.{one}" for one in expected]


def test_an_owner_is_told_of_keys_and_of_every_model(opened: None, alice: Person) -> None:
    assert made(alice, owner="alice").status_code == 201
    builders.publish_release(alice)
    assert [line.split()[0] for line in told()] == [
        *("model.create", "revision.commit", "revision.inspect", "key.register"),
        "release.publish",
    ]
    keyed = Delivery.objects.get(event="key.register").body["data"]
    assert (keyed["model"], keyed["page_url"]) == (None, "http://127.0.0.1:8000/alice/")


def test_only_what_was_asked_for_is_told(opened: None, alice: Person) -> None:
    builders.make_model(alice, "other")
    assert made(alice, owner="alice", events=["key", "release.yank"]).status_code == 201
    release = builders.publish_release(alice)
    releases.yank(alice.user, release.model, "1.0.0", reason="no")
    assert [line.split()[0] for line in told()] == ["key.register", "release.yank"]


def test_what_rolls_back_is_not_told(alice: Person) -> None:
    assert made(alice, owner="alice").status_code == 201
    with transaction.atomic():
        models.create(alice.user, name="gone")
        assert told() == ["model.create alice/gone"]
        transaction.set_rollback(True)
    assert told() == []


def test_mallorys_webhook_is_told_nothing_of_alices(alice: Person, mallory: Person) -> None:
    assert made(mallory, owner="mallory").status_code == 201
    models.create(alice.user, name="secret", visibility="private")
    organisations.invite(alice.user, houses.make_house(alice), name="mallory", role="reader")
    assert told() == []


def test_the_old_owner_hears_of_the_transfer_and_then_no_more(alice: Person, bob: Person) -> None:
    model = builders.make_model(alice)
    assert made(alice, model="alice/double").status_code == 201
    assert made(bob, owner="bob").status_code == 201
    transfers.accept(bob.user, transfers.offer(alice.user, model, to="bob").pk)
    gates.set_visibility(bob.user, Model.objects.get(), visibility="private")
    heard = {
        who: [row.event for row in Delivery.objects.filter(hook__owner=who.user).order_by("id")]
        for who in (alice, bob)
    }
    assert heard[alice] == ["transfer.offer", "transfer.accept"]
    assert heard[bob] == ["transfer.offer", "model.arrive", "model.visibility"]
    hook = Hook.objects.get(owner=alice.user)
    assert error(bob.api().get(f"{HOOKS}/{hook.pk}")) == (404, "unknown_webhook")
    assert alice.api().get(f"{HOOKS}/{hook.pk}").json()["model"] == "bob/double"


def test_a_disabled_and_a_deleted_webhook_are_told_nothing(alice: Person) -> None:
    for _ in range(2):
        assert made(alice, owner="alice").status_code == 201
    one, two = Hook.objects.order_by("id")
    Hook.objects.filter(pk=one.pk).update(disabled_at=timezone.now())
    hooks.delete(alice.user, two.pk)
    models.create(alice.user, name="double")
    assert told() == []
    assert Watch.objects.count() == 1  # that of the disabled one


def verbs() -> set[str]:
    """Return the verbs that the code hands to `audit.note` as they stand."""
    found = set()
    for app in ("registry", "inference"):
        for path in (ROOT / app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "audit.note"):
                    continue
                if isinstance(node.args[1], ast.Constant):
                    found.add(str(node.args[1].value))
    return found


def test_every_change_is_told_of_or_named_as_silent() -> None:
    assert {"release.publish", "key.revoke", "token.revoke"} <= verbs()
    assert verbs() - webhooks.EVENTS.keys() - SILENT == set()
    assert webhooks.EVENTS.keys() & SILENT == set()


def test_every_event_is_documented() -> None:
    page = (ROOT / "docs/howto/webhooks.md").read_text()
    assert [event for event in webhooks.EVENTS if f"`{event}`" not in page] == []


# ------------------------------------------------------------------ whose it is


def test_admins_see_and_end_what_another_made_and_nobody_else_does(
    alice: Person, bob: Person, mallory: Person
) -> None:
    houses.make_house(alice, admin=bob, writer=mallory)
    hook = made(bob, owner="acme", events=["key"]).json()
    assert (hook["owner"], hook["model"], hook["events"]) == ("acme", None, ["key"])
    assert error(made(mallory, owner="acme")) == (403, "not_allowed")
    assert error(mallory.api().get(f"{HOOKS}?owner=acme")) == (403, "not_allowed")
    for method, place in (
        *(("get", ""), ("delete", ""), ("post", "/test"), ("get", "/deliveries")),
        ("post", f"/deliveries/{hook['id']}/redeliver"),
    ):
        answer = getattr(mallory.api(), method)(f"{hook['address']}{place}")
        assert error(answer) == (404, "unknown_webhook")
    shown = {name: value for name, value in hook.items() if name != "secret"}
    assert alice.api().get(f"{HOOKS}?owner=acme").json()["items"] == [shown]
    assert alice.api().get(HOOKS).json()["items"] == []
    organisations.remove(alice.user, Owner.objects.get(name="acme"), name="bob")
    assert error(bob.api().get(hook["address"])) == (404, "unknown_webhook")
    assert alice.api().post(f"{hook['address']}/test").status_code == 202
    assert alice.api().delete(hook["address"]).status_code == 204
    assert AuditEvent.objects.get(action="webhook.delete").owner == Owner.objects.get(name="acme")


def test_a_lesser_token_manages_no_webhook_of_an_owner(alice: Person) -> None:
    hook = made(alice, owner="alice").json()
    lesser = alice.api("publish")
    body = {"url": URL, "owner": "alice"}
    assert error(lesser.post(HOOKS, body, format="json")) == (403, "not_allowed")
    assert error(lesser.get(hook["address"])) == (404, "unknown_webhook")
    assert lesser.post(HOOKS, {"url": URL}, format="json").status_code == 201


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"owner": "alice", "model": "alice/double"}, "invalid_input"),
        ({"owner": "alice", "events": ["execution.ended"]}, "invalid_input"),
        ({"owner": "alice", "events": ["token.create"]}, "invalid_input"),
        ({"owner": "alice", "events": "key"}, "bad_request"),
        ({"owner": "alice", "events": [1]}, "bad_request"),
        ({"owner": ["alice"]}, "bad_request"),
        ({"events": ["key"]}, "bad_request"),
        ({"owner": "alice", "secret": "mine"}, "bad_request"),
        ({"owner": "alice", "url": "https://127.0.0.1/"}, "webhook_address"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused(
    alice: Person, fields: dict[str, Any], code: str
) -> None:
    builders.make_model(alice)
    assert error(made(alice, **fields)) == (400, code)
    assert (Hook.objects.count(), Watch.objects.count()) == (0, 0)


def test_mallory_does_not_learn_of_a_private_model(alice: Person, mallory: Person) -> None:
    builders.make_model(alice, visibility="private")
    assert error(made(mallory, model="alice/double")) == (404, "unknown_model")
    assert error(made(mallory, model="alice/none")) == (404, "unknown_model")
    assert error(made(mallory, owner="nobody")) == (404, "unknown_owner")


def test_an_owner_has_twenty_at_most(alice: Person, bob: Person) -> None:
    houses.make_house(alice, admin=bob)
    for number in range(hooks.MAX_HOOKS):
        assert made((alice, bob)[number % 2], owner="acme").status_code == 201
    assert error(made(bob, owner="acme")) == (409, "too_many_webhooks")
    assert made(bob, owner="bob").status_code == 201


def test_a_webhook_goes_on_when_its_maker_closes_the_account(alice: Person, bob: Person) -> None:
    acme = houses.make_house(alice, admin=bob)
    assert made(bob, owner="acme").status_code == 201
    closing.close(bob.user)
    models.create(alice.user, name="double", owner="acme")
    (held,) = [one for one in deliveries.claim() if one.body.find(b"model.create") > 0]
    assert held.refused == ""
    organisations.delete(alice.user, acme)
    Delivery.objects.update(lease_until=None)
    assert {one.refused for one in deliveries.claim()} == {"The owner is gone."}


# ------------------------------------------------------------------ on its way


def test_the_message_arrives_signed(alice: Person, settings: Settings) -> None:
    settings.WEBHOOK_LOOPBACK = True
    with receiving() as receiver:
        secret = _receive(alice, receiver)
        (message,) = receiver.got
    sent = message.headers
    key = hooks_key(secret)
    stamp = int(sent["webhook-timestamp"])
    assert sent["webhook-signature"] == sign(key, sent["webhook-id"], stamp, message.body)
    assert json.loads(message.body)["type"] == "model.create"
    assert Delivery.objects.get().state == DeliveryState.DELIVERED


def _receive(alice: Person, receiver: Receiver) -> str:
    body = {"url": receiver.url, "owner": "alice"}
    secret = alice.api().post(HOOKS, body, format="json").json()["secret"]
    models.create(alice.user, name="double")
    assert deliveries.deliver_some(context=ssl.create_default_context()) == 1
    return str(secret)


def hooks_key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"))


# ------------------------------------------------------------------ the pages


@pytest.fixture
def browser(alice: Person) -> Client:
    client = Client()
    assert client.login(username="alice", password=PASSWORD)
    return client


def test_alice_makes_tests_repeats_and_deletes_one_on_the_page(
    alice: Person, browser: Client
) -> None:
    builders.make_model(alice)
    address = f"{PAGE}?model=alice/double"
    page = browser.get(address).content.decode()
    assert "Webhooks of alice/double" in page
    assert "release.publish" in page
    answer = browser.post(address, {"url": URL, "events": ["release", "alias"]})
    assert answer.status_code == 200
    assert "whsec_" in answer.content.decode()
    hook = Hook.objects.get()
    assert hook.watch is not None
    assert (hook.watch.events, hook.watch.model) == (["alias", "release"], Model.objects.get())
    assert "whsec_" not in browser.get(address).content.decode()
    one = f"{PAGE}{hook.pk}/"
    assert browser.post(f"{one}test/").headers["Location"] == one
    assert browser.post(f"{one}test/").status_code == 302  # too soon: a message says so
    (row,) = Delivery.objects.all()
    assert "webhook.test" in browser.get(one).content.decode()
    assert browser.post(f"{one}{row.pk}/").headers["Location"] == one
    assert browser.post(f"{one}{hook.pk}/").status_code == 302  # no such message
    assert browser.post(f"{one}delete/").headers["Location"] == f"{PAGE}?model=alice%2Fdouble"
    assert browser.get(one).status_code == 404


def test_the_page_says_what_is_wrong(alice: Person, browser: Client) -> None:
    answer = browser.post(PAGE, {"url": "http://hooks.example.org/"})
    assert answer.status_code == 400
    assert "begins with https://" in answer.content.decode()
    for _ in range(hooks.MAX_HOOKS):
        hooks.create(alice.user, URL)
    answer = browser.post(PAGE, {"url": URL})
    assert answer.status_code == 400
    assert "at most 20 webhooks" in answer.content.decode()


def test_mallory_gets_no_page_of_alices(alice: Person, mallory: Person, browser: Client) -> None:
    hook = hooks.create(alice.user, URL, about=alice.owner).hook
    own = hooks.create(alice.user, URL).hook
    client = Client()
    assert client.login(username="mallory", password=PASSWORD)
    assert client.get(f"{PAGE}?owner=alice").status_code == 403
    for one in (hook, own):
        assert client.get(f"{PAGE}{one.pk}/").status_code == 404
        for act in ("test/", "delete/", f"{one.pk}/"):
            assert client.post(f"{PAGE}{one.pk}/{act}").status_code == 404
    assert browser.get(f"{PAGE}{own.pk}/").status_code == 200
    assert URL.partition("?")[0] in browser.get(PAGE).content.decode()


def test_tokens_and_wrapped_keys_are_told_to_nobody(opened: None, alice: Person) -> None:
    assert made(alice, owner="alice").status_code == 201
    pair = builders.make_key(alice)
    Delivery.objects.all().delete()
    tokens.create(alice.user, name="quiet")
    raw = {"wrapped": b"w" * 64, "salt": b"s" * 16, "iv": b"i" * 12}
    keys.backup(alice.user, pair.row.pk, iterations=600_000, **raw)
    assert told() == []
