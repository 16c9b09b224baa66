"""Outcomes share a commit, and nothing else: no wait, no failure, no lease."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection, transaction

from inference.models import Execution, Tensors
from inference.services import finisher as finishing, outcomes
from inference.services.asking import Answer, Asked, ask_many
from inference.services.finisher import Finisher, settle
from inference.services.outcomes import Ending, LeaseLostError
from inference.services.plan import signature_of
from inference.services.queue import Claim, claim
from inference.services.run import infer
from inference.services.submit import submit
from inference.services.work import keeping
from ledger import services as ledger
from ledger.errors import DuplicateClaimError, LogBusyError, LogFrozenError
from ledger.models import Entry
from tests.inference.builders import fp32, plan, publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.people import Person

Write = Callable[[Sequence[Ending]], list[Ending]]


@pytest.fixture
def model(committed: Site, alice: Person) -> str:
    publish(alice, "add", add())
    return "alice/add"


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the transactions that were tried."""
    sizes: list[int] = []
    honest = outcomes.write

    def write(endings: Sequence[Ending]) -> list[Ending]:
        sizes.append(len(endings))
        return honest(endings)

    monkeypatch.setattr(finishing, "write", write)
    return sizes


def claimed(model: str, count: int) -> list[Claim]:
    for number in range(count):
        submit(plan(model, [fp32("x", number)]))
    claims = claim(count)
    assert len(claims) == count
    return claims


def ended(claims: Sequence[Claim]) -> list[Ending]:
    """Run `claims` for real, and return what is to be written of each."""
    asked = []
    for number, one in enumerate(claims):
        row = one.execution
        (given,) = plan(row.model_name, [fp32("x", number)]).inputs
        asked.append(Asked(execution=row, signature=signature_of(row.revision), inputs=(given,)))
    with keeping(claims) as keeper:
        answers = ask_many(
            asked, deadlines_s=[10.0] * len(asked), stop_after_s=10.0, caller=keeper.far
        )
    endings = []
    for one, answer in zip(claims, answers, strict=True):
        assert isinstance(answer, Answer)
        endings.append(Ending(execution=one.execution, success=answer.success, lease=one.lease))
    return endings


def states() -> list[str]:
    return sorted(Execution.objects.values_list("state", flat=True))


def entries() -> int:
    return Entry.objects.filter(kind="execution").count()


# ------------------------------------------------------------------ groups


def test_what_ends_during_a_commit_shares_the_next(model: str, monkeypatch: Any) -> None:
    """Bob and eight others end while alice's outcome is written: one more commit has them all."""
    endings = ended(claimed(model, 10))
    queue, sizes = Finisher(), []
    honest, begun, go_on = outcomes.write, threading.Event(), threading.Event()

    def write(group: Sequence[Ending]) -> list[Ending]:
        sizes.append(len(group))
        begun.set()
        assert go_on.wait(20)
        return honest(group)

    monkeypatch.setattr(finishing, "write", write)
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(_write, queue, endings[0])
        assert begun.wait(20)
        others = [pool.submit(_write, queue, one) for one in endings[1:]]
        _until(lambda: len(queue._waiting) == 9)
        go_on.set()
        for future in (first, *others):
            future.result()
    assert sizes == [1, 9]
    assert states() == ["succeeded"] * 10
    assert entries() == 10
    assert not queue._busy


def test_a_group_has_an_end_and_the_next_one_is_led_by_who_waits(
    model: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(finishing, "MAX_GROUP", 3)
    endings = ended(claimed(model, 8))
    queue, sizes = Finisher(), []
    honest, begun, go_on = outcomes.write, threading.Event(), threading.Event()

    def write(group: Sequence[Ending]) -> list[Ending]:
        sizes.append(len(group))
        begun.set()
        assert go_on.wait(20)
        return honest(group)

    monkeypatch.setattr(finishing, "write", write)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(_write, queue, endings[0])
        assert begun.wait(20)
        others = [pool.submit(_write, queue, one) for one in endings[1:]]
        _until(lambda: len(queue._waiting) == 7)
        go_on.set()
        for future in (first, *others):
            future.result()
    assert sizes == [1, 3, 3, 1]
    assert states() == ["succeeded"] * 8


def test_who_comes_alone_is_written_alone_at_once(model: str, groups: list[int]) -> None:
    for ending in ended(claimed(model, 2)):
        Finisher().write(ending)
    assert groups == [1, 1]
    assert states() == ["succeeded"] * 2


def test_an_answer_says_how_long_it_waited_and_whether_the_model_was_cold(
    site: Site, alice: Person
) -> None:
    publish(alice, "add", add())
    row = infer(plan("alice/add", [fp32("x", 1)])).execution
    row.refresh_from_db()
    assert row.queue_ms is not None
    assert row.queue_ms >= 0
    infer(plan("alice/add", [fp32("x", 1)]))
    assert [row.cold for row in Execution.objects.order_by("id")][1:] == [False]


def test_inside_a_transaction_of_the_caller_it_is_the_callers(
    model: str, groups: list[int]
) -> None:
    (ending,) = ended(claimed(model, 1))
    with transaction.atomic():
        Finisher().write(ending)
        transaction.set_rollback(True)
    assert states() == ["running"]
    assert entries() == 0
    (late,) = [replace_lease(ending)]
    with transaction.atomic(), pytest.raises(LeaseLostError):
        Finisher().write(late)
    assert groups == [1, 1]


def replace_lease(ending: Ending) -> Ending:
    return Ending(execution=ending.execution, success=ending.success, lease=uuid.uuid4())


# ------------------------------------------------------------------ one that fails


def test_a_lost_lease_costs_the_others_nothing(model: str) -> None:
    endings = ended(claimed(model, 3))
    endings[1] = replace_lease(endings[1])
    settle(endings)
    assert [type(one.error) for one in endings] == [type(None), LeaseLostError, type(None)]
    assert all(one.settled for one in endings)
    assert states() == ["running", "succeeded", "succeeded"]
    assert entries() == 2
    assert Tensors.objects.count() == 5  # three inputs, and no output of the late one


def test_one_bad_outcome_harms_no_other(model: str, groups: list[int]) -> None:
    """Mallory's statement stands in the log already: hers is refused, alice's and bob's are not."""
    endings = ended(claimed(model, 3))
    signed = endings[1].success.signed
    with transaction.atomic():
        ledger.append(signed.envelope, signed.key, signed.statement)
    settle(endings)
    assert [type(one.error) for one in endings] == [type(None), DuplicateClaimError, type(None)]
    assert groups == [3, 1, 1, 1]
    assert states() == ["running", "succeeded", "succeeded"]
    assert entries() == 3


@pytest.mark.parametrize("error", [LogBusyError("full"), LogFrozenError("frozen")])
def test_what_the_log_as_a_whole_refuses_is_not_tried_again_for_each(
    model: str, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    endings = ended(claimed(model, 3))
    tried = []

    def refuse(*claims: Any) -> None:
        tried.append(claims)
        raise error

    monkeypatch.setattr("inference.services.outcomes.append_many", refuse)
    settle(endings)
    assert len(tried) == 1
    assert {type(one.error) for one in endings} == {type(error)}
    assert len({id(one.error) for one in endings}) == 3  # each thread raises one of its own
    assert states() == ["running"] * 3


# ------------------------------------------------------------------ a database that goes away


def _cut(monkeypatch: pytest.MonkeyPatch, *, happens: bool, times: int = 1) -> list[int]:
    """The next commits happen, or not, and their answers are lost."""
    cut: list[int] = []
    honest = outcomes.write

    def write(endings: Sequence[Ending]) -> list[Ending]:
        lost = honest(endings)
        if len(cut) < times:
            cut.append(len(endings))
            connection.connection.commit() if happens else connection.connection.rollback()
            connection.run_on_commit.clear()
            raise OperationalError("server closed the connection unexpectedly")
        return lost

    monkeypatch.setattr(finishing, "write", write)
    return cut


@pytest.mark.parametrize("happens", [True, False])
def test_a_groups_commit_without_an_answer_is_looked_up(
    model: str, monkeypatch: pytest.MonkeyPatch, happens: bool
) -> None:
    endings = ended(claimed(model, 3))
    cut = _cut(monkeypatch, happens=happens)
    settle(endings)
    assert cut == [3]
    assert [one.error for one in endings] == [None] * 3
    assert states() == ["succeeded"] * 3
    assert entries() == 3


def test_an_outcome_of_another_lease_is_not_taken_for_ones_own(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = claimed(model, 1)
    (ending,), (again,) = ended(claims), ended(claims)
    settle([ending])
    _cut(monkeypatch, happens=False)
    late = replace_lease(again)
    settle([late])
    assert isinstance(late.error, OperationalError)
    assert entries() == 1


def test_while_the_database_is_away_nothing_is_written_and_everybody_is_told(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    endings = ended(claimed(model, 3))

    def away() -> None:
        raise OperationalError("connection refused")

    connection.close()
    with monkeypatch.context() as patch:
        patch.setattr(connection, "connect", away)
        settle(endings)
    assert {str(one.error) for one in endings} == {"connection refused"}
    assert all(one.settled for one in endings)
    assert states() == ["running"] * 3
    assert entries() == 0


def test_a_database_that_goes_away_between_two_outcomes_keeps_nobody_waiting(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The group fails, and alone the first one finds nobody there: the others are told at once."""
    endings = ended(claimed(model, 3))
    tried: list[int] = []

    def write(group: Sequence[Ending]) -> list[Ending]:
        tried.append(len(group))
        if len(tried) == 1:
            raise RuntimeError("a bug of one of them")
        patch.setattr(connection, "connect", away)
        connection.connection.close()
        raise OperationalError("terminating connection")

    def away() -> None:
        raise OperationalError("connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(finishing, "write", write)
        settle(endings)
    assert tried == [3, 1]
    assert all(isinstance(one.error, OperationalError) for one in endings)
    assert states() == ["running"] * 3


# ------------------------------------------------------------------ threads and processes


def test_who_was_to_lead_and_was_interrupted_hands_on(model: str, monkeypatch: Any) -> None:
    first, second = ended(claimed(model, 2))
    queue = Finisher()
    queue._busy = True  # somebody writes
    stopped = finishing._Caller(first)
    stopped.gate = _Interrupted(queue, stopped)  # type: ignore[assignment]  # a gate that a signal breaks
    queue._waiting.append(stopped)
    with pytest.raises(KeyboardInterrupt):
        queue._wait(stopped)
    assert not queue._waiting
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_write, queue, second)
        _until(lambda: len(queue._waiting) == 1)
        stopped.leads = True
        with pytest.raises(KeyboardInterrupt):
            queue._wait(stopped)
        waiting.result()
    assert states() == ["running", "succeeded"]


class _Interrupted:
    """A gate at which the caller is interrupted from outside."""

    def __init__(self, *_: Any) -> None:
        pass

    def acquire(self) -> None:
        raise KeyboardInterrupt


def test_a_writer_that_is_ended_from_outside_leaves_nobody_waiting(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = ended(claimed(model, 2))
    queue, begun, go_on = Finisher(), threading.Event(), threading.Event()

    def write(group: Sequence[Ending]) -> list[Ending]:
        begun.set()
        assert go_on.wait(20)
        raise SystemExit

    monkeypatch.setattr(finishing, "write", write)
    with ThreadPoolExecutor(3) as pool:
        leading = pool.submit(_write, queue, first)
        assert begun.wait(20)
        waiting = pool.submit(_write, queue, second)
        _until(lambda: len(queue._waiting) == 1)
        go_on.set()
        with pytest.raises(SystemExit):
            leading.result()
        with pytest.raises(SystemExit):
            waiting.result()
    assert not queue._busy
    followers = [finishing._Caller(second)]
    followers[0].gate.acquire()
    queue._waiting.extend(followers)
    with pytest.raises(SystemExit):
        queue._lead(finishing._Caller(first))
    assert isinstance(second.error, InterfaceError)
    assert followers[0].gate.acquire(blocking=False)


def test_a_forked_child_starts_with_a_queue_of_its_own(model: str) -> None:
    (ending,) = ended(claimed(model, 1))
    mine = finishing.finisher
    mine._busy = True
    mine._lock.acquire()
    mine._waiting.append(finishing._Caller(ending))
    connection.close()
    try:
        child = os.fork()
        if child == 0:
            free = mine._lock.acquire(blocking=False) and not mine._busy and not mine._waiting
            os._exit(0 if free else 1)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        mine._lock.release()
        mine._waiting.clear()
        mine._busy = False


def test_a_keyed_and_a_fresh_outcome_meet_in_one_commit(
    model: str, alice: Person, groups: list[int]
) -> None:
    """A synchronous answer and a queued one end together; both rows say so, both are logged."""
    queued = ended(claimed(model, 1))
    row = infer(plan(model, [fp32("x", 9)])).execution
    other = ended(claimed(model, 1))[0]
    fresh = Ending(
        execution=Execution(
            **{
                field.attname: getattr(row, field.attname)
                for field in Execution._meta.concrete_fields
                if field.attname not in {"id", "created_at", "entry_id", "output_id"}
            }
        ),
        success=other.success,
    )
    settle([*queued, fresh])
    assert [one.error for one in (*queued, fresh)] == [None, None]
    assert groups[-1] == 2
    assert sorted(states()) == ["running", "succeeded", "succeeded", "succeeded"]


def _write(queue: Finisher, ending: Ending) -> None:
    try:
        queue.write(ending)
    finally:
        connection.close()


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        os.sched_yield()
