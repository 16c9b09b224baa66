"""Making a checkpoint visible: the note with every line at hand, put in the place of the last one.

The row lock on the log orders two processes that publish, the size may only grow, and a leader's
term must be the newest one. Only the file itself knows no terms: a leader that is frozen in the
middle of the replacement and wakes much later may still put its old page over a newer one. So
whoever leads looks at the page again and again (`shows`) and puts the newest one back.

Commit point: the replacement of the file. A crash before it shows readers the old page a little
longer; a crash between file and row leaves the row to be published again, with the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from assay.checkpoint import parse_checkpoint
from assay.errors import AssayError
from assay.note import Note, SignatureLine, VKey, open_note, parse_line, parse_note, render
from ledger.errors import LogDamagedError
from ledger.leadership import own_log
from ledger.models import Checkpoint
from ledger.storage import CHECKPOINT, LogStorage


def full_note(checkpoint: Checkpoint) -> bytes:
    """Return the signed note: the log's line, then the cosignatures in the order they came."""
    rows = sorted(checkpoint.cosignatures.all(), key=lambda row: row.pk)
    return cosigned_note(checkpoint, [parse_line(row.line) for row in rows])


def cosigned_note(checkpoint: Checkpoint, lines: Iterable[SignatureLine]) -> bytes:
    """Return the signed note with these cosignatures after the log's line."""
    note = parse_note(bytes(checkpoint.note))
    return render(Note(text=note.text, lines=(*note.lines, *lines)))


def publish(
    storage: LogStorage, checkpoint: Checkpoint, now: datetime, term: int | None = None
) -> bool:
    """Publish `checkpoint`; False, and nothing happens, when a larger one is out already.

    Raises:
        DeposedError: `term` is given, and a later one has begun.
    """
    # The lock also makes the lines that are read next the newest ones.
    with own_log(checkpoint.log.origin, term) as log:
        larger = log.checkpoints.filter(size__gt=checkpoint.size, published_at__isnull=False)
        if larger.exists():
            return False
        storage.replace(CHECKPOINT, full_note(checkpoint))
        log.checkpoints.filter(pk=checkpoint.pk, published_at__isnull=True).update(published_at=now)
    return True


def seen(storage: LogStorage) -> bytes | None:
    """Return the note that readers see, None when there is none."""
    try:
        return storage.get(CHECKPOINT)
    except AssayError:
        return None


def shows(page: bytes | None, newest: Checkpoint) -> bool:
    """Tell whether `page`, which readers see, is `newest`, with every line at hand.

    `newest` is the newest signed checkpoint, read after `page` while others write: a checkpoint has
    its row before it is published.

    Raises:
        LogDamagedError: they see what this log signed and the rows do not know: the database was
            restored from a backup.
    """
    if page is None:
        return False
    if page == full_note(newest):
        return newest.published_at is not None
    try:
        told = parse_checkpoint(open_note(page, [VKey.parse(newest.log.vkey)]).text)
    except AssayError:
        return False
    if told.size > newest.size or (told.size == newest.size and told.root != bytes(newest.root)):
        raise LogDamagedError(
            f"A checkpoint of {told.size} entries is published, and the rows know only "
            f"{newest.size}: the database is older than the log. Never go on from a backup."
        )
    return False
