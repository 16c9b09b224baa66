"""Schedules: the same model on the same inputs, again and again.

The beat only queues: `fire_due` writes, in one transaction for each schedule, the queued execution,
the fire and the schedule's next time. **That commit is the commit point**: before it nothing has
happened, and the next beat does it; after it the execution is in the queue like any other.

Two beats at once make one execution: each takes a schedule's row FOR UPDATE SKIP LOCKED, a fire is
UNIQUE by its time, and the idempotency key `schedule:<id>:<time>` is the same for both. The times
are on the schedule's own grid, so clocks that differ make an execution early or late, never twice.
Of fires that were missed the newest runs. What can run no more (no such model for its owner, other
inputs, a withdrawn release) pauses the schedule, and its row says why.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from assay.errors import AssayError
from assay.statements import timestamp
from assay.tensors import decode_tensors
from inference.errors import (
    BadScheduleError,
    InferenceError,
    TooManySchedulesError,
    UnknownScheduleError,
)
from inference.models import Fire, Schedule
from inference.selectors import tensor_bytes
from inference.services.plan import Plan, Wishes, find_target, make_plan
from inference.services.request import Given
from inference.services.submit import submit
from inference.services.tensors import prepare, save
from inference.services.when import When
from registry.errors import RegistryError
from registry.rights import Caller
from registry.services import audit

MAX_SCHEDULES = 20
MAX_FIRES = 200
PAGE = 50
log = logging.getLogger(__name__)


# ------------------------------------------------------------------ a person's schedules


def create(
    user: AbstractBaseUser, plan: Plan, when: When, *, version: str, now: datetime | None = None
) -> Schedule:
    """Make a schedule of what `plan`, made for `user`, would run; `version` as it was asked for.

    Raises:
        BadScheduleError: no time, or one that is not offered.
        TooManySchedulesError: `user` has `MAX_SCHEDULES` that are not stopped.
    """
    when = when.check()
    now = now or timezone.now()
    asked = plan.execution
    input_set = prepare(plan.data, asked.input_id)
    with transaction.atomic():
        # One at a time for an account, so that two requests together make none too many.
        get_user_model().objects.select_for_update().get(pk=user.pk)
        if schedules_of(user).filter(stopped_at__isnull=True).count() >= MAX_SCHEDULES:
            raise TooManySchedulesError(
                f"An account has at most {MAX_SCHEDULES} schedules: stop one first.",
                limit=MAX_SCHEDULES,
            )
        save(input_set)
        row = Schedule.objects.create(
            owner_id=user.pk,
            model_name=asked.model_name,
            version=version,
            input_id=input_set.sha256,
            requested_outputs=asked.requested_outputs,
            executor_kind=asked.executor_kind,
            hook_id=asked.hook_id,
            cron=when.cron,
            interval_s=when.interval_s,
            next_at=when.after(now.replace(microsecond=0)),
        )
        audit.note(user, "schedule.create", str(row.pk), model=row.model_name)
    return row


def schedules_of(user: Caller) -> QuerySet[Schedule]:
    """Return the schedules of `user`, newest first, stopped ones too."""
    if user is None or not user.is_authenticated:
        return Schedule.objects.none()
    return Schedule.objects.filter(owner_id=user.pk).order_by("-id")


def find_schedule(schedule_id: uuid.UUID, user: Caller) -> Schedule:
    """Return a schedule of `user`.

    Raises:
        UnknownScheduleError: they have none of this id.
    """
    found = schedules_of(user).filter(pk=schedule_id).first()
    if found is None:
        raise UnknownScheduleError("There is no such schedule of yours.", schedule=str(schedule_id))
    return found


def pause(user: AbstractBaseUser, schedule_id: uuid.UUID) -> Schedule:
    """Let a schedule fire no more until it is resumed; raises as `_change`."""
    with transaction.atomic():
        row = _change(user, schedule_id, "pause")
        if row.paused_at is None:
            row.paused_at, row.paused_reason = timezone.now(), ""
            row.save(update_fields=["paused_at", "paused_reason"])
    return row


def resume(
    user: AbstractBaseUser, schedule_id: uuid.UUID, *, now: datetime | None = None
) -> Schedule:
    """Let a paused schedule fire again, from now on: what fell into the pause is not made up for.

    Raises:
        UnknownScheduleError, BadScheduleError: as `_change`.
    """
    now = now or timezone.now()
    with transaction.atomic():
        row = _change(user, schedule_id, "resume")
        if row.paused_at is not None:
            when = when_of(row)
            row.paused_at, row.paused_reason = None, ""
            if row.next_at <= now:
                row.next_at = when.after(when.newest(row.next_at, now))
            row.save(update_fields=["paused_at", "paused_reason", "next_at"])
    return row


def stop(user: AbstractBaseUser, schedule_id: uuid.UUID) -> Schedule:
    """End a schedule for good; its history stays. One that has ended stays as it is.

    Raises:
        UnknownScheduleError: `user` has none of this id.
    """
    with transaction.atomic():
        row = _locked(user, schedule_id)
        if row.stopped_at is None:
            row.stopped_at = timezone.now()
            row.save(update_fields=["stopped_at"])
            audit.note(user, "schedule.stop", str(row.pk))
    return row


def _locked(user: AbstractBaseUser, schedule_id: uuid.UUID) -> Schedule:
    find_schedule(schedule_id, user)
    return Schedule.objects.select_for_update().get(pk=schedule_id)


def _change(user: AbstractBaseUser, schedule_id: uuid.UUID, action: str) -> Schedule:
    """Return the row, locked, noted in the audit.

    Raises:
        UnknownScheduleError: `user` has none of this id.
        BadScheduleError: it was stopped, for good.
    """
    row = _locked(user, schedule_id)
    if row.stopped_at is not None:
        raise BadScheduleError("This schedule was stopped, for good: make another one.")
    audit.note(user, f"schedule.{action}", str(row.pk))
    return row


def when_of(row: Schedule) -> When:
    """Return when `row` fires."""
    return When(cron=row.cron, interval_s=row.interval_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Some fires, newest first; `next` is the cursor of the page after, "" at the end."""

    fires: list[Fire]
    next: str


def history(row: Schedule, *, cursor: str = "", size: int = PAGE) -> History:
    """Return a page of what `row` has queued. A malformed cursor is the beginning."""
    related = ("execution__revision__release", "execution__entry", "execution__output")
    rows = Fire.objects.filter(schedule=row).select_related(*related).order_by("-at")
    try:
        rows = rows.filter(at__lt=datetime.fromtimestamp(int(cursor), UTC))
    except (ValueError, OverflowError, OSError):
        cursor = ""
    found = list(rows[: size + 1])
    more = len(found) > size
    return History(
        fires=found[:size], next=str(int(found[size - 1].at.timestamp())) if more else ""
    )


# ------------------------------------------------------------------ the beat


def fire_due(now: datetime | None = None) -> int:
    """Queue what is due at `now`, at most `MAX_FIRES`; return how many executions that made."""
    now = now or timezone.now()
    fired, failed = 0, set[uuid.UUID]()
    for _ in range(MAX_FIRES):
        pk = None
        try:
            with transaction.atomic():
                row = _next_due(now, failed)
                if row is None:
                    break
                pk = row.pk
                fired += _fire(row, now)
        except Exception:
            if pk is None:
                raise
            # One schedule's fault is no other's; the next beat tries it again.
            log.exception("the schedule %s did not fire", pk)
            failed.add(pk)
    return fired


def _next_due(now: datetime, failed: set[uuid.UUID]) -> Schedule | None:
    due = Schedule.objects.filter(
        next_at__lte=now, paused_at__isnull=True, stopped_at__isnull=True
    ).exclude(pk__in=failed)
    locked = due.select_for_update(skip_locked=True, of=("self",)).select_related("owner", "input")
    return locked.order_by("next_at", "id").first()


def _fire(row: Schedule, now: datetime) -> int:
    """Queue the newest fire of `row` and move it on, or pause it; return how many were queued."""
    when = when_of(row)
    at = when.newest(row.next_at, now)
    row.next_at = when.after(at)
    try:
        with transaction.atomic():
            execution = submit(_plan(row, at)).execution
    except (InferenceError, RegistryError, AssayError) as error:
        row.paused_at = now
        row.paused_reason = str(getattr(error, "message", error))[:300]
        row.save(update_fields=["next_at", "paused_at", "paused_reason"])
        audit.note(None, "schedule.pause", str(row.pk), reason=row.paused_reason)
        return 0
    Fire.objects.create(schedule=row, at=at, execution=execution)
    row.last_fired_at = at
    row.save(update_fields=["next_at", "last_fired_at"])
    return 1


def _plan(row: Schedule, at: datetime) -> Plan:
    if not row.owner.is_active:
        raise BadScheduleError("The account is not active.")
    target = find_target(row.model_name, row.version or None, row.owner)
    given = [
        Given(name=item.name, datatype=item.datatype, shape=tuple(item.shape), data=item.data)
        for item in decode_tensors(tensor_bytes(row.input))
    ]
    outputs = row.requested_outputs
    wishes = Wishes(
        outputs=None if outputs is None else tuple(outputs),
        idempotency_key=f"schedule:{row.pk}:{timestamp(at)}",
        kind=row.executor_kind,
        hook=None if row.hook_id is None else str(row.hook_id),
    )
    limit_s = float(settings.INFER_QUEUED_DEADLINE_S)
    return make_plan(target, given, wishes, row.owner, limit_s=limit_s)
