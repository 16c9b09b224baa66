"""Reads over the log's rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.conf import settings
from django.db.models import Count, Max, Min, Model, OuterRef, QuerySet, Subquery

from assay.note import parse_line
from assay.policy import TlogPolicy
from ledger.errors import LogBusyError, UnknownLogError
from ledger.keyset import Page, Window, page_of
from ledger.logs import current_log
from ledger.models import Checkpoint, Cosignature, Entry, Log
from ledger.policy import witness_policy, witnesses_needed, witnesses_of

WITNESSED_LOOKED_AT = 32
_Row = TypeVar("_Row", bound=Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """A witness, by the policy's name of it or its own, and the time at which it signed."""

    name: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessing:
    """Which of the policy's witnesses `signed` a checkpoint, which are `silent`, and who else did.

    `needed` is the least number that makes the quorum, `met` whether these are enough: of groups,
    the right ones must be among them. Without a quorum nothing is needed, and `met` says nothing.
    """

    signed: tuple[Cosigned, ...]
    silent: tuple[str, ...]
    others: tuple[Cosigned, ...]
    needed: int
    met: bool

    @property
    def asked(self) -> int:
        """How many witnesses the policy names."""
        return len(self.signed) + len(self.silent)


def find_log(origin: str) -> Log:
    """Return the log with this origin, `""` for the current one.

    Raises:
        UnknownLogError: there is none.
        LogBusyError: the current one is not open yet.
    """
    if not origin or origin == settings.LEDGER_ORIGIN:
        return current_log()
    found = Log.objects.filter(origin=origin).first()
    if found is None:
        raise UnknownLogError(f"No log here is named {origin[:100]}.")
    return found


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


def witnessing(checkpoint: Checkpoint) -> Witnessing:
    """Return who vouches for `checkpoint`, by the policy of today."""
    policy = witness_policy()
    lines = {}
    for row in sorted(checkpoint.cosignatures.all(), key=lambda row: row.pk):
        line = parse_line(row.line)
        lines[line.name, line.key_id] = row
    signed, silent = [], []
    for name, key in policy.witnesses.items() if policy else ():
        found = lines.pop((key.vkey.name, key.vkey.key_id), None)
        if found is None:
            silent.append(name)
        else:
            signed.append(Cosigned(name=name, at=found.seen_at))
    return Witnessing(
        signed=tuple(signed),
        silent=tuple(silent),
        others=tuple(Cosigned(name=row.witness, at=row.seen_at) for row in lines.values()),
        needed=witnesses_needed(policy),
        met=policy is None or policy.quorum_met([one.name for one in signed]),
    )


def checkpoints(
    log: Log, *, limit: int, before: int | None = None, after: int | None = None
) -> Page[Checkpoint]:
    """Return at most `limit` published checkpoints below size `before`, or right above `after`."""

    def fetch(window: Window, most: int) -> list[Checkpoint]:
        rows = published(log).filter(**window.conditions("size"))
        return list(rows.order_by(window.order("size"))[:most])

    return page_of(fetch, lambda row: row.size, Window(before=before, after=after), limit)


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
    # One witness may sign every checkpoint and another one in forty: too few lines need no look.
    lines = Cosignature.objects.filter(checkpoint=OuterRef("pk")).order_by().values("checkpoint")
    counted = larger.annotate(lines=Subquery(lines.annotate(n=Count("pk")).values("n")))
    enough = counted.filter(lines__gte=max(1, witnesses_needed(policy)))
    for checkpoint in enough[:WITNESSED_LOOKED_AT]:
        if policy.quorum_met(cosigners(policy, checkpoint)):
            return checkpoint
    return newest


def entry_at(log: Log, index: int) -> Entry | None:
    """Return entry `index` of `log`, with its payload."""
    return log.entries.select_related("payload", "log").filter(index=index).first()


def entry_by_claim(fingerprint: str, pae_sha256: bytes) -> Entry | None:
    """Return the entry in which the key `fingerprint` (hex) logged a payload, waiting or not."""
    rows = Entry.objects.select_related("payload", "log")
    return rows.filter(fingerprint=fingerprint, payload=pae_sha256).first()


def pending(log: Log, limit: int) -> int:
    """Return how many entries wait for the sequencer; counting stops at `limit`."""
    return log.entries.filter(index__isnull=True)[:limit].count()


def leaves_of(log: Log, pae_sha256: bytes) -> list[Entry]:
    """Return the sequenced entries of `log` over one payload, in its order."""
    rows = log.entries.filter(payload=pae_sha256, index__isnull=False)
    return list(rows.select_related("payload").order_by("index"))


def neighbours(rows: QuerySet[_Row], field: str, value: int) -> tuple[int | None, int | None]:
    """Return the values of `field` right below and right above `value`, None at the ends."""
    below = rows.filter(**{f"{field}__lt": value}).aggregate(found=Max(field))["found"]
    above = rows.filter(**{f"{field}__gt": value}).aggregate(found=Min(field))["found"]
    return below, above
