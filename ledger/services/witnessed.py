"""The log in rounds: its witnessed checkpoints in a row, and what entries stand between two sizes.

For whoever draws lots over entries by a checkpoint that came later. Everything here is public.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Exists, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from assay.note import SignatureLine, parse_line, parse_note
from ledger.choices import Kind
from ledger.logs import log_of
from ledger.models import Checkpoint, Cosignature
from ledger.policy import witness_policy, witnesses_needed
from ledger.selectors import cosigners, published

CHUNK = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """A published checkpoint that a quorum cosigned; without a policy any published one.

    `text` is the note's, `log` the log's line, `witnesses` those of the policy's witnesses. `at` is
    the earliest time among these, without any the time at which the log signed.
    """

    origin: str
    size: int
    text: str
    log: SignatureLine
    witnesses: tuple[SignatureLine, ...]
    at: datetime


def first_witnessed(
    origin: str, above: int, *, not_before: datetime | None = None
) -> Witnessed | None:
    """Return the smallest witnessed checkpoint of more than `above` entries; None without one.

    With `not_before`, those whose time is earlier are stepped over.

    Raises:
        LogBusyError: there is no such log.
    """
    policy = witness_policy()
    lines = Cosignature.objects.filter(checkpoint=OuterRef("pk"))
    rows = published(log_of(origin)).filter(size__gt=above).order_by("size")
    if policy is None:
        rows = rows if not_before is None else rows.filter(signed_at__gte=not_before)
    else:
        # Most checkpoints have too few lines: the database steps over them.
        counted = lines.order_by().values("checkpoint").annotate(n=Count("pk")).values("n")
        enough = Q(lines__gte=witnesses_needed(policy))
        rows = rows.annotate(lines=Coalesce(Subquery(counted), 0)).filter(enough)
        if not_before is not None:
            rows = rows.filter(Exists(lines.filter(seen_at__gte=not_before)))
    for checkpoint in rows.iterator(chunk_size=CHUNK):
        if policy is not None and not policy.quorum_met(cosigners(policy, checkpoint)):
            continue
        found = _witnessed(origin, checkpoint)
        if not_before is None or found.at >= not_before:
            return found
    return None


def _witnessed(origin: str, checkpoint: Checkpoint) -> Witnessed:
    policy = witness_policy()
    keys = policy.witnesses.values() if policy else ()
    known = {(key.vkey.name, key.vkey.key_id) for key in keys}
    own = parse_note(bytes(checkpoint.note))
    found = [(parse_line(row.line), row.seen_at) for row in checkpoint.cosignatures.all()]
    lines = [(line, at) for line, at in found if (line.name, line.key_id) in known]
    return Witnessed(
        origin=origin,
        size=checkpoint.size,
        text=own.text,
        log=own.lines[0],
        witnesses=tuple(line for line, _ in lines),
        at=min((at for _, at in lines), default=checkpoint.signed_at),
    )


def execution_entries(origin: str, start: int, end: int) -> dict[int, int]:
    """Return the entries about executions from index `start` up to `end`: index to primary key.

    Raises:
        LogBusyError: there is no such log.
    """
    rows = log_of(origin).entries.filter(kind=Kind.EXECUTION, index__gte=start, index__lt=end)
    found = rows.order_by("index").values_list("index", "pk")
    return {index: pk for index, pk in found if index is not None}
