"""The queue: claims, leases, fences, the sweeper. A message is only a wake-up."""

from __future__ import annotations

import threading
import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.db.models.functions import Now
from django.utils import timezone

from inference import tasks, wakeups
from inference.choices import ExecutionState
from inference.errors import IdempotencyMismatchError, UnknownExecutionError
from inference.models import Execution
from inference.services import queue, work as working
from inference.services.asking import Answer, ask
from inference.services.finish import LeaseLostError, fail, finish, give_back
from inference.services.plan import signature_of
from inference.services.queue import Claim, claim, sweep
from inference.services.submit import submit
from inference.services.work import work
from ledger.errors import LogBusyError
from tests.flush import triggers_off
from tests.inference.builders import fp32, pairs, plan, publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add, endless
from tests.people import Person


@pytest.fixture
def model(alice: Person, request: pytest.FixtureRequest) -> str:
    """The released model `alice/add`."""
    request.getfixturevalue("committed" if "committed" in request.fixturenames else "site")
    publish(alice, "add", add())
    return "alice/add"


def queued(model: str, **wishes: Any) -> Execution:
    user = wishes.pop("user", None)
    return submit(plan(model, [fp32("x", 1)], user=user, **wishes)).execution


def state_of(row: Execution) -> str:
    return Execution.objects.get(pk=row.pk).state


def expire(row: Execution) -> None:
    Execution.objects.filter(pk=row.pk).update(lease_until=Now() - timedelta(seconds=1))


def due(row: Execution) -> None:
    Execution.objects.filter(pk=row.pk).update(available_at=Now() - timedelta(seconds=1))


def answer(held: Claim) -> Answer:
    """Run a claim as far as the answer, and no further."""
    row = held.execution
    signature = signature_of(row.revision)
    inputs = plan(row.model_name, [fp32("x", 1)]).inputs
    return ask(row, signature, inputs, deadline_s=20)


# ------------------------------------------------------------------ the plain way


def test_a_queued_execution_runs_to_its_end(model: str) -> None:
    row = queued(model)
    assert state_of(row) == ExecutionState.QUEUED
    (held,) = claim(4)
    work(held)
    done = Execution.objects.get(pk=row.pk)
    assert (done.state, done.attempts, done.lease) == ("succeeded", 1, held.lease)
    assert done.entry_id is not None
    assert done.receipt


def test_no_more_is_claimed_than_is_free(model: str) -> None:
    rows = [queued(model) for _ in range(3)]
    assert claim(0) == []
    assert [held.execution for held in claim(2)] == rows[:2]
    assert [held.execution for held in claim(2)] == rows[2:]


def test_priority_comes_first(model: str) -> None:
    late, soon = queued(model, priority=50), queued(model, priority=1)
    assert [held.execution for held in claim(2)] == [soon, late]


def test_what_the_model_refuses_fails_without_a_second_attempt(site: Site, alice: Person) -> None:
    publish(alice, "pairs", pairs())
    row = submit(plan("alice/pairs", [fp32("x", 1, 2, 3)])).execution
    work(*claim(1))
    done = Execution.objects.get(pk=row.pk)
    assert (done.state, done.error_code, done.attempts) == ("failed", "model_failed", 1)


def test_the_deadline_of_a_queued_execution_stops_it(site: Site, alice: Person) -> None:
    publish(alice, "endless", endless())
    row = submit(plan("alice/endless", [fp32("x", 1)], timeout_s=1.0)).execution
    work(*claim(1))
    assert state_of(row) == ExecutionState.TIMED_OUT


# ------------------------------------------------------------------ death and fences


def test_a_dead_workers_execution_is_swept_and_succeeds_once(model: str) -> None:
    row = queued(model)
    (dead,) = claim(1)
    expire(row)
    assert sweep().requeued == 1
    assert claim(1) == []  # it waits a little
    due(row)
    work(*claim(1))
    done = Execution.objects.get(pk=row.pk)
    assert (done.state, done.attempts) == ("succeeded", 2)
    assert done.lease != dead.lease


def test_a_late_finish_is_refused_and_its_entry_with_it(model: str) -> None:
    row = queued(model)
    (late,) = claim(1)
    result = answer(late)
    expire(row)
    sweep()
    due(row)
    (second,) = claim(1)
    with pytest.raises(LeaseLostError):
        finish(late.execution, late.lease, result.success)
    assert entries() == 0
    work(second)
    with pytest.raises(LeaseLostError):
        finish(late.execution, late.lease, result.success)
    assert entries() == 1


def entries() -> int:
    """Return how many executions the ledger knows, by SQL as an auditor would."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ledger_entry WHERE kind = 'execution'")
        (count,) = cursor.fetchone()
    return int(count)


@pytest.mark.parametrize("state", ["failed", "timed_out", "cancelled"])
def test_a_late_failure_is_refused_too(model: str, state: str) -> None:
    row = queued(model)
    (late,) = claim(1)
    expire(row)
    sweep()
    with pytest.raises(LeaseLostError):
        fail(late.execution, late.lease, ExecutionState(state), "x", "x")
    with pytest.raises(LeaseLostError):
        give_back(late.execution, late.lease, untouched=True)
    assert queue.renew(late.execution.pk, late.lease) is None


def test_after_three_attempts_the_worker_counts_as_lost(model: str) -> None:
    row = queued(model)
    for _ in range(3):
        due(row)
        assert claim(1)
        expire(row)
        sweep()
    done = Execution.objects.get(pk=row.pk)
    assert (done.state, done.error_code, done.attempts) == ("failed", "worker_lost", 3)


def test_the_lease_holder_gives_up_after_three_attempts_as_well(model: str) -> None:
    row = queued(model)
    for _ in range(3):
        due(row)
        (held,) = claim(1)
        give_back(held.execution, held.lease, untouched=False)
    assert Execution.objects.get(pk=row.pk).error_code == "worker_lost"


def test_without_an_executor_the_attempt_does_not_count(model: str, settings: Any) -> None:
    row = queued(model)
    settings.EXECUTOR_SOCKET = settings.DATA / "nobody.sock"
    work(*claim(1))
    after = Execution.objects.get(pk=row.pk)
    assert (after.state, after.attempts) == ("queued", 0)
    assert after.available_at > timezone.now()


def test_a_log_that_is_full_delays_and_loses_nothing(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = queued(model)

    def busy(*_: Any, **__: Any) -> int:
        raise LogBusyError("Too many entries wait.")

    with monkeypatch.context() as patch:
        patch.setattr("inference.services.outcomes.append_many", busy)
        work(*claim(1))
    assert (state_of(row), entries()) == ("queued", 0)
    due(row)
    work(*claim(1))
    assert (state_of(row), entries()) == ("succeeded", 1)


def test_a_fault_of_ours_gives_the_execution_back(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = queued(model)

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(working, "ask_many", broken)
    work(*claim(1))
    after = Execution.objects.get(pk=row.pk)
    assert (after.state, after.attempts) == ("queued", 1)


def test_the_sweeper_ends_what_is_overdue(model: str) -> None:
    running, waiting = queued(model), queued(model)
    claim(1)
    expire(running)
    with triggers_off():
        Execution.objects.update(deadline=Now())
    assert sweep().timed_out == 2
    assert {state_of(running), state_of(waiting)} == {"timed_out"}
    assert sweep() == queue.Swept(requeued=0, lost=0, timed_out=0, cancelled=0, stale=0)


# ------------------------------------------------------------------ cancelling


def test_alice_cancels_what_waits(model: str, alice: Person) -> None:
    row = queued(model, user=alice.user)
    assert queue.cancel(row.pk, alice.user).state == ExecutionState.CANCELLED
    assert claim(1) == []
    assert queue.cancel(row.pk, alice.user).state == ExecutionState.CANCELLED


def test_mallory_may_not_cancel_for_alice(model: str, alice: Person, mallory: Person) -> None:
    row = queued(model, user=alice.user)
    for user in (mallory.user, None):
        with pytest.raises(UnknownExecutionError):
            queue.cancel(row.pk, user)
    assert state_of(row) == ExecutionState.QUEUED


def test_a_cancelled_execution_whose_worker_died_is_not_run_again(
    model: str, alice: Person
) -> None:
    row = queued(model, user=alice.user)
    claim(1)
    assert queue.cancel(row.pk, alice.user).state == ExecutionState.RUNNING
    expire(row)
    assert sweep().cancelled == 1
    assert state_of(row) == ExecutionState.CANCELLED


def test_cancelling_stops_a_run(committed: Site, alice: Person) -> None:
    publish(alice, "endless", endless())
    row = submit(plan("alice/endless", [fp32("x", 1)], user=alice.user)).execution
    (held,) = claim(1)
    queue.cancel(row.pk, alice.user)
    work(held, renew_every_s=0.1)
    done = Execution.objects.get(pk=row.pk)
    assert (done.state, done.error_code) == ("cancelled", "cancelled")


def test_a_lost_lease_stops_a_run(committed: Site, alice: Person) -> None:
    publish(alice, "endless", endless())
    row = submit(plan("alice/endless", [fp32("x", 1)])).execution
    (held,) = claim(1)
    expire(row)
    sweep()
    work(held, renew_every_s=0.1)
    assert state_of(row) == ExecutionState.QUEUED


def test_a_lease_is_renewed_while_the_model_runs(committed: Site, alice: Person) -> None:
    publish(alice, "endless", endless())
    row = submit(plan("alice/endless", [fp32("x", 1)], timeout_s=1.5)).execution
    (held,) = claim(1)
    Execution.objects.filter(pk=row.pk).update(lease_until=Now() + timedelta(seconds=0.3))
    thread = threading.Thread(target=_work_and_close, args=(held,))
    thread.start()
    while thread.is_alive():
        assert sweep().requeued == 0
        thread.join(0.1)
    assert state_of(row) == ExecutionState.TIMED_OUT


def _work_and_close(held: Claim) -> None:
    work(held, renew_every_s=0.05)
    connection.close()


# ------------------------------------------------------------------ submitting twice


def test_submitting_twice_with_one_key_is_one_execution(model: str, alice: Person) -> None:
    first = submit(plan(model, [fp32("x", 1)], user=alice.user, idempotency_key="k"))
    second = submit(plan(model, [fp32("x", 1)], user=alice.user, idempotency_key="k"))
    assert (first.new, second.new) == (True, False)
    assert first.execution == second.execution
    with pytest.raises(IdempotencyMismatchError):
        submit(plan(model, [fp32("x", 2)], user=alice.user, idempotency_key="k"))


def test_a_key_is_free_again_after_a_day(model: str, alice: Person) -> None:
    old = queued(model, user=alice.user, idempotency_key="k")
    work(*claim(1))
    with triggers_off():
        Execution.objects.update(created_at=timezone.now() - timedelta(hours=25))
    again = submit(plan(model, [fp32("x", 1)], user=alice.user, idempotency_key="k"))
    assert again.new
    assert Execution.objects.get(pk=old.pk).idempotency_key is None


# ------------------------------------------------------------------ the state table


@pytest.mark.parametrize(
    "change",
    [
        {"state": "succeeded", "finished_at": Now()},
        {"state": "failed", "finished_at": Now()},
        {"state": "running", "lease_until": Now(), "lease": uuid.uuid4()},
        {"state": "running", "lease_until": Now(), "attempts": 1},
        {"attempts": 2},
        {"input_id": "0" * 64},
        {"model_name": "mallory/add"},
        {"idempotency_key": "k"},
    ],
)
def test_the_database_refuses_what_the_table_does_not_have(
    model: str, change: dict[str, Any]
) -> None:
    queued(model)
    with pytest.raises(IntegrityError):
        Execution.objects.update(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"lease": uuid.uuid4()},
        {"attempts": 2},
        {"state": "queued"},
        {"state": "queued", "lease_until": None, "attempts": 2},
        {"state": "succeeded", "lease_until": None, "finished_at": Now()},
    ],
)
def test_the_database_refuses_it_for_running_ones(model: str, change: dict[str, Any]) -> None:
    queued(model)
    claim(1)
    with pytest.raises(IntegrityError):
        Execution.objects.update(**change)


def test_nothing_is_born_cancelled(model: str) -> None:
    row = plan(model, [fp32("x", 1)]).execution
    row.state, row.finished_at = ExecutionState.CANCELLED, timezone.now()
    queued(model)
    with pytest.raises(IntegrityError, match="born"):
        row.save(force_insert=True)


# ------------------------------------------------------------------ Celery's part


def test_drain_runs_everything_that_waits(committed: Site, model: str) -> None:
    rows = [queued(model) for _ in range(5)]
    assert tasks.drain() == 5
    assert {state_of(row) for row in rows} == {"succeeded"}
    assert entries() == 5
    assert tasks.drain() == 0


def test_what_is_claimed_together_runs_to_its_end(committed: Site, model: str) -> None:
    rows = [queued(model) for _ in range(2)]
    working.work_together(claim(2))
    assert {state_of(row) for row in rows} == {"succeeded"}


def test_two_drains_run_each_execution_once(committed: Site, model: str) -> None:
    rows = [queued(model) for _ in range(8)]
    done: list[int] = []

    def drain() -> None:
        try:
            done.append(tasks.drain())
        finally:
            connection.close()

    threads = [threading.Thread(target=drain) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tasks.drain()
    assert {state_of(row) for row in rows} == {"succeeded"}
    assert {row.attempts for row in Execution.objects.all()} == {1}
    assert entries() == 8


def test_without_an_executor_the_queue_waits(model: str, settings: Any) -> None:
    row = queued(model)
    settings.EXECUTOR_SOCKET = settings.DATA / "nobody.sock"
    assert tasks.drain() == 0
    assert state_of(row) == ExecutionState.QUEUED


def test_wake_ups_are_coalesced() -> None:
    sent: list[int] = []
    wakeups.taken("test")
    for _ in range(3):
        wakeups.wake("test", lambda: sent.append(1))
    assert len(sent) == 1
    wakeups.taken("test")
    wakeups.wake("test", lambda: sent.append(1))
    assert len(sent) == 2


def test_a_dead_broker_never_fails_a_request(settings: Any) -> None:
    settings.CELERY_BROKER_URL = f"redis+socket://{settings.DATA}/nobody.sock"
    wakeups.wake("test", lambda: pytest.fail("nothing was set"))
    wakeups.taken("test")


def test_a_broker_without_redis_gets_each_message(settings: Any) -> None:
    settings.CELERY_BROKER_URL = "amqp://localhost"
    sent: list[int] = []
    for _ in range(2):
        wakeups.wake("test", lambda: sent.append(1))
    wakeups.taken("test")
    assert len(sent) == 2


def test_the_sweeper_says_again_what_nobody_heard(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[str] = []
    monkeypatch.setattr(wakeups, "wake", lambda lane, _: woken.append(lane))
    row = queued(model)
    assert tasks.sweep() == 0
    assert woken == []
    Execution.objects.filter(pk=row.pk).update(available_at=Now() - timedelta(seconds=6))
    tasks.sweep()
    assert woken == [tasks.LANE]
