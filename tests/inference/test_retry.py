"""A retry is a new execution, one key is one execution, and dead letters are listed."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from inference import wakeups
from inference.models import Execution
from inference.services import expiry, queue
from inference.services.submit import submit
from registry.choices import Visibility
from registry.models import Model
from tests.inference.builders import fp32, plan, publish, run_queued
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.inference.test_api import ASK, code, post
from tests.people import Person


@pytest.fixture(autouse=True)
def asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "wake", lambda *_: None)


@pytest.fixture
def model(alice: Person, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("committed" if "committed" in request.fixturenames else "site")
    publish(alice, "add", add())


# ------------------------------------------------------------------ retry


def test_alice_runs_what_ended_once_more_as_a_new_execution(model: None, alice: Person) -> None:
    client = alice.api()
    asked = {**ASK, "priority": 7, "deadline_s": 100, "keep": 500, "outputs": ["y"]}
    first = post(client, asked).json()
    client.post(f"{first['url']}/cancel")
    answer = client.post(f"{first['url']}/retry")
    second = answer.json()
    assert (answer.status_code, second["state"], second["retry_of"]) == (
        202,
        "queued",
        first["id"],
    )
    assert answer["Location"] == second["url"] != first["url"]
    run_queued()
    assert client.get(second["url"]).json()["outputs"][0]["data"] == [3.5]
    rows = [Execution.objects.get(pk=body["id"]) for body in (first, second)]
    for same in ("priority", "keep_s", "requested_outputs", "input_id", "request_digest"):
        assert getattr(rows[0], same) == getattr(rows[1], same)
    lengths = [(row.deadline - row.created_at).total_seconds() for row in rows]
    assert lengths == pytest.approx([100, 100], abs=1)
    assert client.get(first["url"]).json()["state"] == "cancelled"
    page = client.get(f"/executions/{second['id']}/").content.decode()
    assert f"/executions/{first['id']}/" in page


def test_a_private_execution_is_retried_in_private(model: None, alice: Person) -> None:
    client = alice.api()
    first = post(client, {**ASK, "private": True}).json()
    run_queued()
    second = client.post(f"{first['url']}/retry").json()
    run_queued()
    rows = [Execution.objects.get(pk=body["id"]) for body in (first, second)]
    assert [row.private for row in rows] == [True, True]
    assert rows[0].input_id != rows[1].input_id
    assert client.get(second["url"]).json()["outputs"][0]["data"] == [3.5]


def test_a_retry_with_a_key_is_one_retry(model: None, alice: Person) -> None:
    client = alice.api()
    first = post(client, ASK).json()
    run_queued()
    key = {"idempotency-key": "again"}
    ids = {client.post(f"{first['url']}/retry", headers=key).json()["id"] for _ in range(3)}
    assert len(ids) == 1
    long = {"idempotency-key": "k" * 256}
    assert code(client.post(f"{first['url']}/retry", headers=long)) == (400, "bad_request")


def test_what_may_not_be_retried(model: None, alice: Person, bob: Person, mallory: Person) -> None:
    living = post(bob.api(), ASK).json()
    assert code(bob.api().post(f"{living['url']}/retry")) == (409, "still_running")
    run_queued()
    for client in (mallory.api(), APIClient()):
        assert code(client.post(f"{living['url']}/retry")) == (404, "unknown_execution")
    unknown = bob.api().post(f"{living['url']}/retry", {"model": "x"}, format="json")
    assert code(unknown) == (400, "bad_request")
    # Alice takes her model back: bob may not run it any more.
    Model.objects.update(visibility=Visibility.PRIVATE)
    assert code(bob.api().post(f"{living['url']}/retry")) == (404, "unknown_model")
    Model.objects.update(visibility=Visibility.PUBLIC)
    expiry.drop(timezone.now() + timedelta(days=100))
    assert code(bob.api().post(f"{living['url']}/retry")) == (410, "dropped")


# ------------------------------------------------------------------ one key


def test_fifty_threads_with_one_key_queue_one_execution(
    committed: Site, model: None, alice: Person
) -> None:
    barrier = threading.Barrier(50)
    ids: list[Any] = []
    news: list[bool] = []
    faults: list[BaseException] = []

    def ask() -> None:
        try:
            asked = plan("alice/add", [fp32("x", 1)], user=alice.user, idempotency_key="k")
            connection.close()
            barrier.wait()
            submitted = submit(asked)
            ids.append(submitted.execution.pk)
            news.append(submitted.new)
        except BaseException as error:  # noqa: BLE001 (told to the test)
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert (len(ids), len(set(ids)), sum(news)) == (50, 1, 1)
    assert Execution.objects.count() == 1


def test_a_key_answers_with_the_same_bytes_once_it_has_ended(model: None, alice: Person) -> None:
    client, key = alice.api(), {"Idempotency-Key": "k"}
    assert post(client, ASK, **key).status_code == 202
    run_queued()
    first, second = (post(client, ASK, **key) for _ in range(2))
    assert (first.status_code, first.content) == (200, second.content)
    assert first.json()["outputs"][0]["data"] == [3.5]


# ------------------------------------------------------------------ dead letters


def test_an_operator_finds_the_dead_letters_and_changes_nothing(
    model: None, admin_client: Client
) -> None:
    lost, fine = (submit(plan("alice/add", [fp32("x", value)])).execution for value in (1, 2))
    for _ in range(3):
        Execution.objects.filter(state="queued").update(available_at=timezone.now())
        for held in queue.claim(2):
            if held.execution == lost:
                Execution.objects.filter(pk=lost.pk).update(lease_until=timezone.now())
            else:
                queue.renew(held.execution.pk, held.lease)
        queue.sweep()
    address = "/admin/inference/execution/"
    page = admin_client.get(f"{address}?lost=1").content.decode()
    assert str(lost.pk) in page
    assert str(fine.pk) not in page
    assert str(fine.pk) in admin_client.get(address).content.decode()
    one = admin_client.get(f"{address}{lost.pk}/change/")
    assert "worker_lost" in one.content.decode()
    assert admin_client.get(f"{address}add/").status_code == 403
    assert admin_client.post(f"{address}{lost.pk}/delete/").status_code == 403
