"""`/api/v1/executions`: queued executions. The row is the acceptance; a wake-up hurries it."""

from __future__ import annotations

import re
import uuid
from typing import Any

from django.conf import settings
from django.db import transaction
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from inference import selectors, tasks
from inference.api import shapes
from inference.api.parsers import StrictJSONParser
from inference.choices import TERMINAL, ExecutionState
from inference.errors import BadRequestError, NotOfferedError
from inference.models import Execution
from inference.services import queue
from inference.services.plan import Plan, Target, Wishes, executor_kind, find_target, make_plan
from inference.services.request import read_json_tensor
from inference.services.submit import MAX_BATCH, submit, submit_many
from inference.services.waiting import wait_ended

MAX_WAIT_S = 50
_FIELDS = (
    *("model", "version", "inputs", "outputs", "private", "priority", "deadline_s"),
    "executor",
)
_WAIT = re.compile(r"wait=([0-9]{1,4})")


class ExecutionView(APIView):
    """Whoever may read a model may run it: a token of any scope, a session, or nobody's.

    A token that is sent must be valid all the same.
    """

    permission_classes = (AllowAny,)
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
        items = [shapes.execution(row) for row in page.executions]
        return Response({"items": items, "next": page.next})

    def post(self, request: Request) -> Response:
        """Queue an execution; answer 202, or with `Prefer: wait=n` its end within n seconds.

        With `items` in place of `inputs` it queues a batch, and answers 202 at once.
        """
        if isinstance(request.data, dict) and "items" in request.data:
            return _batch(request)
        submitted = submit(_plan(request))
        pk = submitted.execution.pk
        if submitted.new:
            transaction.on_commit(tasks.wake)
        wait_s = _preferred_wait(request)
        if wait_s:
            wait_ended(pk, wait_s)
        return _accepted(selectors.find(pk, request.user), wait_s)


class OneExecution(ExecutionView):
    """One execution, with its outputs when it has succeeded."""

    def get(self, request: Request, execution: uuid.UUID) -> Response:
        """Return it."""
        return Response(shapes.whole(selectors.find(execution, request.user)))


class OneBatch(ExecutionView):
    """How far a batch is: how many of its executions stand in each state."""

    def get(self, request: Request, batch: uuid.UUID) -> Response:
        """Count them; `/api/v1/executions?batch=` lists them."""
        states = selectors.batch_states(batch, request.user)
        return Response({"id": str(batch), "total": sum(states.values()), "states": states})


class CancelBatch(ExecutionView):
    """Ask for the end of every execution of one's own batch."""

    def post(self, request: Request, batch: uuid.UUID) -> Response:
        """Cancel those that wait, have those stopped that run; answer as `OneBatch`."""
        queue.cancel_batch(batch, request.user)
        states = selectors.batch_states(batch, request.user)
        return Response({"id": str(batch), "total": sum(states.values()), "states": states})


class Cancel(ExecutionView):
    """Ask for the end of one's own execution."""

    def post(self, request: Request, execution: uuid.UUID) -> Response:
        """Cancel it when it waits; have it stopped when it runs; else nothing."""
        row = queue.cancel(execution, request.user)
        return Response(shapes.execution(row), status=200 if row.state in TERMINAL else 202)


def _batch(request: Request) -> Response:
    value = _object(request, (*_FIELDS[:2], "items", *_FIELDS[3:]))
    items = value["items"]
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise BadRequestError("The field 'items' is an array of objects.", field="items")
    if len(items) > MAX_BATCH:
        raise BadRequestError(f"A batch has at most {MAX_BATCH} items.", field="items")
    target, wishes = _target(request, value), _wishes(request, value)
    plans = [
        _planned(request, target, wishes, item.get("inputs"), f"items[{number}].")
        for number, item in enumerate(items)
    ]
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


def _plan(request: Request) -> Plan:
    value = _object(request, _FIELDS)
    target, wishes = _target(request, value), _wishes(request, value)
    return _planned(request, target, wishes, value.get("inputs"), "")


def _object(request: Request, fields: tuple[str, ...]) -> dict[str, Any]:
    value = request.data
    if not isinstance(value, dict):
        raise BadRequestError("The request is not a JSON object.")
    unknown = sorted(set(value) - set(fields))
    if unknown:
        raise BadRequestError(f"The field '{unknown[0][:64]}' is unknown.", field=unknown[0][:64])
    if value.get("private"):
        raise NotOfferedError("Private executions are not offered yet.")
    return value


def _target(request: Request, value: dict[str, Any]) -> Target:
    model, version = value.get("model"), value.get("version")
    if not isinstance(model, str):
        raise BadRequestError("The field 'model' is the name of a model.", field="model")
    if version is not None and not isinstance(version, str):
        raise BadRequestError("The field 'version' is a string.", field="version")
    return find_target(model, version, request.user)


def _planned(request: Request, target: Target, wishes: Wishes, inputs: object, where: str) -> Plan:
    if not isinstance(inputs, list):
        field = f"{where}inputs"
        raise BadRequestError(f"The field '{field}' is an array of tensors.", field=field)
    given = [read_json_tensor(item, index) for index, item in enumerate(inputs)]
    limit_s = float(settings.INFER_QUEUED_DEADLINE_S)
    return make_plan(target, given, wishes, request.user, limit_s=limit_s)


def _wishes(request: Request, value: dict[str, Any]) -> Wishes:
    return Wishes(
        outputs=_outputs(value.get("outputs")),
        timeout_s=_number(value, "deadline_s"),
        priority=_number(value, "priority"),
        idempotency_key=request.headers.get("Idempotency-Key"),
        kind=executor_kind(value.get("executor")),
    )


def _outputs(value: object) -> tuple[str, ...] | None:
    if value is None:
        return None
    items = value if isinstance(value, list) else [None]
    names = [item.get("name") if isinstance(item, dict) else item for item in items]
    if not all(isinstance(name, str) for name in names):
        raise BadRequestError("The field 'outputs' is an array of names.", field="outputs")
    return tuple(str(name) for name in names) or None


def _number(value: dict[str, Any], field: str) -> int | None:
    number = value.get(field)
    if number is not None and (type(number) is not int or number < 1):
        raise BadRequestError(f"The field '{field}' is a positive integer.", field=field)
    return number


def _preferred_wait(request: Request) -> int:
    """Return the seconds of `Prefer: wait=n` (RFC 7240, section 4.3), 0 without one."""
    for item in request.headers.get("Prefer", "").split(","):
        match = _WAIT.fullmatch(item.strip().lower())
        if match:
            return min(int(match[1]), MAX_WAIT_S)
    return 0


def _accepted(row: Execution, wait_s: int) -> Response:
    ended = row.state in TERMINAL
    applied = f"wait={wait_s}" if wait_s else "respond-async"
    headers = {"Location": f"/api/v1/executions/{row.pk}", "Preference-Applied": applied}
    if ended:
        return Response(shapes.whole(row), status=200, headers=headers)
    return Response(shapes.execution(row), status=202, headers=headers)
