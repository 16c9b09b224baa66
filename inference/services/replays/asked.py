"""Asking for a replay. The row is the wish; the auditor looks for rows by itself.

Commit point: the insert of the row. Before it nothing was asked; after it the auditor will run it,
and a repetition finds the row. UNIQUE (execution) over what is not done keeps two from being there.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from inference.choices import ExecutionState, ReplaySource, ReplayState
from inference.errors import NotReplayableError, TooManyReplaysError
from inference.models import Replay
from inference.selectors import find
from registry.rights import Caller

MAX_WAITING = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The replay that is pending for an execution; `new` when this call asked for it."""

    replay: Replay
    new: bool


def request_replay(execution_id: uuid.UUID, user: Caller) -> Asked:
    """Ask for a replay of an execution that `user` may know of.

    Raises:
        UnknownExecutionError: there is none.
        NotReplayableError: it has not succeeded.
        TooManyReplaysError: `MAX_WAITING` are asked for already.
    """
    execution = find(execution_id, user)
    if execution.state != ExecutionState.SUCCEEDED:
        raise NotReplayableError(
            "Only an execution that succeeded has an output to compare with.", state=execution.state
        )
    pending = Replay.objects.filter(execution=execution).exclude(state=ReplayState.DONE)
    while True:
        earlier = pending.first()
        if earlier is not None:
            return Asked(replay=earlier, new=False)
        waiting = Replay.objects.filter(state=ReplayState.REQUESTED, source=ReplaySource.REQUEST)
        if waiting[:MAX_WAITING].count() >= MAX_WAITING:
            raise TooManyReplaysError(f"{MAX_WAITING} replays wait already; ask again later.")
        row = Replay(
            execution=execution,
            source=ReplaySource.REQUEST,
            requested_by_id=user.pk if user is not None and user.is_authenticated else None,
            available_at=timezone.now(),
        )
        with transaction.atomic():
            Replay.objects.bulk_create([row], ignore_conflicts=True)
        # Of two at once the slower one finds the other's row, and at most one is new.
        if Replay.objects.filter(pk=row.pk).exists():
            return Asked(replay=row, new=True)
