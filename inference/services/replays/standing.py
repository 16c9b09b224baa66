"""How the registry's own replays stand: for the page of the parts."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Min
from django.utils import timezone

from inference.choices import ReplayState, Verdict
from inference.models import Replay
from inference.services.auditor_key import own_auditors

BEHIND_AFTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The own auditor's replays: how many `diverged` and the last of them, the newest of all.

    `waiting` counts what is asked for or drawn, and not done; `behind` tells that some of it has
    waited for longer than a living auditor would let it.
    """

    diverged: int
    newest_diverged: uuid.UUID | None
    newest_at: datetime | None
    waiting: int
    behind: bool


def standing() -> Standing:
    """Return how the own auditor's replays stand; four small queries."""
    own = Replay.objects.filter(auditor__in=own_auditors(), state=ReplayState.DONE)
    diverged = own.filter(verdict=Verdict.DIVERGED)
    last = diverged.order_by("-finished_at").values_list("execution_id", flat=True).first()
    waiting = Replay.objects.exclude(state=ReplayState.DONE)
    found = waiting.aggregate(n=Count("pk"), oldest=Min("available_at"))
    oldest = found["oldest"]
    return Standing(
        diverged=diverged.count() if last else 0,
        newest_diverged=last,
        newest_at=own.order_by("-id").values_list("finished_at", flat=True).first(),
        waiting=found["n"],
        behind=oldest is not None and oldest < timezone.now() - BEHIND_AFTER,
    )
