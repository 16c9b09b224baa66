"""Alice is told when her execution ends: once for each, in the transaction that ends it."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings
from rest_framework.test import APIClient

from inference import outgoing, wakeups
from inference.choices import DeliveryState, ExecutionState
from inference.errors import UnknownWebhookError, WebhookAddressError
from inference.models import Delivery, Execution, Hook
from inference.services import deliveries, hooks, outbox, queue
from inference.services.finish import fail, give_back
from inference.services.hooks import create
from inference.services.request import Given
from inference.services.sealed import UnreadableError, seal, unseal
from inference.services.submit import submit
from inference.services.work import work
from registry.models import AuditEvent
from tests.builders import publish_release
from tests.inference.builders import fp32, plan, publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.people import Person

URL = "https://hooks.example.org/alice?token=hush"
HOOKS = "/api/v1/webhooks"


@pytest.fixture(autouse=True)
def _no_broker(settings: Settings) -> Iterator[None]:
    """No worker listens here: a wake-up goes into a queue in memory."""
    settings.CELERY_BROKER_URL = "memory://"
    wakeups._client.cache_clear()
    yield
    wakeups._client.cache_clear()


@pytest.fixture
def hook(alice: Person) -> Hook:
    return create(alice.user, URL).hook


@pytest.fixture
def model(alice: Person) -> str:
    return publish_release(alice).model.full_name


def queued(model: str, person: Person, hook: Hook | None, **wishes: Any) -> Execution:
    wanted = None if hook is None else str(hook.pk)
    given = [Given(name="x", datatype="FP32", shape=(1, 2), data=[1.0, 2.0])]
    return submit(plan(model, given, user=person.user, hook=wanted, **wishes)).execution


def told() -> list[dict[str, Any]]:
    return [row.body for row in Delivery.objects.order_by("id")]


# ------------------------------------------------------------------ the outbox


def test_the_end_and_its_message_are_one_transaction(model: str, alice: Person, hook: Hook) -> None:
    queued(model, alice, hook)
    (held,) = queue.claim(1)
    try:
        with transaction.atomic():
            fail(held.execution, held.lease, ExecutionState.FAILED, "model_failed", "no")
            assert len(told()) == 1
            raise RuntimeError
    except RuntimeError:
        assert told() == []
    fail(held.execution, held.lease, ExecutionState.FAILED, "model_failed", "no")
    row = Execution.objects.get(pk=held.execution.pk)
    (body,) = told()
    assert body["type"] == "execution.ended"
    assert body["timestamp"] == f"{row.finished_at:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    site = f"/api/v1/executions/{row.pk}"
    assert body["data"]["url"].endswith(site)
    assert {name: body["data"][name] for name in ("execution", "state", "error_code")} == {
        "execution": str(row.pk),
        "state": "failed",
        "error_code": "model_failed",
    }
    assert body["data"]["input_sha256"] == row.input_id
    assert body["data"]["receipt_url"] is None


def test_each_way_to_end_is_told_once(model: str, alice: Person, hook: Hook) -> None:
    cancelled, late, lost = (queued(model, alice, hook) for _ in range(3))
    queue.cancel(cancelled.pk, alice.user)
    queue.cancel(cancelled.pk, alice.user)
    held = {one.execution.pk: one for one in queue.claim(2)}[lost.pk]
    held.execution.max_attempts = held.execution.attempts
    give_back(held.execution, held.lease, untouched=False)
    queue.cancel(late.pk, alice.user)  # it runs: whoever holds the lease would stop it
    Execution.objects.filter(pk=late.pk).update(lease_until=Now() - timedelta(seconds=1))
    queue.sweep()
    queue.sweep()
    states = {body["data"]["execution"]: body["data"]["state"] for body in told()}
    assert states == {
        str(cancelled.pk): "cancelled",
        str(late.pk): "cancelled",
        str(lost.pk): "failed",
    }
    assert len(told()) == 3


def test_a_cancelled_batch_is_told_item_by_item(model: str, alice: Person, hook: Hook) -> None:
    batch = uuid.uuid4()
    rows = [queued(model, alice, hook) for _ in range(3)]
    Execution.objects.update(batch=batch)
    queue.cancel_batch(batch, alice.user)
    assert {body["data"]["execution"] for body in told()} == {str(row.pk) for row in rows}
    assert {body["data"]["batch"] for body in told()} == {str(batch)}


def test_many_ends_cost_one_statement_and_none_without_a_hook(
    model: str, alice: Person, hook: Hook
) -> None:
    rows = [queued(model, alice, hook) for _ in range(3)]
    plain = queued(model, alice, None)
    Execution.objects.update(state=ExecutionState.CANCELLED, finished_at=timezone.now())
    with CaptureQueriesContext(connection) as queries:
        outbox.ended([plain])
    assert len(queries) == 0
    with CaptureQueriesContext(connection) as queries:
        outbox.ended([*rows, plain])
        outbox.ended(rows)  # a repetition adds nothing
    assert len(queries) == 2
    assert Delivery.objects.count() == 3


def test_what_has_not_ended_is_not_told(model: str, alice: Person, hook: Hook) -> None:
    outbox.ended([queued(model, alice, hook)])
    assert told() == []


def test_a_private_executions_digests_are_not_told(model: str, alice: Person, hook: Hook) -> None:
    row = queued(model, alice, hook, private=True)
    queue.cancel(row.pk, alice.user)
    (body,) = told()
    assert body["data"]["execution"] == str(row.pk)
    assert body["data"]["input_sha256"] is body["data"]["output_sha256"] is None
    assert row.input_id not in str(body)


def test_a_success_is_told_with_its_digests_and_its_receipt(
    site: Site, alice: Person, hook: Hook, settings: Settings
) -> None:
    publish(alice, "add", add())
    submit(plan("alice/add", [fp32("x", 1)], user=alice.user, hook=str(hook.pk)))
    (held,) = queue.claim(1)
    work(held)
    row = Execution.objects.get(pk=held.execution.pk)
    (body,) = told()
    assert body["data"] == {
        "execution": str(row.pk),
        "state": "succeeded",
        "batch": None,
        "model": "alice/add",
        "revision": row.revision_id,
        "manifest": row.manifest,
        "input_sha256": row.input_id,
        "output_sha256": row.output_id,
        "error_code": None,
        "url": f"{settings.SITE_URL}/api/v1/executions/{row.pk}",
        "page_url": f"{settings.SITE_URL}/executions/{row.pk}/",
        "receipt_url": f"{settings.SITE_URL}/executions/{row.pk}/receipt",
    }
    assert len(json.dumps(body)) < 2_000


def test_the_wake_up_comes_after_the_commit(
    model: str,
    alice: Person,
    hook: Hook,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    row = queued(model, alice, hook)
    with django_capture_on_commit_callbacks() as callbacks:
        queue.cancel(row.pk, alice.user)
    assert outgoing.wake in callbacks


def test_a_deleted_or_disabled_hook_is_told_nothing(model: str, alice: Person, hook: Hook) -> None:
    rows = [queued(model, alice, hook) for _ in range(2)]
    Hook.objects.update(disabled_at=Now())
    queue.cancel(rows[0].pk, alice.user)
    hooks.delete(alice.user, hook.pk)
    queue.cancel(rows[1].pk, alice.user)
    assert told() == []


def test_mallory_may_not_have_alices_hook_called(model: str, mallory: Person, hook: Hook) -> None:
    with pytest.raises(UnknownWebhookError):
        queued(model, mallory, hook)
    with pytest.raises(UnknownWebhookError):
        hooks.find_hook(str(hook.pk), None)


# ------------------------------------------------------------------ the interface


def test_alice_makes_lists_and_deletes_her_webhook(alice: Person) -> None:
    api = alice.api()
    made = api.post(HOOKS, {"url": URL}, format="json")
    assert made.status_code == 201
    assert made["Cache-Control"] == "no-store"
    assert made["Location"] == f"{HOOKS}/{made.json()['id']}"
    assert made.json()["secret"].startswith("whsec_")
    (listed,) = api.get(HOOKS).json()["items"]
    assert listed == {name: value for name, value in made.json().items() if name != "secret"}
    assert api.get(made["Location"]).json() == listed
    assert api.delete(made["Location"]).status_code == 204
    assert api.get(HOOKS).json() == {"items": [], "next": ""}
    assert api.get(made["Location"]).status_code == 404
    row = Hook.objects.get()
    assert (row.url, bytes(row.secret)) == ("", b"")


def test_the_secret_is_shown_once_and_is_nowhere_else(
    alice: Person, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    api = alice.api()
    made = api.post(HOOKS, {"url": URL}, format="json")
    secret = made.json()["secret"].removeprefix("whsec_")
    api.post(f"{made['Location']}/test")
    answers = [
        api.get(path).content.decode()
        for path in (HOOKS, made["Location"], f"{made['Location']}/deliveries")
    ]
    with connection.cursor() as cursor:
        cursor.execute("SELECT h::text, encode(h.secret, 'escape') FROM inference_hook h")
        stored = str(cursor.fetchall())
    audit = str(list(AuditEvent.objects.values_list("data", flat=True)))
    shown = repr(create(alice.user, URL))
    assert "whsec_" not in shown
    for text in (*answers, stored, audit, caplog.text):
        assert secret not in text
    assert "hush" not in audit  # people put tokens into URLs
    assert Hook not in admin.site._registry


def test_a_copy_of_the_database_signs_nothing(settings: Settings) -> None:
    sealed = seal(b"the key", about=b"a hook")
    assert b"the key" not in sealed
    assert unseal(sealed, about=b"a hook") == b"the key"
    for other in (sealed[:-1], b"", sealed[:12]):
        with pytest.raises(UnreadableError):
            unseal(other, about=b"a hook")
    with pytest.raises(UnreadableError):
        unseal(sealed, about=b"another hook")
    old, settings.SECRET_KEY = settings.SECRET_KEY, "a new one"
    with pytest.raises(UnreadableError):
        unseal(sealed, about=b"a hook")
    settings.SECRET_KEY_FALLBACKS = [old]
    assert unseal(sealed, about=b"a hook") == b"the key"


@pytest.mark.parametrize(
    "body",
    ["[]", "{}", '{"url": 1}', '{"url": null}', '{"url": "https://a.example/", "x": 1}', "{"],
)
def test_a_malformed_request_makes_nothing(alice: Person, body: str) -> None:
    answer = alice.api().post(HOOKS, body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "bad_request"
    assert not Hook.objects.exists()


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/", "https://169.254.169.254/latest", "https://db/"]
)
def test_mallory_may_not_have_our_own_machines_called(mallory: Person, url: str) -> None:
    answer = mallory.api().post(HOOKS, {"url": url}, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "webhook_address")


def test_an_account_has_so_many_webhooks(alice: Person, bob: Person) -> None:
    for _ in range(hooks.MAX_HOOKS):
        create(alice.user, URL)
    answer = alice.api().post(HOOKS, {"url": URL}, format="json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "too_many_webhooks")
    assert create(bob.user, URL).hook.owner_id == bob.user.pk
    hooks.delete(alice.user, hooks.hooks_of(alice.user)[0].pk)
    assert alice.api().post(HOOKS, {"url": URL}, format="json").status_code == 201


def test_mallory_may_not_touch_alices_webhook(mallory: Person, hook: Hook) -> None:
    sent = hooks.send_test(hook)
    api, base = mallory.api(), f"{HOOKS}/{hook.pk}"
    answers = [
        api.get(base),
        api.delete(base),
        api.post(f"{base}/test"),
        api.get(f"{base}/deliveries"),
        api.post(f"{base}/deliveries/{sent.pk}/redeliver"),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert api.get(HOOKS).json() == {"items": [], "next": ""}
    # A delivery of another's webhook is not found below one's own either.
    own = create(mallory.user, URL).hook
    answer = api.post(f"{HOOKS}/{own.pk}/deliveries/{sent.pk}/redeliver")
    assert answer.status_code == 404
    assert Hook.objects.get(pk=hook.pk).deleted_at is None


def test_a_stranger_and_a_token_that_only_reads_change_nothing(alice: Person, hook: Hook) -> None:
    stranger, reader = APIClient(), alice.api("read")
    base = f"{HOOKS}/{hook.pk}"
    for path in (HOOKS, base, f"{base}/deliveries"):
        assert stranger.get(path).status_code == 401
        assert reader.get(path).status_code == 200
    for client, status in ((stranger, 401), (reader, 403)):
        assert client.post(HOOKS, {"url": URL}, format="json").status_code == status
        assert client.delete(base).status_code == status
        assert client.post(f"{base}/test").status_code == status
    assert list(hooks.hooks_of(None)) == []


def test_a_test_message_is_queued_but_not_at_will(alice: Person, hook: Hook) -> None:
    api, base = alice.api(), f"{HOOKS}/{hook.pk}"
    sent = api.post(f"{base}/test")
    assert sent.status_code == 202
    assert (sent.json()["event"], sent.json()["state"]) == ("webhook.test", "waiting")
    again = api.post(f"{base}/test")
    assert (again.status_code, again["Retry-After"]) == (429, "10")
    Delivery.objects.update(created_at=timezone.now() - hooks.BY_HAND)
    assert api.post(f"{base}/test").status_code == 202


def test_deliveries_are_listed_page_by_page(alice: Person, hook: Hook) -> None:
    now = timezone.now()
    rows = [
        Delivery.objects.create(hook=hook, event="e", body={}, due_at=now, give_up_at=now)
        for _ in range(5)
    ]
    rows.sort(key=lambda row: row.pk)  # all within a millisecond
    Delivery.objects.filter(pk=rows[0].pk).update(state=DeliveryState.FAILED, ended_at=now)
    page = hooks.deliveries(hook, size=3)
    assert [row.pk for row in page.rows] == [row.pk for row in rows[:1:-1]]
    rest = hooks.deliveries(hook, size=3, cursor=page.next)
    assert ([row.pk for row in rest.rows], rest.next) == ([rows[1].pk, rows[0].pk], "")
    api, base = alice.api(), f"{HOOKS}/{hook.pk}/deliveries"
    assert len(api.get(f"{base}?cursor=nonsense").json()["items"]) == 5
    (failed,) = api.get(f"{base}?state=failed").json()["items"]
    assert (failed["id"], failed["next_attempt_at"]) == (str(rows[0].pk), None)
    assert api.get(f"{base}?state=odd").status_code == 400


def test_a_thing_is_told_of_once_by_the_databases_own_word(hook: Hook) -> None:
    now = timezone.now()
    columns = {"hook": hook, "event": "e", "body": {}, "due_at": now, "give_up_at": now}
    Delivery.objects.create(about="x", **columns)
    with pytest.raises(IntegrityError, match="delivery_once"), transaction.atomic():
        Delivery.objects.create(about="x", **columns)
    with pytest.raises(IntegrityError, match="hook_deleted_keeps_nothing"), transaction.atomic():
        Hook.objects.update(deleted_at=now)


def test_what_ended_long_ago_is_forgotten(hook: Hook) -> None:
    now = timezone.now()
    row = hooks.send_test(hook)
    assert deliveries.sweep(now + 2 * deliveries.KEPT) == 0  # it waits
    Delivery.objects.update(state=DeliveryState.DELIVERED, ended_at=now)
    assert deliveries.sweep() == 0
    assert deliveries.sweep(now + deliveries.KEPT + timedelta(seconds=1)) == 1
    assert not Delivery.objects.filter(pk=row.pk).exists()


def test_stricter_rules_reach_an_old_webhook(hook: Hook, settings: Settings) -> None:
    settings.WEBHOOK_LOOPBACK = True
    assert create(hook.owner, "http://127.0.0.1:9000/").hook.url
    settings.WEBHOOK_LOOPBACK = False
    with pytest.raises(WebhookAddressError):
        create(hook.owner, "http://127.0.0.1:9000/")
