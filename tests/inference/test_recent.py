"""What is remembered for a moment, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from inference import recent
from inference.oip import infer as oip
from inference.recent import Recent
from inference.services import asking, plan
from registry.models import ApiToken, Key, Release
from tests.inference.builders import publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.people import Person

BODY = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]})


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Clock:
    """A process that remembers for a second, and has remembered nothing yet."""
    settings.INFER_REMEMBER_MS = 1_000
    made = Clock()
    monkeypatch.setattr(recent, "time", made)
    for module, name in (
        (oip, "_callers"),
        (plan, "_targets"),
        (asking, "_heads"),
        (asking, "_keys"),
    ):
        monkeypatch.setattr(module, name, Recent[Any]())
    return made


def test_a_value_is_found_once_in_a_second(clock: Clock) -> None:
    found: list[int] = []

    def find() -> int:
        found.append(len(found))
        return found[-1]

    known = Recent[int]()
    assert [known.get("a", find), known.get("a", find)] == [0, 0]
    assert known.get("b", find) == 1
    clock.now += 0.9
    assert known.get("a", find) == 0
    clock.now += 0.2
    assert known.get("a", find) == 2


def test_a_refusal_is_not_remembered(clock: Clock) -> None:
    known, empty = Recent[int](), dict[str, int]()
    with pytest.raises(KeyError):
        known.get("a", lambda: empty["a"])
    assert known.get("a", lambda: 1) == 1


def test_nothing_is_remembered_when_the_setting_says_so(clock: Clock, settings: Settings) -> None:
    settings.INFER_REMEMBER_MS = 0
    known = Recent[int]()
    assert [known.get("a", lambda: 1), known.get("a", lambda: 2)] == [1, 2]


def test_mallorys_many_names_do_not_fill_the_memory(clock: Clock) -> None:
    known = Recent[int]()
    for number in range(3 * recent.LIMIT):
        known.get(number, lambda: 1)
    assert len(known._known) <= recent.LIMIT


def ask(token: str = "") -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    client = Client(headers=headers)
    answer = client.post("/v2/models/alice--add/infer", BODY, content_type="application/json")
    return answer.status_code


def test_a_deleted_token_works_a_second_longer_and_no_more(
    site: Site, alice: Person, clock: Clock
) -> None:
    publish(alice, "add", add())
    token = alice.token()
    assert ask(token) == 200
    ApiToken.objects.all().delete()
    assert ask(token) == 200
    clock.now += 1.1
    assert ask(token) == 401


def test_a_model_that_became_private_runs_a_second_longer_for_bob_and_no_more(
    site: Site, alice: Person, bob: Person, clock: Clock
) -> None:
    release = publish(alice, "add", add())
    model = release.model
    mine, other = alice.token(), bob.token()
    assert (ask(mine), ask(other), ask()) == (200, 200, 200)
    model.visibility = "private"
    model.save()
    clock.now += 1.1
    assert (ask(mine), ask(other), ask()) == (200, 404, 404)


def test_alices_right_to_her_private_model_is_not_lent_to_mallory(
    site: Site, alice: Person, mallory: Person, clock: Clock
) -> None:
    publish(alice, "add", add(), visibility="private")
    assert (ask(alice.token()), ask(mallory.token()), ask()) == (200, 404, 404)


def test_a_revoked_key_of_an_executor_signs_a_second_longer_and_no_more(
    site: Site, alice: Person, clock: Clock
) -> None:
    publish(alice, "add", add())
    assert ask() == 200
    Key.objects.filter(pk=site.executor_key).update(state="revoked")
    clock.now += 1.1
    assert ask() == 503


def test_the_first_release_is_seen_at_once(site: Site, alice: Person, clock: Clock) -> None:
    assert ask() == 404
    publish(alice, "add", add())
    assert Release.objects.count() == 1
    assert ask() == 200
