"""The trace's part of an execution's page, and the button that asks for one."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views.decorators.http import require_POST

from inference import quota, tasks
from inference.api.traces import TRACE_COST
from inference.choices import ExecutionState, TraceState
from inference.errors import DroppedError, TooManyRequestsError, TooManyTracesError
from inference.models import Execution
from inference.selectors import may_see_tensors
from inference.services import traces, tracing
from registry.rights import Caller

_PENDING = (TraceState.QUEUED, TraceState.RUNNING)


def trace_context(execution: Execution, user: Caller) -> dict[str, Any]:
    """Return what templates/inference/trace.html shows to `user`."""
    rows = tracing.traces_of(execution, user)
    kept = execution.state == ExecutionState.SUCCEEDED and execution.dropped_at is None
    apart = tracing.first_difference(rows)
    return {
        "traces": rows,
        "trace_offered": kept and may_see_tensors(execution, user),
        "trace_pending": any(row.state in _PENDING for row in rows),
        "trace_apart": apart and {"first": apart[0], "second": apart[1], "found": apart[2]},
    }


@require_POST
def ask_for_trace(request: HttpRequest, execution: uuid.UUID) -> HttpResponse:
    """Queue a trace, and show the page again."""
    try:
        quota.take(request, request.user, cost=TRACE_COST)
        _, new = traces.ask_for(execution, request.user)
    except (TooManyRequestsError, TooManyTracesError, DroppedError) as error:
        messages.error(request, error.message)
        new = False
    if new:
        transaction.on_commit(tasks.wake_traces)
    return HttpResponseRedirect(f"/executions/{execution}/#trace")
