"""New revisions are inspected by the executor's jailed process, each once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, connections

from inference import tasks, wakeups
from inference.client import ExecutorClient, ExecutorError, ExecutorUnavailableError, Inspection
from inference.services import asking, inspection
from inference.services.run import infer
from registry.choices import RevisionState
from registry.models import Model, Revision
from registry.services import contents, models, revisions
from tests.inference.builders import CARD, GRAPH, fp32, identities, plan, release
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.people import Person

NAMES = ("large", "small")


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lanes: list[str] = []
    monkeypatch.setattr(wakeups, "wake", lambda lane, _: lanes.append(lane))
    return lanes


def upload(person: Person, name: str, graph: bytes) -> Revision:
    model = models.create(person.user, name=name)
    files = [
        (path, contents.store(person.user, data).sha256)
        for path, data in (("README.md", CARD), (GRAPH, graph))
    ]
    return revisions.commit(person.user, model, files=files, parent=None)


def test_a_commit_wakes_the_inspection(
    site: Site, alice: Person, woken: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        revision = upload(alice, "add", add())
    assert revision.state == RevisionState.PENDING
    assert woken == [tasks.INSPECTIONS]


def test_what_is_uploaded_is_inspected_released_and_run(site: Site, alice: Person) -> None:
    good, bad = upload(alice, "add", add()), upload(alice, "junk", b"\x08\x0anot ONNX")
    assert tasks.inspect_pending() == 2
    good.refresh_from_db()
    bad.refresh_from_db()
    assert (good.state, bad.state) == (RevisionState.PASSED, RevisionState.FAILED)
    assert good.report["facts"]["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [1]}]
    assert good.report["trial"]["ok"]
    assert bad.report["findings"]
    release(alice, good)
    assert infer(plan("alice/add", [fp32("x", 1)])).execution.state == "succeeded"
    assert tasks.inspect_pending() == 0
    assert inspection.inspect(good.pk) is False


def test_without_an_executor_the_revision_waits(site: Site, alice: Person, settings: Any) -> None:
    revision = upload(alice, "add", add())
    settings.EXECUTOR_SOCKET = settings.DATA / "nobody.sock"
    assert tasks.inspect_pending() == 0
    assert Revision.objects.get(pk=revision.pk).state == RevisionState.PENDING


def test_one_refusal_does_not_hold_up_the_others(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(alice, "first", add())
    upload(alice, "second", add())
    honest = inspection.inspect

    def first_fails(revision_id: str) -> bool:
        if Model.objects.get(head=revision_id).name == "first":
            raise ExecutorError("internal", "it failed")
        return honest(revision_id)

    monkeypatch.setattr(inspection, "inspect", first_fails)
    assert tasks.inspect_pending() == 1


def test_a_revision_that_another_worker_inspects_is_left_alone(
    committed: Site, alice: Person
) -> None:
    revision = upload(alice, "add", add())
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with inspection._locked(revision.pk) as mine:
                assert mine
                held.set()
                done.wait(30)
        finally:
            connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    assert tasks.inspect_pending() == 0
    done.set()
    thread.join()
    with connection.cursor() as cursor:
        # Of this database alone: other tests run beside this one.
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        assert cursor.fetchone() == (0,)
    assert tasks.inspect_pending() == 1


def test_a_graph_that_no_executor_takes_fails_and_does_not_stop_the_others(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the first such graph was read whole, sent in vain, and asked again for ever."""
    graphs = identities(x="FP32", y="FP32", z="FP32"), add()
    large, small = (upload(alice, name, graph) for name, graph in zip(NAMES, graphs, strict=True))
    monkeypatch.setattr(asking, "MAX_BLOB_BYTES", len(graphs[1]))
    assert tasks.inspect_pending() == 2
    large.refresh_from_db()
    assert large.state == RevisionState.FAILED
    assert large.report["findings"][0]["code"] == "too_large"
    small.refresh_from_db()
    assert small.state == RevisionState.PASSED


def test_an_executor_that_breaks_off_at_one_revision_is_asked_about_the_next(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(alice, "first", add())
    upload(alice, "second", add())
    honest = inspection.inspect

    def first_breaks(revision_id: str) -> bool:
        if Model.objects.get(head=revision_id).name == "first":
            raise ExecutorUnavailableError("the executor gave no answer")
        return honest(revision_id)

    monkeypatch.setattr(inspection, "inspect", first_breaks)
    assert tasks.inspect_pending() == 1


def test_files_that_the_executor_refuses_to_take_fail_and_are_not_asked_about_again(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    beyond = upload(alice, "beyond", add())

    def refuse(*_: object, **__: object) -> Inspection:
        raise ExecutorError("bad_input", "the weights are larger together than is taken")

    monkeypatch.setattr(ExecutorClient, "inspect", refuse)
    assert tasks.inspect_pending() == 1
    beyond.refresh_from_db()
    assert beyond.state == RevisionState.FAILED
    assert beyond.report["findings"][0]["code"] == "limits"


@pytest.mark.parametrize("there", [b"\x01x", b"\x01y", b"\x03Add"])
def test_a_name_with_a_nul_fails_and_holds_up_nobody(
    site: Site, alice: Person, there: bytes
) -> None:
    """No row can keep the report on it: once the inspection of everybody ended there."""
    graph = add()
    hostile = upload(alice, "hostile", graph.replace(there, there[:-1] + b"\0"))
    later = upload(alice, "later", graph)
    assert tasks.inspect_pending() == 2
    for revision, state in ((hostile, RevisionState.FAILED), (later, RevisionState.PASSED)):
        revision.refresh_from_db()
        assert revision.state == state
