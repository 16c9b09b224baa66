"""Who may write a log: one advisory lock, a term that counts the leaders, and a heartbeat.

The rules:

1. The lock says who *should* lead. It belongs to a database session and goes with it.
2. The term says whose writes *count*. A new leader raises `Log.term`; whatever a leader stores
   afterwards is one transaction that first takes the log's row and looks whether the term is still
   its own (`own_log`). So a leader that lost the lock without noticing stores nothing any more.
3. A leader beats each second, over a connection of its own (`beating`). Whoever waits and sees no
   new beat for four seconds by its own clock ends the holder's session (`Candidate`) and leads.
   No clock is compared with that of another machine.
4. The row `Leader` is for people and for intake. Nothing durable rests on it.

The row is locked FOR NO KEY UPDATE: leaders, and a freeze, wait for each other, and intake, whose
entries refer to the log, waits for none of them.

Commit point: a term begins with the transaction that raises it. A crash before that costs nothing;
after it there is a term that nobody uses, and the next leader raises it again.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import Error, connection, transaction
from django.db.models.functions import Now

from assay.digests import sha256
from ledger.choices import LeaderState
from ledger.models import Leader, Log

BEAT_S = 1.0
SILENT_S = 4.0
ENDING_MS = 500
REASON_LENGTH = 1000
log = logging.getLogger(__name__)


class DeposedError(Exception):
    """Another sequencer leads the log by now: nothing is wrong, but nothing of ours counts."""


# ---------------------------------------------------------------- the lock


def lock_number(origin: str) -> int:
    """Return the number of the advisory lock of the log `origin`, a signed 64-bit integer."""
    return int.from_bytes(sha256(b"assay sequencer " + origin.encode())[:8], "big", signed=True)


@contextmanager
def leadership(origin: str) -> Iterator[bool]:
    """Try to take the lock of the log `origin`; yields whether we have it, until the end."""
    lock = lock_number(origin)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock])
        leads = bool(cursor.fetchone()[0])
    try:
        yield leads
    finally:
        if leads and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [lock])


def end_holder(origin: str) -> int:
    """End the database session that holds the lock of `origin`; return how many were told to."""
    lock = lock_number(origin)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, %s) FROM pg_locks"
            " WHERE locktype = 'advisory' AND granted AND pid <> pg_backend_pid()"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            " AND objsubid = 1 AND classid::bigint = %s AND objid::bigint = %s",
            [ENDING_MS, lock >> 32 & 0xFFFFFFFF, lock & 0xFFFFFFFF],
        )
        return len(cursor.fetchall())


class Candidate:
    """One who waits: it remembers the leader's last beat, and since when that is the last."""

    def __init__(self, origin: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._origin = origin
        self._clock = clock
        self._beat: object = None
        self._since = clock()

    def depose_silent(self) -> bool:
        """End the leader's session if it has not beaten for `SILENT_S`; say whether that was so."""
        rows = Leader.objects.filter(log__origin=self._origin)
        beat = rows.values_list("term", "beat_at").first()
        now = self._clock()
        if beat != self._beat:
            self._beat, self._since = beat, now
        if now - self._since < SILENT_S:
            return False
        self._since = now
        log.warning("the leader of %s was silent for %s s: taking over", self._origin, SILENT_S)
        return end_holder(self._origin) > 0


# ---------------------------------------------------------------- the term


def begin_term(origin: str) -> int:
    """Begin a new term of the log `origin` and return its number; all earlier ones have ended.

    What the row `Leader` says of an earlier leader's hold or stop stands until the new one has
    recovered.
    """
    with transaction.atomic():
        row = Log.objects.select_for_update(no_key=True).get(origin=origin)
        row.term += 1
        row.save(update_fields=["term"])
        said = {"term": row.term, "name": _own_name(), "beat_at": Now()}
        new = {**said, "state": LeaderState.LEADING, "since": Now()}
        Leader.objects.update_or_create(log=row, defaults=said, create_defaults=new)
    return row.term


def _own_name() -> str:
    return f"{socket.gethostname()[:150]}, process {os.getpid()}"


@contextmanager
def own_log(origin: str, term: int | None) -> Iterator[Log]:
    """Hold the row of the log `origin` in a transaction in which `term` cannot end.

    Without a term (None) only the row is held.

    Raises:
        DeposedError: a later term has begun.
    """
    with transaction.atomic():
        row = Log.objects.select_for_update(no_key=True).get(origin=origin)
        if term not in (None, row.term):
            raise DeposedError(f"Term {row.term} of the log has begun; ours was {term}.")
        yield row


def is_own(origin: str, term: int) -> bool:
    """Tell whether `term` is the newest one of the log `origin`."""
    return Log.objects.filter(origin=origin, term=term).exists()


# ---------------------------------------------------------------- what people read


def tell(origin: str, term: int, state: LeaderState, reason: str = "") -> None:
    """Say for everybody what the leader of `term` does; nothing happens when it was deposed."""
    reason = reason[:REASON_LENGTH]
    rows = Leader.objects.filter(log__origin=origin, term=term).exclude(state=state, reason=reason)
    rows.update(state=state, reason=reason, since=Now(), beat_at=Now())


@contextmanager
def beating(origin: str, term: int) -> Iterator[threading.Event]:
    """Beat each second until the end; the event that this yields is set when the term has ended."""
    stop, ended = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=_beat, args=(origin, term, stop, ended), name="beat", daemon=True
    )
    thread.start()
    try:
        yield ended
    finally:
        stop.set()
        thread.join()


def _beat(origin: str, term: int, stop: threading.Event, ended: threading.Event) -> None:
    try:
        while not stop.wait(BEAT_S):
            try:
                rows = Leader.objects.filter(log__origin=origin, term=term)
                if not rows.update(beat_at=Now()):
                    ended.set()
                    return
            except Error as error:
                # The sequencer's own connection will tell whether the database is gone.
                log.warning("no heartbeat: %s", error)
                connection.close()
    finally:
        connection.close()
