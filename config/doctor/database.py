"""The database: that it answers, what it is, its tables, and whose clock is right."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, Error, connection
from django.utils import timezone

from config import probes
from config.doctor.findings import Finding, fault, good, warning
from ledger import services as ledger
from ledger.errors import LedgerError

OLDEST = 150_000  # PostgreSQL 15
SLOW_S = 0.05
OFF, FAR_OFF = timedelta(seconds=2), timedelta(seconds=60)
_SHOWN = 5


def check_database() -> Iterator[Finding]:
    """Connect, and look at version and encoding."""
    try:
        with connection.cursor() as cursor:
            begun = time.monotonic()
            cursor.execute("SHOW server_encoding")
            (encoding,) = cursor.fetchone() or ("",)
            took = time.monotonic() - begun
            cursor.execute("SHOW server_version_num")
            (version,) = cursor.fetchone() or ("0",)
    except Error as error:
        own = settings.POSTGRES.url == settings.DATABASE_URL
        remedy = "Start it: `make run`." if own else "Look at DATABASE_URL, and at the server."
        yield fault(f"does not answer: {_first_line(error)}", remedy)
        return
    name = f"PostgreSQL {int(version) // 10_000}"
    if int(version) < OLDEST:
        yield fault(f"{name} is too old", "Use PostgreSQL 15 or newer; 18 is what is tested most.")
    if encoding != "UTF8":
        yield fault(
            f"the database's encoding is {encoding}",
            "Make a new one with `CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`.",
        )
    if took > SLOW_S:
        yield warning(
            f"{name} takes {took * 1000:.0f} ms for an answer",
            "Each page asks several times: bring the database nearer.",
        )
    else:
        yield good(f"{name} answers in {took * 1000:.1f} ms")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no words"])[0]


def check_migrations() -> Iterator[Finding]:
    """Compare the tables with the code, both ways."""
    try:
        missing, unknown = probes.missing_migrations(), probes.unknown_migrations()
    except DatabaseError as error:
        yield fault(f"cannot be read: {_first_line(error)}", "Let the role read every table.")
        return
    if missing:
        words = f"{len(missing)} not applied: {_some(missing)}"
        yield fault(words, "Run `manage.py migrate`.")
    if unknown:
        yield warning(
            f"the database is newer than this code: {_some(unknown)}",
            "Install the newer version here too.",
        )
    if not missing and not unknown:
        yield good("all applied")


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def check_clock() -> Iterator[Finding]:
    """Compare this machine's clock with the database's and with the newest checkpoint."""
    with connection.cursor() as cursor:
        before = timezone.now()
        cursor.execute("SELECT clock_timestamp()")
        (there,) = cursor.fetchone() or (before,)
    off = abs(there - before)
    sync = "Let both machines keep time (NTP): certificates, leases and checkpoints rest on it."
    if off > FAR_OFF:
        yield fault(f"{off.total_seconds():.0f} s off the database's clock", sync)
    elif off > OFF:
        yield warning(f"{off.total_seconds():.0f} s off the database's clock", sync)
    else:
        yield good("agrees with the database's clock")
    try:
        head = ledger.newest_checkpoint()
    except (LedgerError, DatabaseError):  # `log` tells why, or `migrations`
        return
    ahead = head.signed_at - timezone.now()
    if ahead > timedelta():
        yield fault(
            f"the newest checkpoint is dated {ahead.total_seconds():.0f} s later than now",
            "Set the clock. The sequencer waits until now has caught up.",
        )
