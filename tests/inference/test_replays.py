"""Replays that people ask for and hand in: whose word counts, and what mallory may not say."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from assay.dsse import Envelope, parse_compact, public_key_of, sign
from assay.receipt import OUTPUT_NAME
from assay.statements import (
    Observed,
    ReplayPredicate,
    Subject,
    TensorSet,
    parse_statement,
    render,
)
from inference.choices import ReplayState
from inference.models import Execution, Replay
from inference.services import plan as plans
from inference.services.auditor_key import ensure_auditor_key
from inference.services.replays import asked, turns
from inference.services.replays.said import say
from inference.services.replays.standing import BEHIND_AFTER, standing
from ledger import services as ledger
from ledger.models import Entry
from registry.choices import KeyRole, Visibility
from tests.inference.auditing import execute, floats, registered, replay_of
from tests.inference.builders import draft, fp32, plan, private_key, publish
from tests.inference.executor.models import add
from tests.ledger.builders import sequence
from tests.pages.html import faults, parse
from tests.people import Person

STRANGER = APIClient()


@pytest.fixture
def row(db: None, opened: None, alice: Person) -> Execution:
    """An execution of alice's public model, logged."""
    plans._signature.cache_clear()
    publish(alice, "add", add())
    return execute(plan("alice/add", [fp32("x", 1.0)]), [floats("y", 2.0)])


@pytest.fixture
def bobs_key(row: Execution, bob: Person) -> str:
    """The fingerprint of bob's auditor key, which is in the log."""
    fingerprint = registered("bob audits", KeyRole.AUDITOR, bob)
    sequence()
    return fingerprint


def signed(predicate: ReplayPredicate, *, by: str = "bob audits", **subject: str) -> Envelope:
    """Return a statement about the replayed output, or about another subject."""
    told = {"name": OUTPUT_NAME, "sha256": predicate.output.sha256 if predicate.output else ""}
    statement = predicate.statement([Subject(**told | subject)])
    return sign(render(statement), private_key(by))


def hand_in(envelope: Envelope, key: str, client: APIClient = STRANGER) -> Any:
    body = {"envelope": envelope.to_dict(), "key": key}
    return client.post("/api/v1/replays", body, format="json")


# ------------------------------------------------------------------ asking


def test_anybody_may_ask_and_asking_twice_is_asking_once(row: Execution) -> None:
    answer = STRANGER.post(f"/api/v1/executions/{row.pk}/replay")
    assert answer.status_code == 202
    assert answer["Location"] == f"/api/v1/executions/{row.pk}/replays"
    assert (answer.json()["state"], answer.json()["source"]) == ("requested", "request")
    again = STRANGER.post(f"/api/v1/executions/{row.pk}/replay")
    assert (again.status_code, again.json()["id"]) == (200, answer.json()["id"])
    listed = STRANGER.get(f"/api/v1/executions/{row.pk}/replays").json()["items"]
    assert [(item["id"], item["verdict"], item["entry"]) for item in listed] == [
        (answer.json()["id"], None, None)
    ]


def test_the_row_remembers_who_asked(row: Execution, bob: Person) -> None:
    bob.api("read").post(f"/api/v1/executions/{row.pk}/replay")
    assert Replay.objects.get().requested_by == bob.user


def test_a_stranger_may_not_ask_about_a_model_that_is_not_shown_to_them(
    row: Execution, alice: Person, mallory: Person
) -> None:
    publish(alice, "secret", add(), visibility=Visibility.PRIVATE)
    hidden = execute(plan("alice/secret", [fp32("x", 1.0)], alice.user), [floats("y", 2.0)])
    for client in (STRANGER, mallory.api()):
        answer = client.post(f"/api/v1/executions/{hidden.pk}/replay")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_execution")
    assert not Replay.objects.exists()


def test_what_has_no_output_cannot_be_replayed(row: Execution) -> None:
    waiting = plan("alice/add", [fp32("x", 1.0)]).execution
    Execution.objects.bulk_create([replace_input(waiting, row)])
    answer = STRANGER.post(f"/api/v1/executions/{waiting.pk}/replay")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_replayable")


def replace_input(execution: Execution, row: Execution) -> Execution:
    execution.input_id = row.input_id
    return execution


def test_one_caller_may_not_ask_for_everything(row: Execution, settings: Settings) -> None:
    settings.INFER_ANONYMOUS_RATE = 20
    caller = APIClient(REMOTE_ADDR="192.0.2.77")
    codes = [caller.post(f"/api/v1/executions/{row.pk}/replay").status_code for _ in range(3)]
    assert codes == [202, 200, 429]


def test_more_than_can_wait_are_not_taken(row: Execution, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "MAX_WAITING", 0)
    answer = STRANGER.post(f"/api/v1/executions/{row.pk}/replay")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "too_many_replays")
    assert answer["Retry-After"] == "60"


def test_the_database_keeps_one_pending_replay_of_an_execution(row: Execution) -> None:
    asked.request_replay(row.pk, None)
    with pytest.raises(IntegrityError, match="replay_one_pending"), transaction.atomic():
        Replay.objects.create(execution=row, source="request", available_at=timezone.now())


# ------------------------------------------------------------------ handing in


def test_bobs_own_replay_is_logged_and_shown(row: Execution, bobs_key: str) -> None:
    answer = hand_in(signed(replay_of(row)), bobs_key)
    assert answer.status_code == 201, answer.json()
    body = answer.json()
    assert (body["source"], body["verdict"], body["auditor"]) == ("submitted", "exact", bobs_key)
    assert body["output"] == row.output_id
    entry = Entry.objects.get(kind="replay")
    assert (entry.fingerprint, entry.model) == (bobs_key, "alice/add")
    again = hand_in(signed(replay_of(row)), bobs_key)
    assert (again.status_code, again.json()["id"]) == (200, body["id"])
    assert Entry.objects.filter(kind="replay").count() == 1


def test_what_bob_logged_by_himself_gets_its_row_and_no_second_entry(
    row: Execution, bobs_key: str
) -> None:
    envelope = signed(replay_of(row))
    key = public_key_of(private_key("bob audits").public_key())
    with transaction.atomic():
        entry = ledger.append(envelope, key, parse_statement(envelope.payload))
    answer = hand_in(envelope, bobs_key)
    assert answer.status_code == 201
    assert Replay.objects.get().entry_id == entry


def test_a_diverged_verdict_of_a_stranger_is_shown_and_is_no_incident_of_ours(
    row: Execution, bobs_key: str
) -> None:
    other = TensorSet(form="digest", sha256="ab" * 32)
    said = replay_of(row, verdict="diverged", output=other, first_divergence="Add_0")
    assert hand_in(signed(said), bobs_key).status_code == 201
    ensure_auditor_key()
    assert standing().diverged == 0
    page = Client().get(f"/executions/{row.pk}/").content.decode()
    assert "Add_0" in page
    assert "does not hold" not in page


def wrong(row: Execution, field: str) -> ReplayPredicate:
    """Return a replay statement with one lie in it."""
    honest = replay_of(row)
    other = TensorSet(form="digest", sha256="cd" * 32)
    runtime = replace(honest.runtime, level="basic")
    lies: dict[str, dict[str, Any]] = {
        "statement": {"statement_sha256": "00" * 32},
        "exact with another output": {"output": other},
        "diverged with the same output": {"verdict": "diverged"},
        "close on a portable runtime": {"verdict": "close", "output": other},
        "diverged under another runtime": {
            "verdict": "diverged",
            "output": other,
            "runtime": runtime,
        },
        "unrunnable with an output": {"verdict": "unrunnable"},
        "unrunnable under another runtime": {
            "verdict": "unrunnable",
            "output": None,
            "runtime": runtime,
        },
        "exact without an output": {"output": None},
        "a commitment for a public output": {
            "output": TensorSet(form="commitment", sha256="cd" * 32),
            "verdict": "diverged",
        },
        "a divergence where there is none": {"first_divergence": "Add_0"},
        "a checkpoint that never was": {
            "observed": Observed(origin="localhost", tree_size=9_999, root_hash="00" * 32)
        },
    }
    return replay_of(row, **lies[field])


@pytest.mark.parametrize(
    "lie",
    [
        "statement",
        "exact with another output",
        "diverged with the same output",
        "close on a portable runtime",
        "diverged under another runtime",
        "unrunnable with an output",
        "unrunnable under another runtime",
        "exact without an output",
        "a commitment for a public output",
        "a divergence where there is none",
        "a checkpoint that never was",
    ],
)
def test_a_statement_that_does_not_hang_together_is_refused(
    lie: str, row: Execution, bobs_key: str
) -> None:
    said = wrong(row, lie)
    output = said.output.sha256 if said.output else str(row.output_id)
    answer = hand_in(signed(said, sha256=output), bobs_key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_replay")
    assert answer.json()["error"]["detail"]["field"]
    assert not Entry.objects.filter(kind="replay").exists()


@pytest.mark.parametrize("subject", [{"sha256": "ef" * 32}, {"name": "another.tensors"}])
def test_mallory_may_not_speak_about_another_subject(
    subject: dict[str, str], row: Execution, bobs_key: str
) -> None:
    answer = hand_in(signed(replay_of(row), **subject), bobs_key)
    assert answer.json()["error"]["detail"]["field"] == "subject"
    assert not Replay.objects.exists()


def test_mallory_may_not_hand_in_what_another_key_signed(row: Execution, bobs_key: str) -> None:
    answer = hand_in(signed(replay_of(row), by="mallory"), bobs_key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_replay")


def test_mallory_may_not_use_a_key_that_is_not_registered(row: Execution, bobs_key: str) -> None:
    unknown = public_key_of(private_key("mallory").public_key()).fingerprint
    answer = hand_in(signed(replay_of(row), by="mallory"), unknown)
    assert answer.json()["error"]["code"] == "key_not_registered"


def test_a_publishers_key_may_not_say_what_auditors_say(row: Execution, alice: Person) -> None:
    sequence()
    key = alice.owner.keys.get().pk
    answer = hand_in(signed(replay_of(row), by="alice"), key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "key_may_not")
    assert not Replay.objects.exists()


def test_an_auditors_key_may_not_publish(row: Execution, bobs_key: str, bob: Person) -> None:
    revision = draft(bob, "mine", add())
    body = {
        "revision": revision.pk,
        "version": "1.0.0",
        "notes": "",
        "key": bobs_key,
        "claims": {kind: signed(replay_of(row)).to_dict() for kind in ("oms", "card", "release")},
    }
    answer = bob.api().post("/api/v1/models/bob/mine/releases", body, format="json")
    assert answer.json()["error"]["code"] in ("bad_signature", "not_allowed")


def test_mallory_may_not_speak_about_an_execution_that_is_not_here(
    row: Execution, bobs_key: str
) -> None:
    said = replay_of(row, execution=str(uuid.UUID(int=row.pk.int ^ 1)))
    answer = hand_in(signed(said), bobs_key)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_execution")


def test_a_replay_of_one_execution_is_none_of_another(row: Execution, bobs_key: str) -> None:
    other = execute(plan("alice/add", [fp32("x", 1.0)]), [floats("y", 2.0)])
    answer = hand_in(signed(replay_of(row, execution=str(other.pk))), bobs_key)
    assert answer.json()["error"]["detail"]["field"] == "statement"


def test_an_execution_without_a_receipt_has_no_replays(row: Execution, bobs_key: str) -> None:
    waiting = plan("alice/add", [fp32("x", 1.0)]).execution
    Execution.objects.bulk_create([replace_input(waiting, row)])
    answer = hand_in(signed(replay_of(row, execution=str(waiting.pk))), bobs_key)
    assert answer.json()["error"]["code"] == "not_replayable"


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"envelope": {}},
        {"envelope": [], "key": "00"},
        {"envelope": {}, "key": 7},
        {"envelope": {}, "key": "00" * 32},
    ],
)
def test_another_form_of_request_is_told_what_to_send(body: Any, row: Execution) -> None:
    answer = STRANGER.post("/api/v1/replays", body, format="json")
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in ("bad_request", "bad_replay")


def test_another_kind_of_statement_is_no_replay(row: Execution, bobs_key: str) -> None:
    payload = parse_compact(row.receipt).payload
    answer = hand_in(sign(payload, private_key("bob audits")), bobs_key)
    assert answer.json()["error"]["detail"]["field"] == "predicateType"


# ------------------------------------------------------------------ what is written, and shown


def found(row: Execution, verdict: str, **fields: Any) -> Replay:
    """Write what the own auditor found."""
    asked.request_replay(row.pk, None)
    turn = turns.claim()
    assert turn is not None
    turns.finish(turn, say(row, ensure_auditor_key(), verdict=verdict, **fields))
    return Replay.objects.get(pk=turn.replay.pk)


def test_what_is_done_never_changes_and_never_goes(row: Execution) -> None:
    done = found(row, "exact", output=row.output_id)
    for change in ({"verdict": "close"}, {"state": "requested"}, {"reason": "rather not"}):
        with pytest.raises(IntegrityError, match="done is the end"), transaction.atomic():
            Replay.objects.filter(pk=done.pk).update(**change)
    with pytest.raises(IntegrityError, match="never deleted"), transaction.atomic():
        Replay.objects.filter(pk=done.pk).delete()


def test_what_was_asked_does_not_change(row: Execution, bob: Person) -> None:
    asked.request_replay(row.pk, None)
    with pytest.raises(IntegrityError, match="what was asked"), transaction.atomic():
        Replay.objects.update(requested_by=bob.user)


def test_the_page_has_a_button_that_needs_no_script(row: Execution) -> None:
    browser = Client(enforce_csrf_checks=True)
    address = f"/executions/{row.pk}/"
    page = parse(browser.get(address).content.decode())
    assert faults(page) == []
    token = next(
        tag.attributes["value"]
        for tag in page.tags
        if tag.attributes.get("name") == "csrfmiddlewaretoken" and tag.attributes.get("value")
    )
    assert browser.post(f"{address}replay/").status_code == 403
    answer = browser.post(f"{address}replay/", {"csrfmiddlewaretoken": token})
    assert (answer.status_code, answer["Location"]) == (302, f"{address}#replays")
    text = browser.get(address).content.decode()
    assert "waiting for the auditor" in text
    assert "Have it replayed" not in text
    browser.post(f"{address}replay/", {"csrfmiddlewaretoken": token})
    assert "pending already" in browser.get(address).content.decode()


def test_a_button_that_is_pressed_too_often_says_so(row: Execution, settings: Settings) -> None:
    settings.INFER_ANONYMOUS_RATE = 10
    browser = Client(REMOTE_ADDR="192.0.2.78")
    for _ in range(2):
        browser.post(f"/executions/{row.pk}/replay/")
    assert "in a minute" in browser.get(f"/executions/{row.pk}/").content.decode()


def test_the_page_says_who_ran_it_again_and_where_that_is_logged(
    row: Execution, bobs_key: str
) -> None:
    found(row, "exact", output=row.output_id, reason="the same bits")
    hand_in(signed(replay_of(row)), bobs_key)
    sequence()
    text = Client().get(f"/executions/{row.pk}/").content.decode()
    assert faults(parse(text)) == []
    assert "own auditor" in text
    assert "bob" in text
    assert "server says: 2 exact" in text
    for entry in Entry.objects.filter(kind="replay"):
        assert f'href="/ledger/{entry.index}/"' in text


def test_a_divergence_that_our_own_auditor_found_is_red_everywhere(
    row: Execution, caplog: pytest.LogCaptureFixture
) -> None:
    found(row, "diverged", output="ab" * 32, reason="y: 1 of 1 elements differ")
    assert "DIVERGED" in caplog.text
    text = Client().get(f"/executions/{row.pk}/").content.decode()
    assert "This answer does not hold" in text
    assert 'data-evidence="replay" data-state="failed"' in text
    status = Client().get("/status/").content.decode()
    assert '<span class="status bad">diverged</span>' in status
    assert str(row.pk) in status


def test_the_status_page_says_how_replays_stand(row: Execution) -> None:
    assert "nothing was replayed" in Client().get("/status/").content.decode()
    found(row, "exact", output=row.output_id)
    assert "none diverged, 0 wait" in Client().get("/status/").content.decode()
    asked.request_replay(row.pk, None)
    Replay.objects.filter(state=ReplayState.REQUESTED).update(
        available_at=timezone.now() - 2 * BEHIND_AFTER
    )
    assert '<span class="status warn">behind</span>' in Client().get("/status/").content.decode()


def test_an_unrunnable_replay_is_about_the_claimed_output(row: Execution) -> None:
    done = found(row, "unrunnable", reason="the tensors are not kept any more")
    entry = Entry.objects.get(kind="replay")
    assert [item.sha256 for item in entry.subjects.all()] == [row.output_id]
    assert done.output_digest == ""
