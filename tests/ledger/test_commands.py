"""The sequencer as a process: it leads or waits, stops when told, and stops loudly when it must."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import IntegrityError, OperationalError, connection
from pytest_django import Settings

from ledger import leadership as leading, services as ledger
from ledger.checks import check_ledger
from ledger.disk import Descriptor, Disk
from ledger.errors import LogBusyError, LogHeldError, LogStoppedError
from ledger.leadership import begin_term, end_holder, leadership
from ledger.management.commands.sequencer import Command
from ledger.models import Entry, Log
from ledger.services.freeze import abandon, freeze
from ledger.storage import FolderStorage, LogStorage, log_storage
from tests.ledger.beside import beside
from tests.ledger.builders import append_all, claim, sequence, whole

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def ended_by(act: Callable[[], None]) -> Iterator[None]:
    """Run `act` in a thread, then tell this process to stop, as the supervisor does."""
    over = threading.Event()

    def run() -> None:
        try:
            act()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            while not over.wait(1):
                os.kill(os.getpid(), signal.SIGTERM)

    # Outside of the command the signal is nobody's business.
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with beside(run):
            try:
                yield
            finally:
                over.set()
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_command_opens_the_log_sequences_and_stops_when_told() -> None:
    def act() -> None:
        entry = append_when_open()
        assert ledger.wait_included(entry, 20)

    before = signal.getsignal(signal.SIGTERM)
    with ended_by(act):
        call_command("sequencer")
    assert signal.getsignal(signal.SIGTERM) is before
    assert whole() == 1


def append_when_open() -> int:
    """Append a claim as soon as the command has opened the log."""
    for _ in range(2000):
        try:
            return claim(1).append()
        except LogBusyError:
            threading.Event().wait(0.01)
    raise AssertionError("the log was never opened")


def test_a_backlog_is_taken_without_pause(settings: Settings) -> None:
    ledger.ensure_log()
    settings.LEDGER_BATCH = 2
    settings.LEDGER_INTERVAL_MS = 60_000
    ids = append_all(range(2))

    def act() -> None:
        assert ledger.wait_included(ids[-1], 20)

    with ended_by(act):
        call_command("sequencer")
    assert whole() == 2


def test_a_second_sequencer_waits_and_takes_over() -> None:
    ledger.ensure_log()
    entry = claim(1).append()
    held, leads = threading.Event(), threading.Event()

    def act() -> None:
        with leadership("localhost") as first:
            assert first
            held.set()
            leads.wait(20)
            assert not ledger.wait_included(entry, 0.6)
        assert ledger.wait_included(entry, 5)

    with ended_by(act):
        held.wait(20)
        leads.set()
        call_command("sequencer")
    assert whole() == 1


def until(true: Callable[[], object], what: str) -> None:
    """Wait for what another thread does."""
    for _ in range(4000):
        if true():
            return
        threading.Event().wait(0.005)
    raise AssertionError(f"{what}: that never was")


def test_damage_ends_the_command_with_words_and_the_site_says_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger.ensure_log()
    claim(1).append()
    bundle = "tile/entries/000.p/1"
    FolderStorage(settings.LEDGER_DIR).put_new(bundle, b"other")
    with pytest.raises(CommandError, match="other bytes"):
        call_command("sequencer")
    assert Entry.objects.get().index == 0  # committed; a restart meets the same damage
    assert "other bytes" in caplog.text
    assert "CRITICAL" in {record.levelname for record in caplog.records}
    for _ in range(2):
        state = ledger.log_state()
        assert (state.state, bundle in state.reason) == ("stopped", True)
        with pytest.raises(LogStoppedError, match="other bytes"):
            claim(2).append()
        with pytest.raises(CommandError, match="other bytes"):
            call_command("sequencer")
    (settings.LEDGER_DIR / bundle).unlink()

    def act() -> None:
        until(lambda: ledger.log_state().state == "leading", "leading")
        assert ledger.wait_included(claim(2).append(), 20)

    with ended_by(act):
        call_command("sequencer")
    assert whole() == 2


class Patient(Command):
    """The command, with a storage of the test's, and little patience."""

    hold_s = 0.01

    def __init__(self, made: Callable[[], LogStorage]) -> None:
        super().__init__()
        self.storage = made  # type: ignore[method-assign]  # what a machine has, no code of ours


def test_a_nearly_full_disk_is_waited_out() -> None:
    ledger.ensure_log()
    entry = claim(1).append()
    rooms = [0, 0]
    refused: list[str] = []

    class Filling(FolderStorage):
        def room(self) -> int:
            if len(rooms) == 1 and not refused:
                return 0
            return rooms.pop(0) if rooms else 2**40

    def act() -> None:
        until(lambda: ledger.log_state().state == "held", "held")
        with pytest.raises(LogHeldError, match="nearly full") as caught:
            claim(2).append()
        refused.append(caught.value.message)
        until(lambda: ledger.entry_status(entry).included, "included")
        assert ledger.log_state().state == "leading"
        claim(2).append()

    with ended_by(act):
        call_command(Patient(lambda: Filling(settings.LEDGER_DIR)))
    sequence()
    assert whole() == 2


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("call", ["write_new", "sync_file", "link", "rename", "sync_folder"])
def test_a_disk_that_takes_nothing_is_waited_out_by_fresh_sequencers(
    number: int, call: str
) -> None:
    """In every call, and also while one recovers: each is a new one that believes only rows."""
    ledger.ensure_log()
    entry = claim(1).append()
    failures = [3]

    class Full(Disk):
        pass

    def fail(self: Disk, *arguments: object) -> object:
        if failures[0]:
            failures[0] -= 1
            raise OSError(number, os.strerror(number))
        return getattr(Disk, call)(self, *arguments)

    setattr(Full, call, fail)

    def act() -> None:
        until(lambda: ledger.log_state().state == "held", "held")
        assert os.strerror(number) in ledger.log_state().reason
        until(lambda: ledger.entry_status(entry).included, "included")

    with ended_by(act):
        call_command(Patient(lambda: FolderStorage(settings.LEDGER_DIR, Full())))
    assert failures == [0]
    assert whole() == 1


def test_a_disk_that_fails_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an fsync that failed, what is read back may be a lie of the kernel."""
    ledger.ensure_log()
    claim(1).append()

    class Failing(Disk):
        def sync_file(self, file: Descriptor) -> None:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        call_command(Patient(lambda: FolderStorage(settings.LEDGER_DIR, Failing())))
    sequence()
    assert whole() == 1


def test_a_malformed_witness_policy_is_waited_out() -> None:
    ledger.ensure_log()
    entry = claim(1).append()
    settings.WITNESS_POLICY.write_text("witness\n")

    def act() -> None:
        until(lambda: ledger.log_state().state == "held", "held")
        assert "malformed" in ledger.log_state().reason
        settings.WITNESS_POLICY.unlink()
        until(lambda: ledger.entry_status(entry).included, "included")

    with ended_by(act):
        call_command(Patient(log_storage))
    assert whole() == 1


# ---------------------------------------------------------------- deposed, cut off


def test_a_holder_of_the_lock_that_is_silent_is_relieved_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leading, "SILENT_S", 0.2)
    ledger.ensure_log()
    entry = claim(1).append()
    held = threading.Event()

    def lead_in_silence() -> None:
        with leadership("localhost"):
            held.set()
            until(lambda: Entry.objects.get(pk=entry).index == 0, "taken over")

    def act() -> None:
        with pytest.raises(OperationalError):
            lead_in_silence()
        connection.close()
        until(lambda: ledger.entry_status(entry).included, "included")

    with ended_by(act):
        assert held.wait(20)
        call_command("sequencer")
    assert whole() == 1


def test_a_deposed_leader_waits_and_leads_again(caplog: pytest.LogCaptureFixture) -> None:
    ledger.ensure_log()

    def act() -> None:
        first, second = claim(1).append(), claim(2)
        assert ledger.wait_included(first, 20)
        begin_term("localhost")
        entry = second.append()
        until(lambda: ledger.entry_status(entry).included, "included")

    with ended_by(act):
        call_command("sequencer")
    assert "deposed" in caplog.text
    assert Log.objects.get().term == 3
    assert whole() == 2


def test_an_idle_leader_learns_from_its_heartbeat_that_it_was_deposed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leading, "BEAT_S", 0.01)
    ledger.ensure_log()

    def act() -> None:
        until(lambda: Log.objects.get().term == 1, "leading")
        begin_term("localhost")
        until(lambda: Log.objects.get().term == 3, "leading again")

    with ended_by(act):
        call_command("sequencer")
    assert "heartbeat met a later term" in caplog.text


def test_a_leader_whose_session_was_ended_ends_with_words() -> None:
    ledger.ensure_log()

    def act() -> None:
        until(lambda: Log.objects.get().term == 1, "leading")
        until(lambda: end_holder("localhost"), "ended")

    with pytest.raises(CommandError, match="the database does not answer"), ended_by(act):
        call_command("sequencer")


def test_a_log_that_was_abandoned_is_let_go_and_not_taken_up_again() -> None:
    """Its database may be a restored one: what it would sign contradicts what was signed."""
    ledger.ensure_log()

    def act() -> None:
        assert ledger.wait_included(claim(1).append(), 20)
        freeze()
        abandon("localhost")
        assert over.wait(20)

    over = threading.Event()

    class Told(Command):
        def take_turns(self, stop: threading.Event) -> None:
            try:
                super().take_turns(stop)
            finally:
                over.set()

    with pytest.raises(CommandError, match="was abandoned"), ended_by(act):
        call_command(Told())
    with pytest.raises(CommandError, match="was abandoned"):
        call_command("sequencer")
    assert ledger.log_state().state == "stopped"
    assert whole() == 1


def test_what_the_database_refuses_is_shown_as_it_is() -> None:
    ledger.ensure_log()
    claim(1).append()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE ledger_log ADD CONSTRAINT stuck CHECK (size = 0)")
    try:
        with pytest.raises(IntegrityError, match="stuck"):
            call_command("sequencer")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE ledger_log DROP CONSTRAINT stuck")
    sequence()
    assert whole() == 1


# ---------------------------------------------------------------- settings


def test_the_default_settings_are_sound() -> None:
    assert check_ledger(None) == []


@pytest.mark.parametrize(
    ("origin", "url", "code"),
    [
        ("localhost:8000", "http://localhost:8000/log", "ledger.E001"),
        ("ledger.example.org", "https://example.org/log", "ledger.E002"),
    ],
)
def test_settings_that_no_stock_client_would_take_are_named(
    settings: Settings, origin: str, url: str, code: str
) -> None:
    settings.LEDGER_ORIGIN, settings.LEDGER_URL = origin, url
    assert [error.id for error in check_ledger(None)] == [code]
