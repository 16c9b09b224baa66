"""Whether anything is logged now, in one word, for pages and programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.choices import LeaderState
from ledger.models import Log
from ledger.services.state import ABSENT, FORGOTTEN_AFTER, log_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """`state` is leading, held, stopped or absent; `reason` is a sentence about the middle two.

    `since` is when it was held or stopped; of an absent leader, when it was last heard, if ever.
    Who leads is not told: it names a host.
    """

    state: str
    reason: str
    since: datetime | None


def standing(log: Log) -> Standing:
    """Return what readers are told of how `log` fares.

    A leader that is silent counts as absent. But what stopped stays stopped when its process has
    ended, and a hold outlives its leader as long as it keeps new entries out.
    """
    said = log_state(log)
    held = said.state == LeaderState.HELD and said.silent_for < FORGOTTEN_AFTER
    if held or said.state == LeaderState.STOPPED:
        return Standing(state=said.state, reason=said.reason, since=said.since)
    if said.state == LeaderState.LEADING and said.alive:
        return Standing(state=said.state, reason="", since=said.since)
    return Standing(state=ABSENT, reason="", since=said.beat_at)
