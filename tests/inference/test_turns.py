"""Callers take turns: nobody waits for another's ten thousand rows, and a claim stays cheap."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from inference.ids import uuid7
from inference.models import Execution
from inference.services import queue
from inference.services.queue import Claim, claim
from tests.inference.builders import publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.inference.test_queue import queued, state_of
from tests.people import Person


@pytest.fixture
def model(site: Site, alice: Person) -> str:
    """The released model `alice/add`."""
    publish(alice, "add", add())
    return "alice/add"


def callers_of(claims: list[Claim]) -> list[str]:
    return sorted(getattr(held.execution.caller, "username", "nobody") for held in claims)


def bulk(row: Execution, count: int, user: Any) -> None:
    """Insert `count` rows like `row` for `user`, as an INSERT of anybody's might."""
    copies = [Execution.objects.get(pk=row.pk) for _ in range(count)]
    for copy in copies:
        copy.pk, copy.caller_id = uuid7(), user.pk
    Execution.objects.bulk_create(copies)


def test_ten_thousand_rows_of_mallory_keep_alice_waiting_for_one_turn(
    model: str, alice: Person, mallory: Person
) -> None:
    first = queued(model, user=mallory.user)
    bulk(first, 300, mallory.user)
    late = [queued(model, user=alice.user) for _ in range(3)]
    assert callers_of(claim(2)) == ["alice", "mallory"]
    # One slot at a time, too: nobody is served twice before the others had a turn.
    assert [callers_of(claim(1)) for _ in range(4)] in (
        [["alice"], ["mallory"], ["alice"], ["mallory"]],
        [["mallory"], ["alice"], ["mallory"], ["alice"]],
    )
    assert {state_of(row) for row in late} == {"running"}


def test_callers_without_an_account_have_one_share_together(
    model: str, alice: Person, bob: Person
) -> None:
    for _ in range(4):
        queued(model)
    queued(model, user=alice.user)
    queued(model, user=bob.user)
    assert callers_of(claim(3)) == ["alice", "bob", "nobody"]
    assert callers_of(claim(8)) == ["nobody"] * 3


def test_priority_orders_ones_own_rows_and_nobody_elses(
    model: str, alice: Person, mallory: Person
) -> None:
    for _ in range(2):
        queued(model, user=mallory.user, priority=1)
    late, soon = (queued(model, user=alice.user, priority=number) for number in (900, 2))
    claims = claim(2)
    assert callers_of(claims) == ["alice", "mallory"]
    assert [held.execution for held in claims if held.execution.caller == alice.user] == [soon]
    assert late in [held.execution for held in claim(2)]


def test_slots_that_a_share_leaves_free_go_to_the_others(
    model: str, alice: Person, mallory: Person
) -> None:
    queued(model, user=alice.user)
    for _ in range(9):
        queued(model, user=mallory.user)
    assert callers_of(claim(6)) == ["alice"] + ["mallory"] * 5
    assert callers_of(claim(6)) == ["mallory"] * 4


def test_kinds_take_their_turns_apart(
    model: str, alice: Person, bob: Person, settings: Any
) -> None:
    settings.EXECUTOR_NATIVE_SLOTS = 1
    for _ in range(3):
        queued(model, user=alice.user)
        queued(model, user=bob.user)
    queued(model, user=alice.user, kind="native")
    served = callers_of(claim(1))
    assert callers_of(claim(1, kind="native")) == ["alice"]
    assert callers_of(claim(1)) != served


def test_a_claim_looks_at_few_rows_however_many_wait(
    model: str, alice: Person, mallory: Person
) -> None:
    bulk(queued(model, user=alice.user), 40, alice.user)
    bulk(queued(model, user=mallory.user), 400, mallory.user)
    sql = queue._CLAIMS["portable"]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE inference_execution")
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", {"free": 4, "lease": 30})
        ((plan_,),) = cursor.fetchall()
    scans = [node for node in nodes(plan_[0]["Plan"]) if node.get("Index Name")]
    assert {node["Index Name"] for node in scans} <= {
        "execution_turns",
        "inference_execution_pkey",
    }
    read = sum(node["Actual Rows"] * node["Actual Loops"] for node in scans)
    assert read <= 30


def nodes(plan_: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan_] + [one for part in plan_.get("Plans", ()) for one in nodes(part)]
