"""Whether each part that the site needs answers now: for `/readyz`, for staff, for the doctor.

A probe writes nothing and takes a few seconds at most. Its words name no host, path or person:
strangers read them. What the operator has to know beside is `config.doctor`'s to say.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import redis
from django.conf import settings
from django.db import DatabaseError, Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from kombu.exceptions import KombuError, OperationalError

from config.celery import app
from inference.client import ExecutorClient, ExecutorError, ExecutorUnavailableError, Status
from ledger import services as ledger
from ledger.choices import LeaderState
from ledger.errors import LedgerError
from registry.errors import RegistryError
from registry.storage import blobs

PATIENCE_S = 2
LEAST_ROOM = 64 * 2**20
_ABSENT = "0" * 64
BROKER_FAULTS = (KombuError, OperationalError, redis.RedisError, OSError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the site. Without a `needed` one, this process can answer nothing rightly."""

    name: str
    works: bool
    words: str
    needed: bool = False


def parts() -> list[Part]:
    """Ask every part; what rests on the database is not asked without it."""
    there = database()
    if not there.works:
        unknown = "not known without the database"
        resting = (
            Part(name="migrations", works=False, words=unknown, needed=True),
            Part(name="sequencer", works=False, words=unknown),
        )
        return [there, resting[0], broker(), storage(), resting[1], executor()]
    return [there, migrations(), broker(), storage(), sequencer(), executor()]


def database() -> Part:
    """Ask the database for a number."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return Part(name="database", works=False, words="does not answer", needed=True)
    return Part(name="database", works=True, words="answers", needed=True)


def migrations() -> Part:
    """Compare the migrations of this code with those that the database has had."""
    try:
        missing = missing_migrations()
    except DatabaseError:
        return Part(name="migrations", works=False, words="cannot be read", needed=True)
    words = f"{len(missing)} not applied" if missing else "all applied"
    return Part(name="migrations", works=not missing, words=words, needed=True)


def missing_migrations() -> list[str]:
    """Return the migrations that the database has not had, as `app.name`."""
    applied = MigrationRecorder(connection).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in _known() - set(applied))


def unknown_migrations() -> list[str]:
    """Return the migrations of our apps that the database has had and this code does not know."""
    ours = {app for app, _ in _known()}
    applied = MigrationRecorder(connection).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in set(applied) - _known() if app in ours)


@cache
def _known() -> frozenset[tuple[str, str]]:
    # What lies on the disk does not change under a running process.
    return frozenset(MigrationLoader(None).disk_migrations)


def broker() -> Part:
    """Open a connection to the broker."""
    try:
        with app.connection_for_write(connect_timeout=PATIENCE_S) as line:
            line.ensure_connection(max_retries=1, interval_start=0, timeout=PATIENCE_S)
    except BROKER_FAULTS:
        return Part(name="broker", works=False, words="does not answer; queued work waits")
    return Part(name="broker", works=True, words="answers")


def storage() -> Part:
    """Tell whether a folder can be written, or that a bucket answers: nothing is written to try."""
    try:
        ready, words = _bucket() if settings.BLOBS_STORAGE else _folder(Path(settings.BLOBS_DIR))
    except (OSError, RegistryError):
        ready, words = False, "cannot be used"
    return Part(name="storage", works=ready, words=words, needed=True)


def _bucket() -> tuple[bool, str]:
    blobs().exists(_ABSENT)
    return True, "answers"


def _folder(folder: Path) -> tuple[bool, str]:
    """Return whether a folder takes files, and words; no file is made in it."""
    try:
        free = room(folder)
    except OSError:
        return False, "cannot be written"
    return (True, "can be written") if free >= LEAST_ROOM else (False, "is full")


def room(folder: Path) -> int:
    """Return how many bytes `folder`, or where it would be made, still takes; 0 without inodes.

    Raises:
        OSError: this process may not write there.
    """
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    found = os.statvfs(folder)
    if found.f_flag & os.ST_RDONLY or not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(errno.EROFS, "cannot be written to", str(folder))
    return 0 if found.f_files and not found.f_favail else found.f_bavail * found.f_frsize


def sequencer() -> Part:
    """Tell whether the log's sequencer was heard a moment ago, and that it goes on."""
    try:
        ledger.newest_checkpoint()
        state = ledger.log_state()
    except LedgerError:
        return Part(name="sequencer", works=False, words="the log is not open yet")
    except DatabaseError:
        return Part(name="sequencer", works=False, words="cannot be read")
    if not state.alive:
        return Part(name="sequencer", works=False, words="was not heard: what is signed waits")
    if state.state != LeaderState.LEADING:
        return Part(name="sequencer", works=False, words=f"is {state.state}")
    return Part(name="sequencer", works=True, words="was heard")


def executor() -> Part:
    """Ask the executor of this machine."""
    status = executor_status()
    if status is None:
        return Part(name="executor", works=False, words="does not answer: no model runs here")
    return Part(name="executor", works=True, words=f"{status.free} of {status.slots} free")


def executor_status() -> Status | None:
    """Return what the executor of this machine says of itself; None when it says nothing."""
    with ExecutorClient(settings.EXECUTOR_SOCKET, timeout=PATIENCE_S) as client:
        try:
            return client.status()
        except (ExecutorError, ExecutorUnavailableError):
            return None
