"""The head of the log, as readers see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef, Subquery

from assay.checkpoint import is_origin
from assay.note import parse_line
from assay.statements import Observed
from ledger import policy
from ledger.errors import LogBusyError
from ledger.logs import current_log
from ledger.models import Checkpoint, Cosignature, Log
from ledger.policy import witnesses_of
from ledger.publication import cosigned_note
from ledger.selectors import newest_published


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
    """Return the newest published head; `LogBusyError` before the log is open. One query."""
    lines = Cosignature.objects.filter(checkpoint=OuterRef("pk")).order_by("pk").values("line")
    # As a value, not as a join: else all checkpoints are read and sorted for the newest one.
    log = Subquery(Log.objects.filter(origin=settings.LEDGER_ORIGIN).values("pk"))
    rows = Checkpoint.objects.filter(log_id=log, published_at__isnull=False)
    checkpoint = rows.annotate(lines=ArraySubquery(lines)).order_by("-size").first()
    if checkpoint is None:
        current_log()  # which says so when it is not even open
        raise LogBusyError("The log has no checkpoint yet.")
    known = policy.witness_policy()
    cosigned = [parse_line(line) for line in checkpoint.lines]
    return Head(
        origin=settings.LEDGER_ORIGIN,
        size=checkpoint.size,
        root=bytes(checkpoint.root),
        note=cosigned_note(checkpoint, cosigned),
        witnesses=len(witnesses_of(known, cosigned)),
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
