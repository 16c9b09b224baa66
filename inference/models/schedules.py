"""Schedules: what is run again and again, and the executions that came of it.

`next_at` is the time that fires next. A fire is one row with the execution that it queued; UNIQUE
(schedule, at) is what makes two beats one execution, beside the row's lock and the idempotency key.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from inference.choices import ExecutorKind
from inference.ids import uuid7
from inference.models.execution import Execution, Tensors
from inference.models.hooks import Hook

LEAST_INTERVAL_S = 60


class Schedule(models.Model):
    """One model, its inputs, and when they are run: by `cron`, or every `interval_s` seconds."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="schedules"
    )
    model_name = models.CharField(max_length=200, help_text="owner/name")
    version = models.CharField(
        max_length=100, blank=True, help_text="empty: the default one, each time"
    )
    input = models.ForeignKey(Tensors, on_delete=models.PROTECT, related_name="+")
    requested_outputs = models.JSONField(null=True, blank=True)
    executor_kind = models.CharField(max_length=16, choices=ExecutorKind)
    hook = models.ForeignKey(
        Hook, null=True, blank=True, db_index=False, on_delete=models.PROTECT, related_name="+"
    )
    cron = models.CharField(max_length=100, blank=True)
    interval_s = models.IntegerField(null=True, blank=True)
    timezone = models.CharField(max_length=32, default="UTC")
    next_at = models.DateTimeField()
    last_fired_at = models.DateTimeField(null=True, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_reason = models.CharField(max_length=300, blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(cron="", interval_s__isnull=False, interval_s__gte=LEAST_INTERVAL_S)
                | (~Q(cron="") & Q(interval_s__isnull=True)),
                name="schedule_cron_or_interval",
            ),
            models.CheckConstraint(condition=Q(timezone="UTC"), name="schedule_in_utc"),
        )
        indexes = (
            models.Index(
                fields=("next_at",),
                condition=Q(paused_at__isnull=True, stopped_at__isnull=True),
                name="schedule_due",
            ),
        )

    def __str__(self) -> str:
        return str(self.id)


class Fire(models.Model):
    """One time at which a schedule fired, and the execution that this queued."""

    schedule = models.ForeignKey(
        Schedule, db_index=False, on_delete=models.PROTECT, related_name="fires"
    )
    at = models.DateTimeField()
    execution = models.ForeignKey(Execution, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("schedule", "at"), name="fire_once"),)

    def __str__(self) -> str:
        return f"{self.schedule_id} {self.at.isoformat()}"
