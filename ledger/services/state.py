"""What the log's sequencer says of itself, for whoever would like to be logged, and for people.

Ages are computed by the database, whose clock also wrote the beats: no other clock counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now

from ledger.choices import LeaderState
from ledger.errors import LogHeldError, LogStoppedError
from ledger.logs import current_log
from ledger.models import Leader, Log

ABSENT = "absent"
# A leader beats each second, and another one takes over within five.
SILENT_FOR = timedelta(seconds=10)
# A hold of a leader that is gone says nothing about today's disk or clock.
FORGOTTEN_AFTER = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """`state` is leading, held, stopped or absent; `alive` tells whether its leader was heard.

    `reason` says why it is held or stopped; `leader` is host and process; `since` when the state
    began, `beat_at` when the leader was heard last. `silent_for` is how long that is ago.
    """

    state: str
    reason: str
    leader: str
    since: datetime | None
    beat_at: datetime | None
    silent_for: timedelta

    @property
    def alive(self) -> bool:
        """Tell whether the leader was heard a moment ago; a take-over is not an absence."""
        return self.state != ABSENT and self.silent_for < SILENT_FOR


def log_state(log: Log | None = None) -> LogState:
    """Return how `log`, else the current one, fares; `LogBusyError` before it is open."""
    age = ExpressionWrapper(Now() - F("beat_at"), output_field=DurationField())
    rows = Leader.objects.filter(log=log or current_log()).annotate(age=age)
    row = rows.values_list("state", "reason", "name", "since", "beat_at", "age").first()
    state, reason, leader, since, beat_at, silent_for = row or (
        *(ABSENT, "", "", None, None),
        timedelta(),
    )
    return LogState(
        state=state,
        reason=reason,
        leader=leader,
        since=since,
        beat_at=beat_at,
        silent_for=silent_for,
    )


def check_growing(log: Log) -> None:
    """Check that `log` takes entries as far as its sequencer knows.

    Raises:
        LogHeldError: it waits for a better time: a full disk, a clock that runs backwards.
        LogStoppedError: it found what must not be; people have to look.
    """
    found = log_state(log)
    if found.state == LeaderState.STOPPED:
        raise LogStoppedError(
            f"The log has stopped and takes nothing until its operator has looked: {found.reason}"
        )
    if found.state == LeaderState.HELD and found.silent_for < FORGOTTEN_AFTER:
        raise LogHeldError(f"The log takes nothing for the moment: {found.reason}")
