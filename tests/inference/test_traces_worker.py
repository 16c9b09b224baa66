"""Who makes traces: a worker waits, dies, comes late, and leaves no row behind."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from rest_framework.test import APIClient

from inference import tasks, wakeups
from inference.choices import TraceState
from inference.client import ExecutorError, ExecutorUnavailableError
from inference.errors import (
    DroppedError,
    NotRunnableError,
)
from inference.models import Execution, Trace
from inference.services import traces, tracing
from inference.services.run import infer
from tests.inference.builders import fp32, plan, publish
from tests.inference.conftest import Site
from tests.inference.tracing import API, X, code, rectified, traced
from tests.people import Person


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The wake-ups that were sent; they are kept from the broker."""
    lanes: list[str] = []
    monkeypatch.setattr(wakeups, "wake", lambda lane, _: lanes.append(lane))
    return lanes


@pytest.fixture
def ran(site: Site, alice: Person) -> Execution:
    publish(alice, "net", rectified())
    return infer(plan("alice/net", X, alice.user)).execution


# ------------------------------------------------------------------ the worker


class Away:
    """An executor that gives no trace."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def trace(self, *_: object) -> None:
        raise self.error


def unheard() -> ExecutorUnavailableError:
    error = ExecutorUnavailableError("nobody")
    error.__cause__ = OSError()
    return error


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (unheard(), 0),
        (ExecutorUnavailableError("it broke"), 1),
        (ExecutorError("busy", "another", retry=True), 0),
        (ExecutorError("unavailable", "it ended", retry=True), 1),
    ],
)
def test_a_trace_waits_for_an_executor_that_can(
    ran: Execution, monkeypatch: pytest.MonkeyPatch, error: Exception, attempts: int
) -> None:
    row, _ = traces.ask_for(ran.pk, None)
    monkeypatch.setattr(traces, "executor", lambda: Away(error))
    assert traces.make_some() == 1
    row.refresh_from_db()
    assert (row.state, row.attempts) == ("queued", attempts)
    assert not traces.waiting()  # for some seconds
    Trace.objects.update(available_at=Now(), attempts=traces.MAX_ATTEMPTS - 1)
    assert traces.waiting()
    traces.make_some()
    row.refresh_from_db()
    assert row.state == ("failed" if attempts else "queued")


def test_what_the_executor_refuses_ends_the_trace_with_its_words(
    ran: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = ExecutorError("model_failed", "one value alone is too large")
    monkeypatch.setattr(traces, "executor", lambda: Away(refusal))
    row = traced(ran)
    assert (row.state, row.error_code) == ("failed", "model_failed")
    shown = APIClient().get(f"{API}/executions/{ran.pk}/traces/{row.pk}").json()
    assert shown["error"]["message"] == "one value alone is too large"
    assert (shown["digest"], shown["trace_url"], shown["end"]) == (None, None, None)


def test_a_model_too_large_for_an_executor_fails_its_trace(
    ran: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "executor", lambda: Away(NotRunnableError("Too large.")))
    row = traced(ran)
    assert (row.state, row.error_code) == ("failed", "not_runnable")


def test_a_trace_too_large_to_keep_fails(ran: Execution, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "MAX_STORED_BYTES", 10)
    assert traced(ran).error_code == "malformed"


def test_tensors_that_went_while_a_trace_waited_fail_it(ran: Execution) -> None:
    row, _ = traces.ask_for(ran.pk, None)
    type(ran.input).objects.filter(pk=ran.output_id).update(inline=None, dropped_at=Now())
    traces.make_some()
    row.refresh_from_db()
    assert (row.state, row.error_code) == ("failed", "dropped")
    Execution.objects.filter(pk=ran.pk).update(dropped_at=Now())
    with pytest.raises(DroppedError):
        traces.ask_for(ran.pk, None)


def test_a_worker_that_died_is_followed_three_times(ran: Execution) -> None:
    row, _ = traces.ask_for(ran.pk, None)
    for attempt in (1, 2, 3):
        claimed = traces.claim()
        assert claimed is not None
        assert (claimed.pk, claimed.attempts) == (row.pk, attempt)
        assert traces.claim() is None
        Trace.objects.update(lease_until=Now() - timedelta(seconds=1))
    assert traces.claim() is None
    assert traces.sweep() == 1
    row.refresh_from_db()
    assert (row.state, row.error_code) == ("failed", "worker_lost")


def test_a_late_worker_changes_nothing(ran: Execution) -> None:
    traces.ask_for(ran.pk, None)
    late = traces.claim()
    assert late is not None
    Trace.objects.update(lease_until=Now() - timedelta(seconds=1))
    other = traces.claim()
    assert other is not None
    assert traces.work(late)
    late.refresh_from_db()
    assert (late.state, late.digest) == ("running", "")
    assert traces.work(other)
    late.refresh_from_db()
    assert late.state == "done"


def test_a_task_leaves_the_rest_to_the_next(
    ran: Execution, alice: Person, woken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "BATCH", 1)
    other = infer(plan("alice/net", [fp32("x", 3.0, 3.0)], alice.user)).execution
    for execution in (ran, other):
        traces.ask_for(execution.pk, alice.user)
    assert tasks.sweep_traces.run() == 0
    assert woken == ["traces"]
    assert tasks.make_traces.run() == 1
    assert woken == ["traces", "traces"]
    assert tasks.make_traces.run() == 1
    assert tasks.make_traces.run() == 0
    assert woken == ["traces", "traces"]


def test_the_database_holds_the_states_apart(ran: Execution) -> None:
    row, _ = traces.ask_for(ran.pk, None)
    for bent in (
        {"state": TraceState.RUNNING},
        {"state": TraceState.DONE, "finished_at": Now()},
        {"digest": "a" * 64},
        {"finished_at": Now()},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Trace.objects.filter(pk=row.pk).update(**bent)


# ------------------------------------------------------------------ capsules that cannot be


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ExecutorError("busy", "another", retry=True), (503, "executor_busy")),
        (ExecutorError("bad_input", "no node"), (409, "not_comparable")),
        (ExecutorUnavailableError("nobody"), (503, "executor_away")),
    ],
)
def test_a_capsule_needs_an_executor(
    ran: Execution, monkeypatch: pytest.MonkeyPatch, error: Exception, status: tuple[int, str]
) -> None:
    row = traced(ran)
    monkeypatch.setattr(tracing, "executor", lambda: Away(error))
    answer = APIClient().get(f"{API}/executions/{ran.pk}/traces/{row.pk}/capsule?node=1")
    assert code(answer) == status
