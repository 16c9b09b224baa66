"""Executions are counted from the ledger: each once, and none before it is there."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from inference.services.counting import count_executions
from inference.services.run import infer
from inference.tasks import count_executions as task
from registry import counted
from registry.models import CountedLog, Model, ModelTotal, ReleaseDay
from registry.services import counters
from tests.inference.builders import fp32, plan, publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.ledger.builders import sequence
from tests.people import Person


@pytest.fixture
def model(site: Site, alice: Person) -> Model:
    publish(alice, "add", add())
    return Model.objects.get(name="add")


def run(*values: float, person: Person | None = None, **wishes: Any) -> None:
    for value in values:
        user = person.user if person else None
        infer(plan("alice/add", [fp32("x", value)], user, **wishes))


def totals() -> tuple[int, int]:
    found = ModelTotal.objects.get()
    return found.executions, found.unique_runs


def test_an_execution_counts_once_when_it_is_in_the_ledger(model: Model, alice: Person) -> None:
    run(1, 1, 2)
    run(3, person=alice, private=True)
    assert count_executions() == 0  # all of them wait for their place
    sequence()
    assert count_executions() == 4
    assert totals() == (4, 2)
    assert count_executions() == 0
    assert totals() == (4, 2)
    run(2, 5)
    sequence()
    assert task() == 2
    assert totals() == (6, 3)
    found = counted.of_model(model)
    assert (found.executions, found.unique_runs, found.downloads) == (6, 3, 0)
    day = ReleaseDay.objects.get()
    assert (day.day, day.executions) == (datetime.now(UTC).date(), 6)
    of_release = counted.of_release(day.release)
    assert (of_release.executions, of_release.recent_unique_runs) == (6, 3)
    assert CountedLog.objects.get().size == CountedLog.objects.get().log.size


def test_blocks_of_any_size_give_the_same_sums(model: Model) -> None:
    run(1, 2, 1)
    sequence()
    assert count_executions(block=1) == 3
    assert totals() == (3, 2)


def test_a_crash_between_counts_nothing_twice(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(1, 2)
    sequence()
    honest = counters.add

    def crash(added: Any) -> None:
        honest(added)
        raise OSError("the machine is gone")

    monkeypatch.setattr(counters, "add", crash)
    with pytest.raises(OSError, match="gone"):
        count_executions()
    assert totals() == (0, 0)
    monkeypatch.undo()
    assert count_executions() == 2
    assert totals() == (2, 2)


def test_an_execution_itself_writes_no_counter(model: Model) -> None:
    with CaptureQueriesContext(connection) as queries:
        run(1)
    asked = [query["sql"] for query in queries.captured_queries]
    written = [sql for sql in asked if not sql.startswith("SELECT")]
    tables = ("registry_modeltotal", "registry_releaseday", "registry_countedlog")
    assert not [sql for sql in written if any(table in sql for table in tables)]
