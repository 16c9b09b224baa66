"""A released model is loaded before its first caller comes; what is kept out says so everywhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from inference import quarantine, tasks, wakeups
from inference.client import ExecutorClient, ExecutorError, InferRequest
from inference.errors import NotRunnableError
from inference.ids import uuid7
from inference.services import asking
from inference.services.plan import signature_of
from inference.services.run import infer
from tests.inference.builders import draft, fp32, identities, pairs, plan, publish, release
from tests.inference.conftest import LOG, Site
from tests.inference.executor.corpus import fold_expand
from tests.inference.executor.models import add, endless, scalar
from tests.inference.executor.running import Running, start_liar, start_supervisor
from tests.people import Person


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    quarantine._asker.cache_clear()


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lanes: list[str] = []
    monkeypatch.setattr(wakeups, "wake", lambda lane, _: lanes.append(lane))
    return lanes


def test_a_release_wakes_the_warm_up(
    site: Site, alice: Person, woken: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    revision = draft(alice, "scalar", scalar())
    with django_capture_on_commit_callbacks(execute=True):
        release(alice, revision)
    assert woken == [f"warm:{revision.pk}"]
    with django_capture_on_commit_callbacks(execute=True):
        revision.release.save()  # a withdrawal, say
    assert len(woken) == 1


def test_the_first_caller_of_a_warm_model_does_not_wait_for_its_load(
    site: Site, alice: Person
) -> None:
    graph = identities(warmed="FP32")
    revision = publish(alice, "warm", graph).revision
    assert tasks.warm_up(revision.pk)
    assert signature_of(revision).ref.key in site.running.client().status().models
    outcome = infer(plan("alice/warm", [fp32("warmed", 1.0)]))
    assert outcome.outputs[0].shape == (1,)
    assert outcome.execution.cold is False


def test_a_model_that_does_not_run_on_zeros_says_so_and_may_be_asked(
    site: Site, alice: Person, caplog: pytest.LogCaptureFixture, client: Client
) -> None:
    revision = publish(alice, "pairs", pairs()).revision
    assert not tasks.warm_up(revision.pk)
    assert "does not run on zeros" in caplog.text
    assert client.get("/v2/models/alice/pairs/ready").status_code == 200
    assert infer(plan("alice/pairs", [fp32("x", 1.0, 2.0)])).outputs[0].shape == (1, 2)


def test_what_its_inspection_could_not_run_is_not_tried_again(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = draft(alice, "endless", endless())
    type(revision).objects.filter(pk=revision.pk).update(
        report={**revision.report, "trial": {"ok": False, "reason": "it takes too long"}}
    )
    before = site.running.client().status().counters["misses"]
    assert not tasks.warm_up(revision.pk)
    assert site.running.client().status().counters["misses"] == before


def test_an_executor_that_is_away_warms_nothing_and_breaks_nothing(
    site: Site, alice: Person, settings: Settings, tmp_path: Path, client: Client
) -> None:
    revision = publish(alice, "add", add()).revision
    settings.EXECUTOR_SOCKET = tmp_path / "nobody.sock"
    assert not tasks.warm_up(revision.pk)
    assert tasks.warm_after_start() == 0
    assert quarantine.notice_of(signature_of(revision).ref) is None
    assert client.get("/models/alice/add/").status_code == 200


def test_a_restarted_executor_gets_back_what_ran_last(
    site: Site, alice: Person, settings: Settings, tmp_path: Path
) -> None:
    models = {"add": ("x", add()), "one": ("a", identities(a="FP32"))}
    for name, (field, graph) in models.items():
        publish(alice, name, graph)
        infer(plan(f"alice/{name}", [fp32(field, 1.0)]))
    assert tasks.warm_after_start() == 0  # it holds them
    second = start_supervisor(tmp_path, log=LOG)
    settings.EXECUTOR_SOCKET = second.socket
    assert second.client().status().models == ()
    assert tasks.warm_after_start() == 2
    assert len(second.client().status().models) == 2
    asking._client(second.socket).close()
    second.stop()


def ask_liar(running: Running, client: ExecutorClient, target: Any) -> str:
    """Have the model process end under a model; return the refusal's code."""
    asked = InferRequest(
        execution=str(uuid7()),
        model="alice/add",
        revision="a" * 40,
        target=target,
        checkpoint=running.log.checkpoint(),
        inputs=(),
        outputs=("exit",),
        slot_wait_s=20,
    )
    with pytest.raises(ExecutorError) as caught:
        client.infer(asked, asking.read_blob)
    return caught.value.code


def test_a_quarantined_model_tells_its_publisher_why_and_until_when(
    site: Site, alice: Person, settings: Settings, tmp_path: Path, client: Client
) -> None:
    bad = publish(alice, "add", add()).revision
    publish(alice, "scalar", scalar())
    liar = start_liar(tmp_path)
    settings.EXECUTOR_SOCKET = liar.socket
    assert client.get("/v2/models/alice/add/ready").status_code == 200
    ref = signature_of(bad).ref
    codes = [ask_liar(liar, liar.client(), ref) for _ in range(2)]
    assert codes == ["unavailable", "quarantined"]
    quarantine._asker(liar.socket).forget()
    notice = quarantine.notice_of(ref)
    assert notice is not None
    assert "ended its process 3 times within 10 minutes" in notice.reason
    assert notice.until is not None
    assert 0 < (notice.until - datetime.fromtimestamp(time.time(), UTC)).total_seconds() <= 600
    ready = client.get("/v2/models/alice/add/ready")
    assert (ready.status_code, ready["Retry-After"]) == (503, "60")
    assert notice.reason in ready.json()["error"]
    for address in ("/models/alice/add/", "/models/alice/add/run/"):
        page = client.get(address).content.decode()
        assert "Not run at present" in page
        assert "ended its process 3 times" in page
    assert "Not run at present" not in client.get("/models/alice/scalar/").content.decode()
    assert client.get("/v2/models/alice/scalar/ready").status_code == 200
    asking._client(liar.socket).close()
    liar.stop()


def test_a_model_that_does_not_load_is_not_ready_and_says_why(
    site: Site, alice: Person, client: Client
) -> None:
    publish(alice, "bomb", fold_expand())
    assert client.get("/v2/models/alice/bomb/ready").status_code == 200
    with pytest.raises(NotRunnableError) as caught:
        infer(plan("alice/bomb", [fp32("x", 1.0)]))
    quarantine._asker(site.running.socket).forget()
    ready = client.get("/v2/models/alice/bomb/ready")
    assert ready.status_code == 503
    assert "loading the model met the memory limit" in ready.json()["error"]
    assert "loading the model met the memory limit" in caught.value.message.lower()
    assert "met the memory limit" in client.get("/models/alice/bomb/").content.decode()


def test_a_model_without_graph_or_release_has_no_such_notice(
    site: Site, alice: Person, client: Client
) -> None:
    draft(alice, "add", add())
    alice_page = client.get("/models/alice/add/").content.decode()
    assert "Not run at present" not in alice_page


def test_many_readers_ask_the_executor_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    # However busy the machine is, an answer comes, and is not old before the last one looks.
    monkeypatch.setattr(quarantine, "FRESH_S", 600.0)
    monkeypatch.setattr(quarantine, "_PATIENCE_S", 60.0)
    asker = quarantine._Asker(site.running.socket)
    barrier = threading.Barrier(4)
    seen = []

    def look() -> None:
        barrier.wait()
        seen.append(asker.status())

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(status) for status in seen}) == 1
    assert seen[0] is not None
    asker.forget()
    assert asker.status() is not seen[0]
