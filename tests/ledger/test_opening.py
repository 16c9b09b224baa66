"""The log is opened once, with a key that is made once."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from pytest_django import Settings

from assay.errors import MisuseError
from assay.merkle import EMPTY_ROOT
from assay.note import ED25519, VKey, open_note, vkey_for
from ledger import services as ledger
from ledger.errors import LogBusyError
from ledger.keys import LogKeyError, load_log_key, make_log_key
from ledger.models import Checkpoint, Log
from ledger.storage import log_storage
from tests.ledger.beside import beside
from tests.ledger.builders import append_all, sequence


@pytest.mark.django_db
def test_an_open_log_has_a_key_and_a_published_empty_tree() -> None:
    with pytest.raises(LogBusyError):
        ledger.newest_checkpoint()
    ledger.ensure_log()
    head = ledger.newest_checkpoint()
    assert (head.origin, head.size, head.root) == ("localhost", 0, EMPTY_ROOT)
    assert (head.witnesses, head.quorum) == (0, 0)
    assert log_storage().get("checkpoint") == head.note
    open_note(head.note, [VKey.parse(ledger.log_vkey())])
    assert ledger.observed().to_dict() == {
        "origin": "localhost",
        "treeSize": 0,
        "rootHash": EMPTY_ROOT.hex(),
    }


def test_opening_again_changes_nothing(opened: None) -> None:
    key, note = settings.LEDGER_KEY.read_bytes(), log_storage().get("checkpoint")
    ledger.ensure_log()
    append_all(range(2))
    sequence()
    ledger.ensure_log()
    assert settings.LEDGER_KEY.read_bytes() == key
    assert Checkpoint.objects.get(size=0).note == note
    assert ledger.newest_checkpoint().size == 2


@pytest.mark.django_db
def test_opening_that_crashed_before_the_checkpoint_was_published_is_finished() -> None:
    make_log_key(settings.LEDGER_KEY)
    public = load_log_key(settings.LEDGER_KEY).public_key()
    vkey = str(vkey_for("localhost", public, ED25519))
    Log.objects.create(origin="localhost", vkey=vkey, root=EMPTY_ROOT)
    ledger.ensure_log()
    assert ledger.newest_checkpoint().size == 0


@pytest.mark.django_db
def test_before_its_first_checkpoint_the_log_has_no_head() -> None:
    Log.objects.create(origin="localhost", vkey="", root=EMPTY_ROOT)
    with pytest.raises(LogBusyError, match="no checkpoint"):
        ledger.newest_checkpoint()


def test_a_lost_key_is_never_replaced(opened: None) -> None:
    settings.LEDGER_KEY.unlink()
    with pytest.raises(LogKeyError, match="cannot be read"):
        ledger.ensure_log()
    assert not settings.LEDGER_KEY.exists()


def test_another_key_needs_another_origin(opened: None) -> None:
    settings.LEDGER_KEY.unlink()
    make_log_key(settings.LEDGER_KEY)
    with pytest.raises(LogKeyError, match="new origin"):
        ledger.ensure_log()


@pytest.mark.django_db
def test_an_origin_with_a_port_is_refused(settings: Settings) -> None:
    settings.LEDGER_ORIGIN = "localhost:8000"
    with pytest.raises(MisuseError):
        ledger.ensure_log()


def ensure() -> None:
    ledger.ensure_log()


@pytest.mark.django_db(transaction=True)
def test_of_two_that_open_the_log_the_slower_one_finds_it_open() -> None:
    with ExitStack() as stack, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE ledger_log IN SHARE UPDATE EXCLUSIVE MODE")
        slower = stack.enter_context(beside(ensure))
        while not waiting(cursor):
            assert not slower.done()
            threading.Event().wait(0.01)
        ledger.ensure_log()
    assert Log.objects.get().origin == "localhost"


def waiting(cursor: CursorWrapper) -> bool:
    """Tell whether somebody waits for the table of logs in this database."""
    cursor.execute(
        "SELECT count(*) FROM pg_locks WHERE relation = 'ledger_log'::regclass AND NOT granted"
    )
    return bool(cursor.fetchone()[0])


def test_the_address_and_the_place_of_the_first_log(opened: None) -> None:
    log = Log.objects.get()
    assert (log.url, log.place, log.successor) == (settings.LEDGER_URL, "", "")


# ---------------------------------------------------------------- the key's file


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "log.pem"
    make_log_key(path)
    first = path.read_bytes()
    make_log_key(path)
    assert path.read_bytes() == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in path.parent.iterdir()] == ["log.pem"]
    load_log_key(path)


def test_of_two_that_make_the_key_one_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys" / "log.pem"
    make_log_key(path)
    first = path.read_bytes()
    monkeypatch.setattr(Path, "exists", lambda self: False)
    make_log_key(path)
    assert path.read_bytes() == first
    assert [item.name for item in path.parent.iterdir()] == ["log.pem"]


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.pem"
    make_log_key(path)
    path.chmod(0o640)
    with pytest.raises(LogKeyError, match="chmod 600"):
        load_log_key(path)


def test_what_is_no_ed25519_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.pem"
    path.write_bytes(b"no key")
    path.chmod(0o600)
    with pytest.raises(LogKeyError, match="PEM"):
        load_log_key(path)
    other = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(LogKeyError, match="Ed25519"):
        load_log_key(path)
