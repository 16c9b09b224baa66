"""Many inputs in one request: all are taken or none, and each is an execution of its own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection
from rest_framework.test import APIClient

from inference import tasks, wakeups
from inference.models import Execution
from inference.services import queue, submit
from tests.inference.builders import publish, run_queued
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.inference.test_api import URL, code, post
from tests.people import Person


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The wake-ups that were sent; they are kept from the broker."""
    lanes: list[str] = []
    monkeypatch.setattr(wakeups, "wake", lambda lane, _: lanes.append(lane))
    return lanes


@pytest.fixture
def model(site: Site, alice: Person) -> None:
    publish(alice, "add", add())


def item(value: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [value]}]}


def ask(*values: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "alice/add", "items": [item(value) for value in values], **fields}


def test_a_batch_is_queued_whole_and_each_item_gets_its_own_answer_and_receipt(
    model: None, alice: Person, woken: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    client = alice.api()
    with django_capture_on_commit_callbacks(execute=True):
        answer = post(client, ask(1, 2, 3))
    body = answer.json()
    assert (answer.status_code, answer["Location"]) == (202, body["url"])
    assert [one["state"] for one in body["items"]] == ["queued"] * 3
    assert woken == [tasks.LANE]
    for _ in body["items"]:
        run_queued()
    ends = [client.get(one["url"]).json() for one in body["items"]]
    assert [end["outputs"][0]["data"] for end in ends] == [[2], [3], [4]]
    assert len({end["receipt"] for end in ends}) == 3
    states = client.get(body["url"]).json()
    assert (states["total"], states["states"]["succeeded"]) == (3, 3)
    listed = client.get(URL, {"batch": body["batch"]}).json()["items"]
    assert {one["id"] for one in listed} == {one["id"] for one in body["items"]}


def test_one_wrong_item_and_nothing_is_taken(model: None, alice: Person) -> None:
    answer = post(alice.api(), ask(1, None))
    assert code(answer) == (400, "bad_tensor")
    body = {"model": "alice/add", "items": [item(1), {}]}
    answer = post(alice.api(), body)
    assert code(answer) == (400, "bad_request")
    assert "items[1].inputs" in answer.json()["error"]["message"]
    assert not Execution.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        ask(),
        {"model": "alice/add", "items": item(1)},
        {"model": "alice/add", "items": [1]},
        {**ask(1), "inputs": []},
        {"model": "alice/add", "items": [{}] * 1001},
    ],
)
def test_a_wrong_batch_is_refused(model: None, alice: Person, body: Any) -> None:
    assert code(post(alice.api(), body)) == (400, "bad_request")
    assert not Execution.objects.exists()


def test_one_key_is_one_batch(model: None, alice: Person) -> None:
    client = alice.api()
    first, second = (post(client, ask(1, 2), **{"Idempotency-Key": "k"}).json() for _ in range(2))
    assert first == second
    assert Execution.objects.count() == 2
    for other in (ask(1, 3), ask(1), ask(1, 2, 3)):
        answer = post(client, other, **{"Idempotency-Key": "k"})
        assert code(answer) == (422, "idempotency_mismatch")
    assert Execution.objects.count() == 2
    answer = post(client, ask(1), **{"Idempotency-Key": "k" * 254})
    assert code(answer) == (400, "bad_request")


def test_a_batch_key_is_free_again_after_a_day(
    model: None, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = alice.api()
    first = post(client, ask(1), **{"Idempotency-Key": "k"}).json()
    run_queued()
    monkeypatch.setattr(submit, "KEY_KEPT", timedelta(0))
    second = post(client, ask(5), **{"Idempotency-Key": "k"}).json()
    assert second["batch"] != first["batch"]


def test_two_batches_at_once_under_one_key_are_one(model: None, alice: Person) -> None:
    """The second one looked before the first one wrote; the constraint tells it to look again."""
    client = alice.api()
    looked = submit._earlier_batch
    answers: list[Any] = []

    def look_too_early(plans: Any) -> Any:
        if not answers:
            answers.append(None)
            answers.append(post(client, ask(1, 2), **{"Idempotency-Key": "k"}).json())
            return None
        return looked(plans)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(submit, "_earlier_batch", look_too_early)
        late = post(client, ask(1, 2), **{"Idempotency-Key": "k"}).json()
    assert late["batch"] == answers[1]["batch"]


def test_alice_cancels_her_batch_and_mallory_may_not(
    model: None, alice: Person, mallory: Person
) -> None:
    body = post(alice.api(), ask(1, 2, 3)).json()
    (claimed,) = queue.claim(1)
    for stranger in (mallory.api(), APIClient()):
        assert stranger.post(f"{body['url']}/cancel").status_code in (401, 404)
    states = alice.api().post(f"{body['url']}/cancel").json()["states"]
    assert (states["cancelled"], states["running"]) == (2, 1)
    claimed.execution.refresh_from_db()
    assert claimed.execution.cancel_requested is not None


def test_a_batch_that_is_not_there_is_not_found(model: None, alice: Person) -> None:
    nobodys = "/api/v1/batches/0192d1c2-aaaa-7bbb-8ccc-000000000000"
    assert code(alice.api().get(nobodys)) == (404, "unknown_execution")
    assert code(alice.api().post(f"{nobodys}/cancel")) == (404, "unknown_execution")
    assert alice.api().get(URL, {"batch": "no id"}).json()["items"] == []


def test_a_batch_is_found_by_an_index(model: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        rows = Execution.objects.filter(batch="0192d1c2-aaaa-7bbb-8ccc-000000000000")
        assert "execution_of_batch" in rows.explain()


def test_another_fault_of_the_database_is_no_earlier_batch(
    model: None, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise IntegrityError("another constraint")

    monkeypatch.setattr(submit, "save", fails)
    with pytest.raises(IntegrityError, match="another"):
        post(alice.api(), ask(1))
