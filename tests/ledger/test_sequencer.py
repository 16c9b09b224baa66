"""What the writer publishes anyone can check, and no failure loses or forks anything."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.conf import settings
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from assay.checkpoint import parse_checkpoint
from assay.merkle import EMPTY_ROOT, leaf_hash, root_of
from assay.note import VKey, open_note
from assay.tiles import encode_entries
from ledger import services as ledger
from ledger.errors import LogDamagedError, LogHeldError
from ledger.growth import EMPTY, grow
from ledger.keys import load_log_key
from ledger.leadership import DeposedError, begin_term
from ledger.models import Checkpoint, Entry, Log
from ledger.policy import WitnessPolicyError
from ledger.publication import publish
from ledger.sequencer import Sequencer, hold_reason
from ledger.storage import FolderStorage, StoreError, log_storage
from tests.flush import triggers_off
from tests.ledger.builders import (
    append_all,
    append_many,
    claim,
    sequence,
    sequencer,
    whole,
)
from tests.ledger.witness import Witness


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


# ---------------------------------------------------------------- two leaders


def test_a_deposed_leader_moves_no_head(opened: None) -> None:
    first = sequencer()
    sequencer()
    append_all(range(3))
    with pytest.raises(DeposedError, match="not at 0 entries"):
        first.cycle()
    assert Log.objects.get().size == 0
    sequence()
    assert whole() == 3


def test_a_deposed_leader_does_not_even_begin(opened: None) -> None:
    key = load_log_key(settings.LEDGER_KEY)
    append_all(range(2))
    late = Sequencer("localhost", storage=log_storage(), key=key, term=begin_term("localhost"))
    sequence()
    shutil.rmtree(settings.LEDGER_DIR / "tile")  # what it takes for damage is none of its business
    with pytest.raises(DeposedError, match="size 2"):
        late.recover()


@pytest.mark.parametrize("step", ["_write", "_sign", "_cosign", "_publish"])
def test_a_leader_that_is_deposed_between_two_steps_keeps_nothing_more(
    opened: None, wanda: Witness, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader = sequencer()
    append_all(range(2))

    def slow(*arguments: object) -> object:
        sequence()
        return getattr(Sequencer, step)(leader, *arguments)

    monkeypatch.setattr(leader, step, slow)
    with pytest.raises(DeposedError):
        leader.cycle()
    assert whole() == 2
    assert Checkpoint.objects.count() == 2
    assert ledger.newest_checkpoint().size == 2


def test_two_that_both_believe_to_lead_give_each_entry_one_place(opened: None) -> None:
    """Whoever begins last wins; the other one learns it with its next write, and begins again."""
    ids = []
    pair = [sequencer(), sequencer()]
    for number in range(12):
        ids += append_all(range(number, number + 1))
        with contextlib.suppress(DeposedError):
            pair[number % 2].cycle()
        if number % 3 == 0:
            pair[number % 2] = sequencer()
    sequence()
    assert [ledger.entry_status(entry).index for entry in ids] == list(range(12))
    assert whole() == 12


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


def test_a_storage_that_is_mounted_read_only_pauses_the_log(opened: None) -> None:
    class ReadOnly(FolderStorage):
        def room(self) -> int:
            raise failures.pop()

    failures = [OSError(errno.EACCES, "Not yours"), OSError(errno.EROFS, "Read-only file system")]
    leader = sequencer(ReadOnly(settings.LEDGER_DIR))
    claim(1).append()
    for words in ("takes nothing: Read-only", "takes nothing: Not yours"):
        with pytest.raises(LogHeldError, match=words):
            leader.cycle()
    assert Log.objects.get().size == 0


def test_a_full_or_read_only_disk_is_waited_out_and_a_failing_one_is_not() -> None:
    inside = str(settings.LEDGER_DIR / "tile/0/000")
    full = OSError(errno.ENOSPC, "No space left on device", inside)
    assert hold_reason(full) == (
        "The log's storage takes nothing: No space left on device, tile/0/000."
    )
    assert hold_reason(OSError(errno.EROFS, "Read-only file system", "/elsewhere")) == (
        "The log's storage takes nothing: Read-only file system."
    )
    assert hold_reason(OSError(errno.EDQUOT, "Disk quota exceeded")) is not None
    away = StoreError(errno.EIO, "the object store does not answer", "s3://secret/checkpoint")
    assert hold_reason(away) == "The log's storage takes nothing: the object store does not answer."
    assert hold_reason(LogHeldError("The clock.")) == "The clock."
    assert hold_reason(WitnessPolicyError("Malformed.")) == "Malformed."
    assert hold_reason(OSError(errno.EIO, "Input/output error")) is None
    assert hold_reason(LogDamagedError("a fork")) is None


# ---------------------------------------------------------------- the page, and a frozen log


def test_an_old_page_that_a_sleeper_puts_back_is_replaced_within_a_second(opened: None) -> None:
    """A process that was frozen inside the rename knows nothing of terms."""
    leader = sequencer()
    old = log_storage().get("checkpoint")
    append_all(range(2))
    leader.cycle()
    newest = log_storage().get("checkpoint")
    log_storage().replace("checkpoint", old)
    leader._look_at = 0
    leader.cycle()
    assert log_storage().get("checkpoint") == newest


@pytest.mark.parametrize("page", [b"", b"nonsense\n", None])
def test_a_page_that_is_lost_or_is_not_the_logs_is_written_again(
    opened: None, page: bytes | None
) -> None:
    append_all(range(2))
    sequence()
    newest = log_storage().get("checkpoint")
    path = settings.LEDGER_DIR / "checkpoint"
    path.unlink() if page is None else path.write_bytes(page)
    sequencer()
    assert log_storage().get("checkpoint") == newest


def test_a_database_that_was_restored_from_a_backup_signs_nothing(opened: None) -> None:
    """The page outlived it: what it would sign next contradicts what everybody has seen."""
    append_all(range(3))
    empty = settings.LEDGER_DIR.with_name("empty")
    shutil.copytree(settings.LEDGER_DIR, empty)
    sequence()
    page = log_storage().get("checkpoint")
    with triggers_off():
        Checkpoint.objects.filter(size=3).delete()
        Entry.objects.update(index=None)
        Log.objects.update(size=0, root=EMPTY_ROOT)
    shutil.rmtree(settings.LEDGER_DIR)
    empty.rename(settings.LEDGER_DIR)
    (settings.LEDGER_DIR / "checkpoint").write_bytes(page)
    with pytest.raises(LogDamagedError, match="older than the log"):
        sequencer()
    assert log_storage().get("checkpoint") == page


def test_a_frozen_log_is_drained_and_then_idles(opened: None, wanda: Witness) -> None:
    entry = append_all(range(2))[-1]
    Log.objects.update(frozen_at=timezone.now())
    leader = sequencer()
    assert [leader.cycle(), leader.cycle()] == [2, 0]
    assert ledger.entry_status(entry).witnesses == 1
    assert whole() == 2


# ---------------------------------------------------------------- speed


def long_log(size: int) -> None:
    """Put entries into the table that are in no tree: for the planner, not for readers."""
    with triggers_off(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO ledger_entry (log_id, index, payload_id, signature, public_key,"
            " fingerprint, leaf_hash, kind, model, owner, created_at)"
            " SELECT log.id, 10000 + number, sha256(number::text::bytea), '', '', number::text,"
            " sha256(number::text::bytea), 'moderation', '', '', now()"
            " FROM ledger_log AS log, generate_series(1, %s) AS number",
            [size],
        )
        cursor.execute("ANALYZE ledger_entry")


def test_what_waits_is_found_without_reading_what_does_not(opened: None) -> None:
    long_log(20_000)
    append_all(range(3))
    leader = sequencer()
    with CaptureQueriesContext(connection) as captured:
        leader.cycle()
        leader.cycle()
    queries = [one["sql"] for one in captured if "LIMIT 4096" in one["sql"]]
    assert len(queries) == 2
    for query in queries:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {query}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
        assert "Index Scan using entry_pending" in plan, plan
        assert "Sort" not in plan, plan


def test_a_claim_whose_transaction_was_slow_gets_its_place_all_the_same(
    opened: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row is far older than what was taken meanwhile; that delays it by seconds, not more."""
    monkeypatch.setattr("ledger.sequencer.NEAR", 0)
    slow, quick = append_all(range(2))
    leader = sequencer()
    with triggers_off():
        Entry.objects.filter(pk=slow).update(log_id=0)  # nobody sees it before it is committed
    assert leader.cycle() == 1
    with triggers_off():
        Entry.objects.filter(pk=slow).update(log_id=Log.objects.get().pk)
    assert leader.cycle() == 0
    leader._latecomers_at = 0
    assert leader.cycle() == 1
    assert [ledger.entry_status(entry).index for entry in (quick, slow)] == [0, 1]
    assert whole() == 2


def test_a_cycle_asks_the_database_as_often_whatever_waits(opened: None, wanda: Witness) -> None:
    leader = sequencer()
    asked = []
    for numbers in (range(3), range(3, 300)):
        append_many(numbers)
        with CaptureQueriesContext(connection) as captured:
            assert leader.cycle() == len(numbers)
        asked.append(len(captured))
    assert asked[0] == asked[1] < 30


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


def test_rows_that_do_not_give_the_heads_root_stop_it(opened: None) -> None:
    ids = append_all(range(3))
    with triggers_off():
        for index, entry in enumerate(ids):
            Entry.objects.filter(pk=entry).update(index=index)
        Log.objects.update(size=3, root=bytes(32))
    with pytest.raises(LogDamagedError, match="rows do not give the root of size 3"):
        sequencer()


def test_a_head_behind_the_last_signature_stops_it(opened: None) -> None:
    append_all(range(3))
    sequence()
    with triggers_off():
        Log.objects.update(size=0, root=EMPTY_ROOT)
    with pytest.raises(LogDamagedError, match="not the tree that was signed last"):
        sequencer()


def test_an_entry_that_has_its_place_already_gets_no_second_one(opened: None) -> None:
    leader = sequencer()
    ids = append_all(range(2))
    batch = leader._pending()
    with triggers_off():
        Entry.objects.filter(pk=ids[1]).update(index=9)
    with pytest.raises(LogDamagedError, match="1 entries have an index already"):
        leader._commit(batch, grow(EMPTY, batch.bodies), EMPTY_ROOT)
    assert Entry.objects.get(pk=ids[0]).index is None
    assert Log.objects.get().size == 0


def test_bits_that_flip_between_write_and_signature_are_not_signed(opened: None) -> None:
    class Rotten(FolderStorage):
        def put_all(self, files: Sequence[tuple[str, bytes]]) -> None:
            super().put_all([(path, data[:-1] + b"\xff") for path, data in files])

    leader = sequencer(Rotten(settings.LEDGER_DIR))
    append_all(range(3))
    with pytest.raises(LogDamagedError, match="another root"):
        leader.cycle()
    assert Checkpoint.objects.count() == 1


def test_a_file_that_vanishes_before_the_signature_is_not_signed(opened: None) -> None:
    class Leaky(FolderStorage):
        def put_all(self, files: Sequence[tuple[str, bytes]]) -> None:
            """Lose them."""

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
