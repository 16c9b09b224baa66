"""Making a checkpoint visible: the note with every line at hand, put in the place of the last one.

The row lock on the log orders two processes that publish, and the size may only grow, so a deposed
leader cannot put an old checkpoint over a new one.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from assay.note import Note, parse_line, parse_note, render
from ledger.models import Checkpoint, Log
from ledger.storage import CHECKPOINT, LogStorage


def full_note(checkpoint: Checkpoint) -> bytes:
    """Return the signed note: the log's line, then the cosignatures in the order they came."""
    note = parse_note(bytes(checkpoint.note))
    rows = sorted(checkpoint.cosignatures.all(), key=lambda row: row.pk)
    lines = tuple(parse_line(row.line) for row in rows)
    return render(Note(text=note.text, lines=(*note.lines, *lines)))


def publish(storage: LogStorage, checkpoint: Checkpoint, now: datetime) -> bool:
    """Publish `checkpoint`; False, and nothing happens, when a larger one is out already.

    A crash between the file and the row leaves the row to be published again, with the same bytes.
    """
    with transaction.atomic():
        # The lock also makes the lines that are read next the newest ones.
        log = Log.objects.select_for_update().get(pk=checkpoint.log_id)
        larger = log.checkpoints.filter(size__gt=checkpoint.size, published_at__isnull=False)
        if larger.exists():
            return False
        storage.replace(CHECKPOINT, full_note(checkpoint))
        log.checkpoints.filter(pk=checkpoint.pk, published_at__isnull=True).update(published_at=now)
    return True
