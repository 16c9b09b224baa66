"""The head of the log, as readers see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from assay.checkpoint import is_origin
from assay.statements import Observed
from ledger import policy
from ledger.logs import current_log
from ledger.models import Checkpoint
from ledger.publication import full_note
from ledger.selectors import cosigners, newest_published


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest published checkpoint; `note` is what `/log/checkpoint` serves.

    `witnesses` of the policy cosigned it, at least `quorum` of them are needed.
    """

    origin: str
    size: int
    root: bytes
    note: bytes
    witnesses: int
    quorum: int
    signed_at: datetime


def newest_checkpoint() -> Head:
    """Return the newest published head; `LogBusyError` before the log is open."""
    log = current_log()
    checkpoint = newest_published(log)
    known = policy.witness_policy()
    return Head(
        origin=log.origin,
        size=checkpoint.size,
        root=bytes(checkpoint.root),
        note=full_note(checkpoint),
        witnesses=len(cosigners(known, checkpoint)),
        quorum=policy.witnesses_needed(known),
        signed_at=checkpoint.signed_at,
    )


def observed() -> Observed:
    """Return what a statement signed now may say that its signer has seen."""
    log = current_log()
    checkpoint = newest_published(log)
    return Observed(
        origin=log.origin, tree_size=checkpoint.size, root_hash=bytes(checkpoint.root).hex()
    )


def is_checkpoint(seen: Observed) -> bool:
    """Tell whether `seen` is a checkpoint that a log of this installation published.

    Nobody can have seen another one. That of a frozen log counts: it was the newest one once.
    """
    if not is_origin(seen.origin):
        return False
    rows = Checkpoint.objects.filter(
        log__origin=seen.origin, size=seen.tree_size, published_at__isnull=False
    )
    root = rows.values_list("root", flat=True).first()
    return root is not None and bytes(root).hex() == seen.root_hash
