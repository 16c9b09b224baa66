"""The only writer of the log. Database rows are the truth; files are a pure function of them.

One sequencer leads: it holds an advisory lock, and each of its transactions counts only while its
term is the newest one (`ledger.leadership`). Besides, the head moves by compare-and-swap. So one
that lost the lock without noticing, or was frozen and wakes an hour later, cannot fork the log: it
ends with `DeposedError`. The steps, with what a crash right after each one costs (steps 1 and 2,
payload and pending entry, are `ledger.services.append`):

3. Take the pending entries in order; compute right edge and root in memory.   Nothing.
4. **The commit point**, one transaction: contiguous indices, and the head from (term, size, root)
   to the new pair. No row hit: deposed, or damage.   Delay: the indices are fixed, files follow.
5. Write entry bundles, then tiles, each created once and compared if it exists.   Nothing: the
   same bytes are written again, since a partial tile's name has its width.
6. Read the files back through the readers' code: root, and consistency with the last signed tree.
   Sign, and store the checkpoint, in our term, before anyone sees it.   Nothing: Ed25519 signs the
   same text to the same bytes.
7. Ask the witnesses, store their verified lines, in our term.   A witness is ahead of our page,
   never of our database.
8. Put the checkpoint in the place of the last one, in our term.   Readers see the old one until the
   redo.
9. Waiters look at the rows by themselves.

A fresh start redoes 5 to 8 from the rows (`recover`), by the same functions. After any error this
object has ended, for after a failed write nothing in memory is worth keeping:

- `LogHeldError`, an `OSError` of a full or read-only disk, and an object store that is away are
  **holds**: whoever runs the sequencer waits, says so, and recovers with a fresh one. The clock and
  the room are looked at before step 4, because then nothing has happened yet.
- `DeposedError`: another one leads. Wait for the next turn.
- `LogDamagedError`: rows, files and signatures disagree. Stop, loudly.
- Anything else ends the process, an fsync that failed above all.

A frozen log takes no entries; what was pending is drained as always, then nothing is left to do.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from assay import checkpoint as assay_checkpoint
from assay.dsse import rekor_body
from assay.errors import AssayError
from assay.merkle import check_consistency, root_from
from assay.note import Note, VKey, render, sign_line
from ledger import growth, reader
from ledger.errors import LogDamagedError, LogHeldError
from ledger.growth import Edge, Growth
from ledger.leadership import DeposedError, begin_term, is_own, own_log
from ledger.logs import log_of
from ledger.models import Checkpoint, Cosignature, Entry, Log
from ledger.policy import WitnessPolicyError, witness_policy
from ledger.publication import publish, seen, shows
from ledger.storage import LogStorage, StoreError
from ledger.witnesses import Asking, Cosigned, Request

MAX_BATCH = 4096
MIN_ROOM = 64 * 2**20
LOOK_S = 1.0
NEAR, LATECOMERS_S = 10_000, 5.0
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


def hold_reason(error: Exception) -> str | None:
    """Return why to wait and try again after `error`; None when that would not be right."""
    if isinstance(error, LogHeldError | WitnessPolicyError):
        return error.message
    passes = isinstance(error, StoreError) or getattr(error, "errno", None) in _FULL
    if isinstance(error, OSError) and passes:
        return f"The log's storage takes nothing: {error.strerror}{_where(error)}."
    return None


def _where(error: OSError) -> str:
    """Return the place of `error` below the log's folder: people outside see it."""
    path = PurePath(str(error.filename or ""))
    inside = path.is_relative_to(settings.LEDGER_DIR)
    return f", {path.relative_to(settings.LEDGER_DIR)}" if inside else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Entries in their order: the primary keys of the rows, and the bodies to log."""

    rows: tuple[int, ...]
    bodies: tuple[bytes, ...]


class Sequencer:
    """One log's writer; call `recover` once, then `cycle` again and again.

    `term` is the leader's; without one `recover` begins a new term. `asking` is what is known of
    the witnesses, and outlives this object.
    """

    def __init__(
        self,
        origin: str,
        *,
        storage: LogStorage,
        key: Ed25519PrivateKey,
        term: int | None = None,
        asking: Asking | None = None,
        now: Callable[[], datetime] = timezone.now,
    ) -> None:
        self._now = now
        self._origin = origin
        self._storage = storage
        self._key = key
        self._term = term or 0  # terms count from 1
        self._asking = asking or Asking(settings.WITNESS_INTERVAL_S)
        self._log_id = 0
        self._edge: Edge | None = None
        self._look_at = self._latecomers_at = 0.0
        self._highest = 0
        self._cosigned: dict[VKey, int] = {}

    def recover(self) -> None:
        """Finish what an earlier run began.

        Raises:
            LogDamagedError: rows, files and signed checkpoints do not agree.
            DeposedError: another sequencer leads by now.
        """
        if not self._term:
            self._term = begin_term(self._origin)
        with self._in_term():
            self._storage.sweep()
            log = log_of(self._origin)
            self._log_id = log.pk
            newest = self._newest()
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
                self._mend()

    def check_times(self) -> None:
        """Check that now is a time to grow.

        Raises:
            LogHeldError: the clock runs backwards, or the storage is nearly full or read-only.
        """
        signed_at = self._newest().signed_at
        if self._now() < signed_at:
            raise LogHeldError(f"The clock runs backwards: the last checkpoint is of {signed_at}.")
        try:
            room = self._storage.room()
        except OSError as error:
            reason = hold_reason(error) or f"The log's storage takes nothing: {error.strerror}."
            raise LogHeldError(reason) from error
        if room < MIN_ROOM:
            raise LogHeldError("The log's disk is nearly full.")

    def cycle(self) -> int:
        """Sequence what waits and publish it; return how many entries that were.

        Raises:
            LogHeldError: nothing was done; try again later, with a fresh sequencer.
            DeposedError: another sequencer leads by now.
            LogDamagedError: rows, files and signed checkpoints do not agree.
            Exception: anything else ends this process; a fresh one recovers.
        """
        if self._edge is None:
            raise RuntimeError("recover() comes first")
        with self._in_term():
            batch = self._pending()
            if not batch.rows:
                self._mend()
                return 0
            self.check_times()
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

    @contextmanager
    def _in_term(self) -> Iterator[None]:
        """Tell damage from another leader's work: what changed under a deposed one is no damage."""
        try:
            yield
        except LogDamagedError as error:
            if is_own(self._origin, self._term):
                raise
            raise DeposedError(f"Another sequencer leads the log: {error}") from error

    # ---------------------------------------------------------------- step 3

    def _pending(self) -> Batch:
        """Return the next entries, oldest rows first.

        The index over pending rows keeps those that are pending no more until the next vacuum, and
        stepping over them would cost more and more. So we look near the newest row that was taken,
        where all but the slowest transactions come out, and some seconds later everywhere.
        """
        rows = Entry.objects.filter(log=self._log_id, index__isnull=True).order_by("pk")
        now = time.monotonic()
        if now < self._latecomers_at:
            rows = rows.filter(pk__gt=self._highest - NEAR)
        else:
            self._latecomers_at = now + LATECOMERS_S
        batch = _batch(rows[:MAX_BATCH])
        self._highest = max(self._highest, *batch.rows) if batch.rows else self._highest
        return batch

    # ---------------------------------------------------------------- step 4

    def _commit(self, batch: Batch, grown: Growth, old_root: bytes) -> None:
        """Fix the indices and move the head, or nothing of both."""
        with transaction.atomic():
            # The head comes first: its row lock makes two leaders wait for each other.
            moved = Log.objects.filter(
                origin=self._origin, term=self._term, size=grown.old, root=old_root
            ).update(size=grown.edge.size, root=grown.root)
            if not moved:
                raise LogDamagedError(f"The head is not at {grown.old} entries any more.")
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE ledger_entry AS entry SET index = %s + batch.number - 1"
                    " FROM unnest(%s::bigint[]) WITH ORDINALITY AS batch(id, number)"
                    " WHERE entry.id = batch.id AND entry.index IS NULL",
                    [grown.old, list(batch.rows)],
                )
                taken = cursor.rowcount
            if taken != len(batch.rows):
                raise LogDamagedError(f"{len(batch.rows) - taken} entries have an index already.")

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
        with own_log(self._origin, self._term) as log:
            return Checkpoint.objects.create(
                log=log, size=size, root=root, note=note, signed_at=self._now()
            )

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

    # ---------------------------------------------------------------- step 7

    def _cosign(self, checkpoint: Checkpoint) -> bool:
        """Ask the witnesses whose lines are missing; tell whether `checkpoint` got one."""
        policy = witness_policy()
        lines = checkpoint.cosignatures.values_list("witness", "key_id")
        held = {tuple(line) for line in lines} if policy else set()

        def enough(found: Sequence[Cosigned]) -> bool:
            have = {_key(one.vkey) for one in found if one.size == checkpoint.size} | held
            names = policy.witnesses.items() if policy else ()
            return policy is None or policy.quorum_met(
                [name for name, key in names if _key(key.vkey) in have]
            )

        requests = [
            Request(
                vkey=key.vkey,
                url=key.url,
                old=self._cosigned_size(checkpoint, key.vkey),
                size=checkpoint.size,
                note=bytes(checkpoint.note),
            )
            for key in (policy.witnesses.values() if policy else ())
            if _key(key.vkey) not in held and self._asking.may_ask(key)
        ]
        found = self._asking.ask(requests, lambda old: self._prove(old, checkpoint.size), enough)
        return self._keep_cosignatures(checkpoint, found)

    def _cosigned_size(self, checkpoint: Checkpoint, vkey: VKey) -> int:
        """Return the size that the witness cosigned last; the rows are asked once for each."""
        if vkey not in self._cosigned:
            name, key_id = _key(vkey)
            rows = Checkpoint.objects.filter(
                log=checkpoint.log_id, cosignatures__witness=name, cosignatures__key_id=key_id
            )
            sizes = rows.order_by("-size").values_list("size", flat=True)
            self._cosigned[vkey] = sizes.first() or 0
        return self._cosigned[vkey]

    def _prove(self, old: int, size: int) -> list[bytes]:
        return reader.prove_consistency(self._storage, old, size)

    def _keep_cosignatures(self, checkpoint: Checkpoint, found: Sequence[Cosigned]) -> bool:
        """Store lines, late ones of earlier checkpoints too; tell whether `checkpoint` got one."""
        if not found:
            return False
        with own_log(self._origin, self._term) as log:
            sizes = log.checkpoints.filter(size__in={one.size for one in found})
            rows = dict(sizes.values_list("size", "pk"))
            Cosignature.objects.bulk_create(
                Cosignature(
                    checkpoint_id=rows[one.size],
                    witness=one.vkey.name,
                    key_id=one.vkey.key_id.hex(),
                    line=str(one.line).removesuffix("\n"),
                    seen_at=datetime.fromtimestamp(one.time, tz=UTC),
                )
                for one in found
            )
        self._cosigned |= {
            one.vkey: max(one.size, self._cosigned.get(one.vkey, 0)) for one in found
        }
        return any(one.size == checkpoint.size for one in found)

    # ---------------------------------------------------------------- step 8

    def _publish(self, checkpoint: Checkpoint) -> None:
        publish(self._storage, checkpoint, self._now(), self._term)

    def _mend(self) -> None:
        """Ask for lines that the newest checkpoint lacks; see to it that readers see it so."""
        newest = self._newest()
        grew = self._cosign(newest)
        now = time.monotonic()
        if grew or now >= self._look_at:
            self._look_at = now + LOOK_S
            page = seen(self._storage)
            newest = self._newest()  # after what is seen: another leader may have gone on
            if not shows(page, newest):
                self._publish(newest)

    # ---------------------------------------------------------------- rows

    def _newest(self) -> Checkpoint:
        return Checkpoint.objects.select_related("log").filter(log=self._log_id).latest()

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


def _key(vkey: VKey) -> tuple[str, str]:
    return vkey.name, vkey.key_id.hex()


def _batch(rows: QuerySet[Entry]) -> Batch:
    values = list(rows.values_list("pk", "payload_id", "signature", "public_key"))
    return Batch(
        rows=tuple(row[0] for row in values),
        bodies=tuple(rekor_body(*(bytes(value) for value in row[1:])) for row in values),
    )
