"""The rounds: what the auditor has to replay, drawn by checkpoints that came later."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from assay.canonical import decode_base64
from assay.checkpoint import parse_checkpoint
from assay.note import COSIGNATURE, VKey, open_note
from inference import auditor as module
from inference.api import replays as api
from inference.auditor import Auditor
from inference.choices import ReplaySource, ReplayState, Verdict
from inference.models import AuditRound, Execution, Replay
from inference.sampling import drawn, seed_of
from inference.services import plan as plans
from inference.services.auditor_key import ensure_auditor_key
from inference.services.replays import lots, turns
from inference.services.replays.asked import request_replay
from inference.services.replays.rerun import Found
from ledger import services as ledger
from ledger.errors import LogBusyError
from tests.flush import triggers_off
from tests.inference.auditing import execute, floats
from tests.inference.builders import fp32, plan, publish
from tests.inference.executor.models import add
from tests.ledger.builders import append_all, sequence
from tests.ledger.witness import TIME, trust, witness
from tests.people import Person


@pytest.fixture(autouse=True)
def _log(db: None, opened: None, alice: Person, settings: Settings) -> None:
    settings.AUDIT_INTERVAL_S = 0
    settings.AUDIT_SAMPLE = 4
    plans._signature.cache_clear()
    publish(alice, "add", add())
    append_all(range(100, 101))  # the key of the claims of the tests


def run(count: int) -> list[Execution]:
    """Write executions, and give them their places in the log."""
    rows = [execute(plan("alice/add", [fp32("x", 1.0)]), [floats("y", 2.0)]) for _ in range(count)]
    sequence()
    return rows


def noise(number: int) -> None:
    """Log something that is no execution, and publish a checkpoint."""
    append_all(range(number, number + 1))
    sequence()


def test_nothing_is_drawn_before_a_later_checkpoint(alice: Person) -> None:
    assert lots.draw() is None
    run(8)
    assert lots.draw() is None
    noise(1)
    row = lots.draw()
    assert row is not None
    assert (row.start, row.executions, row.rate) == (0, 8, 4)
    assert row.seed_size == row.end + 1
    assert lots.draw() is None


def test_anybody_can_draw_the_same_lots_from_what_is_public() -> None:
    run(12)
    noise(1)
    assert lots.draw() is not None
    (told,) = APIClient().get("/api/v1/audit/rounds").json()["items"]
    note = decode_base64(told["checkpoint"]["note"])
    log = VKey.parse(ledger.log_vkey())
    signed = parse_checkpoint(open_note(note, [log]).text)
    assert signed.size == told["checkpoint"]["size"] > told["end"]
    assert seed_of(note).hex() == told["seed"]
    entries = APIClient().get("/api/v1/ledger/entries?kind=execution&limit=200").json()["entries"]
    indices = [item["index"] for item in entries if told["start"] <= item["index"] < told["end"]]
    wanted = drawn(seed_of(note), indices, told["rate"])
    assert len(indices) == told["executions"]
    assert len(wanted) == told["drawn"]
    replays = Replay.objects.filter(round__isnull=False)
    places = replays.order_by("execution__entry__index")
    assert list(places.values_list("execution__entry__index", flat=True)) == wanted
    assert {row.source for row in replays} == {ReplaySource.SAMPLE}


def test_each_round_begins_where_the_last_one_ended() -> None:
    run(3)
    noise(1)
    first = lots.draw()
    run(3)
    second = lots.draw()
    assert first is not None
    assert second is not None
    assert (second.start, second.end) == (first.end, first.seed_size)
    assert second.executions == 0  # the noise alone: the executions are in the next one
    noise(2)
    third = lots.draw()
    assert third is not None
    assert (third.start, third.executions) == (second.end, 3)
    assert third.sampled >= 1
    assert [item["log"] for item in APIClient().get("/api/v1/audit/rounds").json()["items"]] == [
        "localhost"
    ] * 3


def test_the_seed_is_a_cosignature_that_nobody_could_foresee(settings: Settings) -> None:
    with witness("wanda", VKey.parse(ledger.log_vkey())) as wanda:
        trust(settings.WITNESS_POLICY, wanda)
        run(4)
        noise(1)
        row = lots.draw()
        assert row is not None
        log = VKey.parse(ledger.log_vkey())
        opened = open_note(bytes(row.note), [log, wanda.vkey])
        assert wanda.vkey.kind == COSIGNATURE
        assert opened.times == {wanda.vkey: TIME}
        assert row.seed_at.timestamp() == TIME


def test_a_checkpoint_that_comes_too_soon_draws_nothing(settings: Settings) -> None:
    settings.AUDIT_INTERVAL_S = 3600
    run(2)
    noise(1)
    assert lots.draw() is None
    settings.AUDIT_INTERVAL_S = 0
    assert lots.draw() is not None


def test_two_auditors_draw_once(monkeypatch: pytest.MonkeyPatch) -> None:
    run(2)
    noise(1)
    row = lots.draw()
    assert row is not None
    # The slower one has not seen the round of the faster one.
    monkeypatch.setattr(AuditRound.objects, "filter", lambda **_: AuditRound.objects.none())
    assert lots.draw() is None
    monkeypatch.undo()
    assert AuditRound.objects.count() == 1


def test_a_replay_that_was_asked_for_joins_the_round_that_draws_it(settings: Settings) -> None:
    settings.AUDIT_SAMPLE = 1
    (execution,) = run(1)
    asked = request_replay(execution.pk, None).replay
    noise(1)
    row = lots.draw()
    (replay,) = Replay.objects.all()
    assert (replay.pk, replay.source, replay.round) == (asked.pk, ReplaySource.REQUEST, row)


def test_a_statement_that_only_the_log_knows_is_noted(caplog: pytest.LogCaptureFixture) -> None:
    (execution,) = run(1)
    with triggers_off():
        Execution.objects.filter(pk=execution.pk).delete()
    noise(1)
    row = lots.draw()
    assert row is not None
    assert (row.executions, row.sampled) == (1, 1)
    assert "of no execution here" in caplog.text


def test_sampling_can_be_switched_off(settings: Settings) -> None:
    settings.AUDIT_SAMPLE = 0
    run(2)
    noise(1)
    assert lots.draw() is None


def test_a_round_never_changes() -> None:
    run(1)
    noise(1)
    assert lots.draw() is not None
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        AuditRound.objects.update(sampled=0)
    noise(2)
    row = lots.draw()
    assert row is not None
    with pytest.raises(IntegrityError, match="never changes"), transaction.atomic():
        row.delete()


def test_the_rounds_are_told_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PAGE", 1)
    for number in (1, 2, 3):
        noise(number)
        lots.draw()
    first = APIClient().get("/api/v1/audit/rounds").json()
    then = APIClient().get(f"/api/v1/audit/rounds?cursor={first['next']}").json()
    assert len(first["items"]) == len(then["items"]) == 1
    assert first["items"][0]["start"] == then["items"][0]["end"]
    assert then["next"] == ""


# ------------------------------------------------------------------ whose turn it is


@pytest.fixture
def auditor(monkeypatch: pytest.MonkeyPatch) -> Auditor:
    """An auditor whose runs cost nothing."""
    found = Found(verdict=Verdict.UNRUNNABLE, reason="not now")
    monkeypatch.setattr(module, "rerun", lambda execution: found)
    monkeypatch.setattr(module, "LOOK_S", 0.0)
    return Auditor(ensure_auditor_key())


def test_the_auditor_draws_and_then_replays_what_was_drawn(
    auditor: Auditor, settings: Settings
) -> None:
    settings.AUDIT_SAMPLE = 1
    run(3)
    noise(1)
    steps = 0
    while auditor.step():
        steps += 1
    assert steps == 1 + 3
    rounds = AuditRound.objects.order_by("start")
    assert rounds[0].replays.filter(state=ReplayState.DONE).count() == 3
    told = APIClient().get("/api/v1/audit/rounds").json()["items"][-1]
    assert (told["drawn"], told["done"]) == (3, 3)


def test_who_asks_goes_first_and_cannot_keep_the_lots_waiting(settings: Settings) -> None:
    settings.AUDIT_SAMPLE = 1
    drawn_rows = run(2)
    noise(1)
    assert lots.draw() is not None
    asked = [request_replay(row.pk, None).replay for row in run(2)]
    first, lot = turns.claim(), turns.claim(drawn_first=True)
    assert first is not None
    assert lot is not None
    assert first.replay.pk == asked[0].pk
    assert lot.replay.execution_id in {row.pk for row in drawn_rows}


def test_a_log_that_is_not_open_yet_is_waited_for(settings: Settings, auditor: Auditor) -> None:
    settings.LEDGER_ORIGIN = "elsewhere.example"
    with pytest.raises(LogBusyError):
        auditor.step()


def test_what_waits_for_later_is_not_claimed_now() -> None:
    (row,) = run(1)
    request_replay(row.pk, None)
    Replay.objects.update(available_at=timezone.now() + timedelta(minutes=1))
    assert turns.claim() is None
