"""Whose turn it is: claims, leases and ends of the replays that the own auditor runs.

As with executions, the row is the truth. A claim gives a lease of `LEASE_S`, which its holder
renews; an auditor that died holds it until it is over, and then anybody claims the row again. The
end is fenced: **one transaction** appends the statement to the ledger and sets the row done WHERE
its lease is still ours. That commit is the commit point: before it nothing was said, and the replay
runs again; after it statement and row are both there.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from assay.dsse import Envelope, PublicKey
from assay.statements import ReplayPredicate, Statement
from inference.choices import ReplaySource, ReplayState, Verdict
from inference.failpoints import reach
from inference.models import Replay
from ledger.errors import DuplicateClaimError
from ledger.services import append

LEASE_S = 30
RENEW_S = 10
MAX_ATTEMPTS = 3
REASON = 2_000
log = logging.getLogger(__name__)


class ReplayLostError(Exception):
    """Another auditor holds the lease; what this one did is rolled back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A replay that is ours to run, and under which lease."""

    replay: Replay
    lease: uuid.UUID

    @property
    def is_last(self) -> bool:
        """Whether an auditor has been lost at it as often as may be."""
        return self.replay.attempts > MAX_ATTEMPTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A signed replay statement, and what it has no field for, in words."""

    envelope: Envelope
    key: PublicKey
    statement: Statement
    predicate: ReplayPredicate
    reason: str


def claim(*, drawn_first: bool = False) -> Turn | None:
    """Claim what was asked for, the oldest first; then what lots fell on, or those first.

    What an auditor died over comes back when its lease is over.
    """
    first = ReplaySource.SAMPLE if drawn_first else ReplaySource.REQUEST
    waiting = Q(state=ReplayState.REQUESTED, available_at__lte=Now())
    abandoned = Q(state=ReplayState.RUNNING, lease_until__lt=Now())
    lease = uuid.uuid4()
    with transaction.atomic():
        rows = Replay.objects.filter(waiting | abandoned).select_for_update(skip_locked=True)
        row = rows.filter(source=first).order_by("available_at", "id").first()
        row = row or rows.order_by("available_at", "id").first()
        if row is None:
            return None
        Replay.objects.filter(pk=row.pk).update(
            state=ReplayState.RUNNING,
            attempts=F("attempts") + 1,
            lease=lease,
            lease_until=Now() + timedelta(seconds=LEASE_S),
        )
    related = Replay.objects.select_related("execution__revision__model__owner")
    related = related.select_related("execution__input", "execution__output", "execution__entry")
    return Turn(replay=related.get(pk=row.pk), lease=lease)


@contextlib.contextmanager
def holding(turn: Turn, every_s: float = RENEW_S) -> Iterator[None]:
    """Renew the lease for the length of a block."""
    done = threading.Event()
    thread = threading.Thread(
        target=_renew, name=f"lease {turn.lease}", args=(turn, every_s, done), daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _renew(turn: Turn, every_s: float, done: threading.Event) -> None:
    try:
        while not done.wait(every_s):
            if not _mine(turn).update(lease_until=Now() + timedelta(seconds=LEASE_S)):
                return
    finally:
        connection.close()


def give_back(turn: Turn, wait_s: float) -> None:
    """Let it be run again in so many seconds; the attempt does not count."""
    _mine(turn).update(
        state=ReplayState.REQUESTED,
        lease_until=None,
        attempts=F("attempts") - 1,
        available_at=Now() + timedelta(seconds=wait_s),
    )


def finish(turn: Turn, said: Said) -> None:
    """Log what was found, and end the row.

    Raises:
        ReplayLostError: the lease is another auditor's; nothing is written.
        LedgerError: the log takes no entry; nothing is written.
    """
    with transaction.atomic():
        entry = log_claim(said, turn.replay.execution.model_name)
        if not _mine(turn).update(
            state=ReplayState.DONE,
            lease_until=None,
            entry_id=entry,
            finished_at=Now(),
            **columns(said),
        ):
            raise ReplayLostError(str(turn.replay.pk))
        reach("auditor-before-commit")
    reach("auditor-after-commit")
    if said.predicate.verdict == Verdict.DIVERGED:
        log.error(
            "DIVERGED: execution %s does not give the output that was signed: %s",
            turn.replay.execution_id,
            said.reason,
        )


def log_claim(said: Said, model: str) -> int:
    """Append the statement inside the caller's transaction; return its entry.

    The same words about the same thing are one claim: then the entry is the earlier one.
    """
    try:
        return append(said.envelope, said.key, said.statement, model=model)
    except DuplicateClaimError as error:
        return error.entry_id


def columns(said: Said) -> dict[str, object]:
    """Return the columns that say what the statement says."""
    predicate = said.predicate
    return {
        "auditor": said.key.fingerprint,
        "verdict": predicate.verdict,
        "runtime": predicate.runtime.to_dict(),
        "output_digest": predicate.output.sha256 if predicate.output else "",
        "first_divergence": (predicate.first_divergence or "").replace("\0", "\ufffd"),
        "reason": said.reason[:REASON].replace("\0", "\ufffd"),
    }


def _mine(turn: Turn) -> QuerySet[Replay]:
    return Replay.objects.filter(pk=turn.replay.pk, lease=turn.lease, state=ReplayState.RUNNING)
