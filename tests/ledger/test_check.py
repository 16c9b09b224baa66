"""`ledger_fsck` finds every damage and names the first."""

from __future__ import annotations

import errno
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from assay.checkpoint import Checkpoint as Tree
from assay.digests import sha256_hex
from assay.dsse import rekor_body
from assay.merkle import leaf_hash
from assay.note import Note, SignatureLine, render, sign_line
from assay.statements import AliasPredicate, Observed, Statement, Subject
from ledger import rebuild, services as ledger
from ledger.errors import LogBusyError, LogDamagedError
from ledger.keys import load_log_key
from ledger.models import Checkpoint, Entry, Log, Payload, StagedPayload
from ledger.services.check import check_log, check_payloads
from ledger.services.surplus import check_surplus
from ledger.storage import FolderStorage, log_storage
from tests.flush import triggers_off
from tests.ledger.builders import append_all, append_many, claim, sequence, sequencer, signed, whole
from tests.ledger.shards import sequence_here
from tests.ledger.succession import follow_on
from tests.ledger.witness import Witness


@pytest.fixture
def written(opened: None, wanda: Witness) -> None:
    """A log of five entries with three checkpoints, witnessed. Entry 2 is about a model."""
    append_all(range(2))
    signed(about_a_model()).append()
    sequence()
    append_all(range(3, 5))
    sequence()


def about_a_model() -> Statement:
    observed = Observed(origin="localhost", tree_size=0, root_hash=sha256_hex(b""))
    predicate = AliasPredicate(
        observed=observed, model="alice/net", alias="latest", revision="0" * 40, previous=None
    )
    return predicate.statement([Subject(name="alice/net", sha256=sha256_hex(b"alice/net"))])


def operator(sql: str, *params: bytes | str) -> None:
    """Change rows as an operator with a database shell would."""
    with triggers_off(), connection.cursor() as cursor:
        cursor.execute(sql, params or None)


def test_a_whole_log_is_called_whole(written: None) -> None:
    answer = io.StringIO()
    call_command("ledger_fsck", stdout=answer)
    assert answer.getvalue() == "The log localhost of 5 entries is whole.\n"


def test_the_command_names_the_damage_and_fails(written: None) -> None:
    (settings.LEDGER_DIR / "tile/0/000.p/5").unlink()
    with pytest.raises(CommandError, match=r"tile/0/000\.p/5 is missing") as caught:
        call_command("ledger_fsck")
    assert caught.value.returncode == 1


def test_progress_is_told(written: None) -> None:
    seen: list[tuple[int, int]] = []
    assert check_log(lambda done, size: seen.append((done, size))) == 5
    assert seen == [(0, 5), (3, 5), (5, 5)]


def test_an_entry_that_waits_is_no_damage(written: None) -> None:
    claim(9).append()
    assert whole() == 5


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def make_a_folder_of(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [flip, grow, Path.unlink, make_a_folder_of])
@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("row", ["0", "entries"])
def test_no_file_is_damaged_unnoticed(
    written: None, damage: Callable[[Path], None], row: str, size: int
) -> None:
    name = f"tile/{row}/000.p/{size}"
    damage(settings.LEDGER_DIR / name)
    with pytest.raises(LogDamagedError, match=name):
        whole()


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("UPDATE ledger_entry SET leaf_hash = 'x' WHERE index = 1", "leaf hash"),
        ("UPDATE ledger_entry SET fingerprint = 'x' WHERE index = 1", "another key's"),
        ("UPDATE ledger_payload SET payload = 'x'", "payload is another"),
        ("UPDATE ledger_payload SET payload_type = 'x'", "payload is another"),
        (
            """DELETE FROM ledger_subject s USING ledger_entry e
                WHERE s.entry_id = e.id AND e.index = 1;
            DELETE FROM ledger_entry WHERE index = 1""",
            "Rows are missing",
        ),
        (
            """DELETE FROM ledger_subject s USING ledger_entry e
                WHERE s.entry_id = e.id AND e.index = 4;
            DELETE FROM ledger_entry WHERE index = 4""",
            "Rows are missing",
        ),
        ("UPDATE ledger_entry SET kind = 'card' WHERE index = 1", "Entry 1: the kind"),
        (
            "UPDATE ledger_entry SET model = 'x/y', owner = 'x' WHERE index = 2",
            "Entry 2: the model",
        ),
        ("UPDATE ledger_entry SET model = '', owner = '' WHERE index = 2", "Entry 2: the model"),
        ("UPDATE ledger_entry SET owner = 'x' WHERE index = 2", "Entry 2: the owner"),
        ("UPDATE ledger_entry SET owner = 'x' WHERE index = 1", "Entry 1: the owner"),
        ("UPDATE ledger_subject SET sha256 = 'x'", "Entry 0: the subjects"),
        ("DELETE FROM ledger_subject", "Entry 0: the subjects"),
        ("UPDATE ledger_checkpoint SET root = 'x' WHERE size = 3", "another tree"),
        ("UPDATE ledger_checkpoint SET size = 4 WHERE size = 3", r"tile/|another tree"),
        ("UPDATE ledger_checkpoint SET note = 'x' WHERE size = 3", "Checkpoint 3"),
        ("UPDATE ledger_log SET vkey = 'x'", "Checkpoint 0"),
        ("UPDATE ledger_log SET root = 'x'", "head is behind"),
        ("UPDATE ledger_log SET size = 4", "number of entries"),
        ("UPDATE ledger_entry SET index = 5 WHERE index IS NULL", "number of entries"),
        ("DELETE FROM ledger_cosignature; DELETE FROM ledger_checkpoint", "no checkpoint"),
    ],
)
def test_no_row_is_damaged_unnoticed(written: None, sql: str, found: str) -> None:
    claim(9).append()
    operator(sql)
    with pytest.raises(LogDamagedError, match=found):
        whole()


def test_a_signature_that_does_not_verify_is_found(written: None) -> None:
    """The leaf is right and the envelope is not: only the signature tells."""
    entry = Entry.objects.get(index=4)
    forged = claim(77, by="mallory").envelope.signature
    body = rekor_body(bytes(entry.payload_id), forged, bytes(entry.public_key))
    operator(
        "UPDATE ledger_entry SET signature = %s, leaf_hash = %s WHERE index = 4",
        forged,
        leaf_hash(body),
    )
    with pytest.raises(LogDamagedError, match=r"Entry 4: .*signature"):
        whole()


def test_a_cosignature_that_does_not_verify_is_found(written: None, wanda: Witness) -> None:
    wrong = SignatureLine(name="wanda", key_id=wanda.vkey.key_id, payload=bytes(72))
    operator("UPDATE ledger_cosignature SET line = %s", str(wrong).strip())
    with pytest.raises(LogDamagedError, match=r"Checkpoint 0: .*wanda"):
        whole()


def test_a_key_that_is_none_is_found(written: None) -> None:
    entry = Entry.objects.get(index=4)
    body = rekor_body(bytes(entry.payload_id), bytes(entry.signature), b"no key")
    operator(
        "UPDATE ledger_entry SET public_key = %s, fingerprint = %s, leaf_hash = %s WHERE index = 4",
        b"no key",
        sha256_hex(b"no key"),
        leaf_hash(body),
    )
    with pytest.raises(LogDamagedError, match="Entry 4: no public key"):
        whole()


def test_a_note_that_says_another_tree_than_the_files_is_found(written: None) -> None:
    """The operator signs a fork: rows, note and key agree, the entries do not."""
    text = Tree(origin="localhost", size=5, root=bytes(32)).text
    line = sign_line(text, "localhost", load_log_key(settings.LEDGER_KEY))
    operator("DELETE FROM ledger_cosignature")
    operator(
        "UPDATE ledger_checkpoint SET note = %s, root = %s WHERE size = 5",
        render(Note(text=text, lines=(line,))),
        bytes(32),
    )
    with pytest.raises(LogDamagedError, match="another root"):
        whole()


def scribble(path: Path) -> None:
    path.write_bytes(b"no note")


def spoil_the_witness(path: Path) -> None:
    """Change one byte of the signature in the last line, which is wanda's."""
    text = path.read_bytes()
    spoiled = text[:-20] + (b"A" if text[-20:-19] != b"A" else b"B") + text[-19:]
    path.write_bytes(spoiled)


@pytest.mark.parametrize(
    "damage", [flip, scribble, Path.unlink, spoil_the_witness, make_a_folder_of]
)
def test_a_damaged_page_is_found(written: None, damage: Callable[[Path], None]) -> None:
    damage(settings.LEDGER_DIR / "checkpoint")
    with pytest.raises(LogDamagedError, match="published checkpoint"):
        whole()


def test_a_rolled_back_page_is_found(opened: None) -> None:
    append_all(range(2))
    sequence()
    old = log_storage().get("checkpoint")
    append_all(range(2, 4))
    sequence()
    log_storage().replace("checkpoint", old)
    with pytest.raises(LogDamagedError, match="not the newest"):
        whole()


def test_a_log_that_never_published_has_no_page_to_compare(opened: None) -> None:
    (settings.LEDGER_DIR / "checkpoint").unlink()
    operator("UPDATE ledger_checkpoint SET published_at = NULL")
    assert whole() == 0


def test_a_head_that_ran_ahead_of_its_files_is_no_damage_but_a_wrong_root_is(
    opened: None,
) -> None:
    append_all(range(3))
    sequence()
    operator("UPDATE ledger_log SET root = 'x'")
    with pytest.raises(LogDamagedError, match="signed last"):
        sequencer()
    operator("DELETE FROM ledger_checkpoint WHERE size = 3")
    with pytest.raises(LogDamagedError, match="do not give the root"):
        sequencer()
    assert Checkpoint.objects.count() == 1


# ------------------------------------------------------------------ what is too much


@pytest.mark.parametrize(
    "path",
    [
        "index.html",
        "tile/0/000.p/4",
        "tile/entries/000.p/4",
        "tile/0/000.p/6",
        "tile/0/000",
        "tile/1/000.p/1",
        "tile/0/001.p/1",
        "tile/0/0.p/3",
        "checkpoint.bak",
        "tile/checkpoint",
        ".new/notes",
        ".tmp",
        "tile/.new/" + "0" * 32,
        "logs/b.example.org/checkpoint",
    ],
)
def test_a_file_that_no_size_of_the_log_explains_is_found(written: None, path: str) -> None:
    foreign = settings.LEDGER_DIR / path
    foreign.parent.mkdir(parents=True, exist_ok=True)
    foreign.write_bytes(b"")
    with pytest.raises(LogDamagedError, match=f"^{re.escape(path)} is stored"):
        whole()


def test_the_temporaries_of_a_writer_and_empty_folders_are_no_damage(written: None) -> None:
    (settings.LEDGER_DIR / ".new" / ("0" * 32)).write_bytes(b"")
    (settings.LEDGER_DIR / "tile/0/x001").mkdir()
    assert whole() == 5


def test_every_file_of_a_long_log_is_explained(opened: None) -> None:
    """Full tiles, partial ones of an upper level, and sizes that end full."""
    for numbers in (range(200), range(200, 256), range(256, 520), range(520, 600)):
        append_many(numbers)
        sequence()
    assert (settings.LEDGER_DIR / "tile/1/000.p/1").exists()
    assert whole() == 600
    (settings.LEDGER_DIR / "tile/1/000.p/3").write_bytes(bytes(96))
    with pytest.raises(LogDamagedError, match=r"tile/1/000\.p/3 is stored"):
        whole()


def test_files_that_a_sequencer_writes_meanwhile_are_explained(written: None) -> None:
    class Growing(FolderStorage):
        def paths(self) -> Iterator[str]:
            append_all(range(5, 8))
            sequence()
            return super().paths()

    check_surplus(Log.objects.get(), Growing(settings.LEDGER_DIR))
    assert whole() == 8


def test_files_above_the_newest_checkpoint_are_explained_by_the_head(written: None) -> None:
    append_all(range(5, 7))
    sequence()
    operator("DELETE FROM ledger_cosignature; DELETE FROM ledger_checkpoint WHERE size = 7")
    log_storage().replace("checkpoint", ledger.newest_checkpoint().note)
    assert whole() == 7


def test_a_payload_that_no_entry_names_is_found_and_one_that_waits_is_not(written: None) -> None:
    waiting = claim(8).envelope
    StagedPayload.objects.create(
        pae_sha256=waiting.pae_sha256,
        payload_type=waiting.payload_type,
        payload=waiting.payload,
        staged_by="user:1",
    )
    claim(9).append()
    check_payloads()
    orphan = claim(10).envelope
    Payload.objects.create(
        pae_sha256=orphan.pae_sha256, payload_type=orphan.payload_type, payload=orphan.payload
    )
    with pytest.raises(CommandError, match=f"Payload {orphan.pae_sha256.hex()}") as caught:
        call_command("ledger_fsck")
    assert caught.value.returncode == 1


# ------------------------------------------------------------------ long logs, several logs


def test_checkpoints_far_apart_are_checked_in_parts(
    opened: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory holds one part of the log, however many entries one checkpoint adds."""
    monkeypatch.setattr(rebuild, "PART", 256)
    append_all(range(10))
    sequence()
    append_many(range(10, 700))
    sequence()
    seen: list[int] = []
    assert check_log(lambda done, size: seen.append(done)) == 700
    assert seen == [0, 10, 256, 512, 700]
    for path in ("tile/1/000.p/2", "tile/0/002.p/188", "tile/entries/001"):
        file = settings.LEDGER_DIR / path
        good = file.read_bytes()
        flip(file)
        with pytest.raises(LogDamagedError, match=f"{re.escape(path)} holds other bytes"):
            whole()
        file.write_bytes(good)
    assert whole() == 700


@pytest.fixture
def two(opened: None, settings: Settings) -> Log:
    """A frozen log of two entries, and the one of three that follows; return that."""
    append_all(range(2))
    second = follow_on(settings)
    append_all(range(2, 5))
    sequence_here()
    return second


def test_every_log_of_the_installation_is_checked(two: Log) -> None:
    answer = io.StringIO()
    call_command("ledger_fsck", stdout=answer)
    assert answer.getvalue().splitlines() == [
        "The log localhost of 2 entries is whole.",
        "The log b.example.org of 3 entries is whole.",
    ]
    answer = io.StringIO()
    call_command("ledger_fsck", log=two.origin, stdout=answer)
    assert answer.getvalue() == "The log b.example.org of 3 entries is whole.\n"
    with pytest.raises(CommandError, match=r"no log c\.example.*localhost, b\.example\.org"):
        call_command("ledger_fsck", log="c.example")


@pytest.mark.parametrize("place", ["", "logs/b.example.org/"])
def test_a_surplus_file_is_found_in_each_log(two: Log, place: str) -> None:
    (settings.LEDGER_DIR / place / "surplus").write_bytes(b"")
    with pytest.raises(CommandError, match=r"^surplus is stored"):
        call_command("ledger_fsck")


def test_without_a_log_there_is_nothing_to_check(db: None) -> None:
    with pytest.raises(CommandError, match="not open yet"):
        call_command("ledger_fsck")
    with pytest.raises(LogBusyError):
        whole()


def test_a_storage_that_does_not_answer_is_no_damage(
    written: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: Path) -> bytes:
        raise OSError(errno.EIO, "the disk is gone", str(path))

    monkeypatch.setattr(Path, "read_bytes", gone)
    with pytest.raises(CommandError, match=r"storage fails: .*the disk is gone") as caught:
        call_command("ledger_fsck")
    assert caught.value.returncode == 3
