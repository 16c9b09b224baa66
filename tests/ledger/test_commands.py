"""The sequencer as a process: it leads or waits, stops when told, and stops loudly when it must."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from ledger import services as ledger
from ledger.checks import check_ledger
from ledger.errors import LogBusyError
from ledger.management.commands.sequencer import Command
from ledger.models import Entry
from ledger.sequencer import leadership
from ledger.storage import FolderStorage, LogStorage
from tests.ledger.builders import append_all, claim, whole

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def beside(act: Callable[[], None]) -> Iterator[list[BaseException]]:
    """Run `act` in a thread, then tell this process to stop, as the supervisor does."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 (shown by the test)
            failures.append(error)
        finally:
            connection.close()
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=run)
    thread.start()
    yield failures
    thread.join()
    assert failures == []


def test_the_command_opens_the_log_sequences_and_stops_when_told() -> None:
    def act() -> None:
        entry = append_when_open()
        assert ledger.wait_included(entry, 20)

    before = signal.getsignal(signal.SIGTERM)
    with beside(act):
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

    with beside(act):
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

    with beside(act):
        held.wait(20)
        leads.set()
        call_command("sequencer")
    assert whole() == 1


def test_damage_ends_the_command_with_words() -> None:
    ledger.ensure_log()
    claim(1).append()
    FolderStorage(settings.LEDGER_DIR).put_new("tile/entries/000.p/1", b"other")
    with pytest.raises(CommandError, match="other bytes"):
        call_command("sequencer")
    assert Entry.objects.get().index == 0  # committed; a restart meets the same damage
    with pytest.raises(CommandError, match="other bytes"):
        call_command("sequencer")


def test_a_full_disk_is_waited_out() -> None:
    ledger.ensure_log()
    entry = claim(1).append()
    rooms = [0, 0, 2**40]

    class Filling(FolderStorage):
        def room(self) -> int:
            return rooms.pop(0)

    class Patient(Command):
        hold_s = 0.01

        def storage(self) -> LogStorage:
            return Filling(settings.LEDGER_DIR)

    def act() -> None:
        assert ledger.wait_included(entry, 20)

    with beside(act):
        call_command(Patient())
    assert rooms == []


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
