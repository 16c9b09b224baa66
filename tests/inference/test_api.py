"""`/api/v1/executions`: submit, look, list, cancel; the row is the acceptance."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from inference import tasks, wakeups
from inference.models import Execution
from inference.services import queue
from registry.choices import TokenScope, Visibility
from tests.inference.builders import identities, publish, run_queued, square_root
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.ledger.builders import sequence
from tests.people import Person

URL = "/api/v1/executions"
X = {"name": "x", "datatype": "FP32", "shape": [1], "data": [2.5]}
ASK = {"model": "alice/add", "inputs": [X]}


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The wake-ups that were sent; they are kept from the broker."""
    lanes: list[str] = []
    monkeypatch.setattr(wakeups, "wake", lambda lane, _: lanes.append(lane))
    return lanes


@pytest.fixture
def anybody() -> APIClient:
    return APIClient()


@pytest.fixture
def model(alice: Person, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("committed" if "committed" in request.fixturenames else "site")
    publish(alice, "add", add())


def post(client: APIClient, body: Any, **headers: str) -> Any:
    return client.post(URL, body, format="json", headers=headers)


def code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_anybody_queues_an_execution_of_a_public_model(
    model: None, anybody: APIClient, woken: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        answer = post(anybody, ASK)
    body = answer.json()
    assert (answer.status_code, body["state"]) == (202, "queued")
    assert answer["Location"] == body["url"] == f"{URL}/{body['id']}"
    assert "Preference-Applied" not in answer
    assert woken == [tasks.LANE]
    row = Execution.objects.get(pk=body["id"])
    assert (row.caller, row.model_name) == (None, "alice/add")
    run_queued()
    done = anybody.get(body["url"]).json()
    assert (done["state"], done["error"], done["version"]) == ("succeeded", None, "1.0.0")
    assert done["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [1], "data": [3.5]}]
    assert done["receipt"] == Execution.objects.get(pk=body["id"]).receipt
    assert anybody.get(done["output"]["url"]).status_code == 200


def test_a_value_that_json_cannot_carry_is_null_and_the_bytes_are_there(
    site: Site, alice: Person, anybody: APIClient
) -> None:
    publish(alice, "sqrt", square_root())
    body = post(anybody, {**ASK, "model": "alice--sqrt", "inputs": [{**X, "data": [-1]}]}).json()
    run_queued()
    done = anybody.get(body["url"]).json()
    assert done["outputs"][0]["data"] is None
    whole = anybody.get(done["output"]["url"]).getvalue()
    assert whole.endswith(bytes.fromhex("0000c07f"))


def test_a_large_output_is_for_the_file(site: Site, alice: Person, anybody: APIClient) -> None:
    publish(alice, "big", identities(x="FP32"))
    count = 70_000
    inputs = [{**X, "shape": [count], "data": [0.5] * count}]
    body = post(anybody, {"model": "alice/big", "inputs": inputs}).json()
    run_queued()
    done = anybody.get(body["url"]).json()
    assert (done["state"], done["outputs"]) == ("succeeded", [])


def test_prefer_wait_answers_with_the_end(
    committed: Site, model: None, anybody: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_soon(*_: Any) -> None:
        threading.Thread(target=_drain).start()

    monkeypatch.setattr(wakeups, "wake", run_soon)
    answer = post(anybody, ASK, Prefer="respond-async, wait=20")
    assert (answer.status_code, answer["Preference-Applied"]) == (200, "wait=20")
    assert answer.json()["outputs"][0]["data"] == [3.5]


def _drain() -> None:
    try:
        run_queued()
    finally:
        connection.close()


def test_prefer_wait_gives_up_in_time(model: None, anybody: APIClient) -> None:
    answer = post(anybody, ASK, Prefer="wait=1")
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")


def test_a_read_token_may_run_and_a_wrong_one_may_not(model: None, alice: Person) -> None:
    answer = post(alice.api(TokenScope.READ), ASK)
    assert Execution.objects.get(pk=answer.json()["id"]).caller == alice.user
    wrong = APIClient()
    wrong.credentials(HTTP_AUTHORIZATION="Bearer assay_wrong")
    assert code(post(wrong, ASK)) == (401, "not_authenticated")


def test_one_key_is_one_execution(model: None, alice: Person) -> None:
    client = alice.api()
    first, second = (post(client, ASK, **{"Idempotency-Key": "k"}).json() for _ in range(2))
    assert first["id"] == second["id"]
    other = {**ASK, "inputs": [{**X, "data": [1]}]}
    answer = post(client, other, **{"Idempotency-Key": "k"})
    assert code(answer) == (422, "idempotency_mismatch")
    assert code(post(client, ASK, **{"Idempotency-Key": "k" * 256})) == (400, "bad_request")


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ([], 400, "bad_request"),
        ({}, 400, "bad_request"),
        ({**ASK, "model": "alice/nobody"}, 404, "unknown_model"),
        ({**ASK, "version": "9"}, 404, "unknown_revision"),
        ({**ASK, "version": 9}, 400, "bad_request"),
        ({**ASK, "inputs": {}}, 400, "bad_request"),
        ({**ASK, "inputs": []}, 400, "bad_tensor"),
        ({**ASK, "inputs": [{**X, "data": None}]}, 400, "bad_tensor"),
        ({**ASK, "inputs": [{**X, "data": [None]}]}, 400, "bad_tensor"),
        ({**ASK, "outputs": ["z"]}, 400, "bad_tensor"),
        ({**ASK, "outputs": [1]}, 400, "bad_request"),
        ({**ASK, "outputs": "y"}, 400, "bad_request"),
        ({**ASK, "private": True}, 401, "account_needed"),
        ({**ASK, "private": 1}, 400, "bad_request"),
        ({**ASK, "keep": -1}, 400, "bad_request"),
        ({**ASK, "priority": 0}, 400, "bad_request"),
        ({**ASK, "deadline_s": 1.5}, 400, "bad_request"),
        ({**ASK, "webhook": "x"}, 404, "unknown_webhook"),
        ({**ASK, "webhook": 5}, 400, "bad_request"),
        ({**ASK, "hook": "x"}, 400, "bad_request"),
    ],
)
def test_a_wrong_request_is_refused_and_leaves_nothing(
    model: None, anybody: APIClient, body: Any, status: int, error: str
) -> None:
    assert code(post(anybody, body)) == (status, error)
    assert not Execution.objects.exists()


def test_json_that_is_none_is_refused(model: None, anybody: APIClient, settings: Any) -> None:
    for data in (b"[" * 5_000, b'{"a":1,"a":2}', b"NaN"):
        answer = anybody.post(URL, data, content_type="application/json")
        assert code(answer) == (400, "bad_request")
    settings.INFER_MAX_BYTES = 10
    assert code(post(anybody, ASK)) == (413, "body_too_large")


def test_lists_go_on_where_the_page_ended(
    model: None, anybody: APIClient, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference.selectors.page.__kwdefaults__", {**_defaults(), "size": 2})
    ids = [post(anybody, ASK).json()["id"] for _ in range(5)]
    found: list[str] = []
    cursor = ""
    while True:
        page = anybody.get(URL, {"model": "Alice/Add", "state": "queued", "cursor": cursor}).json()
        found += [item["id"] for item in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert found == ids[::-1]
    assert anybody.get(URL, {"model": "alice/other"}).json() == {"items": [], "next": ""}
    assert code(anybody.get(URL, {"state": "lost"})) == (400, "bad_request")


def _defaults() -> dict[str, Any]:
    from inference.selectors import page

    return dict(page.__kwdefaults__ or {})


def test_mallory_may_not_see_what_alice_runs_in_private(
    site: Site, alice: Person, mallory: Person, anybody: APIClient
) -> None:
    publish(alice, "secret", add(), visibility=Visibility.PRIVATE)
    ask = {**ASK, "model": "alice/secret"}
    assert code(post(mallory.api(), ask)) == (404, "unknown_model")
    body = post(alice.api(), ask).json()
    for client in (mallory.api(), anybody):
        assert code(client.get(body["url"])) == (404, "unknown_execution")
        assert client.get(URL).json()["items"] == []
        assert client.get(body["input"]["url"]).status_code == 404
    assert alice.api().get(URL).json()["items"][0]["id"] == body["id"]


def test_the_token_that_ran_a_private_model_fetches_its_receipt_and_no_other_does(
    site: Site, alice: Person, mallory: Person, anybody: APIClient
) -> None:
    publish(alice, "secret", add(), visibility=Visibility.PRIVATE)
    body = post(alice.api(), {**ASK, "model": "alice/secret"}).json()
    run_queued()
    sequence()
    base = f"/executions/{body['id']}"
    for name in ("receipt", "statement", "input.tensors", "output.tensors"):
        assert alice.api().get(f"{base}/{name}").status_code == 200
        for client in (mallory.api(), anybody):
            assert client.get(f"{base}/{name}").status_code == 404
        wrong = anybody.get(f"{base}/{name}", headers={"authorization": "Bearer assay_none"})
        assert (wrong.status_code, wrong["WWW-Authenticate"]) == (401, "Bearer")


def test_alice_cancels_and_mallory_may_not(
    model: None, alice: Person, mallory: Person, anybody: APIClient
) -> None:
    body = post(alice.api(), ASK).json()
    cancel = f"{body['url']}/cancel"
    for client in (mallory.api(), anybody):
        assert code(client.post(cancel)) == (404, "unknown_execution")
    answer = alice.api().post(cancel)
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    running = post(alice.api(), ASK).json()
    queue.claim(1)
    answer = alice.api().post(f"{running['url']}/cancel")
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    assert answer.json()["cancel_requested_at"]


def test_texts_that_no_row_can_hold_are_refused(model: None, anybody: APIClient) -> None:
    for body in (b'{"model":"\\ud800/x","inputs":[]}', b'{"\\udfff":1}'):
        answer = anybody.post(URL, body, content_type="application/json")
        assert code(answer) == (400, "bad_request")
    assert anybody.get(URL, {"model": "alice/\0"}).json()["items"] == []
