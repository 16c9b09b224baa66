"""Writing the files of a log again from its rows: after a lost disk, into a bucket, as a copy.

It may run beside a sequencer, and needs no lock. It writes what the rows dictate up to signed
checkpoints, and nothing else: those rows never change, so the sequencer wrote, or will write, the
same bytes under the same names, and whoever comes second compares. Nothing is written before the
entries gave the signed root. Only `checkpoint` is replaced, with the log's row held, by what is
published: never with an older one than readers have seen.

Commit point: the replacement of `checkpoint`, when every file under it is there and gives its
root. A failure or a crash before that leaves files that are right; the next run compares them and
goes on. A file that is there with other bytes ends the run: it is for people to look at, and to
move away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from assay.checkpoint import parse_checkpoint
from assay.errors import AssayError, MissingError
from assay.note import VKey, open_note, parse_note
from ledger import growth
from ledger.errors import LogDamagedError
from ledger.growth import Edge
from ledger.leadership import own_log
from ledger.models import Checkpoint, Log
from ledger.policy import witness_policy
from ledger.publication import full_note
from ledger.rebuild import PART, Part, parts
from ledger.selectors import published
from ledger.services.check import check_files_give, check_root, check_signed, checkpoints_of
from ledger.services.envelopes import render_envelope
from ledger.services.receipts import body_of
from ledger.storage import CHECKPOINT, LogStorage

ENVELOPES = 256  # payloads in memory, of up to a mebibyte
OnProgress = Callable[[int, int], None]


def rebuild(
    log: Log, storage: LogStorage, on_progress: OnProgress, *, envelopes: bool = False
) -> int:
    """Write into `storage` what it lacks of `log`; return the size of the tree that it shows then.

    With `envelopes` also `envelopes/<hex>`, so that a web server of static files is enough.
    `on_progress(done, size)` is called on the way.

    Raises:
        LogDamagedError: rows, signatures and files do not agree; `checkpoint` is as it was.
        OSError: the storage does not take it. Start again, it goes on.
    """
    _seen(log, storage)  # another log's place, or a restored database, ends it before it writes
    edge, shown = growth.EMPTY, None
    while shown is None:  # once more when the sequencer published meanwhile
        for checkpoint in checkpoints_of(log, above=edge.size or -1):
            check_signed(log, checkpoint, witness_policy())
            for part in _confirmed(log, edge, checkpoint):
                _write(storage, part.files)
                if envelopes:
                    _write_envelopes(log, storage, part)
                edge = part.edge
                on_progress(edge.size, log.size)
            check_files_give(storage, checkpoint)
        shown = _show(log, storage, edge.size)
    return shown


def _confirmed(log: Log, edge: Edge, checkpoint: Checkpoint) -> Iterator[Part]:
    """Yield the files up to a checkpoint, after its root was computed out of all the rows.

    Where that is too much to keep, the rows are read a second time.
    """

    def again() -> Iterator[Part]:
        return parts(edge, checkpoint.size, lambda start, end: _bodies(log, start, end))

    last = deque(again(), maxlen=1)
    check_root(checkpoint, last[-1].edge if last else edge)
    yield from last if not last or last[0].start == edge.size else again()


def _bodies(log: Log, start: int, end: int) -> list[bytes]:
    rows = log.entries.filter(index__gte=start, index__lt=end).order_by("index")
    values = rows.only("payload", "signature", "public_key")
    return [body_of(entry) for entry in values.iterator(chunk_size=PART)]


def _write(storage: LogStorage, files: Sequence[tuple[str, bytes]]) -> None:
    try:
        storage.put_all(files)
    except FileNotFoundError:
        # A new leader swept temporaries, and took these for a dead writer's. It does so once.
        storage.put_all(files)


# ---------------------------------------------------------------- envelopes


def _write_envelopes(log: Log, storage: LogStorage, part: Part) -> None:
    """Write the envelopes of the entries of `part`.

    They are no part of the tree, and grow when another key signs the same payload: one that is
    there with other bytes is replaced.
    """
    for start in range(part.start, part.edge.size, ENVELOPES):
        end = min(start + ENVELOPES, part.edge.size)
        new = []
        for path, data in _envelopes(log, start, end):
            try:
                if storage.get(path) != data:
                    storage.replace(path, data)
            except MissingError:
                new.append((path, data))
        _write(storage, new)


def _envelopes(log: Log, start: int, end: int) -> Iterator[tuple[str, bytes]]:
    named = log.entries.filter(index__gte=start, index__lt=end).values("payload_id")
    leaves = log.entries.filter(payload__in=named, index__isnull=False)
    rows = leaves.select_related("payload").order_by("payload_id", "index")
    for digest, group in groupby(rows, lambda entry: bytes(entry.payload_id)):
        yield f"envelopes/{digest.hex()}", render_envelope(list(group))


# ---------------------------------------------------------------- the checkpoint


def _show(log: Log, storage: LogStorage, size: int) -> int | None:
    """Put the newest checkpoint that readers may see into its place; return its size.

    None, and nothing happens, when it is above `size`: its files are not there yet.
    """
    with own_log(log.origin, None) as row:
        newest = published(row).first()
        seen = _seen(row, storage)
        if newest is None or (seen is not None and seen.size > newest.size):
            # A crash between the page and its row; the sequencer will mend the row.
            newest = seen
        if newest is None:
            return 0
        if newest.size > size:
            return None
        if _page(storage) != full_note(newest):
            storage.replace(CHECKPOINT, full_note(newest))
        return newest.size


def _seen(log: Log, storage: LogStorage) -> Checkpoint | None:
    """Return the checkpoint that `storage` shows; None when it shows none that holds.

    Raises:
        LogDamagedError: it is of another log, or this log signed it and the rows do not know it.
    """
    page = _page(storage)
    if page is None:
        return None
    try:
        tree = parse_checkpoint(parse_note(page).text)
        if tree.origin != log.origin:
            raise LogDamagedError(
                f"The log {tree.origin} is there, not {log.origin}: name another place."
            )
        open_note(page, [VKey.parse(log.vkey)])
    except AssayError:
        return None  # a page is not create-only: what cannot be read is replaced
    row = log.checkpoints.filter(size=tree.size, root=tree.root).first()
    if row is None:
        raise LogDamagedError(
            f"A checkpoint of {tree.size} entries is published there that the rows do not know: "
            "the database is older than the log. Never go on from a backup."
        )
    return row


def _page(storage: LogStorage) -> bytes | None:
    try:
        return storage.get(CHECKPOINT)
    except MissingError:
        return None
