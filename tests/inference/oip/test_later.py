"""`Prefer` on `infer`: accepted and queued, answered when it has ended, never without asking."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from inference import tasks
from inference.choices import ExecutionState
from inference.models import Execution
from tests.inference.oip.stock import predicate_of
from tests.inference.oip.test_http import one, refused
from tests.inference.oip.world import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def mine(live: World) -> dict[str, str]:
    """Headers of alice with a new key."""
    return {"Authorization": f"Bearer {live.token}", "Idempotency-Key": str(uuid.uuid4())}


def test_alice_asks_to_be_answered_later_and_finds_her_answer(
    live: World, mine: dict[str, str]
) -> None:
    later = {**mine, "Prefer": "respond-async"}
    accepted = live.infer("alice/add", {**one(2.5), "id": "7"}, later)
    assert accepted.status == 202
    assert accepted.headers["preference-applied"] == "respond-async"
    body = accepted.json()
    assert (body["id"], body["model_version"], body["outputs"]) == ("7", "2.0.0", [])
    execution = body["parameters"]["execution_id"]
    assert accepted.headers["location"] == f"/api/v1/executions/{execution}"
    assert accepted.headers["assay-execution"] == execution
    assert (body["parameters"]["state"], "receipt" in body["parameters"]) == ("queued", False)
    live.commit(tasks.drain)
    token = {"Authorization": mine["Authorization"]}
    shown = live.call("GET", accepted.headers["location"], headers=token).json()
    assert shown["state"] == "succeeded"
    again = live.infer("alice/add", {**one(2.5), "id": "7"}, {**later, "Prefer": "wait=1"})
    assert (again.status, again.headers["preference-applied"]) == (200, "wait=1")
    found = again.json()
    assert found["parameters"]["execution_id"] == execution
    assert found["outputs"][0]["data"] == [3.5]
    assert predicate_of(found["parameters"]["receipt"]).execution == execution
    assert live.infer("alice/add", one(2.5), mine).json()["outputs"] == found["outputs"]


def test_who_waits_in_vain_is_told_that_it_was_accepted(live: World, mine: dict[str, str]) -> None:
    answer = live.infer("alice/add", one(1), {**mine, "Prefer": "respond-async, wait=0"})
    assert (answer.status, answer.headers["preference-applied"]) == (202, "respond-async, wait=0")
    assert Execution.objects.get(pk=answer.headers["assay-execution"]).state == "queued"
    live.commit(tasks.drain)


def test_how_it_failed_is_told_later_too(live: World, mine: dict[str, str]) -> None:
    later = {**mine, "Prefer": "respond-async"}
    assert live.infer("alice/pairs", one(1, 2, 3), later).status == 202
    live.commit(tasks.drain)
    answer = live.infer("alice/pairs", one(1, 2, 3), later)
    refused(answer, 400, "model_failed")
    assert "preference-applied" not in answer.headers


@pytest.mark.parametrize("prefer", ["", "handling=strict", "return=minimal"])
def test_who_does_not_prefer_it_is_never_answered_202(live: World, prefer: str) -> None:
    answer = live.infer("alice/add", one(1), {"Prefer": prefer} if prefer else {})
    assert answer.status == 200
    assert not {"preference-applied", "location"} & set(answer.headers)


def test_a_preference_that_is_none_is_refused(live: World) -> None:
    refused(live.infer("alice/add", one(1), {"Prefer": "wait=5;;=("}), 400, "bad_request")


def test_cancel_after_shortens_the_deadline(live: World, mine: dict[str, str]) -> None:
    def deadline(**headers: str) -> Any:
        headers = {"Prefer": "respond-async", **headers}
        answer = live.infer("alice/add", {**one(1), "parameters": {"timeout": 90_000_000}}, headers)
        row = Execution.objects.get(pk=answer.headers["assay-execution"])
        assert row.state == ExecutionState.QUEUED
        return (row.deadline - row.available_at).total_seconds()

    assert deadline() == 90
    assert deadline(**{"Cancel-After": "1m"}) == 60
    assert deadline(**{"Cancel-After": "1h"}) == 90
    live.commit(tasks.drain)


def test_alice_runs_in_private_and_gets_what_opens_the_commitments(
    live: World, mine: dict[str, str]
) -> None:
    body = {**one(2.5), "parameters": {"private": True}}
    answer = live.infer("alice/add", body, mine)
    parameters = answer.json()["parameters"]
    row = Execution.objects.get(pk=parameters["execution_id"])
    assert row.salts is not None
    assert parameters["salt"] == f"{row.salts['input']}.{row.salts['output']}"
    said = predicate_of(parameters["receipt"])
    assert (said.input.form, said.output.form) == ("commitment", "commitment")
    assert len(parameters["receipt"]) < 4_000


def test_nobody_runs_in_private(live: World) -> None:
    answer = live.infer("alice/add", {**one(1), "parameters": {"private": True}})
    refused(answer, 401, "account_needed")
    assert answer.headers["www-authenticate"] == "Bearer"
