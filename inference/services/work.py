"""Running claimed executions to their end, while a keeper holds their leases.

Whatever happens ends each in exactly one of: finished, failed, given back, or lost to another
lease; and when this process dies in between, the lease runs out and the sweeper gives it back.

Several executions of one revision may share a round trip to the executor and a finishing
transaction. Each stays a run, a statement, an outcome and a lease of its own.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from socket import socket, socketpair

from django.db import connection
from django.utils import timezone

from assay.tensors import decode_tensors
from inference.choices import ExecutionState
from inference.errors import (
    BadTensorError,
    DeadlineError,
    ExecutorBusyError,
    InferenceError,
    ModelFailedError,
    NotRunnableError,
)
from inference.executor.protocol import CallerGoneError
from inference.selectors import tensor_bytes
from inference.services.asking import Answer, Asked, NobodyThereError, ask_many
from inference.services.finish import LeaseLostError, fail, give_back
from inference.services.finisher import settle
from inference.services.outcomes import Ending
from inference.services.plan import signature_of
from inference.services.queue import RENEW_S, Claim, renew
from ledger.errors import LogBusyError, LogHeldError, LogStoppedError
from registry.errors import ModeratedError
from registry.moderated import need_run

MAX_RUN_S = 900.0
STOP_AFTER_S = 1.0
UNTOUCHED = (NobodyThereError, ExecutorBusyError, LogBusyError, LogHeldError, LogStoppedError)
log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Keeper:
    """Renews leases until told to stop.

    When an owner wants a run to end, or a lease is lost, the near end closes, which stops the run.
    Then `cancelled` are the claims whose owners wanted that, and `lost` those of other leases.
    """

    claims: Sequence[Claim]
    near: socket
    far: socket
    done: threading.Event
    cancelled: set[Claim] = field(default_factory=set)
    lost: set[Claim] = field(default_factory=set)

    def watch(self, every_s: float) -> None:
        """Renew every `every_s` seconds, until something is no more to be run."""
        try:
            while not self.done.wait(every_s):
                for claim in self.claims:
                    wanted = renew(claim.execution.pk, claim.lease)
                    if wanted is not False:
                        (self.lost if wanted is None else self.cancelled).add(claim)
                if self.lost or self.cancelled:
                    self.near.close()
                    return
        finally:
            connection.close()


@contextlib.contextmanager
def keeping(claims: Sequence[Claim], every_s: float = RENEW_S) -> Iterator[Keeper]:
    """Hold the leases of `claims` for the length of a block."""
    near, far = socketpair()
    keeper = Keeper(claims=claims, near=near, far=far, done=threading.Event())
    thread = threading.Thread(target=keeper.watch, args=(every_s,), daemon=True)
    thread.start()
    try:
        yield keeper
    finally:
        keeper.done.set()
        thread.join()
        near.close()
        far.close()


def work(claim: Claim, *, renew_every_s: float = RENEW_S) -> None:
    """Run a claimed execution and write its outcome; never raises for what the run did."""
    work_together([claim], renew_every_s=renew_every_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Worked:
    """What came of claims: how many no executor took, and how long the runs took, in seconds."""

    untouched: int
    runs_s: tuple[float, ...]


def work_together(claims: Sequence[Claim], *, renew_every_s: float = RENEW_S) -> Worked:
    """Run claimed executions of one revision and kind one after the other; as `work` for each."""
    with keeping(claims, renew_every_s) as keeper:
        ready = [(claim, asked) for claim in claims if (asked := _asked(claim)) is not None]
        answers = _run(ready, keeper) if ready else []
    return Worked(
        untouched=sum(isinstance(answer, UNTOUCHED) for answer in answers),
        runs_s=tuple(one.success.run_ms / 1000 for one in answers if isinstance(one, Answer)),
    )


def hand_back(claims: Sequence[Claim]) -> None:
    """Put claims that were not begun back into the queue."""
    for claim in claims:
        with _noting_lost(claim):
            give_back(claim.execution, claim.lease, untouched=True)


def _asked(claim: Claim) -> Asked | None:
    """Return what to ask the executor; None when there is nothing to ask, and it has ended."""
    execution = claim.execution
    try:
        if execution.deadline <= timezone.now():
            raise DeadlineError("The deadline passed before it could run.")
        need_run(execution.revision_id, execution.caller_id)
        return Asked(
            execution=execution,
            signature=signature_of(execution.revision),
            inputs=tuple(decode_tensors(tensor_bytes(execution.input))),
        )
    except Exception as error:  # noqa: BLE001 (each execution ends for itself)
        _end(claim, error)
        return None


def _run(ready: Sequence[tuple[Claim, Asked]], keeper: Keeper) -> Sequence[Answer | Exception]:
    """Run and end them; return what the executor said of each, nothing if they were stopped."""
    now = timezone.now()
    answers: Sequence[Answer | Exception]
    try:
        answers = ask_many(
            [asked for _, asked in ready],
            deadlines_s=[_seconds(claim, now) for claim, _ in ready],
            stop_after_s=STOP_AFTER_S,
            caller=keeper.far,
        )
    except CallerGoneError:
        for claim, _ in ready:
            _stop(claim, keeper)
        return []
    except Exception as error:  # noqa: BLE001 (whatever it was, each execution ends for itself)
        answers = [error] * len(ready)
    _finish([claim for claim, _ in ready], answers)
    return answers


def _finish(claims: Sequence[Claim], answers: Sequence[Answer | Exception]) -> None:
    """Write what came of `claims`, the successes in one transaction."""
    endings = {}
    errors: list[tuple[Claim, Exception]] = []
    for claim, answer in zip(claims, answers, strict=True):
        if isinstance(answer, Answer):
            endings[claim] = Ending(
                execution=claim.execution, success=answer.success, lease=claim.lease
            )
        else:
            errors.append((claim, answer))
    if endings:
        settle(list(endings.values()))
    errors += [(claim, one.error) for claim, one in endings.items() if one.error is not None]
    for claim, error in errors:
        _end(claim, error)


def _seconds(claim: Claim, now: datetime) -> float:
    left = (claim.execution.deadline - now).total_seconds()
    return min(max(left, 0.001), MAX_RUN_S)


def _stop(claim: Claim, keeper: Keeper) -> None:
    """End a claim whose run was stopped: by its owner's wish, or because of a neighbour."""
    if claim in keeper.lost:
        _note_lost(claim)
    elif claim in keeper.cancelled:
        text = "It was cancelled while it ran."
        with _noting_lost(claim):
            fail(claim.execution, claim.lease, ExecutionState.CANCELLED, "cancelled", text)
    else:
        with _noting_lost(claim):
            give_back(claim.execution, claim.lease, untouched=True)


def _end(claim: Claim, error: Exception) -> None:
    """End a claim without an output, or give it back, as `error` wants it."""
    execution, lease = claim.execution, claim.lease
    with _noting_lost(claim):
        match error:
            case LeaseLostError():
                raise error
            case DeadlineError():
                fail(execution, lease, ExecutionState.TIMED_OUT, error.code, error.message)
            case ModelFailedError() | BadTensorError() | NotRunnableError() | ModeratedError():
                fail(execution, lease, ExecutionState.FAILED, error.code, error.message)
            case _ if isinstance(error, UNTOUCHED):
                give_back(execution, lease, untouched=True)
            case InferenceError():
                log.warning("execution %s goes back to the queue: %s", execution.pk, error)
                give_back(execution, lease, untouched=False)
            case _:
                log.error("execution %s goes back to the queue", execution.pk, exc_info=error)
                give_back(execution, lease, untouched=False)


@contextlib.contextmanager
def _noting_lost(claim: Claim) -> Iterator[None]:
    try:
        yield
    except LeaseLostError:
        _note_lost(claim)


def _note_lost(claim: Claim) -> None:
    log.info("execution %s belongs to another lease now", claim.execution.pk)
