"""The end of a log: no entry more, a last checkpoint over all it has, and the name of who goes on.

The order:

1. **The commit point**, one transaction: `frozen_at`, the address at which the log stays, and its
   successor if there is one. From here on intake is refused (`LogFrozenError`, and a trigger for
   every other program that speaks SQL). A crash before it changes nothing.
2. Transactions that took an entry in before that may still be under way. Each holds the log's row
   (FOR KEY SHARE, by the trigger and by the foreign key), and no new one can take it: so a moment
   at which nobody holds it is the end of intake (`Ending.writing`). To lock the row before step 1
   instead would wait for a gap between such transactions, which on a busy site may never come.
3. The running sequencer gives the last entries their places, signs, asks the witnesses, publishes:
   its usual cycle. Nothing here writes; `ending` looks how far it is, and may be asked for ever.

There is no way back. `abandon` is for a log whose sequencer must not run any more, because it is
damaged or its database was restored: it ends as it is, and what has no place in it gets none. It
commits a term that nobody leads, in which the log has stopped; a crash before costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from assay.checkpoint import check_origin
from ledger.choices import LeaderState
from ledger.errors import LedgerError
from ledger.leadership import begin_term, tell
from ledger.logs import current_log, log_of
from ledger.models import Log
from ledger.publication import seen, shows
from ledger.selectors import Witnessing, newest_published, pending, witnessing
from ledger.services.state import log_state
from ledger.storage import log_storage

COUNTED = 10_000
ABANDONED = "The log was frozen as it is: its operator does not let a sequencer finish it."


class LogSuccessionError(LedgerError):
    """This log cannot follow on that one, or not yet."""

    code = "log_succession"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How far a frozen log is on its way to the last checkpoint.

    `writing` tells of intake that began before the freeze, `waiting` how many entries have no place
    (counting stops at 10,000). `size` and `root` are the head's, `covered` the size of the newest
    checkpoint, `shown` whether readers see that one with every cosignature, `witnessing` who signed
    it.
    """

    writing: bool
    waiting: int
    size: int
    root: bytes
    covered: int
    shown: bool
    witnessing: Witnessing

    @property
    def complete(self) -> bool:
        """Tell whether the newest checkpoint is the last one: it covers all there will ever be."""
        return not (self.writing or self.waiting) and self.covered == self.size and self.shown

    @property
    def ended(self) -> bool:
        """Tell whether nothing is left to wait for: complete, and cosigned by a quorum."""
        return self.complete and self.witnessing.met


def freeze(successor: str = "") -> Log:
    """End the current log for ever; harmless when it has ended. `successor` is an origin, or `""`.

    A successor can be named later, once.

    Raises:
        LogBusyError: there is no log yet.
        LogSuccessionError: it has named another successor, or that one cannot follow.
        MisuseError: `successor` is no origin.
    """
    log = current_log()
    with transaction.atomic():
        row = Log.objects.select_for_update(no_key=True).get(pk=log.pk)
        if successor and successor != row.successor:
            _check_successor(row, successor)
        if row.frozen_at is None:
            row.frozen_at, row.url = timezone.now(), settings.LEDGER_URL
        row.successor = row.successor or successor
        row.save(update_fields=("frozen_at", "url", "successor"))
    return row


def _check_successor(log: Log, successor: str) -> None:
    check_origin(successor)
    if log.successor:
        raise LogSuccessionError(f"The log {log.origin} has named its successor: {log.successor}.")
    if Log.objects.filter(origin=successor).exists():
        raise LogSuccessionError(
            f"{successor} is a log of this installation already, and a successor is a new one."
        )


def ending(origin: str) -> Ending:
    """Look how far the end of the frozen log `origin` is; call it outside any transaction.

    Raises:
        LogBusyError: there is no such log, or it has no checkpoint.
        LogDamagedError: what is published is not what the rows say.
    """
    # In this order: what is taken in is seen as waiting, what waits is seen in the head, and what
    # readers see has its row.
    writing = _writing(origin)
    log = log_of(origin)
    page = seen(log_storage(log.place))
    waiting = pending(log, COUNTED)
    log.refresh_from_db()
    newest = newest_published(log)
    return Ending(
        writing=writing,
        waiting=waiting,
        size=log.size,
        root=bytes(log.root),
        covered=newest.size,
        shown=shows(page, newest),
        witnessing=witnessing(newest),
    )


def _writing(origin: str) -> bool:
    """Tell whether somebody holds the row of the log; its sequencer may, too, for a moment."""
    with transaction.atomic():
        free = Log.objects.select_for_update(skip_locked=True).filter(origin=origin)
        return free.first() is None


def abandon(origin: str) -> None:
    """Leave the frozen log `origin` as it is: no sequencer shall finish it."""
    tell(origin, begin_term(origin), LeaderState.STOPPED, ABANDONED)


def check_ended(log: Log) -> None:
    """Check that nothing acknowledged is lost when no sequencer writes the frozen `log` any more.

    Raises:
        LogSuccessionError: entries wait for a place in it, or for a checkpoint.
    """
    if log_state(log).state == LeaderState.STOPPED:
        return  # damaged, or abandoned: its entries wait for nothing
    if _writing(log.origin):
        raise LogSuccessionError(f"The log {log.origin} is being written just now: try again.")
    covered = newest_published(log).size
    waiting = pending(log, COUNTED)
    if waiting or covered != log.size:
        raise LogSuccessionError(
            f"The log {log.origin} is frozen but not finished: {waiting} entries have no place in "
            f"it, and its checkpoint covers {covered} of {log.size}. Run its sequencer with the "
            "settings that it had, and `manage.py ledger_freeze`, which tells when it has ended."
        )
