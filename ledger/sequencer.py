"""The only writer of the log. Database rows are the truth; files are a pure function of them.

One sequencer leads: it holds an advisory lock, and moves the head by compare-and-swap, so even one
that lost the lock without noticing cannot fork the log. The steps, with what a crash right after
each one costs (steps 1 and 2, payload and pending entry, are `ledger.services.append`):

3. Take the pending entries in order; compute right edge and root in memory.   Nothing.
4. **The commit point**, one transaction: contiguous indices, and the head from (size, root) to the
   new pair. No row hit: another leader, stop.   Delay: the indices are fixed, files follow.
5. Write entry bundles, then tiles, each created once and compared if it exists.   Nothing: the
   same bytes are written again, since a partial tile's name has its width.
6. Read the files back through the readers' code: root, and consistency with the last signed tree.
   Sign, and store the checkpoint before anyone sees it.   Nothing: Ed25519 signs the same text to
   the same bytes.
7. Ask the witnesses, store their verified lines.   A witness is ahead of our page, never of our
   database.
8. Put the checkpoint in the place of the last one.   Readers see the old one until the redo.
9. Waiters look at the rows by themselves.

A fresh start redoes 5 to 8 from the rows (`recover`), by the same functions. Any error ends the
process: after a failed write nothing in memory is worth keeping. Two things only pause before step
4, because then nothing has happened yet: a clock that runs backwards and a disk that is nearly
full (`LogHeldError`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from assay import checkpoint as assay_checkpoint
from assay.digests import sha256
from assay.dsse import rekor_body
from assay.errors import AssayError
from assay.merkle import check_consistency, root_from
from assay.note import Note, render, sign_line
from ledger import growth, reader
from ledger.errors import LogDamagedError, LogHeldError
from ledger.growth import Edge, Growth
from ledger.logs import log_of
from ledger.models import Checkpoint, Cosignature, Entry, Log
from ledger.policy import witness_policy
from ledger.publication import publish
from ledger.storage import LogStorage
from ledger.witnesses import Cosigned, Request, collect

MAX_BATCH = 4096
MIN_ROOM = 64 * 2**20
RETRY_S = 5.0


@contextmanager
def leadership(origin: str) -> Iterator[bool]:
    """Try to become the leader of the log `origin`; yields whether we are, until the end.

    The lock belongs to the database session: it goes when the connection does.
    """
    lock = int.from_bytes(sha256(b"assay sequencer " + origin.encode())[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [lock])
        leads = bool(cursor.fetchone()[0])
    try:
        yield leads
    finally:
        if leads and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [lock])


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Entries in their order: the primary keys of the rows, and the bodies to log."""

    rows: tuple[int, ...]
    bodies: tuple[bytes, ...]


class Sequencer:
    """One log's writer; call `recover` once, then `cycle` again and again."""

    def __init__(
        self,
        origin: str,
        *,
        storage: LogStorage,
        key: Ed25519PrivateKey,
        now: Callable[[], datetime] = timezone.now,
    ) -> None:
        self._now = now
        self._origin = origin
        self._storage = storage
        self._key = key
        self._edge: Edge | None = None
        self._retry_at: dict[str, float] = {}

    def recover(self) -> None:
        """Finish what an earlier run began.

        Raises:
            LogDamagedError: rows, files and signed checkpoints do not agree.
        """
        log, newest = self._log(), self._newest()
        self._edge = self._load_edge(newest)
        if log.size > newest.size:
            batch = self._sequenced(log, newest.size)
            grown = growth.grow(self._edge, batch.bodies)
            if (grown.edge.size, grown.root) != (log.size, bytes(log.root)):
                raise LogDamagedError(f"The rows do not give the root of size {log.size}.")
            self._finish(grown)
        elif log.size < newest.size or bytes(log.root) != bytes(newest.root):
            raise LogDamagedError("The head is not the tree that was signed last.")
        else:
            # Also when it is published: a line may have been stored and not yet shown.
            self._cosign(newest)
            self._publish(newest)

    def cycle(self) -> int:
        """Sequence what waits and publish it; return how many entries that were.

        Raises:
            LogHeldError: nothing was done; try again later.
            Exception: anything else ends this sequencer; a fresh one recovers.
        """
        if self._edge is None:
            raise RuntimeError("recover() comes first")
        batch = self._pending()
        if not batch.rows:
            self._mend()
            return 0
        self._check_times()
        grown = growth.grow(self._edge, batch.bodies)
        self._commit(batch, grown, self._edge.root)
        self._finish(grown)
        return len(batch.rows)

    def _finish(self, grown: Growth) -> None:
        self._write(grown)
        checkpoint = self._sign(grown)
        self._cosign(checkpoint)
        self._publish(checkpoint)
        self._edge = grown.edge

    # ---------------------------------------------------------------- step 3

    def _pending(self) -> Batch:
        rows = Entry.objects.filter(log__origin=self._origin, index__isnull=True).order_by("pk")
        return _batch(rows[:MAX_BATCH])

    def _check_times(self) -> None:
        signed_at = self._newest().signed_at
        if self._now() < signed_at:
            raise LogHeldError(f"The clock runs backwards: the last checkpoint is of {signed_at}.")
        if self._storage.room() < MIN_ROOM:
            raise LogHeldError("The disk is nearly full.")

    # ---------------------------------------------------------------- step 4

    def _commit(self, batch: Batch, grown: Growth, old_root: bytes) -> None:
        """Fix the indices and move the head, or nothing of both."""
        with transaction.atomic():
            # The head comes first: its row lock makes two leaders wait for each other.
            moved = Log.objects.filter(origin=self._origin, size=grown.old, root=old_root).update(
                size=grown.edge.size, root=grown.root
            )
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE ledger_entry AS entry SET index = %s + batch.number - 1"
                    " FROM unnest(%s::bigint[]) WITH ORDINALITY AS batch(id, number)"
                    " WHERE entry.id = batch.id AND entry.index IS NULL AND %s",
                    [grown.old, list(batch.rows), bool(moved)],
                )
                taken = cursor.rowcount
            if taken != len(batch.rows):
                raise LogDamagedError("Another sequencer moved the head; this one stops.")

    # ---------------------------------------------------------------- step 5

    def _write(self, grown: Growth) -> None:
        self._storage.put_all([(tile.path, data) for tile, data in grown.files])

    # ---------------------------------------------------------------- step 6

    def _sign(self, grown: Growth) -> Checkpoint:
        newest = self._newest()
        size, root = grown.edge.size, grown.root
        if newest.size != grown.old:
            raise LogDamagedError(f"A checkpoint of size {newest.size} was signed meanwhile.")
        self._check_growth(newest, size, root)
        text = assay_checkpoint.Checkpoint(origin=self._origin, size=size, root=root).text
        note = render(Note(text=text, lines=(sign_line(text, self._origin, self._key),)))
        return self._keep_checkpoint(newest.log_id, size, root, note)

    def _check_growth(self, old: Checkpoint, size: int, root: bytes) -> None:
        """Check the written files as a reader would, with none of the builder's code."""
        try:
            found = root_from(size, reader.tree(self._storage, size))
            proof = reader.prove_consistency(self._storage, old.size, size)
            check_consistency(old.size, bytes(old.root), size, root, proof)
        except AssayError as error:
            raise LogDamagedError(f"The files of size {size} are wrong: {error}.") from error
        if found != root:
            raise LogDamagedError(f"The files of size {size} give another root.")

    def _keep_checkpoint(self, log: int, size: int, root: bytes, note: bytes) -> Checkpoint:
        return Checkpoint.objects.create(
            log_id=log, size=size, root=root, note=note, signed_at=self._now()
        )

    # ---------------------------------------------------------------- step 7

    def _cosign(self, checkpoint: Checkpoint) -> int:
        """Ask every witness whose line is missing; return how many lines came."""
        requests = self._requests(checkpoint)
        found = collect(requests, lambda old: self._prove(old, checkpoint.size))
        signed = {one.vkey.name for one in found}
        retry_at = time.monotonic() + RETRY_S
        self._retry_at |= {
            one.vkey.name: retry_at for one in requests if one.vkey.name not in signed
        }
        if found:
            self._keep_cosignatures(checkpoint, found)
        return len(found)

    def _requests(self, checkpoint: Checkpoint) -> list[Request]:
        policy = witness_policy()
        witnesses = policy.witnesses if policy else {}
        held = set(checkpoint.cosignatures.values_list("witness", flat=True))
        now = time.monotonic()
        return [
            Request(
                vkey=key.vkey,
                url=key.url,
                old=self._cosigned_size(checkpoint, key.vkey.name),
                size=checkpoint.size,
                note=bytes(checkpoint.note),
            )
            for key in witnesses.values()
            if key.url and key.vkey.name not in held
            if now >= self._retry_at.get(key.vkey.name, 0)
        ]

    def _cosigned_size(self, checkpoint: Checkpoint, witness: str) -> int:
        rows = Checkpoint.objects.filter(log=checkpoint.log_id, cosignatures__witness=witness)
        return rows.order_by("-size").values_list("size", flat=True).first() or 0

    def _prove(self, old: int, size: int) -> list[bytes]:
        return reader.prove_consistency(self._storage, old, size)

    def _keep_cosignatures(self, checkpoint: Checkpoint, found: Sequence[Cosigned]) -> None:
        Cosignature.objects.bulk_create(
            [
                Cosignature(
                    checkpoint=checkpoint,
                    witness=one.vkey.name,
                    line=str(one.line).removesuffix("\n"),
                    seen_at=datetime.fromtimestamp(one.time, tz=UTC),
                )
                for one in found
            ]
        )

    # ---------------------------------------------------------------- step 8

    def _publish(self, checkpoint: Checkpoint) -> None:
        publish(self._storage, checkpoint, self._now())

    def _mend(self) -> None:
        """Ask again for the lines that the newest checkpoint lacks, and publish it with them."""
        newest = self._newest()
        if self._cosign(newest):
            self._publish(newest)

    # ---------------------------------------------------------------- rows

    def _log(self) -> Log:
        return log_of(self._origin)

    def _newest(self) -> Checkpoint:
        return Checkpoint.objects.filter(log__origin=self._origin).latest()

    def _load_edge(self, checkpoint: Checkpoint) -> Edge:
        try:
            edge = growth.load_edge(self._storage, checkpoint.size)
        except AssayError as error:
            raise LogDamagedError(f"The files of size {checkpoint.size}: {error}.") from error
        if edge.root != bytes(checkpoint.root):
            raise LogDamagedError(f"The files do not give the root of size {checkpoint.size}.")
        return edge

    def _sequenced(self, log: Log, start: int) -> Batch:
        return _batch(log.entries.filter(index__gte=start, index__lt=log.size).order_by("index"))


def _batch(rows: QuerySet[Entry]) -> Batch:
    values = list(rows.values_list("pk", "payload_id", "signature", "public_key"))
    return Batch(
        rows=tuple(row[0] for row in values),
        bodies=tuple(rekor_body(*(bytes(value) for value in row[1:])) for row in values),
    )
