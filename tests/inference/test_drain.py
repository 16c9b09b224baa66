"""Draining: as much as can be run at once, side by side, and nobody waits for the slowest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from inference import selectors, tasks
from inference.errors import ExecutorBusyError
from inference.models import Execution
from inference.services import drain as draining, queue, work as working
from inference.services.asking import NobodyThereError
from inference.services.drain import HELD_S, MAX_CLAIM, Pace, drain, together
from inference.services.queue import Claim, claim
from inference.services.submit import submit
from inference.services.work import work_together
from tests.inference.builders import fp32, plan, publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add, endless
from tests.people import Person


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """What earlier drains have learned is forgotten."""
    monkeypatch.setattr(draining, "_paces", {})
    monkeypatch.setattr(draining, "_turn", draining._Turn())


@pytest.fixture
def model(committed: Site, alice: Person) -> str:
    publish(alice, "add", add())
    return "alice/add"


def queued(model: str, *numbers: float, **wishes: Any) -> list[Execution]:
    return [submit(plan(model, [fp32("x", number)], **wishes)).execution for number in numbers]


def states() -> set[str]:
    return set(Execution.objects.values_list("state", flat=True))


def run(**named: Any) -> int:
    return drain(more=named.get("more", lambda: None))


# ------------------------------------------------------------------ how much is claimed


def test_a_lane_claims_one_until_it_knows_better() -> None:
    pace = Pace()
    assert (pace.size, pace.quick) == (1, False)
    for _ in range(12):
        pace.note([0.0001] * 4)
    assert pace.quick
    assert pace.size == MAX_CLAIM
    pace.note([HELD_S / 4])
    assert (pace.size, pace.quick) == (4, False)
    pace.note([])
    assert pace.size == 4
    pace.note([10.0])
    assert pace.size == 1


def test_quick_executions_are_claimed_many_at_a_time(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued(model, *range(40))
    sizes: list[int] = []
    honest = working.work_together

    def noted(claims: Sequence[Claim]) -> working.Worked:
        sizes.append(len(claims))
        return honest(claims)

    monkeypatch.setattr(draining, "work_together", noted)
    draining._paces["portable"] = Pace(0.001)
    calls: list[int] = []
    assert run(more=lambda: calls.append(1)) == 40
    assert states() == {"succeeded"}
    assert max(sizes) > 1
    assert sum(sizes) == 40


def test_another_worker_is_called_once_and_only_when_rows_may_be_left(model: str) -> None:
    calls: list[int] = []
    queued(model, 1, 2)
    draining._paces["portable"] = Pace(0.01)
    assert run(more=lambda: calls.append(1)) == 2
    assert calls == []
    draining._paces["portable"] = Pace(HELD_S)
    queued(model, 3, 4, 5)
    assert run(more=lambda: calls.append(1)) == 3
    assert calls == [1]


def test_who_comes_while_it_drains_leaves_word(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bob's wake-up meets a drain that has just seen the queue empty: it looks once more."""
    honest, seen = draining._Round.run, []

    def looking(self: Any) -> int:
        seen.append(honest(self))
        if len(seen) == 1:
            queued(model, 1)
            assert run() == 0
        return seen[-1]

    monkeypatch.setattr(draining._Round, "run", looking)
    assert run() == 1
    assert seen == [0, 1]
    assert states() == {"succeeded"}
    assert not draining._turn.busy


def test_a_drain_that_fails_keeps_no_later_one_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any) -> int:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(draining._Round, "run", broken)
        with pytest.raises(RuntimeError):
            run()
    monkeypatch.setattr(draining, "lanes", dict)
    assert run() == 0


def test_two_kinds_are_drained_side_by_side(model: str, settings: Any) -> None:
    settings.EXECUTOR_NATIVE_SLOTS = 1
    queued(model, 1, 2)
    queued(model, 3, 4, kind="native")
    assert run() == 4
    assert states() == {"succeeded"}


# ------------------------------------------------------------------ who runs with whom


def test_only_executions_of_one_revision_run_together(model: str, alice: Person) -> None:
    publish(alice, "other", add())
    queued(model, 1, 2)
    queued("alice/other", 3)
    groups = list(together(claim(3)))
    assert [[one.execution.model_name for one in group] for group in groups] == [
        ["alice/add", "alice/add"],
        ["alice/other"],
    ]


def test_what_was_tried_before_runs_alone(model: str) -> None:
    queued(model, 1, 2, 3)
    claims = claim(3)
    claims[1].execution.attempts = 2
    assert [len(group) for group in together(claims)] == [2, 1]


def test_large_inputs_do_not_pile_up(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    queued(model, 1, 2, 3)
    claims = claim(3)
    monkeypatch.setattr(draining, "MAX_TOGETHER_BYTES", 2 * claims[0].execution.input.size)
    assert [len(group) for group in together(claims)] == [2, 1]


def test_one_bad_neighbour_harms_nobody(model: str, alice: Person) -> None:
    rows = queued(model, 1, 2, 3)
    claims = claim(3)
    claims[1].execution.deadline = claims[1].execution.created_at
    worked = work_together(claims)
    assert (worked.untouched, len(worked.runs_s)) == (0, 2)
    after = {row.pk: str(row.state) for row in Execution.objects.all()}
    assert [after[row.pk] for row in rows] == ["succeeded", "timed_out", "succeeded"]


def test_a_set_that_cannot_be_read_ends_its_own_execution_only(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued(model, 1, 2)
    claims = claim(2)
    honest = selectors.tensor_bytes

    def read(row: Any) -> bytes:
        if row.pk == claims[0].execution.input_id:
            raise OSError("the disk is away")
        return honest(row)

    monkeypatch.setattr(working, "tensor_bytes", read)
    work_together(claims)
    assert sorted(Execution.objects.values_list("state", "attempts")) == [
        ("queued", 1),
        ("succeeded", 1),
    ]


def test_alices_cancel_stops_hers_and_bobs_goes_back_untouched(
    committed: Site, alice: Person
) -> None:
    publish(alice, "endless", endless())
    mine, other = queued("alice/endless", 1, 2, user=alice.user)
    claims = claim(2)
    queue.cancel(mine.pk, alice.user)
    work_together(claims, renew_every_s=0.05)
    after = {row.pk: (str(row.state), row.attempts) for row in Execution.objects.all()}
    assert after == {mine.pk: ("cancelled", 1), other.pk: ("queued", 0)}


# ------------------------------------------------------------------ when nobody takes it


@pytest.mark.parametrize("error", [NobodyThereError("away"), ExecutorBusyError("full")])
def test_a_lane_stops_when_no_executor_takes_anything(
    model: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    queued(model, 1, 2, 3)

    def refuse(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(working, "ask_many", refuse)
    monkeypatch.setattr(draining, "lanes", lambda: {"portable": 1})
    draining._paces["portable"] = Pace(HELD_S / 3)
    assert run() == 3
    assert {(row.state, row.attempts) for row in Execution.objects.all()} == {("queued", 0)}


def test_what_was_not_begun_in_time_goes_back_untouched(
    model: str, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(alice, "other", add())
    queued(model, 1)
    queued("alice/other", 2)
    monkeypatch.setattr(draining, "STOP_AFTER_S", -1.0)
    draining._work("portable", claim(2))
    assert {(row.state, row.attempts) for row in Execution.objects.all()} == {("queued", 0)}


def test_a_lease_lost_before_it_goes_back_is_only_noted(model: str) -> None:
    queued(model, 1)
    claims = claim(1)
    Execution.objects.update(state="cancelled", lease_until=None, finished_at="2026-01-01T00:00Z")
    working.hand_back(claims)
    assert states() == {"cancelled"}


def test_a_task_drains(model: str) -> None:
    queued(model, 1)
    assert tasks.drain() == 1
