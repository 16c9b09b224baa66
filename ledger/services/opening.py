"""Opening the log: its key, its row, and the signed checkpoint of the empty tree."""

from __future__ import annotations

from django.conf import settings
from django.utils import timezone

from assay.checkpoint import Checkpoint as Tree, check_origin
from assay.merkle import EMPTY_ROOT
from assay.note import ED25519, Note, render, sign_line, vkey_for
from ledger.keys import LogKeyError, load_log_key, make_log_key
from ledger.models import Checkpoint, Log
from ledger.publication import publish
from ledger.storage import log_storage


def ensure_log() -> None:
    """Make of the log what is missing; safe to repeat, and from two processes at once.

    Only where the log's key lies, or shall lie. The key is made for a log that has no row yet and
    never again: a log whose key is lost has ended.

    Raises:
        LogKeyError: the key is missing, unusable, or not the one that this log began with.
        MisuseError: `LEDGER_ORIGIN` is no origin.
    """
    origin = check_origin(settings.LEDGER_ORIGIN)
    if not Log.objects.filter(origin=origin).exists():
        make_log_key(settings.LEDGER_KEY)
    key = load_log_key(settings.LEDGER_KEY)
    vkey = str(vkey_for(origin, key.public_key(), ED25519))
    log, _ = Log.objects.get_or_create(origin=origin, defaults={"vkey": vkey, "root": EMPTY_ROOT})
    if log.vkey != vkey:
        raise LogKeyError(
            f"The key {settings.LEDGER_KEY} is not the one of the log {origin}. A new key needs a "
            "new origin."
        )
    if log.size > 0:
        return
    text = Tree(origin=origin, size=0, root=EMPTY_ROOT).text
    note = render(Note(text=text, lines=(sign_line(text, origin, key),)))
    checkpoint, _ = Checkpoint.objects.get_or_create(
        log=log, size=0, defaults={"root": EMPTY_ROOT, "note": note, "signed_at": timezone.now()}
    )
    if checkpoint.published_at is None:
        publish(log_storage(), checkpoint, timezone.now())
