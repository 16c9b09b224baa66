"""Reading traces: who may, what two of them say, and the capsule of one step.

A trace is as private as the tensors it is made of.
"""

from __future__ import annotations

import uuid

from assay.capsule import Capsule, make_capsule
from assay.errors import FormatError, VerificationError
from assay.trace import Comparison, Trace as Record, compare, parse_trace
from inference.choices import TraceState
from inference.client import ExecutorError, ExecutorUnavailableError
from inference.errors import (
    BadRequestError,
    DroppedError,
    ExecutorAwayError,
    ExecutorBusyError,
    NotComparableError,
    PrivateError,
    UnknownExecutionError,
    UnknownTraceError,
)
from inference.models import Execution, Trace
from inference.selectors import find, may_see_tensors
from inference.services.asking import executor, read_blob
from inference.services.traces import record_of, request_for, traceable
from inference.tracing import node_alone
from registry.rights import Caller

CAPSULE_S = 45.0


def traces_of(execution: Execution, user: Caller) -> list[Trace]:
    """Return the traces of an execution that `user` may see, newest first, without their data."""
    if not may_see_tensors(execution, user):
        return []
    return list(execution.traces.defer("data").order_by("-id"))


def list_traces(execution_id: uuid.UUID, user: Caller) -> list[Trace]:
    """Return the traces of an execution, newest first.

    Raises:
        UnknownExecutionError: none that `user` may know of.
        PrivateError: its tensors are not for `user`.
    """
    execution = find(execution_id, user)
    if not may_see_tensors(execution, user):
        raise PrivateError("The tensors of this execution are its caller's alone.")
    return traces_of(execution, user)


def find_trace(trace_id: uuid.UUID, user: Caller, execution_id: uuid.UUID | None = None) -> Trace:
    """Return one trace, of that execution where one is named.

    Raises:
        UnknownTraceError: none that `user` may see.
    """
    of = {} if execution_id is None else {"execution_id": execution_id}
    row = Trace.objects.filter(pk=trace_id, **of).first()
    try:
        if row is None or not may_see_tensors(find(row.execution_id, user), user):
            raise UnknownTraceError("There is no such trace.", trace=str(trace_id))
    except UnknownExecutionError as error:
        raise UnknownTraceError("There is no such trace.", trace=str(trace_id)) from error
    return row


def read_record(row: Trace) -> bytes:
    """Return the bytes of a trace.

    Raises:
        UnknownTraceError: it has not been made.
        DroppedError: it went with the tensors of a private execution.
    """
    if row.state != TraceState.DONE:
        raise UnknownTraceError("This trace has not been made.", state=str(row.state))
    data = record_of(row)
    if data is None:
        raise DroppedError("This trace went with the tensors of its execution.")
    return data


def compare_traces(a: uuid.UUID, b: uuid.UUID, user: Caller) -> Comparison:
    """Return what two traces say of each other.

    Raises:
        UnknownTraceError, DroppedError: as `find_trace` and `read_record`.
        NotComparableError: they are not of one graph on one input.
    """
    first, second = (parse_trace(read_record(find_trace(one, user))) for one in (a, b))
    return _compare(first, second)


def _compare(first: Record, second: Record) -> Comparison:
    try:
        return compare(first, second)
    except VerificationError as error:
        raise NotComparableError(f"They cannot be compared: {error}.") from error


def first_difference(rows: list[Trace]) -> tuple[Trace, Trace, Comparison | None] | None:
    """Return the newest two of `rows` that differ and were made under one runtime, and how.

    None in place of the comparison: the two do not even list the same steps.
    """
    made = [row for row in rows if row.state == TraceState.DONE]
    for row in made[1:]:
        if row.digest != made[0].digest and row.runtime == made[0].runtime:
            data = [record_of(Trace.objects.get(pk=one.pk)) for one in (row, made[0])]
            if data[0] is not None and data[1] is not None:
                pair = parse_trace(data[0]), parse_trace(data[1])
                try:
                    return row, made[0], compare(*pair)
                except VerificationError:
                    return row, made[0], None
    return None


def capsule_of(row: Trace, user: Caller, *, node: int | None, against: Trace | None) -> Capsule:
    """Return the capsule of a step: `node`, else the first at which two traces part.

    The executor runs the model once more and gives the step's inputs; the claims are the traces'.

    Raises:
        BadRequestError: neither a node nor a second trace, or the trace lists no such node.
        NotComparableError: the two do not part, or this executor cannot speak for them.
        PrivateError, DroppedError: the tensors are not for `user`, or gone.
        ExecutorBusyError, ExecutorAwayError: no executor can do it now.
    """
    traces = [("first", parse_trace(read_record(row)))]
    if against is not None:
        traces.append(("second", parse_trace(read_record(against))))
        found = _compare(traces[0][1], traces[1][1])
        if node is None and found.first is None:
            raise NotComparableError("The two traces are the same.")
        node = node if found.first is None or node is not None else found.first.index
    if node is None:
        raise BadRequestError("Name a node, or a second trace to compare with.", field="node")
    execution = traceable(row.execution_id, user)
    try:
        traces[0][1].step(node)
        request = request_for(execution, CAPSULE_S)
        alone = node_alone(executor(), request, node, read_blob)
        return make_capsule(alone, traces, node)
    except FormatError as error:
        raise BadRequestError(f"There is no capsule of this step: {error}.") from error
    except VerificationError as error:
        raise NotComparableError(f"There is no capsule of this step: {error}.") from error
    except ExecutorError as error:
        words = f"The executor refuses: {error.message}."
        raise (ExecutorBusyError if error.retry else NotComparableError)(words) from error
    except ExecutorUnavailableError as error:
        raise ExecutorAwayError("No executor answers; try again in a moment.") from error
