"""`ledger_fsck` finds every damage and names the first."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from assay.checkpoint import Checkpoint as Tree
from assay.digests import sha256_hex
from assay.dsse import rekor_body
from assay.merkle import leaf_hash
from assay.note import Note, SignatureLine, render, sign_line
from ledger.errors import LogDamagedError
from ledger.keys import load_log_key
from ledger.models import Checkpoint, Entry
from ledger.services.check import check_log
from ledger.storage import log_storage
from tests.flush import triggers_off
from tests.ledger.builders import append_all, claim, sequence, sequencer, whole
from tests.ledger.witness import Witness


@pytest.fixture
def written(opened: None, wanda: Witness) -> None:
    """A log of five entries with three checkpoints, witnessed."""
    append_all(range(3))
    sequence()
    append_all(range(3, 5))
    sequence()


def operator(sql: str, *params: bytes | str) -> None:
    """Change rows as an operator with a database shell would."""
    with triggers_off(), connection.cursor() as cursor:
        cursor.execute(sql, params or None)


def test_a_whole_log_is_called_whole(written: None) -> None:
    answer = io.StringIO()
    call_command("ledger_fsck", stdout=answer)
    assert answer.getvalue() == "The log of 5 entries is whole.\n"


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
