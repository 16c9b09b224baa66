"""`Prefer` as RFC 7240 spells it, and what it does to an execution's request."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import redis
from django.db import connection
from django.test import override_settings
from rest_framework.test import APIClient

from inference import wakeups
from inference.errors import BadRequestError
from inference.models import Execution
from inference.prefer import Preferences, parse_cancel_after, parse_prefer, parse_wait
from inference.services import queue, waiting
from tests.inference.builders import fp32, plan, publish, run_queued
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.inference.test_api import ASK, URL, code, post
from tests.people import Person


@pytest.fixture(autouse=True)
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """No worker hears of anything."""
    monkeypatch.setattr(wakeups, "wake", lambda *_: None)


@pytest.fixture
def model(alice: Person, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("committed" if "committed" in request.fixturenames else "site")
    publish(alice, "add", add())


@pytest.fixture
def anybody() -> APIClient:
    return APIClient()


# ------------------------------------------------------------------ the header


@pytest.mark.parametrize(
    ("header", "wait_s", "respond_async"),
    [
        ("", None, False),
        (" , ", None, False),
        ("respond-async, wait=10", 10, True),
        ("Respond-Async;x=1 ; y, WAIT = 5", 5, True),
        ('wait="7"; ;a="b;,c"', 7, False),
        ("wait=1,,wait=2", 1, False),
        ('other="a\\"b, wait=9", wait=3', 3, False),
        ("wait=0", 0, False),
        ("wait=00050", 50, False),
        ("wait=51", 50, False),
        ("wait=99999999999999999999", 50, False),
        ("wait=1.5, respond-async=yes", None, False),
        ("handling=lenient", None, False),
    ],
)
def test_preferences_are_read(header: str, wait_s: int | None, respond_async: bool) -> None:
    assert parse_prefer(header) == Preferences(wait_s=wait_s, respond_async=respond_async)


@pytest.mark.parametrize(
    "header",
    [
        *("wait=10 respond-async", "=1", "wait=", 'a="', 'a="\x01"', "wäit=1", "a=b=c", "a;b="),
        *('a="b"c', "x" * 2_001, "a" + ";" * 1_900 + "="),
    ],
)
def test_what_is_no_list_of_preferences_is_refused(header: str) -> None:
    with pytest.raises(BadRequestError, match="Prefer"):
        parse_prefer(header)


def test_waits_and_limits_are_whole_seconds() -> None:
    assert [parse_wait(text) for text in (None, "7", "900")] == [None, 7, 50]
    with pytest.raises(BadRequestError, match="seconds"):
        parse_wait("-1")
    spelled = [parse_cancel_after(text) for text in (None, "90", " 90s ", "15m", "1h")]
    assert spelled == [None, 90, 90, 900, 3_600]
    for text in ("0", "0m", "1.5", "1d", "", "m"):
        with pytest.raises(BadRequestError, match="Cancel-After"):
            parse_cancel_after(text)


# ------------------------------------------------------------------ waiting


def test_who_prefers_to_wait_gets_the_end_as_soon_as_it_is_there(
    committed: Site, model: None, anybody: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The waiter sleeps for ever: only the announcement wakes it."""
    monkeypatch.setattr(waiting, "AGAIN_S", 30.0)
    listening = threading.Event()
    subscribe = waiting._subscribe

    def noted(*names: Any) -> Any:
        subscription = subscribe(*names)
        listening.set()
        return subscription

    monkeypatch.setattr(waiting, "_subscribe", noted)
    worker = threading.Thread(target=_run_when, args=(listening,))
    worker.start()
    answer = post(anybody, ASK, Prefer="respond-async, wait=25")
    worker.join()
    assert (answer.status_code, answer["Preference-Applied"]) == (200, "wait=25")
    assert answer.json()["outputs"][0]["data"] == [3.5]


def _run_when(listening: threading.Event) -> None:
    try:
        assert listening.wait(20)
        run_queued()
    finally:
        connection.close()


@pytest.mark.parametrize("broker", ["memory://", "redis+socket:///nowhere/redis.sock"])
def test_without_redis_the_row_is_asked(
    committed: Site, model: None, anybody: APIClient, broker: str
) -> None:
    started = threading.Event()
    started.set()
    with override_settings(CELERY_BROKER_URL=broker):
        worker = threading.Thread(target=_run_when, args=(started,))
        body = post(anybody, ASK).json()
        worker.start()
        answer = anybody.get(f"{body['url']}?wait=20")
        worker.join()
    assert answer.json()["state"] == "succeeded"


def test_a_redis_that_goes_away_while_somebody_waits_costs_time_alone(
    committed: Site, model: None, anybody: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise redis.ConnectionError("gone")

    body = post(anybody, ASK).json()
    monkeypatch.setattr(redis.client.PubSub, "get_message", gone)
    started = threading.Event()
    started.set()
    worker = threading.Thread(target=_run_when, args=(started,))
    worker.start()
    answer = anybody.get(body["url"], headers={"prefer": "wait=20"})
    worker.join()
    assert (answer.json()["state"], answer["Preference-Applied"]) == ("succeeded", "wait=20")


def test_an_ear_that_turns_deaf_goes_on_by_sleeping(monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf:
        def get_message(self, **_: Any) -> None:
            raise redis.ConnectionError("gone")

    slept: list[float] = []
    monkeypatch.setattr("inference.services.waiting.time.sleep", slept.append)
    monkeypatch.setattr(waiting, "give_connection_back", lambda: None)
    ear = waiting._Ear(Deaf())
    for _ in range(3):
        ear(10.0)
    assert slept == [waiting.FIRST_S, waiting.FIRST_S * 1.5]


def test_who_waits_too_short_hears_that_it_was_accepted(model: None, anybody: APIClient) -> None:
    for header, applied in (
        ("respond-async", "respond-async"),
        ("wait=0", "wait=0"),
        ("respond-async, wait=1", "respond-async, wait=1"),
    ):
        answer = post(anybody, ASK, Prefer=header)
        assert (answer.status_code, answer.json()["state"]) == (202, "queued")
        assert answer["Preference-Applied"] == applied
    answer = anybody.get(answer.json()["url"], {"wait": "1"})
    assert (answer.status_code, answer.json()["state"]) == (200, "queued")
    assert "Preference-Applied" not in answer


def test_a_preference_that_is_misspelt_leaves_no_execution(model: None, anybody: APIClient) -> None:
    assert code(post(anybody, ASK, Prefer="wait=10 respond-async")) == (400, "bad_request")
    assert code(post(anybody, ASK, **{"Cancel-After": "soon"})) == (400, "bad_request")
    assert not Execution.objects.exists()
    assert code(anybody.get(f"{URL}/{plan('alice/add', [fp32('x', 1)]).execution.pk}")) == (
        404,
        "unknown_execution",
    )


def test_cancel_after_shortens_the_deadline(model: None, anybody: APIClient) -> None:
    for fields, header, seconds in (({}, "5m", 300), ({"deadline_s": 60}, "5m", 60)):
        answer = post(anybody, {**ASK, **fields}, **{"Cancel-After": header})
        row = Execution.objects.get(pk=answer.json()["id"])
        assert round((row.deadline - row.created_at).total_seconds()) == seconds


# ------------------------------------------------------------------ polling


def test_who_polls_what_has_not_changed_is_told_so(model: None, anybody: APIClient) -> None:
    url = post(anybody, ASK).json()["url"]
    first = anybody.get(url)
    assert first["Cache-Control"] == "private, no-cache"
    same = anybody.get(url, headers={"if-none-match": first["ETag"]})
    assert (same.status_code, same.content, same["ETag"]) == (304, b"", first["ETag"])
    queue.claim(1)
    running = anybody.get(url, headers={"if-none-match": first["ETag"]})
    assert (running.status_code, running.json()["state"]) == (200, "running")


def test_who_polls_a_batch_is_told_when_nothing_has_changed(
    model: None, anybody: APIClient
) -> None:
    items = [{"inputs": ASK["inputs"]}] * 2
    url = post(anybody, {"model": "alice/add", "items": items}).json()["url"]
    first = anybody.get(url)
    assert anybody.get(url, headers={"if-none-match": first["ETag"]}).status_code == 304
    run_queued()
    after = anybody.get(url, headers={"if-none-match": first["ETag"]})
    assert (after.status_code, after.json()["states"]["succeeded"]) == (200, 1)
