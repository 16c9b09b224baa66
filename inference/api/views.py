"""`/api/v1/executions`: queued executions. The row is the acceptance; a wake-up hurries it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.utils.cache import get_conditional_response, patch_vary_headers
from rest_framework.permissions import AllowAny, BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from assay.digests import sha256_hex
from inference import quota, selectors, tasks
from inference.api import shapes
from inference.api.parsers import StrictJSONParser
from inference.api.reading import read_batch, read_plan
from inference.choices import TERMINAL, ExecutionState
from inference.errors import BadRequestError
from inference.models import Execution
from inference.prefer import Preferences, parse_prefer, parse_wait
from inference.services import expiry, queue
from inference.services.submit import Submitted, submit, submit_many
from inference.services.waiting import wait_ended


class ExecutionView(APIView):
    """Whoever may read a model may run it: a token of any scope, a session, or nobody's.

    A token that is sent must be valid all the same.
    """

    permission_classes: tuple[type[BasePermission], ...] = (AllowAny,)
    parser_classes = (StrictJSONParser,)


class Executions(ExecutionView):
    """List executions, or queue one."""

    def get(self, request: Request) -> Response:
        """List, newest first: `?model=&state=&batch=&cursor=`."""
        asked = request.query_params
        state = asked.get("state", "")
        if state and state not in ExecutionState.values:
            raise BadRequestError(f"A state is one of {', '.join(ExecutionState.values)}.")
        page = selectors.page(
            request.user,
            model=asked.get("model", ""),
            state=state,
            batch=asked.get("batch", ""),
            cursor=asked.get("cursor", ""),
        )
        items = [shapes.execution(row, request.user) for row in page.executions]
        return Response({"items": items, "next": page.next})

    def post(self, request: Request) -> Response:
        """Queue an execution; answer 202, or with `Prefer: wait=n` its end within n seconds.

        With `items` in place of `inputs` it queues a batch, and answers 202 at once.
        """
        if isinstance(request.data, dict) and "items" in request.data:
            return _batch(request)
        quota.take(request, request.user)
        prefer = parse_prefer(request.headers.get("Prefer", ""))
        return accepted(request, submit(read_plan(request)), prefer)


class OneExecution(ExecutionView):
    """One execution, with its outputs when it has succeeded."""

    def get(self, request: Request, execution: uuid.UUID) -> Response:
        """Return it; with `?wait=n` or `Prefer: wait=n`, its end within n seconds, if any."""
        row = selectors.find(execution, request.user)
        prefer = parse_prefer(request.headers.get("Prefer", ""))
        wait_s = parse_wait(request.query_params.get("wait"))
        if wait_s is None:
            wait_s = prefer.wait_s
        if wait_s and row.state not in TERMINAL and wait_ended(execution, wait_s):
            row = selectors.find(execution, request.user)
        response = polled(request, _tag(row, request), lambda: _given(row, request))
        if prefer.wait_s is not None:
            response["Preference-Applied"] = f"wait={prefer.wait_s}"
        return response


class OneBatch(ExecutionView):
    """How far a batch is: how many of its executions stand in each state."""

    def get(self, request: Request, batch: uuid.UUID) -> Response:
        """Count them; `/api/v1/executions?batch=` lists them."""
        states = selectors.batch_states(batch, request.user)
        tag = ".".join(map(str, states.values()))
        return polled(request, tag, lambda: shapes.batch(batch, states))


class CancelBatch(ExecutionView):
    """Ask for the end of every execution of one's own batch."""

    def post(self, request: Request, batch: uuid.UUID) -> Response:
        """Cancel those that wait, have those stopped that run; answer as `OneBatch`."""
        queue.cancel_batch(batch, request.user)
        return Response(shapes.batch(batch, selectors.batch_states(batch, request.user)))


class Cancel(ExecutionView):
    """Ask for the end of one's own execution."""

    def post(self, request: Request, execution: uuid.UUID) -> Response:
        """Cancel it when it waits; have it stopped when it runs; else nothing."""
        row = queue.cancel(execution, request.user)
        status = 200 if row.state in TERMINAL else 202
        return Response(shapes.execution(row, request.user), status=status)


def accepted(request: Request, submitted: Submitted, prefer: Preferences) -> Response:
    """Answer for a queued execution: 200 with its end, if that comes in time, else 202."""
    row = submitted.execution
    pk = row.pk
    if submitted.new:
        transaction.on_commit(tasks.wake)
    if prefer.wait_s:
        wait_ended(pk, prefer.wait_s)
    if prefer.wait_s or not submitted.new:
        # What was just written need not be read again: a look at it costs as much as all before.
        row = selectors.find(pk, request.user)
    ended = row.state in TERMINAL
    headers = {"Location": f"/api/v1/executions/{pk}"}
    applied = prefer.applied(ended=ended)
    if applied:
        headers["Preference-Applied"] = applied
    if ended:
        return Response(_given(row, request), status=200, headers=headers)
    return Response(shapes.execution(row, request.user), status=202, headers=headers)


def _given(row: Execution, request: Request) -> dict[str, Any]:
    """Return an execution with its outputs; a private one's caller has its answer with that."""
    body = shapes.whole(row, request.user)
    if selectors.is_caller(row, request.user):
        expiry.given(row)
    return body


def _tag(row: Execution, request: Request) -> str:
    """Name all that can change in what `request` is shown of an ended or living execution."""
    own = selectors.is_caller(row, request.user)
    changing = (row.cancel_requested, row.disclosed_at, row.dropped_at, row.keep_until)
    return ".".join([row.state, str(row.attempts), str(own), *(str(item) for item in changing)])


def polled(request: Request, tag: str, body: Callable[[], dict[str, Any]]) -> Response:
    """Answer 304 to who has seen `tag` already, else with `body` under it."""
    etag = f'"{sha256_hex(tag.encode())[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    known = get_conditional_response(request._request, etag=etag)  # noqa: SLF001 (DRF's own way)
    if known is not None and known.status_code == 304:
        response = Response(status=304, headers=headers)
    else:
        response = Response(body(), headers=headers)
    patch_vary_headers(response, ("Cookie", "Authorization"))
    return response


def _batch(request: Request) -> Response:
    plans = read_batch(request)
    quota.take(request, request.user, cost=max(1, len(plans)))
    batch = submit_many(plans)
    if batch.new:
        transaction.on_commit(tasks.wake)
    shown = [
        {"id": str(row.pk), "state": row.state, "url": f"/api/v1/executions/{row.pk}"}
        for row in batch.executions
    ]
    address = f"/api/v1/batches/{batch.id}"
    body = {"batch": str(batch.id), "url": address, "items": shown}
    return Response(body, status=202, headers={"Location": address})
