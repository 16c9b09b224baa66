"""Grouped finishing transactions: what ended while one commit was under way shares the next.

One commit for each answer costs more than many a model's run. So outcomes queue up in each process:
who finds nobody writing writes its own at once; who comes meanwhile waits, and when that commit has
happened, the first of the waiting writes for all of them, at most `MAX_GROUP`, in one transaction.
Nothing is delayed for the sake of a group, and no thread exists for it: the one that writes is
always a caller's, so nothing is left to stop at the end, or behind by a fork.

**The commit point** is that of the group's transaction; each caller goes on when it has happened.

Failures: before the commit nothing of the group is visible, and a statement that is not committed
is never shown. A group that fails is written again one by one, so that one bad outcome harms no
other; what the log as a whole refuses (frozen, stopped, full) is told to all of them at once.
Recovery: whether a COMMIT that got no answer had happened is read from the rows, under the id or
the lease that is the caller's own. Where the database cannot be asked either, the callers get the
database's error; a claimed row is then the sweeper's, and a row of its own was written or not.

Inside a transaction of the caller's the outcome is written there, in no group: it belongs to it.
"""

from __future__ import annotations

import copy
import logging
import os
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import InterfaceError, OperationalError, connection, transaction

from inference.choices import ExecutionState
from inference.failpoints import reach
from inference.models import Execution
from inference.services.outcomes import Ending, LeaseLostError, write
from ledger.errors import (
    LedgerError,
    LogBusyError,
    LogFrozenError,
    LogHeldError,
    LogStoppedError,
)

MAX_GROUP = 64
_AWAY = (OperationalError, InterfaceError)
_WHOLE_LOG = (LogBusyError, LogFrozenError, LogHeldError, LogStoppedError)
log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Caller:
    """One caller that waits: `gate` opens when its ending is settled, or when it is to `lead`."""

    ending: Ending
    gate: threading.Lock = field(default_factory=threading.Lock)
    leads: bool = False


class Finisher:
    """The queue of outcomes of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[_Caller] = deque()
        self._busy = False

    def write(self, ending: Ending) -> None:
        """Write one ending, and return when it is durable.

        Raises:
            LeaseLostError: another lease owns the outcome.
            LedgerError: the log takes no entry; nothing is written.
            OperationalError, InterfaceError: the database is away.
        """
        if connection.in_atomic_block:
            _write_inside(ending)
            return
        caller = _Caller(ending)
        caller.gate.acquire()
        with self._lock:
            caller.leads = not self._busy
            self._busy = True
            if not caller.leads:
                self._waiting.append(caller)
        if not caller.leads:
            self._wait(caller)
        if caller.leads:
            self._lead(caller)
        if ending.error is not None:
            raise ending.error

    def forget(self) -> None:
        """Start anew in a forked child: who waited, and who wrote, are the parent's threads."""
        self._lock = threading.Lock()
        self._waiting.clear()
        self._busy = False

    def _wait(self, caller: _Caller) -> None:
        try:
            caller.gate.acquire()
        except BaseException:
            # Interrupted from outside: what it waited for goes on without it.
            with self._lock:
                if caller in self._waiting:
                    self._waiting.remove(caller)
            if caller.leads:
                self._hand_on()
            raise

    def _lead(self, caller: _Caller) -> None:
        """Write the endings of `caller` and of who waits, then hand on."""
        with self._lock:
            followers = [
                self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_GROUP - 1))
            ]
        group = [caller.ending, *(one.ending for one in followers)]
        try:
            settle(group)
        finally:
            # A thread that is ended from outside leaves nobody waiting for ever.
            for one in followers:
                if not one.ending.settled:
                    one.ending.error = InterfaceError("the thread that wrote the outcome ended")
                one.gate.release()
            self._hand_on()

    def _hand_on(self) -> None:
        with self._lock:
            if self._waiting:
                successor = self._waiting.popleft()
                successor.leads = True
                successor.gate.release()
            else:
                self._busy = False


def _write_inside(ending: Ending) -> None:
    """Write one ending into the caller's transaction, whose fate it shares."""
    with transaction.atomic():
        lost = write([ending])
        if lost:
            raise LeaseLostError(str(ending.execution.pk))


# ---------------------------------------------------------------- groups


def settle(endings: Sequence[Ending]) -> None:
    """Write `endings`, together if that works; each is `settled` then, maybe with an `error`.

    Raises nothing of what the database or the log says.
    """
    left = list(endings)
    error = _try(left)
    if error is None:
        return
    if not isinstance(error, LedgerError):
        if not _look_up(left, error):
            return
        left = [one for one in left if not one.settled]
    if len(left) <= 1 or isinstance(error, _WHOLE_LOG):
        _refuse(left, error)
        return
    log.warning("a group of %d outcomes is written one by one: %s", len(left), error)
    for number, one in enumerate(left):
        settle([one])
        if isinstance(one.error, _AWAY) and not connection.is_usable():
            _refuse(left[number + 1 :], one.error)
            return


def _try(endings: list[Ending]) -> Exception | None:
    """Write in one transaction all of `endings` that still hold their lease; return the error.

    Those that do not leave the list, with an error of their own.
    """
    try:
        while endings:
            with transaction.atomic():
                lost = write(endings)
                if lost:
                    transaction.set_rollback(True)
                reach("before-commit")
            if not lost:
                reach("after-commit")
                break
            for one in lost:
                one.error, one.settled = LeaseLostError(str(one.execution.pk)), True
                endings.remove(one)
    except Exception as error:  # noqa: BLE001 (whatever it was, each caller is told it)
        return error
    for one in endings:
        one.settled = True
    return None


def _look_up(endings: Sequence[Ending], error: Exception) -> bool:
    """Settle those whose COMMIT happened without an answer; False: the database is away."""
    connection.close_if_unusable_or_obsolete()
    wanted = {one.execution.pk: one for one in endings}
    rows = Execution.objects.filter(pk__in=wanted, state=ExecutionState.SUCCEEDED)
    try:
        found = list(rows.values_list("pk", "lease"))
    except _AWAY:
        _refuse(endings, error)
        return False
    for pk, lease in found:
        one = wanted[pk]
        # A row of its own has an id that nobody else has; a claimed one keeps its winner's lease.
        one.settled = one.lease is None or one.lease == lease
    return True


def _refuse(endings: Sequence[Ending], error: Exception) -> None:
    """Tell each caller what is wrong; `error` is raised in one thread only, others get copies."""
    for number, one in enumerate(endings):
        one.error = copy.copy(error) if number else error
        one.settled = True


finisher = Finisher()
os.register_at_fork(after_in_child=finisher.forget)
