"""`/api/v1/…/traces`: a digest for each step of a run, and which step two runs disagree about."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.http import HttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from assay.statements import timestamp
from assay.trace import Comparison
from inference import quota, tasks
from inference.api.views import ExecutionView
from inference.errors import BadRequestError
from inference.models import Trace
from inference.services import traces, tracing

TRACE_COST = 10
_CAPSULE_COST = 5


class AskForTrace(ExecutionView):
    """Ask for a trace of an execution."""

    def post(self, request: Request, execution: uuid.UUID) -> Response:
        """Queue it; 202 with the trace that is under way."""
        quota.take(request, request.user, cost=TRACE_COST)
        row, new = traces.ask_for(execution, request.user)
        if new:
            transaction.on_commit(tasks.wake_traces)
        headers = {"Location": _address(row)}
        return Response(shape(row), status=202, headers=headers)


class Traces(ExecutionView):
    """The traces of an execution."""

    def get(self, request: Request, execution: uuid.UUID) -> Response:
        """List them, newest first."""
        rows = tracing.list_traces(execution, request.user)
        return Response({"items": [shape(row) for row in rows], "next": ""})


class OneTrace(ExecutionView):
    """How one trace stands."""

    def get(self, request: Request, execution: uuid.UUID, trace: uuid.UUID) -> Response:
        """Return it, without its nodes."""
        return Response(shape(tracing.find_trace(trace, request.user, execution)))


class TraceFile(ExecutionView):
    """The `assay-trace-v1` itself."""

    def get(self, request: Request, execution: uuid.UUID, trace: uuid.UUID) -> HttpResponse:
        """Return its bytes, whose SHA-256 is its digest."""
        row = tracing.find_trace(trace, request.user, execution)
        return _file(tracing.read_record(row), "application/json", "trace.json", row.digest)


class TraceCapsule(ExecutionView):
    """One step of a trace in a file of its own."""

    def get(self, request: Request, execution: uuid.UUID, trace: uuid.UUID) -> HttpResponse:
        """Return the `assay-capsule-v1`: `?node=`, or `?against=` for the first that differs."""
        row = tracing.find_trace(trace, request.user, execution)
        other = request.query_params.get("against")
        against = None if other is None else tracing.find_trace(_uuid(other), request.user)
        node = _node(request.query_params.get("node"))
        quota.take(request, request.user, cost=_CAPSULE_COST)
        with quota.running(request, request.user):
            capsule = tracing.capsule_of(row, request.user, node=node, against=against)
        return _file(capsule.render(), "application/zip", f"capsule-{capsule.subject.index}.zip")


class Compare(ExecutionView):
    """Which step two traces disagree about."""

    def get(self, request: Request) -> Response:
        """Compare `?a=` with `?b=`."""
        quota.take(request, request.user)
        a, b = (_uuid(request.query_params.get(name, "")) for name in ("a", "b"))
        return Response(comparison(tracing.compare_traces(a, b, request.user)))


def shape(row: Trace) -> dict[str, Any]:
    """Return a trace as lists show it."""
    done = bool(row.digest)
    error = {"code": row.error_code, "message": row.error_message} if row.error_code else None
    return {
        "id": str(row.pk),
        "execution": str(row.execution_id),
        "state": row.state,
        "url": _address(row),
        "trace_url": f"{_address(row)}/trace.json" if done else None,
        "executor": row.executor or None,
        "runtime": row.runtime,
        "digest": row.digest or None,
        "nodes": row.nodes,
        "end": {"verdict": row.verdict, "detail": row.detail} if done else None,
        "error": error,
        "created_at": timestamp(row.created_at),
        "finished_at": None if row.finished_at is None else timestamp(row.finished_at),
    }


def comparison(found: Comparison) -> dict[str, Any]:
    """Return what two traces say of each other."""
    return {
        "verdict": found.verdict,
        "same_runtime": found.same_runtime,
        "nodes": found.nodes,
        "differing": found.differing,
        "origins": found.origins,
        "first": None if found.first is None else found.first.to_dict(),
        "values": list(found.values),
        "blind": found.blind,
    }


def _address(row: Trace) -> str:
    return f"/api/v1/executions/{row.execution_id}/traces/{row.pk}"


def _file(data: bytes, kind: str, name: str, digest: str = "") -> HttpResponse:
    response = HttpResponse(data, content_type=kind)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "private, no-cache"
    if digest:
        response["ETag"] = f'"{digest}"'
    return response


def _uuid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError as error:
        raise BadRequestError("A trace is named by its id.") from error


def _node(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        raise BadRequestError("A node is named by its index, a number.", field="node")
    return int(text)
