"""Running one claimed execution to its end, while a keeper holds the lease.

Whatever happens ends in exactly one of: finished, failed, given back, or lost to another lease; and
when this process dies in between, the lease runs out and the sweeper gives it back.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
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
from inference.executor.protocol import CallerGone
from inference.selectors import tensor_bytes
from inference.services.asking import NobodyThereError, ask
from inference.services.finish import LeaseLostError, fail, finish, give_back
from inference.services.plan import signature_of
from inference.services.queue import RENEW_S, Claim, renew
from ledger.errors import LogBusyError

MAX_RUN_S = 900.0
_FINAL = (ModelFailedError, BadTensorError, NotRunnableError)
log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Keeper:
    """Renews a lease until told to stop; `cancelled` when its owner wants the run to end."""

    claim: Claim
    near: socket
    far: socket
    done: threading.Event
    cancelled: bool = False

    def watch(self, every_s: float) -> None:
        """Renew every `every_s` seconds; close the near end, which stops the run, if need be."""
        try:
            while not self.done.wait(every_s):
                wanted = renew(self.claim.execution.pk, self.claim.lease)
                if wanted is False:
                    continue
                self.cancelled = wanted is True
                self.near.close()
                return
        finally:
            connection.close()


@contextlib.contextmanager
def keeping(claim: Claim, every_s: float = RENEW_S) -> Iterator[Keeper]:
    """Hold the lease of `claim` for the length of a block."""
    near, far = socketpair()
    keeper = Keeper(claim=claim, near=near, far=far, done=threading.Event())
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
    try:
        _attempt(claim, renew_every_s)
    except LeaseLostError:
        log.info("execution %s belongs to another lease now", claim.execution.pk)


def _attempt(claim: Claim, renew_every_s: float) -> None:
    execution, lease = claim.execution, claim.lease
    with keeping(claim, renew_every_s) as keeper:
        try:
            _run(claim, keeper)
        except CallerGone:
            if not keeper.cancelled:
                raise LeaseLostError(str(execution.pk)) from None
            text = "It was cancelled while it ran."
            fail(execution, lease, ExecutionState.CANCELLED, "cancelled", text)
        except DeadlineError as error:
            fail(execution, lease, ExecutionState.TIMED_OUT, error.code, error.message)
        except _FINAL as error:
            fail(execution, lease, ExecutionState.FAILED, error.code, error.message)
        except (NobodyThereError, ExecutorBusyError, LogBusyError):
            give_back(execution, lease, untouched=True)
        except InferenceError as error:
            log.warning("execution %s goes back to the queue: %s", execution.pk, error)
            give_back(execution, lease, untouched=False)
        except Exception:
            log.exception("execution %s goes back to the queue", execution.pk)
            give_back(execution, lease, untouched=False)


def _run(claim: Claim, keeper: Keeper) -> None:
    execution = claim.execution
    left = (execution.deadline - timezone.now()).total_seconds()
    if left <= 0:
        raise DeadlineError("The deadline passed before it could run.")
    answer = ask(
        execution,
        signature_of(execution.revision),
        decode_tensors(tensor_bytes(execution.input)),
        deadline_s=min(left, MAX_RUN_S),
        caller=keeper.far,
    )
    finish(execution, claim.lease, answer.success)
