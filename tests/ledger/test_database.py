"""The database itself refuses to forget: no program that speaks SQL changes what was logged."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from ledger.models import Checkpoint
from tests.ledger.builders import append_all, sequence
from tests.ledger.witness import Witness

TABLES = ("entry", "payload", "subject", "checkpoint", "cosignature", "log")


@pytest.fixture
def written(opened: None, wanda: Witness) -> None:
    """A log with a row in every table, and an entry that waits."""
    append_all(range(2))
    sequence()
    append_all(range(2, 3))


def refused(sql: str) -> str:
    """Run SQL that must be refused; return what the database said."""
    with (
        pytest.raises(IntegrityError) as caught,
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
    return str(caught.value)


def allowed(sql: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return int(cursor.rowcount)


@pytest.mark.parametrize("table", TABLES)
def test_no_row_is_deleted(written: None, table: str) -> None:
    assert "append-only" in refused(f"DELETE FROM ledger_{table}")  # noqa: S608 (names above)


@pytest.mark.parametrize("table", TABLES)
def test_no_table_is_emptied(written: None, table: str) -> None:
    allowed("SET CONSTRAINTS ALL IMMEDIATE")
    assert "append-only" in refused(f"TRUNCATE ledger_{table} CASCADE")


@pytest.mark.parametrize(
    "change",
    [
        "payload SET payload = 'x'",
        "subject SET name = 'x'",
        "cosignature SET line = 'x'",
        "entry SET model = 'x'",
        "entry SET model = 'x' WHERE index IS NULL",
        "entry SET index = 7 WHERE index = 0",
        "entry SET index = NULL WHERE index = 0",
        "entry SET index = 2, model = 'x' WHERE index IS NULL",
        "entry SET model = 'x', signature = 'x' WHERE index = 1",
        "checkpoint SET root = 'x'",
        "checkpoint SET published_at = NULL",
        "checkpoint SET published_at = now()",
        "log SET size = 1",
        "log SET root = 'x'",
        "log SET origin = 'x'",
        "log SET vkey = 'x'",
        "log SET size = 3, root = 'x', vkey = 'y'",
    ],
)
def test_what_is_written_does_not_change(written: None, change: str) -> None:
    refused(f"UPDATE ledger_{change}")


def test_an_entry_gets_its_index_once(written: None) -> None:
    assert allowed("UPDATE ledger_entry SET index = 2 WHERE index IS NULL") == 1
    refused("UPDATE ledger_entry SET index = 3 WHERE index = 2")


def test_an_entry_is_not_born_with_an_index(written: None) -> None:
    columns = "log_id, payload_id, signature, public_key, fingerprint, kind, model, created_at"
    message = refused(
        f"INSERT INTO ledger_entry (index, leaf_hash, {columns})"  # noqa: S608 (names above)
        f" SELECT 9, 'x', {columns.replace('fingerprint', repr('f'))}"
        " FROM ledger_entry WHERE index = 0"
    )
    assert "without an index" in message


def test_a_log_is_frozen_for_good(written: None) -> None:
    assert allowed("UPDATE ledger_log SET frozen_at = now()") == 1
    refused("UPDATE ledger_log SET frozen_at = NULL")


def test_a_log_grows(written: None) -> None:
    assert allowed("UPDATE ledger_log SET size = 3, root = 'x'") == 1


def test_no_checkpoint_is_signed_below_an_earlier_one(written: None) -> None:
    newest = Checkpoint.objects.latest()
    with pytest.raises(IntegrityError, match="larger checkpoint"):
        Checkpoint.objects.create(
            log=newest.log, size=1, root=b"x", note=b"x", signed_at=newest.signed_at
        )
