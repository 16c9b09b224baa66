"""How a log grows: entries per second from pending rows to a witnessed checkpoint, and the cost.

The rows are committed first; then the clock runs until the published checkpoint that covers them
carries the witness's line. The sequencer is the real command in a process of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import connection

from bench.claims import Shape, copy_in, shaped
from bench.machine import processor_s
from bench.site import Site
from bench.watch import Watch
from ledger import sequencer as sequencing
from ledger.keys import load_log_key
from ledger.logs import current_log
from ledger.storage import log_storage

CHUNK = 50_000
TABLES = ("ledger_payload", "ledger_entry", "ledger_subject")


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """One stretch of a log, up to `size` entries, in batches of at most `batch` (0: the command's).

    Bytes are per entry: of the whole log for a backlog, of what the stretch added for batches.
    """

    size: int
    entries: int
    batch: int = 0
    seconds: float
    sequencer_s: float
    checkpoints: int
    files: float
    blocks: float
    database: float

    @property
    def rate(self) -> float:
        """Entries per second."""
        return self.entries / self.seconds


def grow(site: Site, sizes: Sequence[int]) -> Iterator[Growth]:
    """Let a new log grow; yield what the last stretch before each of `sizes` cost."""
    with site.sequencer() as pid, Watch(site.data / "log" / "checkpoint", site.witness) as watch:
        for size in sizes:
            while (at := current_log().size) < size:
                found = _stretch(site, watch, pid, at, min(CHUNK, size - at))
            yield found


def _stretch(site: Site, watch: Watch, pid: int, at: int, count: int) -> Growth:
    rows = list(shaped(at, count))
    _settle()
    seen, used = watch.size, processor_s(pid)
    copy_in(rows)
    started = time.time()
    ended = watch.wait(at + count, patience_s=60 + count / 100)
    size = at + count
    files, blocks = site.storage_bytes()
    return Growth(
        size=size,
        entries=count,
        seconds=ended - started,
        sequencer_s=processor_s(pid) - used,
        checkpoints=watch.steps(seen),
        files=files / size,
        blocks=blocks / size,
        database=database_bytes() / size,
    )


def _settle() -> None:
    """Let the database write down what earlier stretches left it, outside of the measured time."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) ledger_entry")
        cursor.execute("CHECKPOINT")


def database_bytes() -> int:
    """Return the bytes of the tables of entries, their indexes and large values included."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(%s::text[]) AS name",
            [list(TABLES)],
        )
        return int(cursor.fetchone()[0])


def small_batches(site: Site, batch: int, batches: int) -> Growth:
    """Sequence batches of a bounded size, one after the other without a pause, in this process."""
    at, count = current_log().size, batches * batch
    before = site.storage_bytes(), database_bytes()
    copy_in(list(shaped(at, count)))
    _settle()
    sequencing.MAX_BATCH = batch
    leader = sequencing.Sequencer(
        settings.LEDGER_ORIGIN, storage=log_storage(), key=load_log_key(settings.LEDGER_KEY)
    )
    leader.recover()
    started, used = time.perf_counter(), time.process_time()
    while leader.cycle():
        pass
    seconds, used = time.perf_counter() - started, time.process_time() - used
    files, blocks = site.storage_bytes()
    return Growth(
        size=at + count,
        entries=count,
        batch=batch,
        seconds=seconds,
        sequencer_s=used,
        checkpoints=batches,
        files=(files - before[0][0]) / count,
        blocks=(blocks - before[0][1]) / count,
        database=(database_bytes() - before[1]) / count,
    )


def insert_only(rows: Sequence[Shape], batch: int) -> float:
    """The peer: `INSERT … RETURNING` of the same rows, `batch` in a commit; rows per second.

    A table like that of the entries, with all its indexes and none of its triggers, takes them
    durably and does nothing else.
    """
    log = current_log().pk
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE peer (LIKE ledger_entry INCLUDING ALL)")
        started = time.perf_counter()
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            cursor.execute(
                "INSERT INTO peer (log_id, payload_id, signature, public_key, fingerprint,"
                " leaf_hash, kind, model, owner, created_at)"
                " SELECT %s, row.digest, row.signature, 'key', 'fingerprint', row.leaf,"
                " 'moderation', '', '', now()"
                " FROM unnest(%s::bytea[], %s::bytea[], %s::bytea[])"
                " AS row (digest, signature, leaf) RETURNING id",
                [log, *([row[at] for row in part] for at in (0, 2, 3))],
            )
            cursor.fetchall()
        seconds = time.perf_counter() - started
        cursor.execute("DROP TABLE peer")
    return len(rows) / seconds
