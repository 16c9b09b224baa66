"""A log that was frozen, beside the current one, and rows by the thousand."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import connection
from pytest_django import Settings

from assay.digests import sha256, sha256_hex
from ledger import services as ledger
from ledger.choices import Kind
from ledger.models import Entry, Log, Payload, Subject
from ledger.services.freeze import freeze
from ledger.storage import log_storage
from tests.ledger.builders import append_all, sequencer

OLD = "2025.example.org"
KINDS = tuple(Kind.values)


def freeze_one_before(given: Settings, folder: Path, numbers: range) -> Log:
    """Write a log of `numbers`, freeze it in favour of the current one, and open that."""
    current, key = given.LEDGER_ORIGIN, given.LEDGER_KEY
    given.LEDGER_ORIGIN, given.LEDGER_KEY = OLD, folder / "old.pem"
    ledger.ensure_log()
    append_all(numbers)
    sequence_here()
    freeze(current)
    given.LEDGER_ORIGIN, given.LEDGER_KEY = current, key
    ledger.ensure_log()
    return Log.objects.get(origin=OLD)


def sequence_here() -> None:
    """Give everything that waits its place in the current log, among that log's files."""
    log = Log.objects.get(origin=settings.LEDGER_ORIGIN)
    leader = sequencer(log_storage(log.place))
    while leader.cycle():
        pass


def digest(number: int) -> str:
    """Return what entry `number` of `fill` has as its subject."""
    return sha256_hex(f"subject {number}".encode())


def fill(count: int, waiting: int = 0) -> None:
    """Write `count` entries with an index and some that wait, into the current log.

    They are of 8 kinds, 100 models of 25 owners, and 40 keys. Nothing is signed: only the rows are
    right, which is all that a search looks at.
    """
    log = Log.objects.get(origin=settings.LEDGER_ORIGIN)
    numbers = range(count + waiting)
    payloads = Payload.objects.bulk_create(
        Payload(pae_sha256=sha256(f"pae {number}".encode()), payload=b"{}") for number in numbers
    )
    entries = Entry.objects.bulk_create(
        Entry(
            log=log,
            payload=payload,
            signature=b"",
            public_key=b"",
            fingerprint=sha256_hex(f"key {number % 40}".encode()),
            leaf_hash=sha256(f"leaf {number}".encode()),
            kind=KINDS[number % len(KINDS)],
            model=f"owner-{number % 25}/model-{number % 100}",
            owner=f"owner-{number % 25}",
        )
        for number, payload in zip(numbers, payloads, strict=True)
    )
    Subject.objects.bulk_create(
        Subject(entry=entry, name=f"thing {number}", sha256=digest(number))
        for number, entry in zip(numbers, entries, strict=True)
    )
    first = entries[0].pk
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE ledger_entry SET index = id - %s WHERE id >= %s AND id < %s",
            [first, first, first + count],
        )
        cursor.execute("ANALYZE ledger_entry, ledger_subject")
