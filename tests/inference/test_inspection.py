"""New revisions are inspected by the executor's jailed process, each once."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection, connections

from inference import tasks, wakeups
from inference.client import ExecutorError
from inference.services import inspection
from inference.services.run import infer
from registry.choices import RevisionState
from registry.models import Model, Revision
from registry.services import contents, models, revisions
from tests.inference.builders import CARD, GRAPH, fp32, plan, release
from tests.inference.conftest import Site
from tests.inference.executor.models import add
from tests.people import Person


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
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert cursor.fetchone() == (0,)
    assert tasks.inspect_pending() == 1
