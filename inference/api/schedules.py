"""`/api/v1/schedules`: what is run again and again, and what came of it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from assay.statements import timestamp
from inference.api import shapes
from inference.api.parsers import StrictJSONParser
from inference.errors import BadRequestError
from inference.models import Schedule
from inference.services import schedules
from inference.services.plan import Plan, Wishes, executor_kind, find_target, make_plan
from inference.services.request import read_json_tensor
from inference.services.when import When
from registry.api.base import AccountView, account
from registry.api.paging import page_rows

_FIELDS = (
    *("model", "version", "inputs", "outputs", "executor", "webhook"),
    *("cron", "interval_s", "timezone"),
)


class ScheduleView(AccountView):
    """Only an account's own; writing needs a token's scope."""

    parser_classes = (StrictJSONParser,)


class Schedules(ScheduleView):
    """List one's schedules, or make one."""

    def get(self, request: Request) -> Response:
        """List those that are not stopped, newest first; with `?stopped=1` the others."""
        stopped = request.query_params.get("stopped") == "1"
        rows = schedules.schedules_of(request.user).filter(stopped_at__isnull=not stopped)
        return page_rows(request, rows, ("-id",), shape)

    def post(self, request: Request) -> Response:
        """Make one: what an execution would have, and `cron` or `interval_s`."""
        value = request.data
        if not isinstance(value, dict):
            raise BadRequestError("The request is not a JSON object.")
        unknown = sorted(set(value) - set(_FIELDS))
        if unknown:
            name = unknown[0][:64]
            raise BadRequestError(f"The field '{name}' is unknown.", field=name)
        when = _when(value)
        row = schedules.create(
            account(request), _plan(request, value), when, version=_text(value, "version") or ""
        )
        return Response(shape(row), status=201, headers={"Location": shape(row)["url"]})


class OneSchedule(ScheduleView):
    """One of one's schedules."""

    def get(self, request: Request, schedule: uuid.UUID) -> Response:
        """Return it."""
        return Response(shape(schedules.find_schedule(schedule, request.user)))

    def delete(self, request: Request, schedule: uuid.UUID) -> Response:
        """Stop it for good; it stays readable, and so does its history."""
        return Response(shape(schedules.stop(account(request), schedule)))


class Pause(ScheduleView):
    """A schedule that shall wait."""

    def post(self, request: Request, schedule: uuid.UUID) -> Response:
        """Pause it."""
        return Response(shape(schedules.pause(account(request), schedule)))


class Resume(ScheduleView):
    """A schedule that has waited."""

    def post(self, request: Request, schedule: uuid.UUID) -> Response:
        """Resume it from now on."""
        return Response(shape(schedules.resume(account(request), schedule)))


class History(ScheduleView):
    """What a schedule has queued."""

    def get(self, request: Request, schedule: uuid.UUID) -> Response:
        """List it, newest first: `?cursor=`; `fired_at` is the time that each was for."""
        row = schedules.find_schedule(schedule, request.user)
        page = schedules.history(row, cursor=request.query_params.get("cursor", ""))
        items = [
            {**shapes.execution(fire.execution), "fired_at": timestamp(fire.at)}
            for fire in page.fires
        ]
        return Response({"items": items, "next": page.next})


def _when(value: dict[str, Any]) -> When:
    interval_s = value.get("interval_s")
    if interval_s is not None and type(interval_s) is not int:
        raise BadRequestError("The field 'interval_s' is an integer.", field="interval_s")
    if (_text(value, "timezone") or "UTC") != "UTC":
        raise BadRequestError("Schedules are in UTC: leave out 'timezone'.", field="timezone")
    return When(cron=_text(value, "cron") or "", interval_s=interval_s).check()


def _plan(request: Request, value: dict[str, Any]) -> Plan:
    model, inputs, outputs = _text(value, "model"), value.get("inputs"), value.get("outputs")
    if model is None:
        raise BadRequestError("The field 'model' is the name of a model.", field="model")
    if not isinstance(inputs, list):
        raise BadRequestError("The field 'inputs' is an array of tensors.", field="inputs")
    names = outputs if outputs is not None else []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadRequestError("The field 'outputs' is an array of names.", field="outputs")
    target = find_target(model, _text(value, "version"), request.user)
    given = [read_json_tensor(item, index) for index, item in enumerate(inputs)]
    wishes = Wishes(
        outputs=tuple(names) or None,
        kind=executor_kind(value.get("executor")),
        hook=_text(value, "webhook"),
    )
    limit_s = float(settings.INFER_QUEUED_DEADLINE_S)
    return make_plan(target, given, wishes, request.user, limit_s=limit_s)


def _text(value: dict[str, Any], field: str) -> str | None:
    text = value.get(field)
    if text is not None and not isinstance(text, str):
        raise BadRequestError(f"The field '{field}' is a string.", field=field)
    return text


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else timestamp(instant)


def shape(row: Schedule) -> dict[str, Any]:
    """Return a schedule as JSON."""
    runs = row.paused_at is None and row.stopped_at is None
    return {
        "id": str(row.pk),
        "url": f"/api/v1/schedules/{row.pk}",
        "page_url": f"/schedules/{row.pk}/",
        "model": row.model_name,
        "version": row.version or None,
        "input_sha256": row.input_id,
        "outputs": row.requested_outputs,
        "executor_kind": row.executor_kind,
        "webhook": None if row.hook_id is None else str(row.hook_id),
        "cron": row.cron or None,
        "interval_s": row.interval_s,
        "timezone": row.timezone,
        "state": "stopped" if row.stopped_at else "paused" if row.paused_at else "active",
        "next_at": _time(row.next_at) if runs else None,
        "last_fired_at": _time(row.last_fired_at),
        "paused_reason": row.paused_reason or None,
        "paused_at": _time(row.paused_at),
        "stopped_at": _time(row.stopped_at),
        "created_at": _time(row.created_at),
    }
