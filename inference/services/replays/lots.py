"""The rounds of the registry's own auditor: which executions it has to replay.

`inference.sampling` has the rule. A round begins where the last one ended, ends at the checkpoint
that drew the last one's lots, and is drawn by the first witnessed checkpoint beyond that, at least
`AUDIT_INTERVAL_S` later. So the choice of rounds leaves nothing to choose: whoever holds a
witnessed checkpoint between a round's end and its seed, late enough, holds the proof of a lie.

Commit point: one transaction with the round and the replays that it asks for. A crash before it
changes nothing, and the next look draws the same lots. Two auditors: UNIQUE (origin, start) lets
one of them write. A replay that is pending already is not asked for twice: it joins the round.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from inference import sampling
from inference.choices import ReplaySource, ReplayState
from inference.models import AuditRound, Execution, Replay
from ledger.services.witnessed import Witnessed, execution_entries, first_witnessed

log = logging.getLogger(__name__)


def draw() -> AuditRound | None:
    """Draw the lots of the next round; None while no later checkpoint has been witnessed.

    Raises:
        LogBusyError: the log is not open yet.
    """
    origin, rate = settings.LEDGER_ORIGIN, settings.AUDIT_SAMPLE
    if rate < 1:
        return None
    last = AuditRound.objects.filter(origin=origin).order_by("-start").first()
    if last is None:
        first = first_witnessed(origin, 0)
        if first is None:
            return None
        start, end, ended_at = 0, first.size, first.at
    else:
        start, end, ended_at = last.end, last.seed_size, last.seed_at
    interval = timedelta(seconds=settings.AUDIT_INTERVAL_S)
    seed = first_witnessed(origin, end, not_before=ended_at + interval)
    if seed is None:
        return None
    try:
        with transaction.atomic():
            return _write(seed, start, end, rate)
    except IntegrityError as error:
        if "audit_round_once" not in str(error):
            raise
        return None  # another auditor was faster, and drew the same


def _write(seed: Witnessed, start: int, end: int, rate: int) -> AuditRound:
    entries = execution_entries(seed.origin, start, end)
    note = sampling.note_to_draw_by(seed.text, seed.log, seed.witnesses)
    drawn_by = sampling.seed_of(note)
    drawn = [entries[index] for index in sampling.drawn(drawn_by, entries, rate)]
    row = AuditRound.objects.create(
        origin=seed.origin,
        start=start,
        end=end,
        seed_size=seed.size,
        seed_at=seed.at,
        note=note,
        seed=drawn_by.hex(),
        rate=rate,
        executions=len(entries),
        sampled=len(drawn),
    )
    _ask(row, drawn)
    return row


def _ask(row: AuditRound, entries: list[int]) -> None:
    executions = list(Execution.objects.filter(entry__in=entries).values_list("pk", flat=True))
    if len(executions) < len(entries):
        # An executor's key logged something through the open interfaces: nothing is kept about it.
        missing = len(entries) - len(executions)
        log.error("%d drawn entries of round %s are of no execution here", missing, row)
    now = timezone.now()
    replays = [
        Replay(execution_id=pk, source=ReplaySource.SAMPLE, round=row, available_at=now)
        for pk in executions
    ]
    Replay.objects.bulk_create(replays, ignore_conflicts=True)
    pending = Replay.objects.filter(execution__in=executions, round__isnull=True)
    pending.exclude(state=ReplayState.DONE).update(round=row)
