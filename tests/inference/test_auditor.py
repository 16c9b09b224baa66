"""The registry's own auditor: it believes no executor, runs the bytes again, and says so."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.utils import timezone
from pytest_django import Settings

from assay.dsse import public_key_of
from assay.statements import ReplayPredicate, parse_predicate, parse_statement
from inference import auditor as module
from inference.auditor import Auditor, Loop
from inference.choices import ReplayState, Verdict
from inference.executor.keys import load_or_create_key
from inference.executor.programs import SCRIPT
from inference.models import Execution, Replay
from inference.services import asking, plan as plans
from inference.services.auditor_key import ensure_auditor_key, own_auditors
from inference.services.enrolment import enrol
from inference.services.replays import lots, turns
from inference.services.replays.asked import request_replay
from inference.services.replays.rerun import Found
from inference.services.run import infer
from ledger import services as ledger
from ledger.errors import LogBusyError
from ledger.models import Entry
from registry.models import Key
from tests.inference.auditing import execute, floats
from tests.inference.builders import fp32, plan, publish
from tests.inference.conftest import LOG, Site
from tests.inference.executor.models import add
from tests.inference.executor.running import Running, start_supervisor, wait_until
from tests.ledger.builders import sequence, whole
from tests.people import Person, make_person

ROOT = Path(__file__).parents[2]
# The entry is written, the row is not, and nothing is committed.
DIES_AT_THE_COMMIT = """
import os, signal, django
django.setup()
from django.core.management import call_command
from inference.services.replays import turns
turns.columns = lambda said: os.kill(os.getpid(), signal.SIGKILL)
call_command("auditor")
"""


@pytest.fixture
def audited(db: None, opened: None, settings: Settings) -> Auditor:
    """An auditor over a log without witnesses, which draws no lots by itself."""
    settings.AUDIT_SAMPLE = 0
    plans._signature.cache_clear()
    return Auditor(ensure_auditor_key())


def added(alice: Person, claimed: float = 2.0) -> Execution:
    """Return an execution of y = x + 1 on 1, which an executor says to be `claimed`."""
    publish(alice, "add", add())
    row = execute(plan("alice/add", [fp32("x", 1.0)]), [floats("y", claimed)])
    sequence()
    return row


def test_what_an_honest_executor_signed_comes_out_again(site: Site, alice: Person) -> None:
    publish(alice, "add", add())
    execution = infer(plan("alice/add", [fp32("x", 1.0)])).execution
    sequence()
    auditor = Auditor(ensure_auditor_key())
    request_replay(execution.pk, alice.user)
    assert auditor.step()
    row = Replay.objects.select_related("entry__payload").get()
    assert (row.state, row.verdict) == (ReplayState.DONE, Verdict.EXACT)
    assert (row.auditor, row.output_digest) == (auditor.fingerprint, execution.output_id)
    assert auditor.fingerprint != site.executor_key
    sequence()
    assert row.entry is not None
    said = parse_predicate(parse_statement(bytes(row.entry.payload.payload)))
    assert isinstance(said, ReplayPredicate)
    assert (said.execution, said.verdict) == (str(execution.pk), "exact")
    assert (row.entry.fingerprint, row.entry.model) == (auditor.fingerprint, "alice/add")
    assert ledger.receipt(row.entry.pk)
    assert whole() > 0
    assert not auditor.step()


@pytest.fixture
def liar(db: None, opened: None, tmp_path: Path, settings: Settings) -> Iterator[Running]:
    """An executor with a registered key whose model processes answer what they like."""
    for script in (Path(__file__).parent / "wrong.mjs", SCRIPT.parent / "frames.mjs"):
        shutil.copy(script, tmp_path)
    arguments = ["--host-script", str(tmp_path / "wrong.mjs"), "--slots", "1"]
    running = start_supervisor(log=LOG, arguments=arguments)
    settings.EXECUTOR_SOCKET = running.socket
    plans._signature.cache_clear()
    enrol(name="liar")
    yield running
    asking._client(running.socket).close()
    assert running.stop() == 0


def test_an_executor_that_signs_a_wrong_output_is_found(
    liar: Running, alice: Person, caplog: pytest.LogCaptureFixture
) -> None:
    publish(alice, "add", add())
    outcome = infer(plan("alice/add", [fp32("x", 1.0)]))
    assert outcome.outputs[0].data == floats("y", 3.0).data
    sequence()
    request_replay(outcome.execution.pk, None)
    with caplog.at_level(logging.ERROR, logger="inference"):
        Auditor(ensure_auditor_key()).step()
    row = Replay.objects.get()
    assert row.verdict == Verdict.DIVERGED
    assert "y: 1 of 1 elements differ" in row.reason
    assert row.output_digest not in ("", outcome.execution.output_id)
    assert "DIVERGED" in caplog.text


def test_the_auditor_has_a_key_of_its_own(audited: Auditor, settings: Settings) -> None:
    key = Key.objects.get(pk=audited.fingerprint)
    assert (key.role, key.owner) == ("auditor", None)
    assert own_auditors() == [audited.fingerprint]
    assert settings.AUDITOR_KEY.stat().st_mode & 0o077 == 0
    executors = public_key_of(load_or_create_key(settings.EXECUTOR_KEY).public_key())
    assert executors.fingerprint != audited.fingerprint
    assert public_key_of(ensure_auditor_key().public_key()).fingerprint == audited.fingerprint
    assert Key.objects.filter(role="auditor").count() == 1


# ------------------------------------------------------------------ turns


def test_a_receipt_that_no_checkpoint_covers_waits(audited: Auditor, alice: Person) -> None:
    publish(alice, "add", add())
    row = execute(plan("alice/add", [fp32("x", 1.0)]), [floats("y", 2.0)])
    request_replay(row.pk, None)
    assert audited.step()
    waiting = Replay.objects.get()
    assert (waiting.state, waiting.attempts) == (ReplayState.REQUESTED, 0)
    assert waiting.available_at > timezone.now()
    assert not audited.step()


def test_a_log_that_takes_nothing_costs_the_replay_and_loses_nothing(
    audited: Auditor, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = added(alice)
    request_replay(row.pk, None)

    def full(*_: object, **__: object) -> int:
        raise LogBusyError("Too many entries wait.")

    monkeypatch.setattr(turns, "append", full)
    with pytest.raises(LogBusyError):
        audited.step()
    monkeypatch.undo()
    Replay.objects.update(available_at=timezone.now())
    assert audited.step()
    assert Replay.objects.get().verdict == Verdict.EXACT


def test_an_auditor_that_died_leaves_a_lease_and_nothing_else(
    audited: Auditor, alice: Person
) -> None:
    row = added(alice)
    request_replay(row.pk, None)
    dead = turns.claim()
    assert dead is not None
    assert not audited.step()  # its lease is not over
    Replay.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert audited.step()
    found = Replay.objects.get()
    assert (found.verdict, found.attempts) == (Verdict.EXACT, 2)
    turns.give_back(dead, 0)  # it wakes up: too late to change anything
    assert Replay.objects.get().state == ReplayState.DONE


def test_who_lost_the_lease_says_nothing(
    audited: Auditor, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = added(alice)
    request_replay(row.pk, None)
    entries = Entry.objects.count()

    def slow(execution: Execution) -> Found:
        Replay.objects.update(lease=row.pk)
        return Found(verdict=Verdict.UNRUNNABLE, reason="it took too long")

    monkeypatch.setattr(module, "rerun", slow)
    assert audited.step()
    assert Replay.objects.get().state == ReplayState.RUNNING
    assert Entry.objects.count() == entries


def test_what_kills_every_auditor_ends_unrunnable(audited: Auditor, alice: Person) -> None:
    row = added(alice)
    request_replay(row.pk, None)
    for _ in range(turns.MAX_ATTEMPTS):
        assert turns.claim() is not None
        Replay.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert audited.step()
    found = Replay.objects.get()
    assert (found.verdict, found.output_digest) == (Verdict.UNRUNNABLE, "")
    assert "lost 3 times" in found.reason


def test_a_second_replay_that_says_the_same_is_one_claim(audited: Auditor, alice: Person) -> None:
    row = added(alice)
    for _ in range(2):
        request_replay(row.pk, None)
        assert audited.step()
    first, second = Replay.objects.order_by("id")
    assert first.entry_id == second.entry_id


def test_an_end_by_signal_gives_the_replay_back(
    audited: Auditor, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = added(alice)
    request_replay(row.pk, None)
    loop = Loop(threading.Event())
    loop._auditor = audited

    def told_to_end(execution: Execution) -> Found:
        loop.end()
        raise AssertionError("unreachable")

    monkeypatch.setattr(module, "rerun", told_to_end)
    loop.run()
    found = Replay.objects.get()
    assert (found.state, found.attempts) == (ReplayState.REQUESTED, 0)
    audited.interrupt()  # nothing is under way: nothing is left


def test_it_waits_for_a_database_that_is_away(
    audited: Auditor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stop = threading.Event()
    loop = Loop(stop)

    def away() -> None:
        stop.set()
        raise OperationalError("the database is away")

    monkeypatch.setattr(lots, "draw", away)
    monkeypatch.setattr(connection, "close", lambda: None)  # the test's transaction lives in it
    loop.run()
    assert "the auditor waits: the database is away" in caplog.text


def test_a_key_file_that_others_can_read_ends_it(
    db: None, opened: None, settings: Settings
) -> None:
    settings.AUDITOR_KEY.touch(mode=0o644)
    with pytest.raises(CommandError, match="can be read by others"):
        call_command("auditor")


def test_a_lease_is_kept_for_as_long_as_it_takes(
    transactional_db: None, opened: None, settings: Settings
) -> None:
    settings.AUDIT_SAMPLE = 0
    plans._signature.cache_clear()
    row = added(make_person("alice"))
    request_replay(row.pk, None)
    turn = turns.claim()
    assert turn is not None
    over = timezone.now() - timedelta(seconds=1)
    with turns.holding(turn, every_s=0.01):
        Replay.objects.update(lease_until=over)
        wait_until(lambda: Replay.objects.filter(lease_until__gt=Now()).exists())
    with turns.holding(turn, every_s=0.01):
        Replay.objects.update(lease=row.pk, lease_until=over)  # another's now
        wait_until(lambda: f"lease {turn.lease}" not in {one.name for one in threading.enumerate()})
    assert Replay.objects.get().lease_until == over


def test_the_process_replays_and_a_kill_in_the_middle_costs_nothing(
    transactional_db: None, opened: None, settings: Settings
) -> None:
    settings.AUDIT_SAMPLE = 0
    plans._signature.cache_clear()
    row = added(make_person("alice"))
    request_replay(row.pk, None)
    database = settings.DATABASE_URL.rpartition("/")[0]
    environment = dict(os.environ) | {
        "DATABASE_URL": f"{database}/{connection.settings_dict['NAME']}",
        "DATA": str(settings.AUDITOR_KEY.parent.parent),
        "AUDIT_SAMPLE": "0",
    }
    dying = [sys.executable, "-c", DIES_AT_THE_COMMIT]
    died = subprocess.run(dying, check=False, cwd=ROOT, env=environment, timeout=60)
    assert died.returncode == -signal.SIGKILL
    left = Replay.objects.get()
    assert (left.state, left.verdict) == (ReplayState.RUNNING, "")
    assert not Entry.objects.filter(kind="replay").exists()
    Replay.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    command = [sys.executable, "manage.py", "auditor"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        wait_until(lambda: Replay.objects.filter(state=ReplayState.DONE).exists(), process, 60)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert Replay.objects.get().verdict == Verdict.EXACT
    assert Entry.objects.filter(kind="replay").count() == 1
