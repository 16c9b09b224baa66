"""How much of the REST API one caller may call, and what the headers say of it."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from inference import quota, wakeups
from tests.people import Person
from tests.registry.calls import API, error

URL = f"{API}/models"
FIELD = re.compile(r'"calls";r=(\d+);t=(\d+)')


@pytest.fixture(autouse=True, params=["shared", "alone"])
def _small(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small limits and counts of one's own: in the broker's Redis, and in the process alone."""
    settings.API_RATE, settings.API_ANONYMOUS_RATE = 6, 3
    if request.param == "alone":
        settings.CELERY_BROKER_URL = "memory://"
    wakeups._client.cache_clear()
    monkeypatch.setattr(quota, "PREFIX", f"test:calls:{uuid.uuid4()}")
    monkeypatch.setattr(quota, "_counts", quota._Counts())


def left(answer: Any) -> tuple[int, int]:
    found = FIELD.fullmatch(answer["RateLimit"])
    assert found, answer["RateLimit"]
    return int(found[1]), int(found[2])


def test_mallory_meets_429_and_alice_does_not(alice: Person, mallory: Person) -> None:
    greedy, calm = mallory.api(), alice.api()
    for number in range(6):
        answer = greedy.get(URL)
        assert answer.status_code == 200
        assert answer["RateLimit-Policy"] == '"calls";q=6;w=60'
        assert left(answer) == (5 - number, 10 * (number + 1))
    refused = greedy.get(URL)
    assert error(refused) == (429, "too_many_requests")
    assert 1 <= int(refused["Retry-After"]) <= 10
    assert left(refused) == (0, int(refused["Retry-After"]))
    assert refused["RateLimit-Policy"] == '"calls";q=6;w=60'
    assert calm.get(URL).status_code == 200
    assert APIClient().get(URL).status_code == 200


def test_strangers_are_told_apart_by_their_addresses(db: None) -> None:
    near, far = (APIClient(REMOTE_ADDR=address) for address in ("192.0.2.1", "192.0.2.2"))
    assert [near.get(URL).status_code for _ in range(4)] == [200, 200, 200, 429]
    assert far.get(URL)["RateLimit-Policy"] == '"calls";q=3;w=60'


def test_a_second_token_of_mallory_has_no_bucket_of_its_own(mallory: Person) -> None:
    for _ in range(3):
        assert mallory.api().get(URL).status_code == mallory.api().get(URL).status_code == 200
    assert mallory.api().get(URL).status_code == 429


def test_every_part_of_the_api_counts(alice: Person) -> None:
    api = alice.api()
    places = ("models/alice/none", "executions", "ledger/logs", "tokens", "keys", "webhooks")
    seen = [left(api.get(f"{API}/{place}"))[0] for place in places]
    assert seen == [5, 4, 3, 2, 1, 0]
    assert error(api.post(URL, {"name": "double"}, format="json"))[0] == 429


def test_pages_are_not_counted(db: None) -> None:
    client = APIClient()
    for _ in range(5):
        answer = client.get("/docs/")
        assert (answer.status_code, "RateLimit" in answer) == (200, False)


def test_where_strangers_may_call_nothing_they_are_told(db: None, settings: Settings) -> None:
    settings.API_ANONYMOUS_RATE = 0
    answer = APIClient().get(URL)
    assert error(answer) == (429, "too_many_requests")
    assert (answer["Retry-After"], answer["RateLimit"]) == ("3600", '"calls";r=0;t=3600')


@pytest.mark.parametrize("_small", ["shared"], indirect=True)
def test_two_processes_share_a_bucket(mallory: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    client = mallory.api()
    taken = 0
    while client.get(URL).status_code == 200:
        taken += 1
        monkeypatch.setattr(quota, "_counts", quota._Counts())  # as another process would
    assert taken == 6
