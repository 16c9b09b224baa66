"""Server-sent events: what happens, told once, to as many as a process can bear."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.signals import request_finished
from django.db import close_old_connections
from django.db.models.functions import Now
from rest_framework.test import APIClient

from inference import wakeups
from inference.api import events as views
from inference.errors import TooManyStreamsError, UnknownExecutionError
from inference.events import COMMENT_S, LONGEST_S, Event, Places, Stream
from inference.models import Execution
from inference.services import queue, waiting
from registry.choices import Visibility
from tests.inference.builders import publish, run_queued
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.inference.test_api import ASK, code, post
from tests.people import Person


@pytest.fixture(autouse=True)
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "wake", lambda *_: None)


@pytest.fixture(autouse=True)
def free_places() -> Iterator[None]:
    """Every test gives back the places that it took."""
    yield
    assert views.places._taken == 0


@pytest.fixture
def model(site: Site, alice: Person) -> None:
    publish(alice, "add", add())


@pytest.fixture
def anybody() -> APIClient:
    return APIClient()


def parse(chunk: bytes) -> tuple[str, str, Any]:
    """Return id, name and data of one event."""
    fields = dict(line.split(": ", 1) for line in chunk.decode().strip().split("\n"))
    return fields["id"], fields["event"], json.loads(fields["data"])


def leave(answer: Any) -> None:
    """Go away, as the server notices it; the test's transaction keeps its connection."""
    request_finished.disconnect(close_old_connections)
    answer.close()
    request_finished.connect(close_old_connections)


# ------------------------------------------------------------------ an execution


def test_an_execution_is_followed_to_its_end(
    model: None, anybody: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = post(anybody, ASK).json()
    answer: Any = anybody.get(f"{body['url']}/events", headers={"accept": "text/event-stream"})
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/event-stream"
    assert (answer["Cache-Control"], answer["X-Accel-Buffering"]) == ("no-store", "no")
    chunks = iter(answer.streaming_content)
    assert next(chunks) == b"retry: 2000\n\n"
    # While it is queued there is nothing to tell; where the reader waits, a worker comes.
    monkeypatch.setattr(waiting._Ear, "__call__", lambda *_: queue.claim(1))
    told = parse(next(chunks))
    assert told == ("start-1", "start", {"id": body["id"], "state": "running", "attempt": 1})
    Execution.objects.update(state="failed", lease_until=None, finished_at=Now())
    name, kind, data = parse(next(chunks))
    assert (name, kind, data["state"], data["id"]) == (
        "completed",
        "completed",
        "failed",
        body["id"],
    )
    assert list(chunks) == []


def test_who_comes_back_hears_only_what_is_new(model: None, anybody: APIClient) -> None:
    body = post(anybody, ASK).json()
    run_queued()
    address = f"{body['url']}/events"
    answer: Any = anybody.get(address, headers={"last-event-id": "start-1"})
    chunks = list(answer.streaming_content)
    assert [parse(chunk)[0] for chunk in chunks[1:]] == ["completed"]
    again = anybody.get(address, headers={"last-event-id": "completed"})
    assert (again.status_code, again.content) == (204, b"")


def test_mallory_may_not_follow_what_alice_runs(site: Site, alice: Person, mallory: Person) -> None:
    publish(alice, "secret", add(), visibility=Visibility.PRIVATE)
    body = post(alice.api(), {**ASK, "model": "alice/secret"}).json()
    for client in (mallory.api(), APIClient()):
        answer = client.get(f"{body['url']}/events", headers={"accept": "text/event-stream"})
        assert code(answer) == (404, "unknown_execution")


# ------------------------------------------------------------------ a batch


def test_a_batch_tells_how_far_it_is(
    model: None, anybody: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = [{"inputs": ASK["inputs"]}] * 2
    url = post(anybody, {"model": "alice/add", "items": items}).json()["url"]
    # Where a reader would wait, a worker does something.
    monkeypatch.setattr(views, "_sleep", lambda _: run_queued())
    answer: Any = anybody.get(f"{url}/events")
    chunks = list(answer.streaming_content)
    told = [parse(chunk) for chunk in chunks[1:]]
    assert [name for _, name, _ in told] == ["progress", "progress", "completed"]
    assert [data["states"]["succeeded"] for _, _, data in told] == [0, 1, 2]
    assert len({one for one, _, _ in told}) == 3
    assert {data["total"] for _, _, data in told} == {2}
    again = anybody.get(f"{url}/events", headers={"last-event-id": "completed"})
    assert again.status_code == 204


def test_a_batchs_reader_sleeps_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("inference.api.events.time.sleep", slept.append)
    monkeypatch.setattr(views, "give_connection_back", lambda: None)
    views._sleep(15.0)
    views._sleep(0.5)
    assert slept == [1.0, 0.5]


# ------------------------------------------------------------------ bounds


def test_beyond_its_places_a_process_says_poll_instead(
    model: None, anybody: APIClient, settings: Any
) -> None:
    settings.EVENT_STREAMS = 1
    address = f"{post(anybody, ASK).json()['url']}/events"
    held: Any = anybody.get(address)
    refused = anybody.get(address)
    assert code(refused) == (503, "too_many_streams")
    assert refused["Retry-After"] == "5"
    assert "poll instead" in refused.json()["error"]["message"]
    leave(held)  # not a byte of it was read
    free: Any = anybody.get(address)
    assert free.status_code == 200
    leave(free)
    leave(free)


def test_no_place_at_all_is_a_setting_too(settings: Any) -> None:
    settings.EVENT_STREAMS = 0
    with pytest.raises(TooManyStreamsError):
        Places().take()


class Clock:
    """A time that passes while somebody pauses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr("inference.events.time.monotonic", lambda: self.now)

    def pause(self, seconds: float) -> None:
        self.now += seconds


def test_a_quiet_stream_says_that_it_is_there_and_ends_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    closed: list[str] = []
    stream = Stream(lambda: None, clock.pause, last="", done=lambda: closed.append("x"))
    chunks = list(stream)
    assert chunks[1:] == [b": here\n\n"] * int(LONGEST_S / COMMENT_S - 1)
    assert clock.now == LONGEST_S
    stream.close()
    stream.close()
    assert closed == ["x"]


def test_a_reader_who_may_know_no_more_hears_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    told = iter([Event(id="a", name="start", data={})])

    def read() -> Event:
        for event in told:
            return event
        raise UnknownExecutionError("gone")

    clock = Clock(monkeypatch)
    stream = Stream(read, clock.pause, last="", done=lambda: None)
    assert [chunk.split(b"\n")[0] for chunk in stream] == [b"retry: 2000", b"id: a"]
