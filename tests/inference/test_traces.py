"""Traces on the site: asked for, made, read by whoever may, and the step that a liar altered."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from assay.capsule import Capsule
from assay.replay import NodeRunner, find_node
from assay.replay.runtimes import NAMES
from assay.replay.tracing import check_capsule
from assay.trace import parse_trace
from inference import tasks, wakeups
from inference.choices import TraceState
from inference.errors import (
    NotTraceableError,
    PrivateError,
    TooManyTracesError,
    UnknownExecutionError,
)
from inference.executor.programs import SCRIPT, TENSORS
from inference.models import Execution, Trace
from inference.services import asking, traces, tracing
from inference.services.enrolment import enrol
from inference.services.run import infer
from inference.services.submit import submit
from registry.choices import Visibility
from tests.inference.builders import fp32, plan, publish
from tests.inference.conftest import LOG, Site
from tests.inference.executor.running import RUNTIME, Running, start_supervisor
from tests.inference.tracing import API, X, code, rectified, traced
from tests.people import PASSWORD, Person


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


# ------------------------------------------------------------------ asked for, made, read


def test_anybody_asks_for_a_trace_of_a_public_run_and_reads_it(
    ran: Execution, woken: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    anybody = APIClient()
    with django_capture_on_commit_callbacks(execute=True):
        asked = anybody.post(f"{API}/executions/{ran.pk}/trace")
        again = anybody.post(f"{API}/executions/{ran.pk}/trace")
    assert (asked.status_code, asked.json()["state"]) == (202, "queued")
    assert again.json()["id"] == asked.json()["id"]
    assert woken == ["traces"]
    address = asked["Location"]
    assert code(anybody.get(f"{address}/trace.json")) == (404, "unknown_trace")
    assert tasks.make_traces.run() == 1
    done = anybody.get(address).json()
    assert (done["state"], done["nodes"], done["end"]["verdict"]) == ("done", 3, "exact")
    file = anybody.get(done["trace_url"])
    assert file["ETag"] == f'"{done["digest"]}"'
    record = parse_trace(file.content)
    assert record.digest == done["digest"]
    assert record.runtime["options"]["graphOptimizationLevel"] == "disabled"
    assert record.input == ran.input_id
    listed = anybody.get(f"{API}/executions/{ran.pk}/traces").json()["items"]
    assert [item["id"] for item in listed] == [done["id"]]


def test_two_traces_by_one_honest_executor_are_the_same(ran: Execution) -> None:
    first, second = traced(ran), traced(ran)
    assert first.pk != second.pk
    assert first.digest == second.digest
    answer = APIClient().get(f"{API}/traces/compare?a={first.pk}&b={second.pk}")
    assert (answer.status_code, answer.json()["verdict"]) == (200, "same")
    capsule = f"{API}/executions/{ran.pk}/traces/{first.pk}/capsule"
    anybody = APIClient()
    assert code(anybody.get(f"{capsule}?against={second.pk}")) == (409, "not_comparable")
    assert code(anybody.get(capsule)) == (400, "bad_request")
    assert code(anybody.get(f"{capsule}?node=-1")) == (400, "bad_request")
    assert code(anybody.get(f"{capsule}?node=9")) == (400, "bad_request")
    assert code(anybody.get(f"{capsule}?against=x")) == (400, "bad_request")
    assert code(anybody.get(f"{API}/traces/compare?a=x")) == (400, "bad_request")


def test_a_native_run_is_traced_by_the_portable_runtime(
    site: Site, alice: Person, settings: Settings
) -> None:
    settings.EXECUTOR_NATIVE_SLOTS = 1
    publish(alice, "net", rectified())
    execution = infer(plan("alice/net", X, alice.user, kind="native")).execution
    row = traced(execution)
    assert (row.state, row.verdict) == ("done", "exact")
    assert row.runtime is not None
    assert row.runtime["kind"] == "portable"


def test_traces_of_two_runs_are_not_compared(ran: Execution, alice: Person) -> None:
    other = infer(plan("alice/net", [fp32("x", 3.0, 3.0)], alice.user)).execution
    first, second = traced(ran), traced(other)
    answer = APIClient().get(f"{API}/traces/compare?a={first.pk}&b={second.pk}")
    assert code(answer) == (409, "not_comparable")


# ------------------------------------------------------------------ who may


def test_mallory_may_not_trace_or_read_what_she_may_not_see(
    site: Site, alice: Person, mallory: Person
) -> None:
    publish(alice, "net", rectified(), visibility=Visibility.PRIVATE)
    execution = infer(plan("alice/net", X, alice.user)).execution
    row = traced(execution, alice)
    theirs = mallory.api()
    base = f"{API}/executions/{execution.pk}"
    assert code(theirs.post(f"{base}/trace")) == (404, "unknown_execution")
    assert code(theirs.get(f"{base}/traces")) == (404, "unknown_execution")
    for address in (f"{base}/traces/{row.pk}", f"{base}/traces/{row.pk}/trace.json"):
        assert code(theirs.get(address)) == (404, "unknown_trace")
        assert alice.api().get(address).status_code == 200
    asked = f"{API}/traces/compare?a={row.pk}&b={row.pk}"
    assert code(theirs.get(asked)) == (404, "unknown_trace")
    assert code(theirs.get(f"{base}/traces/{row.pk}/capsule?node=1")) == (404, "unknown_trace")
    stray = f"{API}/executions/{uuid.uuid4()}/traces/{row.pk}"
    assert code(alice.api().get(stray)) == (404, "unknown_trace")


def test_a_private_runs_trace_is_its_callers_alone_and_goes_with_the_tensors(
    site: Site, alice: Person, bob: Person
) -> None:
    publish(alice, "net", rectified())
    execution = infer(plan("alice/net", X, alice.user, private=True)).execution
    row = traced(execution, alice)
    base = f"{API}/executions/{execution.pk}"
    assert code(bob.api().post(f"{base}/trace")) == (403, "private")
    assert code(bob.api().get(f"{base}/traces")) == (403, "private")
    assert code(bob.api().get(f"{base}/traces/{row.pk}/trace.json")) == (404, "unknown_trace")
    assert b"Step by step" not in bob_page(bob, execution)
    assert alice.api().get(f"{base}/traces/{row.pk}/trace.json").status_code == 200
    Execution.objects.filter(pk=execution.pk).update(dropped_at=Now(), salts=None)
    assert tasks.sweep_traces.run() == 1
    assert code(alice.api().get(f"{base}/traces/{row.pk}/trace.json")) == (410, "dropped")
    assert code(alice.api().post(f"{base}/trace")) == (410, "dropped")
    row.refresh_from_db()
    assert (row.data, len(row.digest)) == (None, 64)


def bob_page(person: Person, execution: Execution) -> bytes:
    client = Client()
    client.login(username=person.name, password=PASSWORD)
    return bytes(client.get(f"/executions/{execution.pk}/").content)


def test_only_what_succeeded_is_traced(site: Site, alice: Person, bob: Person) -> None:
    publish(alice, "net", rectified())
    waiting = submit(plan("alice/net", X, alice.user)).execution
    with pytest.raises(NotTraceableError):
        traces.ask_for(waiting.pk, bob.user)
    with pytest.raises(UnknownExecutionError):
        traces.ask_for(uuid.uuid4(), None)


def test_traces_are_only_so_many(ran: Execution, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "MAX_EACH", 1)
    traced(ran)
    with pytest.raises(TooManyTracesError, match="has 1 traces"):
        traces.ask_for(ran.pk, None)
    monkeypatch.setattr(traces, "MAX_WAITING", 0)
    with pytest.raises(TooManyTracesError, match="wait already"):
        traces.ask_for(ran.pk, None)


def test_two_who_ask_in_one_moment_get_the_same_trace(
    ran: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = traces.ask_for(ran.pk, None)
    looks = iter([None, first])
    monkeypatch.setattr(traces, "_pending", lambda _: next(looks))
    assert traces.ask_for(ran.pk, None) == (first, False)


# ------------------------------------------------------------------ the liar


LIE = """
    parts.push(name === "r" || name === "y" ? bent(bytes) : bytes);
"""
BENT = """
function bent(bytes) {
  const copy = bytes.slice();
  copy[copy.length - 2] ^= 0x40;
  return copy;
}

async function run("""


@pytest.fixture(scope="module")
def liar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An executor whose model process answers another Relu than it computed."""
    folder = tmp_path_factory.mktemp("liar")
    for script in SCRIPT.parent.glob("*.mjs"):
        text = script.read_text().replace("../../../assay/replay/tensors.mjs", TENSORS.as_uri())
        text = text.replace(
            f'new URL("{TENSORS.as_uri()}", import.meta.url)', f'new URL("{TENSORS.as_uri()}")'
        )
        if script.name == "model.mjs":
            assert text.count("    parts.push(bytes);\n") == 1
            text = text.replace("    parts.push(bytes);\n", LIE)
            text = text.replace("\nasync function run(", BENT)
        (folder / script.name).write_text(text)
    arguments = ["--host-script", str(folder / "host.mjs"), "--slots", "1"]
    running = start_supervisor(log=LOG, arguments=arguments)
    yield running
    asking._client(running.socket).close()
    running.stop()


def runner() -> NodeRunner:
    files = {name: (RUNTIME / name).read_bytes() for name in NAMES}
    return NodeRunner(node=find_node(), files=files)


@pytest.fixture
def disputed(
    site: Site, liar: Running, alice: Person, settings: Settings
) -> tuple[Execution, Trace, Trace]:
    """A run by a liar, its own trace of it, and an honest executor's."""
    publish(alice, "net", rectified())
    settings.EXECUTOR_SOCKET = liar.socket
    enrol(name="mallory")
    execution = infer(plan("alice/net", X, alice.user)).execution
    lie = traced(execution)
    settings.EXECUTOR_SOCKET = site.running.socket
    return execution, lie, traced(execution)


def test_the_altered_relu_is_found_and_the_capsule_says_who_lied(
    disputed: tuple[Execution, Trace, Trace], liar: Running, client: Client, settings: Settings
) -> None:
    execution, lie, honest = disputed
    assert (lie.verdict, honest.verdict) == ("exact", "diverged")
    assert lie.executor == liar.fingerprint != honest.executor
    anybody = APIClient()
    found = anybody.get(f"{API}/traces/compare?a={lie.pk}&b={honest.pk}").json()
    assert found["verdict"] == "diverged"
    assert (found["first"]["op_type"], found["first"]["name"]) == ("Relu", "act")
    assert (found["origins"], found["differing"]) == (1, 2)
    address = f"{API}/executions/{execution.pk}/traces/{lie.pk}/capsule?against={honest.pk}"
    file = anybody.get(address)
    assert (file.status_code, file["Content-Type"]) == (200, "application/zip")
    told = check_capsule(Capsule.parse(file.content), runner())
    assert [(one.label, one.verdict) for one in told] == [("first", "other"), ("second", "exact")]
    # Asked itself, the liar gives its bytes, and how far off they are can be seen.
    settings.EXECUTOR_SOCKET = liar.socket
    told = check_capsule(Capsule.parse(anybody.get(address).content), runner())
    assert [(one.label, one.verdict) for one in told] == [
        ("first", "diverged"),
        ("second", "exact"),
    ]
    assert told[0].place == 1
    page = client.get(f"/executions/{execution.pk}/").content.decode()
    assert "Two traces disagree" in page
    assert "node 1 (Relu &quot;act&quot;)" in page


def test_traces_that_do_not_list_the_same_steps_are_shown_and_break_nothing(
    ran: Execution, client: Client
) -> None:
    row = traced(ran)
    honest = parse_trace(tracing.read_record(row))
    bent = replace(honest, nodes=honest.nodes[:2], outputs=())
    Trace.objects.filter(pk=row.pk).update(
        data=zlib.compress(bent.render()), digest=bent.digest, nodes=2
    )
    traced(ran)
    page = client.get(f"/executions/{ran.pk}/")
    assert page.status_code == 200
    assert b"They do not list the same steps" in page.content


def test_a_capsule_of_a_later_step_is_refused_where_the_runs_had_parted(
    disputed: tuple[Execution, Trace, Trace],
) -> None:
    execution, lie, honest = disputed
    base = f"{API}/executions/{execution.pk}/traces/{lie.pk}/capsule"
    anybody = APIClient()
    answer = anybody.get(f"{base}?against={honest.pk}&node=2")
    assert code(answer) == (409, "not_comparable")
    assert "an earlier node has to be looked at first" in answer.json()["error"]["message"]
    alone = anybody.get(f"{base}?node=1")
    told = check_capsule(Capsule.parse(alone.content), runner())
    assert [one.verdict for one in told] == ["other"]


# ------------------------------------------------------------------ the page


def test_the_page_offers_a_trace_and_shows_it(
    ran: Execution, client: Client, woken: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    page = f"/executions/{ran.pk}/"
    assert b"Trace it" in client.get(page).content
    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(f"/executions/{ran.pk}/trace")
    assert (answer.status_code, answer["Location"]) == (302, f"{page}#trace")
    assert woken == ["traces"]
    waiting = client.get(page).content
    assert b"A trace is queued" in waiting
    assert b"Trace it" not in waiting
    client.post(f"/executions/{ran.pk}/trace")
    assert Trace.objects.count() == 1
    traces.make_some()
    shown = client.get(page).content
    assert b"3 steps; its end is exact" in shown
    assert b"Trace it again" in shown


def test_the_page_says_why_there_is_no_trace(
    ran: Execution, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "MAX_WAITING", 0)
    answer = client.post(f"/executions/{ran.pk}/trace", follow=True)
    assert b"Too many traces wait already" in answer.content
    row = Trace(execution=ran, available_at=Now(), finished_at=Now())
    row.state, row.error_code, row.error_message = TraceState.FAILED, "deadline", "It took long."
    row.save()
    assert b"It took long." in client.get(f"/executions/{ran.pk}/").content


def test_mallory_may_not_have_a_private_run_traced_by_the_button(
    site: Site, alice: Person, client: Client
) -> None:
    publish(alice, "net", rectified())
    execution = infer(plan("alice/net", X, alice.user, private=True)).execution
    with pytest.raises(PrivateError):
        traces.ask_for(execution.pk, None)
    assert client.post(f"/executions/{execution.pk}/trace").status_code == 403
    assert not Trace.objects.exists()
