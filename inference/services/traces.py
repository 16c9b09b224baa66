"""Traces: asked for, made by a worker, read by whoever may see the tensors.

1. A trace is of a succeeded execution whose tensors are kept, and for those who may see them.
2. The row is the wish. A worker claims it (a lease for longer than the run may take), asks the
   executor, and writes the end under that lease.
3. The end of the traced run is compared with the claimed output, and the difference is kept.

**Commit point**: the one UPDATE of `_end`, which meets no row when the lease is another's. A worker
that dies leaves a lease that runs out; the next claim takes the row again, three times at most, and
then `sweep` ends it as `worker_lost`.
"""

from __future__ import annotations

import logging
import uuid
import zlib
from datetime import timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from assay.capsule import compare_final
from assay.errors import FormatError
from assay.tensors import decode_tensors
from inference.choices import ExecutionState, ExecutorKind, TraceState
from inference.client import ExecutorClient, ExecutorError, ExecutorUnavailableError
from inference.errors import (
    DroppedError,
    InferenceError,
    NotTraceableError,
    PrivateError,
    TooManyTracesError,
)
from inference.models import Execution, Trace
from inference.selectors import find, may_see_tensors, tensor_bytes
from inference.services.asking import executor, read_blob
from inference.services.plan import signature_of
from inference.tracing import TraceRequest, make_trace
from registry.errors import UnknownFileError
from registry.moderated import need_tensors
from registry.rights import Caller

DEADLINE_S = 300.0
MAX_ATTEMPTS = 3
BATCH = 3  # so that a task ends before Celery's limit ends it
MAX_WAITING = 100
MAX_EACH = 20
MAX_STORED_BYTES = 16 * 2**20
_LEASE = timedelta(seconds=DEADLINE_S + 60)
_AGAIN = timedelta(seconds=10)
_PENDING = (TraceState.QUEUED, TraceState.RUNNING)
log = logging.getLogger(__name__)


def ask_for(execution_id: uuid.UUID, user: Caller) -> tuple[Trace, bool]:
    """Return the trace that is under way for an execution, or a new wish; and whether it is new.

    Raises:
        UnknownExecutionError: none that `user` may know of.
        PrivateError, DroppedError: its tensors are not for `user`, or for nobody any more.
        NotTraceableError: it has not succeeded.
        TooManyTracesError: as many wait, or exist of this execution, as are kept.
    """
    execution = traceable(execution_id, user)
    pending = _pending(execution)
    if pending is not None:
        return pending, False
    if Trace.objects.filter(state__in=_PENDING).count() >= MAX_WAITING:
        raise TooManyTracesError("Too many traces wait already; ask again in a minute.")
    if execution.traces.count() >= MAX_EACH:
        raise TooManyTracesError(f"This execution has {MAX_EACH} traces: compare those.")
    asker = user if user is not None and user.is_authenticated else None
    try:
        with transaction.atomic():
            row = Trace.objects.create(
                execution=execution,
                requested_by_id=None if asker is None else asker.pk,
                available_at=Now(),
            )
    except IntegrityError:
        # Somebody else asked in this very moment.
        return ask_for(execution_id, user)
    return row, True


def traceable(execution_id: uuid.UUID, user: Caller) -> Execution:
    """Return an execution that `user` may have traced; raises as `ask_for`."""
    execution = find(execution_id, user)
    need_tensors(execution.pk)
    if not may_see_tensors(execution, user):
        raise PrivateError("The tensors of this execution are its caller's alone.")
    if execution.state != ExecutionState.SUCCEEDED:
        raise NotTraceableError("Only an execution that has succeeded can be traced.")
    if execution.dropped_at is not None or execution.input.dropped_at is not None:
        raise DroppedError("The tensors of this execution are not kept any more.")
    return execution


def _pending(execution: Execution) -> Trace | None:
    return execution.traces.filter(state__in=_PENDING).first()


# ------------------------------------------------------------------ the worker's side


def make_some() -> int:
    """Make up to `BATCH` of the traces that wait, one by one; return how many were tried."""
    for tried in range(BATCH):
        row = claim()
        if row is None:
            return tried
        if not work(row):
            return tried + 1  # no executor takes it: the rest waits too
    return BATCH


def claim() -> Trace | None:
    """Take the oldest row that waits or whose worker is gone, under a new lease; None for none."""
    can = Q(state=TraceState.QUEUED, available_at__lte=Now()) | Q(
        state=TraceState.RUNNING, lease_until__lt=Now()
    )
    with transaction.atomic():
        rows = Trace.objects.select_for_update(skip_locked=True, of=("self",))
        row = rows.filter(can, attempts__lt=MAX_ATTEMPTS).order_by("available_at").first()
        if row is None:
            return None
        lease = uuid.uuid4()
        Trace.objects.filter(pk=row.pk).update(
            state=TraceState.RUNNING,
            attempts=F("attempts") + 1,
            lease=lease,
            lease_until=Now() + _LEASE,
        )
    related = ("execution__input", "execution__output", "execution__revision")
    return Trace.objects.select_related(*related).get(pk=row.pk)


def work(row: Trace) -> bool:
    """Make a claimed trace and write its end; False when no executor took it."""
    try:
        fields = _made(row.execution, executor())
    except ExecutorUnavailableError as error:
        _again(row, untouched=isinstance(error.__cause__, OSError))
        log.warning("trace %s waits on: %s", row.pk, error)
        return not isinstance(error.__cause__, OSError)
    except ExecutorError as error:
        if error.retry:
            _again(row, untouched=error.code == "busy")
            return error.code != "busy"
        _end(row, TraceState.FAILED, error_code=error.code, error_message=error.message)
    except (InferenceError, UnknownFileError) as error:
        _end(row, TraceState.FAILED, error_code=error.code, error_message=error.message)
    except FormatError as error:
        _end(row, TraceState.FAILED, error_code="malformed", error_message=str(error))
    else:
        _end(row, TraceState.DONE, **fields)
    return True


def _made(execution: Execution, client: ExecutorClient) -> dict[str, Any]:
    """Return the fields of a finished trace."""
    if execution.output is None:
        raise DroppedError("The execution has no output.")
    claimed = decode_tensors(tensor_bytes(execution.output))
    record, outputs = make_trace(client, request_for(execution), read_blob)
    final = compare_final(record, outputs, claimed)
    data = zlib.compress(record.render())
    if len(data) > MAX_STORED_BYTES:
        raise FormatError(f"the trace has more than {MAX_STORED_BYTES} bytes")
    return {
        "executor": client.status().fingerprint,
        "runtime": record.runtime,
        "digest": record.digest,
        "nodes": len(record.nodes),
        "data": data,
        "verdict": final.verdict,
        "detail": final.detail,
    }


def request_for(execution: Execution, deadline_s: float = DEADLINE_S) -> TraceRequest:
    """Return what the executor is asked: the portable runtime of the execution, where it had one.

    Raises:
        DroppedError, UnknownFileError: its input is gone.
    """
    runtime = execution.runtime if execution.executor_kind == ExecutorKind.PORTABLE else None
    return TraceRequest(
        target=signature_of(execution.revision).ref,
        inputs=tuple(decode_tensors(tensor_bytes(execution.input))),
        deadline_s=deadline_s,
        runtime=runtime and runtime["digest"]["sha256"],
    )


def _again(row: Trace, *, untouched: bool) -> None:
    """Give a row back; an executor that never took it costs no attempt."""
    if not untouched and row.attempts >= MAX_ATTEMPTS:
        words = "The executor gave no answer, three times."
        _end(row, TraceState.FAILED, error_code="executor_away", error_message=words)
        return
    Trace.objects.filter(pk=row.pk, lease=row.lease, state=TraceState.RUNNING).update(
        state=TraceState.QUEUED,
        attempts=F("attempts") - int(untouched),
        lease_until=None,
        available_at=Now() + _AGAIN,
    )


def _end(row: Trace, state: TraceState, **fields: Any) -> None:
    rows = Trace.objects.filter(pk=row.pk, lease=row.lease, state=TraceState.RUNNING)
    if not rows.update(state=state, lease_until=None, finished_at=Now(), **fields):
        log.info("trace %s belongs to another lease now", row.pk)


def sweep() -> int:
    """End what three workers lost, forget private traces with their tensors; return how many."""
    lost = Trace.objects.filter(
        state=TraceState.RUNNING, lease_until__lt=Now(), attempts__gte=MAX_ATTEMPTS
    ).update(
        state=TraceState.FAILED,
        lease_until=None,
        finished_at=Now(),
        error_code="worker_lost",
        error_message="Three workers began it, and none ended it.",
    )
    forgotten = Trace.objects.filter(
        execution__private=True, execution__dropped_at__isnull=False, data__isnull=False
    ).update(data=None)
    return lost + forgotten


def waiting() -> bool:
    """Tell whether a row can be claimed."""
    can = Q(state=TraceState.QUEUED, available_at__lte=Now()) | Q(
        state=TraceState.RUNNING, lease_until__lt=Now(), attempts__lt=MAX_ATTEMPTS
    )
    return Trace.objects.filter(can).exists()


def record_of(row: Trace) -> bytes | None:
    """Return the bytes of the `assay-trace-v1`, None where there are none (any more)."""
    return None if row.data is None else zlib.decompress(bytes(row.data))
