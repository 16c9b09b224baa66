"""What the writer publishes anyone can check, and no failure loses or forks anything."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from assay.checkpoint import parse_checkpoint
from assay.merkle import leaf_hash, root_of
from assay.note import VKey, open_note
from assay.tiles import encode_entries
from ledger import services as ledger
from ledger.errors import LogDamagedError, LogHeldError
from ledger.keys import load_log_key
from ledger.models import Checkpoint, Entry, Log
from ledger.publication import publish
from ledger.sequencer import Sequencer, leadership
from ledger.storage import FolderStorage, log_storage
from tests.ledger.builders import (
    append_all,
    append_many,
    claim,
    sequence,
    sequencer,
    verified,
    whole,
)
from tests.ledger.faults import Faults, FaultySequencer, WriteFailedError
from tests.ledger.witness import Witness

# From 250 to 262 entries: a bundle and a tile become full, others begin, level 1 appears.
START, MORE = 250, 12
WRITES = [
    "commit",
    "put tile/entries/000",
    "put tile/entries/001.p/6",
    "put tile/0/000",
    "put tile/0/001.p/6",
    "put tile/1/000.p/1",
    "keep checkpoint",
    "keep cosignatures",
    "publish",
    "replace checkpoint",
]


def test_pending_entries_get_contiguous_indices_in_their_order(opened: None) -> None:
    ids = append_all(range(5))
    sequence()
    assert list(Entry.objects.order_by("pk").values_list("pk", "index")) == [
        (entry, index) for index, entry in enumerate(ids)
    ]
    later = append_all(range(5, 8))
    sequence()
    assert [ledger.entry_status(entry).index for entry in later] == [5, 6, 7]
    assert whole() == 8


def test_the_published_checkpoint_is_the_tree_of_the_entries(opened: None) -> None:
    append_all(range(7))
    sequence()
    opened_note = open_note(log_storage().get("checkpoint"), [VKey.parse(ledger.log_vkey())])
    tree = parse_checkpoint(opened_note.text)
    leaves = Entry.objects.order_by("index").values_list("leaf_hash", flat=True)
    assert (tree.origin, tree.size) == ("localhost", 7)
    assert tree.root == root_of([bytes(leaf) for leaf in leaves])


def test_nothing_is_published_while_nothing_waits(opened: None) -> None:
    leader = sequencer()
    before = log_storage().get("checkpoint")
    assert leader.cycle() == 0
    assert log_storage().get("checkpoint") == before
    assert Checkpoint.objects.count() == 1


def test_a_sequencer_that_did_not_recover_writes_nothing(opened: None) -> None:
    fresh = Sequencer("localhost", storage=log_storage(), key=load_log_key(settings.LEDGER_KEY))
    with pytest.raises(RuntimeError, match="recover"):
        fresh.cycle()


# ---------------------------------------------------------------- failures


@pytest.fixture
def grown(opened: None) -> list[int]:
    """A published log of 250 entries, and twelve acknowledged claims that wait."""
    append_many(range(START))
    sequence()
    return append_all(range(START, START + MORE))


@contextmanager
def another_world(tmp_path: Path) -> Iterator[None]:
    """Try something, then put rows and files back."""
    kept = tmp_path / "kept"
    shutil.copytree(settings.LEDGER_DIR, kept)
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    shutil.rmtree(settings.LEDGER_DIR)
    kept.rename(settings.LEDGER_DIR)


def points() -> list[tuple[int, bool]]:
    return [(number, stored) for number in range(len(WRITES)) for stored in (False, True)]


def test_every_write_of_a_cycle_is_a_failpoint(grown: list[int], wanda: Witness) -> None:
    faults = Faults()
    healthy = FaultySequencer(faults)
    healthy.recover()
    faults.names.clear()
    assert healthy.cycle() == MORE
    assert faults.names == WRITES
    assert whole() == START + MORE


def test_every_write_fails_twice_and_a_restart_loses_nothing(
    grown: list[int], wanda: Witness, tmp_path: Path
) -> None:
    sequencer()  # the checkpoint of size 250 gets its cosignature first
    for number, stored in points():
        with another_world(tmp_path):
            wanda.store.states.pop("localhost", None)
            faults = Faults()
            broken = FaultySequencer(faults)
            broken.recover()
            faults.names.clear()
            faults.at, faults.stored = number, stored
            with pytest.raises(WriteFailedError, match=WRITES[number]):
                broken.cycle()
            sequence()
            assert whole() == START + MORE
            indices = [ledger.entry_status(entry).index for entry in grown]
            assert sorted(index for index in indices if index is not None) == list(
                range(START, START + MORE)
            )
            assert verified(grown[-1], START + MORE - 1).checkpoint.witnesses


def test_recovery_itself_may_fail_at_every_write(
    grown: list[int], wanda: Witness, tmp_path: Path
) -> None:
    sequencer()
    broken = FaultySequencer(Faults())
    broken.recover()
    broken.faults.names.clear()
    broken.faults.at, broken.faults.stored = 0, True  # the commit, and nothing after it
    with pytest.raises(WriteFailedError):
        broken.cycle()
    for number, stored in points()[:-2]:
        with another_world(tmp_path):
            wanda.store.states.pop("localhost", None)
            again = FaultySequencer(Faults(number, stored=stored))
            with pytest.raises(WriteFailedError, match=WRITES[number + 1]):
                again.recover()
            sequence()
            assert whole() == START + MORE


# ---------------------------------------------------------------- two leaders


def test_a_second_sequencer_does_not_lead_while_the_first_one_does(opened: None) -> None:
    answers: list[bool] = []

    def other() -> None:
        with leadership("localhost") as leads:
            answers.append(leads)
        connection.close()

    def ask() -> None:
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    with leadership("localhost") as leads:
        assert leads
        ask()
    ask()
    assert answers == [False, True]


def test_a_deposed_leader_stops_at_the_head_and_forks_nothing(opened: None) -> None:
    first, second = sequencer(), sequencer()
    append_all(range(3))
    assert first.cycle() == 3
    append_all(range(3, 5))
    with pytest.raises(LogDamagedError, match="moved the head"):
        second.cycle()
    assert first.cycle() == 2
    assert whole() == 5


def test_a_deposed_leader_does_not_sign_over_a_newer_checkpoint(opened: None) -> None:
    append_all(range(3))

    class Slow(FaultySequencer):
        def _write(self, grown: object) -> None:
            sequencer()  # another one recovers from the rows and signs this very tree

    slow = Slow(Faults())
    slow.recover()
    with pytest.raises(LogDamagedError, match="signed meanwhile"):
        slow.cycle()
    assert whole() == 3


def test_an_old_checkpoint_is_never_put_over_a_newer_one(opened: None) -> None:
    append_all(range(2))
    sequence()
    newest = log_storage().get("checkpoint")
    old = Checkpoint.objects.get(size=0)
    assert publish(log_storage(), old, timezone.now()) is False
    assert log_storage().get("checkpoint") == newest


# ---------------------------------------------------------------- pauses


def test_a_clock_that_runs_backwards_pauses_the_log(opened: None) -> None:
    early = Sequencer(
        "localhost",
        storage=log_storage(),
        key=load_log_key(settings.LEDGER_KEY),
        now=lambda: datetime(2020, 1, 1, tzinfo=UTC),
    )
    early.recover()
    append_all(range(1))
    with pytest.raises(LogHeldError, match="clock"):
        early.cycle()
    assert Log.objects.get().size == 0


def test_a_disk_that_is_nearly_full_pauses_the_log(opened: None) -> None:
    class Full(FolderStorage):
        def room(self) -> int:
            return 1000

    leader = sequencer(Full(settings.LEDGER_DIR))
    entry = claim(1).append()
    with pytest.raises(LogHeldError, match="disk"):
        leader.cycle()
    assert ledger.entry_status(entry).index is None
    sequence()
    assert ledger.entry_status(entry).included


# ---------------------------------------------------------------- damage


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["tile/0/000.p/3", "tile/entries/000.p/3"])
def test_a_restart_on_flipped_bits_stops(opened: None, name: str) -> None:
    append_all(range(3))
    sequence()
    flip(settings.LEDGER_DIR / name)
    with pytest.raises(LogDamagedError, match="size 3"):
        sequencer()


def test_tiles_that_agree_with_each_other_but_not_with_the_signed_root_stop_it(
    opened: None,
) -> None:
    append_all(range(3))
    sequence()
    bodies = [b"a", b"b", b"c"]
    folder = settings.LEDGER_DIR / "tile"
    (folder / "entries/000.p/3").write_bytes(encode_entries(bodies))
    (folder / "0/000.p/3").write_bytes(b"".join(map(leaf_hash, bodies)))
    with pytest.raises(LogDamagedError, match="root of size 3"):
        sequencer()


def test_bits_that_flip_between_write_and_signature_are_not_signed(opened: None) -> None:
    class Rotten(FolderStorage):
        def put_new(self, path: str, data: bytes) -> None:
            super().put_new(path, data[:-1] + b"\xff")

    leader = sequencer(Rotten(settings.LEDGER_DIR))
    append_all(range(3))
    with pytest.raises(LogDamagedError, match="another root"):
        leader.cycle()
    assert Checkpoint.objects.count() == 1


def test_a_file_that_vanishes_before_the_signature_is_not_signed(opened: None) -> None:
    class Leaky(FolderStorage):
        def put_new(self, path: str, data: bytes) -> None:
            """Lose it."""

    leader = sequencer(Leaky(settings.LEDGER_DIR))
    append_all(range(3))
    with pytest.raises(LogDamagedError, match="wrong"):
        leader.cycle()


def test_a_file_of_another_log_in_the_way_stops_everything(opened: None) -> None:
    log_storage().put_new("tile/entries/000.p/1", b"other bytes")
    append_all(range(1))
    with pytest.raises(LogDamagedError, match="other bytes"):
        sequence()
    assert ledger.newest_checkpoint().size == 0


def test_a_database_error_in_the_commit_moves_neither_head_nor_index(opened: None) -> None:
    leader = sequencer()
    entry = claim(1).append()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE ledger_log ADD CONSTRAINT stuck CHECK (size = 0)")
    with pytest.raises(DatabaseError, match="stuck"):
        leader.cycle()
    assert ledger.entry_status(entry).index is None
