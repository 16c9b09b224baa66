"""Delivered at least once, for a day: claims, back-off, fences, receivers that do not answer."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from config import env
from inference import outgoing, tasks, wakeups
from inference.choices import DeliveryState
from inference.errors import WebhookBusyError
from inference.failpoints import EXIT_CODE
from inference.models import Delivery, Hook
from inference.services import deliveries, hooks
from inference.services.deliveries import Result, claim, deliver_some, record
from inference.webhooks.signature import sign
from tests.inference.receiver import Message, Receiver, receiving
from tests.people import Person

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _local(settings: Settings) -> Iterator[None]:
    """Webhooks may go to this machine; a wake-up goes into a queue in memory."""
    settings.WEBHOOK_LOOPBACK = True
    settings.CELERY_BROKER_URL = "memory://"
    wakeups._client.cache_clear()
    yield
    wakeups._client.cache_clear()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


@pytest.fixture
def made(alice: Person, receiver: Receiver) -> hooks.Made:
    return hooks.create(alice.user, receiver.url)


def message(hook: Hook, **columns: object) -> Delivery:
    now = timezone.now() - timedelta(seconds=1)
    columns = {"due_at": now, "give_up_at": now + timedelta(hours=24), **columns}
    return Delivery.objects.create(hook=hook, event="e", body={"type": "e", "n": 1}, **columns)


def state_of(row: Delivery) -> tuple[str, int, int | None, str]:
    row.refresh_from_db()
    return row.state, row.attempts, row.last_status, row.last_error


def wait_s(row: Delivery) -> float:
    row.refresh_from_db()
    assert row.last_attempt_at is not None
    return round((row.due_at - row.last_attempt_at).total_seconds())


def due() -> None:
    Delivery.objects.update(due_at=Now() - timedelta(seconds=1))


def due_hook() -> None:
    due()
    Hook.objects.update(retry_at=None)


def is_signed(got: Message, secret: str) -> bool:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    told = (got.headers["webhook-id"], int(got.headers["webhook-timestamp"]))
    return got.headers["webhook-signature"] == sign(key, *told, got.body)


# ------------------------------------------------------------------ the plain way


def test_a_message_is_delivered_once_and_signed(made: hooks.Made, receiver: Receiver) -> None:
    row = message(made.hook)
    before = int(timezone.now().timestamp())
    assert deliver_some() == 1
    assert deliver_some() == 0
    (got,) = receiver.got
    assert got.line == "POST /hook HTTP/1.1"
    assert got.body == b'{"n":1,"type":"e"}'
    assert got.headers["content-type"] == "application/json"
    assert got.headers["webhook-id"] == str(row.pk)
    assert before <= int(got.headers["webhook-timestamp"]) <= timezone.now().timestamp()
    assert is_signed(got, made.secret)
    assert state_of(row) == ("delivered", 1, 204, "")
    assert row.ended_at is not None
    assert row.lease_until is None


def test_the_task_delivers_and_wakes_the_next(made: hooks.Made, receiver: Receiver) -> None:
    message(made.hook)
    assert (tasks.deliver(), tasks.deliver()) == (1, 0)
    assert len(receiver.got) == 1
    assert tasks.sweep_deliveries() == 0
    assert tasks.deliver.name == outgoing.TASK


def test_a_test_message_arrives(made: hooks.Made, receiver: Receiver) -> None:
    hooks.send_test(made.hook)
    deliver_some()
    assert b'"type":"webhook.test"' in receiver.got[0].body


def verify_of_the_documentation() -> Callable[[str, dict[str, str], bytes, float], str]:
    """Return `verify` as the page for receivers shows it."""
    page = (ROOT / "docs/howto/webhooks.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 (our own page)
    verify: Callable[[str, dict[str, str], bytes, float], str] = names["verify"]
    return verify


def test_the_example_of_the_documentation_knows_ours_from_mallorys(
    made: hooks.Made, receiver: Receiver
) -> None:
    verify, row = verify_of_the_documentation(), message(made.hook)
    deliver_some()
    (got,) = receiver.got
    now = time.time()
    assert verify(made.secret, got.headers, got.body, now) == str(row.pk)
    rotated = {"webhook-signature": f"v1,AAAA v2,x {got.headers['webhook-signature']}"}
    assert verify(made.secret, got.headers | rotated, got.body, now) == str(row.pk)
    other = hooks.create(made.hook.owner, receiver.url).secret
    late = {"webhook-timestamp": str(int(now) - 1)}
    lies: list[tuple[str, dict[str, str], bytes, float]] = [
        (other, got.headers, got.body, now),
        (made.secret, got.headers, got.body + b" ", now),
        (made.secret, got.headers | {"webhook-id": "another"}, got.body, now),
        (made.secret, got.headers | late, got.body, now),
        (made.secret, got.headers | {"webhook-signature": "v1,é"}, got.body, now),
        (made.secret, got.headers, got.body, now + 301),
        (made.secret, got.headers, got.body, now - 302),
    ]
    for lie in lies:
        with pytest.raises(ValueError, match=r"old|no signature"):
            verify(*lie)


# ------------------------------------------------------------------ what fails


@pytest.mark.parametrize("status", [301, 400, 401, 404, 429, 500, 503])
def test_what_is_not_2xx_is_tried_again(made: hooks.Made, receiver: Receiver, status: int) -> None:
    receiver.says(status, "Location: http://169.254.169.254/")
    row = message(made.hook)
    deliver_some()
    state, attempts, last, error = state_of(row)
    assert (state, attempts, last) == ("waiting", 1, status)
    assert error.startswith(f"The answer was {status}.")
    assert wait_s(row) == 5
    receiver.says(200)
    due_hook()
    deliver_some()
    assert state_of(row) == ("delivered", 2, 200, "")
    assert {got.headers["webhook-id"] for got in receiver.got} == {str(row.pk)}


def test_waits_grow_until_the_day_is_over(made: hooks.Made, receiver: Receiver) -> None:
    receiver.says(500)
    row = message(made.hook)
    waits = []
    for _ in range(len(deliveries.WAITS_S) + 1):
        due()
        deliver_some()
        waits.append(wait_s(row))
    assert tuple(waits) == (*deliveries.WAITS_S, deliveries.WAITS_S[-1])
    # The last attempt is at the end of the day, and not after it.
    soon = timezone.now() + timedelta(seconds=60)
    Delivery.objects.update(give_up_at=soon)
    due()
    deliver_some()
    row.refresh_from_db()
    assert (row.state, row.due_at) == ("waiting", soon)
    Delivery.objects.update(give_up_at=Now())
    due()
    deliver_some()
    assert state_of(row)[0] == "failed"
    assert row.ended_at is not None


def test_the_days_attempts_are_known() -> None:
    total, attempts = 0, 1
    while total < 86_400:
        total += deliveries.WAITS_S[min(attempts, len(deliveries.WAITS_S)) - 1]
        attempts += 1
    assert attempts == 12  # as docs/howto/webhooks.md says


def test_gone_disables_the_hook_and_ends_what_waits(
    made: hooks.Made, receiver: Receiver, bob: Person
) -> None:
    other = message(hooks.create(bob.user, receiver.url).hook, due_at=Now() + timedelta(hours=1))
    receiver.says(410)
    row = message(made.hook)
    later = message(made.hook, due_at=timezone.now() + timedelta(hours=1))
    deliver_some()
    assert state_of(row)[:3] == ("failed", 1, 410)
    assert state_of(later)[0] == "failed"
    assert "410" in later.last_error
    assert state_of(other)[0] == "waiting"
    made.hook.refresh_from_db()
    assert made.hook.disabled_at is not None
    hooks.send_test(made.hook)
    deliver_some()
    assert len(receiver.got) == 1


def test_nothing_goes_out_for_who_may_not_send(made: hooks.Made, receiver: Receiver) -> None:
    row = message(made.hook)
    made.hook.owner.is_active = False
    made.hook.owner.save()
    deliver_some()
    assert state_of(row)[0] == "failed"
    assert row.last_error == "The account is not active."
    assert receiver.connections == 0


def test_a_lost_secret_is_told(made: hooks.Made, receiver: Receiver, settings: Settings) -> None:
    row = message(made.hook)
    settings.SECRET_KEY = "another one"
    deliver_some()
    assert state_of(row)[0] == "failed"
    assert "make a new webhook" in row.last_error
    assert receiver.connections == 0


def test_a_server_that_is_away_is_left_alone_for_a_while(
    made: hooks.Made, receiver: Receiver, bob: Person
) -> None:
    receiver.says(503)
    for _ in range(3):
        message(made.hook)
    waits = []
    for _ in range(len(deliveries.AWAY_WAITS_S) + 1):
        due()
        assert deliver_some() == 3  # what fails side by side counts once
        due()
        assert deliver_some() == 0
        made.hook.refresh_from_db()
        assert made.hook.retry_at is not None
        waits.append(round((made.hook.retry_at - timezone.now()).total_seconds()))
        Hook.objects.update(retry_at=Now())
    assert tuple(waits) == (*deliveries.AWAY_WAITS_S, deliveries.AWAY_WAITS_S[-1])
    # Bob's messages go out meanwhile, and one answer is enough to have all again.
    Hook.objects.filter(pk=made.hook.pk).update(retry_at=timezone.now() + timedelta(minutes=5))
    bobs = message(hooks.create(bob.user, receiver.url).hook)
    receiver.says(200)
    due()
    assert deliver_some() == 1
    assert state_of(bobs)[0] == "delivered"
    hooks.send_test(made.hook)  # by hand: at once
    assert deliver_some() == 4
    made.hook.refresh_from_db()
    assert (made.hook.failures, made.hook.retry_at) == (0, None)


def test_what_a_server_did_not_take_for_a_day_has_failed(made: hooks.Made) -> None:
    now = timezone.now()
    late = message(made.hook, give_up_at=now)
    assert deliveries.sweep(now) == 0
    assert state_of(late)[0] == "waiting"  # it has its last attempt
    Hook.objects.update(retry_at=now + timedelta(minutes=5))
    young = message(made.hook)
    deliveries.sweep(now)
    assert (state_of(late)[0], state_of(young)[0]) == ("failed", "waiting")
    assert "away" in late.last_error


def test_one_message_that_is_refused_is_not_in_the_others_way(
    made: hooks.Made, receiver: Receiver
) -> None:
    receiver.says(400)
    message(made.hook)
    deliver_some()
    message(made.hook)
    assert deliver_some() == 1


def test_a_name_that_turns_to_our_network_receives_nothing(
    alice: Person, receiver: Receiver, settings: Settings
) -> None:
    settings.WEBHOOK_LOOPBACK = False
    settings.WEBHOOK_HIGH_PORTS = True
    made = hooks.create(alice.user, f"https://rebind.example:{receiver.port}/")
    asked = []

    def rebind(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return ["127.0.0.1"]

    row = message(made.hook)
    deliver_some(resolve=rebind)
    assert state_of(row)[0] == "waiting"
    assert row.last_error == "rebind.example is not at a public address."
    assert asked == ["rebind.example"]
    assert receiver.connections == 0


def test_what_answers_no_http_is_away(made: hooks.Made, receiver: Receiver) -> None:
    receiver.answer = b"SSH-2.0-OpenSSH\r\n\r\n"
    row = message(made.hook)
    deliver_some()
    assert state_of(row) == ("waiting", 1, None, "The answer is not HTTP.")
    message(made.hook)
    assert deliver_some() == 0


def test_a_name_without_an_address_is_asked_again(alice: Person) -> None:
    def away(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    made = hooks.create(alice.user, "https://hooks.example.org/")
    row = message(made.hook)
    deliver_some(resolve=away)
    assert state_of(row) == ("waiting", 1, None, "The host's name has no address.")


def test_rules_that_became_stricter_hold_for_old_hooks(
    made: hooks.Made, receiver: Receiver, settings: Settings
) -> None:
    settings.WEBHOOK_LOOPBACK = False
    row = message(made.hook)
    deliver_some()
    assert state_of(row)[:3] == ("waiting", 1, None)
    assert receiver.connections == 0


# ------------------------------------------------------------------ once more, by hand


def test_alice_has_a_failed_message_sent_again(
    made: hooks.Made, receiver: Receiver, alice: Person
) -> None:
    row = message(made.hook, state=DeliveryState.FAILED, ended_at=Now(), attempts=12)
    path = f"/api/v1/webhooks/{made.hook.pk}/deliveries/{row.pk}/redeliver"
    again = alice.api().post(path)
    assert again.status_code == 202
    told = {name: again.json()[name] for name in ("id", "state", "attempts")}
    assert told == {"id": str(row.pk), "state": "waiting", "attempts": 0}
    deliver_some()
    assert state_of(row)[:2] == ("delivered", 1)
    assert receiver.got[0].headers["webhook-id"] == str(row.pk)
    with pytest.raises(WebhookBusyError):
        hooks.redeliver(made.hook, row.pk)
    Delivery.objects.update(last_attempt_at=timezone.now() - hooks.BY_HAND)
    hooks.redeliver(made.hook, row.pk)
    deliver_some()
    assert [got.headers["webhook-id"] for got in receiver.got] == [str(row.pk)] * 2


# ------------------------------------------------------------------ fairness


def test_one_owner_has_so_many_messages_under_way(
    made: hooks.Made, receiver: Receiver, bob: Person
) -> None:
    for _ in range(deliveries.PER_OWNER + 3):
        message(made.hook)
    bobs = message(hooks.create(bob.user, receiver.url).hook)
    held = claim()
    assert len(held) == deliveries.PER_OWNER + 1
    assert bobs.pk in {one.id for one in held}
    assert claim() == []  # while these are under way
    Delivery.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert len(claim()) == deliveries.PER_OWNER + 1


def test_no_more_than_so_many_are_under_way(
    made: hooks.Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "IN_FLIGHT", 3)
    for _ in range(5):
        message(made.hook)
    assert (len(claim()), len(claim())) == (3, 0)


# ------------------------------------------------------------------ leases, fences, deaths


def test_a_result_that_comes_late_changes_nothing(made: hooks.Made) -> None:
    row = message(made.hook)
    (first,) = claim()
    Delivery.objects.update(lease_until=Now() - timedelta(seconds=1))
    (second,) = claim()
    assert (first.id, first.lease) != (second.id, second.lease)
    assert not record(first, Result(status=410, final=True))
    made.hook.refresh_from_db()
    assert made.hook.disabled_at is None
    assert record(second, Result(status=200))
    assert not record(second, Result(status=500, error="no"))
    assert state_of(row) == ("delivered", 2, 200, "")


def test_a_hook_that_is_deleted_under_way_leaves_nothing(made: hooks.Made) -> None:
    message(made.hook)
    (held,) = claim()
    hooks.delete(made.hook.owner, made.hook.pk)
    assert not record(held, Result(status=200))
    late = message(made.hook)  # a transaction that had seen the hook alive
    deliver_some()
    assert state_of(late)[0] == "failed"


@pytest.mark.django_db(transaction=True)
def test_two_deliverers_at_once_send_each_message_once(
    made: hooks.Made, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "PER_OWNER", 20)
    rows = {str(message(made.hook).pk) for _ in range(20)}
    start = threading.Barrier(3)

    def run() -> None:
        try:
            start.wait(10)
            deliver_some()
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    deliver_some()
    assert sorted(got.headers["webhook-id"] for got in receiver.got) == sorted(rows)
    assert not Delivery.objects.exclude(state="delivered").exists()


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_before_the_result_sends_the_message_twice_under_one_id(
    made: hooks.Made, receiver: Receiver, tmp_path: Path
) -> None:
    row = message(made.hook)
    database = str(connection.settings_dict["NAME"])
    environment = env.environment(
        DATA=str(tmp_path),
        SECRET_KEY=django_settings.SECRET_KEY,
        DATABASE_URL=f"{django_settings.DATABASE_URL.rpartition('/')[0]}/{database}",
        DATABASE_POOL="0",
        WEBHOOK_LOOPBACK="1",
        ASSAY_FAILPOINT="webhook-after-post:exit",
    )
    code = (
        "import django; django.setup()\n"
        "from inference.services.deliveries import deliver_some; deliver_some()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, timeout=60, check=False
    )
    assert done.returncode == EXIT_CODE
    assert state_of(row) == ("waiting", 1, None, "")
    assert len(receiver.got) == 1
    assert deliver_some() == 0  # the dead worker's lease holds
    Delivery.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert deliver_some() == 1
    first, second = receiver.got
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == str(row.pk)
    assert first.body == second.body
    assert is_signed(second, made.secret)
    assert state_of(row) == ("delivered", 2, 204, "")
