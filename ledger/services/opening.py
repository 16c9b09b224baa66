"""Opening a log: its key, its row, and the signed checkpoint of the empty tree.

One log at a time takes entries. The first one opens by itself; another one follows when the one
before it is frozen, and finished, and names no other successor. It has an origin, a key and a place
of its own.

Commit point: the transaction that makes the row, under a lock that one opening at a time holds. A
crash before it leaves at most a key file, which the next start uses; after it the log is there, and
the next start signs and publishes its empty tree.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from assay.checkpoint import Checkpoint as Tree, check_origin
from assay.merkle import EMPTY_ROOT
from assay.note import ED25519, Note, VKey, render, sign_line, vkey_for
from ledger.keys import LogKeyError, load_log_key, make_log_key
from ledger.logs import all_logs
from ledger.models import Checkpoint, Log
from ledger.publication import publish
from ledger.services.freeze import LogSuccessionError, check_ended
from ledger.storage import log_storage

PLACE = "logs/{}"


def ensure_log() -> None:
    """Make of the log what is missing; safe to repeat, and from two processes at once.

    Only where the log's key lies, or shall lie. The key is made for a log that has no row yet and
    never again: a log whose key is lost has ended.

    Raises:
        LogKeyError: the key is missing, unusable, another log's, or not the one that this log
            began with.
        LogSuccessionError: an earlier log has not ended, or named another successor.
        MisuseError: `LEDGER_ORIGIN` is no origin.
    """
    origin = check_origin(settings.LEDGER_ORIGIN)
    log = Log.objects.filter(origin=origin).first() or _begin(origin)
    key = load_log_key(settings.LEDGER_KEY)
    if log.vkey != str(vkey_for(origin, key.public_key(), ED25519)):
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
        publish(log_storage(log.place), checkpoint, timezone.now())


def _begin(origin: str) -> Log:
    """Make the row of a new log, and its key where there is none."""
    with transaction.atomic(), connection.cursor() as cursor:
        # One opening at a time; who reads or moves the logs there are waits for none.
        cursor.execute("LOCK TABLE ledger_log IN SHARE UPDATE EXCLUSIVE MODE")
        earlier = all_logs()
        for log in earlier:
            if log.origin == origin:  # another process was faster
                return log
        _check_turn(origin, earlier)
        log = Log.objects.create(
            origin=origin,
            vkey=_new_vkey(origin, earlier),
            url=settings.LEDGER_URL,
            place=PLACE.format(origin) if earlier else "",
            root=EMPTY_ROOT,
        )
        for last in earlier[-1:]:
            Log.objects.filter(pk=last.pk, successor="").update(successor=origin)
    return log


def _check_turn(origin: str, earlier: Sequence[Log]) -> None:
    for log in earlier:
        if log.frozen_at is None:
            raise LogSuccessionError(
                f"LEDGER_ORIGIN is {origin}, and the log {log.origin} of this installation still "
                f"takes entries. Set LEDGER_ORIGIN to {log.origin} again; to end that log, run "
                "`manage.py ledger_freeze` with it."
            )
    for last in earlier[-1:]:
        if last.successor not in ("", origin):
            raise LogSuccessionError(
                f"LEDGER_ORIGIN is {origin}, and the log {last.origin} named its successor when it "
                f"was frozen: {last.successor}."
            )
        check_ended(last)


def _new_vkey(origin: str, earlier: Sequence[Log]) -> str:
    make_log_key(settings.LEDGER_KEY)
    vkey = vkey_for(origin, load_log_key(settings.LEDGER_KEY).public_key(), ED25519)
    for log in earlier:
        if VKey.parse(log.vkey).key == vkey.key:
            raise LogKeyError(
                f"The key {settings.LEDGER_KEY} is the one of the log {log.origin}, which has "
                "ended. Let LEDGER_KEY name a new file: it is made at the first start."
            )
    return str(vkey)
