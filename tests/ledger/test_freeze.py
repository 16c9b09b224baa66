"""A log ends once and for good: nothing gets in any more, and what was in gets its place."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from pytest_django import Settings

from assay.errors import MisuseError
from ledger import services as ledger
from ledger.choices import LeaderState
from ledger.errors import LogFrozenError
from ledger.leadership import begin_term, tell
from ledger.models import Checkpoint, Entry, Log
from ledger.selectors import newest_published
from ledger.services.freeze import LogSuccessionError, abandon, ending, freeze
from tests.ledger.beside import PATIENCE_S, beside
from tests.ledger.builders import append_all, claim, sequence, sequencer, whole
from tests.ledger.succession import FIRST, NEXT, move
from tests.ledger.witness import Witness, trust


def test_a_frozen_log_takes_nothing_more_and_names_its_successor(opened: None) -> None:
    append_all(range(2))
    frozen = freeze(NEXT)
    assert frozen.frozen_at is not None
    assert (frozen.successor, frozen.url) == (NEXT, settings.LEDGER_URL)
    with pytest.raises(LogFrozenError, match=f"{FIRST} is frozen.*{NEXT} goes on") as caught:
        claim(2).append()
    assert caught.value.status == 405
    sequence()
    assert whole() == 2


def test_mallory_with_a_database_shell_gets_nothing_into_a_frozen_log(opened: None) -> None:
    append_all(range(1))
    sequence()
    freeze()
    columns = "log_id, payload_id, signature, public_key, kind, model, owner, created_at"
    with (
        pytest.raises(IntegrityError, match="the log is frozen"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(
            f"INSERT INTO ledger_entry (leaf_hash, fingerprint, {columns})"  # noqa: S608 (names above)
            f" SELECT 'x', 'f', {columns} FROM ledger_entry"
        )
    assert Entry.objects.count() == 1


def test_mallory_thaws_no_log_and_moves_none(opened: None) -> None:
    freeze()
    for change in ("frozen_at = NULL", "url = 'https://mallory.example/log'", "origin = 'm'"):
        with (
            pytest.raises(IntegrityError, match="frozen for good"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"UPDATE ledger_log SET {change}")  # noqa: S608 (names above)


def test_what_was_taken_in_before_gets_its_place_and_a_last_checkpoint(
    opened: None, wanda: Witness
) -> None:
    append_all(range(3))
    freeze()
    found = ending(FIRST)
    assert (found.waiting, found.covered, found.complete, found.ended) == (3, 0, False, False)
    sequence()
    found = ending(FIRST)
    assert (found.waiting, found.covered, found.size) == (0, 3, 3)
    assert [one.name for one in found.witnessing.signed] == ["wanda"]
    assert found.ended
    assert (found.size, found.root) == (3, ledger.newest_checkpoint().root)
    assert sequencer().cycle() == 0


def test_a_last_checkpoint_without_its_quorum_is_no_end(
    opened: None, wanda: Witness, policy_path: object
) -> None:
    append_all(range(1))
    wanda.lie = None
    freeze()
    trust(settings.WITNESS_POLICY, quorum="none")
    sequence()
    assert ending(FIRST).ended  # nobody is asked for
    trust(settings.WITNESS_POLICY, wanda)
    found = ending(FIRST)
    assert (found.complete, found.ended) == (True, False)
    sequencer()  # asks for the missing line
    assert ending(FIRST).ended


def test_a_page_that_shows_an_older_tree_is_no_end(opened: None) -> None:
    append_all(range(1))
    page = (settings.LEDGER_DIR / "checkpoint").read_bytes()
    sequence()
    freeze()
    (settings.LEDGER_DIR / "checkpoint").write_bytes(page)
    assert not ending(FIRST).complete


def test_a_log_that_is_published_while_one_looks_is_not_called_damaged(
    opened: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_all(range(3))
    freeze()

    def then_it_grows(log: Log) -> Checkpoint:
        newest = newest_published(log)
        sequence()
        return newest

    monkeypatch.setattr("ledger.services.freeze.newest_published", then_it_grows)
    assert not ending(FIRST).ended
    monkeypatch.undo()
    assert ending(FIRST).complete


def test_freezing_again_changes_nothing_but_may_name_the_successor_once(opened: None) -> None:
    at = freeze().frozen_at
    again = freeze(NEXT)
    assert (again.frozen_at, again.successor) == (at, NEXT)
    assert freeze(NEXT).successor == freeze().successor == NEXT
    with pytest.raises(LogSuccessionError, match=f"named its successor: {NEXT}"):
        freeze("c.example.org")


def test_a_successor_is_an_origin_and_a_new_one(opened: None) -> None:
    with pytest.raises(MisuseError):
        freeze("https://b.example.org/log")
    with pytest.raises(LogSuccessionError, match="a log of this installation already"):
        freeze(FIRST)
    assert Log.objects.get().frozen_at is None


def test_an_abandoned_log_stops_and_its_successor_may_open(
    opened: None, settings: Settings
) -> None:
    append_all(range(2))
    freeze()
    abandon(FIRST)
    assert ledger.log_state().state == LeaderState.STOPPED
    assert "operator" in ledger.log_state().reason
    move(settings)
    ledger.ensure_log()
    assert ledger.newest_checkpoint().origin == NEXT


# ---------------------------------------------------------------- intake under way


@contextmanager
def taking_in(number: int) -> Iterator[None]:
    """Take in a claim in a transaction that commits when the block ends."""
    taken, over = threading.Event(), threading.Event()

    def act() -> None:
        with transaction.atomic():
            claim(number).append()
            taken.set()
            assert over.wait(PATIENCE_S)

    with beside(act):
        assert taken.wait(PATIENCE_S)
        try:
            yield
        finally:
            over.set()


@pytest.mark.django_db(transaction=True)
def test_a_claim_that_is_just_being_taken_in_is_waited_for(settings: Settings) -> None:
    ledger.ensure_log()
    with taking_in(1):
        freeze()  # waits for nobody
        with pytest.raises(LogFrozenError):
            claim(2).append()
        found = ending(FIRST)
        assert (found.writing, found.waiting, found.complete) == (True, 0, False)
        with pytest.raises(CommandError, match="still being written"):
            call_command("ledger_freeze", "--wait", "0", stdout=io.StringIO())
        move(settings)
        with pytest.raises(LogSuccessionError, match="being written"):
            ledger.ensure_log()
    found = ending(FIRST)
    assert (found.writing, found.waiting) == (False, 1)
    with pytest.raises(LogSuccessionError, match="1 entries have no place"):
        ledger.ensure_log()


@pytest.mark.django_db(transaction=True)
def test_a_stopped_sequencer_is_no_reason_to_wait(settings: Settings) -> None:
    ledger.ensure_log()
    claim(1).append()
    tell(FIRST, begin_term(FIRST), LeaderState.STOPPED, "a tile holds other bytes")
    freeze(NEXT)
    move(settings)
    ledger.ensure_log()
    assert claim(2).append()
