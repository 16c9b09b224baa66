"""Reads over the log's rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from django.db.models import Exists, Max, Min, Model, OuterRef, Q, QuerySet

from assay.note import parse_line
from assay.policy import TlogPolicy
from ledger.errors import LogBusyError
from ledger.logs import current_log
from ledger.models import Checkpoint, Cosignature, Entry, Log, Subject
from ledger.policy import witness_policy, witnesses_of

WITNESSED_LOOKED_AT = 32
_Row = TypeVar("_Row", bound=Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which entries to list; `""` means all. `digest` is hex: subject, payload or key."""

    kind: str = ""
    model: str = ""
    digest: str = ""


def published(log: Log) -> QuerySet[Checkpoint]:
    """Return the published checkpoints, the largest first, with their cosignatures."""
    rows = log.checkpoints.filter(published_at__isnull=False)
    return rows.order_by("-size").prefetch_related("cosignatures")


def newest_published(log: Log) -> Checkpoint:
    """Return the checkpoint that readers see.

    Raises:
        LogBusyError: none was published yet.
    """
    checkpoint = published(log).first()
    if checkpoint is None:
        raise LogBusyError("The log has no checkpoint yet.")
    return checkpoint


def cosigners(policy: TlogPolicy | None, checkpoint: Checkpoint) -> list[str]:
    """Return the policy's names of the witnesses that cosigned `checkpoint`."""
    return witnesses_of(policy, [parse_line(row.line) for row in checkpoint.cosignatures.all()])


def covering(entry: Entry) -> Checkpoint | None:
    """Return the checkpoint to prove `entry` against; None when no published one covers it.

    The newest one that a quorum cosigned, where there is such a one; else the newest.
    """
    if entry.index is None:
        return None
    larger = published(entry.log).filter(size__gt=entry.index)
    newest = larger.first()
    policy = witness_policy()
    if newest is None or policy is None or policy.quorum_met(cosigners(policy, newest)):
        return newest
    lines = Cosignature.objects.filter(checkpoint=OuterRef("pk"))
    for checkpoint in larger.filter(Exists(lines))[:WITNESSED_LOOKED_AT]:
        if policy.quorum_met(cosigners(policy, checkpoint)):
            return checkpoint
    return newest


def entry_at(index: int) -> Entry | None:
    """Return entry `index` of the log, with its payload."""
    rows = current_log().entries.select_related("payload", "log")
    return rows.filter(index=index).first()


def entries(wanted: Filter, before: int | None = None) -> QuerySet[Entry]:
    """Return the sequenced entries below index `before`, the newest first, with payloads."""
    rows = current_log().entries.filter(index__isnull=False)
    if before is not None:
        rows = rows.filter(index__lt=before)
    if wanted.kind:
        rows = rows.filter(kind=wanted.kind)
    if wanted.model:
        # A name that PostgreSQL cannot hold is nobody's.
        rows = rows.none() if "\0" in wanted.model else rows.filter(model=wanted.model)
    if wanted.digest:
        rows = rows.filter(about(wanted.digest))
    return rows.select_related("payload").order_by("-index")


def about(digest: str) -> Q:
    """Return the condition that an entry has to do with `digest`, 64 hex digits.

    It is a subject's SHA-256, the SHA-256 of the payload's PAE, or the key's fingerprint.
    """
    subjects = Subject.objects.filter(sha256=digest).values("entry")
    return Q(pk__in=subjects) | Q(payload=bytes.fromhex(digest)) | Q(fingerprint=digest)


def pending(log: Log, limit: int) -> int:
    """Return how many entries wait for the sequencer; counting stops at `limit`."""
    return log.entries.filter(index__isnull=True)[:limit].count()


def leaves_of(pae_sha256: bytes) -> list[Entry]:
    """Return the sequenced entries over one payload, in log order."""
    rows = Entry.objects.filter(payload=pae_sha256, index__isnull=False)
    return list(rows.select_related("payload").order_by("log", "index"))


def neighbours(rows: QuerySet[_Row], field: str, value: int) -> tuple[int | None, int | None]:
    """Return the values of `field` right below and right above `value`, None at the ends."""
    below = rows.filter(**{f"{field}__lt": value}).aggregate(found=Max(field))["found"]
    above = rows.filter(**{f"{field}__gt": value}).aggregate(found=Min(field))["found"]
    return below, above
