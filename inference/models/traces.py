"""Traces of executions: one digest for each value of a run that was made again.

One row from the wish to the trace: `queued`, `running` under a lease, then `done` or `failed`. One
execution has at most one that has not ended. `data` is the zlib-compressed `assay-trace-v1`; of a
private execution it is deleted with the tensors, for a digest of a value that can be guessed tells
it. The digest of the whole stays.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from inference.choices import TraceState, Verdict
from inference.ids import uuid7
from inference.models.execution import Execution

_ENDED = (TraceState.DONE, TraceState.FAILED)


class Trace(models.Model):
    """One trace of an execution by an executor, whose fingerprint it keeps. `id` is a UUIDv7.

    `verdict` is of its end beside the claimed output (exact, close or diverged), in words `detail`.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    execution = models.ForeignKey(
        Execution, on_delete=models.PROTECT, related_name="traces", db_index=False
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    state = models.CharField(max_length=16, choices=TraceState, default=TraceState.QUEUED)
    available_at = models.DateTimeField()
    attempts = models.SmallIntegerField(default=0)
    lease = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    executor = models.CharField(max_length=64, blank=True, help_text="fingerprint of its key")
    runtime = models.JSONField(null=True, blank=True)
    digest = models.CharField(max_length=64, blank=True)
    nodes = models.IntegerField(null=True, blank=True)
    data = models.BinaryField(null=True, blank=True)
    verdict = models.CharField(max_length=16, choices=Verdict, blank=True)
    detail = models.TextField(blank=True)
    error_code = models.CharField(max_length=32, blank=True)
    error_message = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(state=TraceState.RUNNING, lease_until__isnull=False)
                | (~Q(state=TraceState.RUNNING) & Q(lease_until__isnull=True)),
                name="trace_running_has_lease",
            ),
            models.CheckConstraint(
                condition=Q(state__in=_ENDED, finished_at__isnull=False)
                | (~Q(state__in=_ENDED) & Q(finished_at__isnull=True)),
                name="trace_ended_has_end",
            ),
            models.CheckConstraint(
                condition=(Q(state=TraceState.DONE) & ~Q(digest=""))
                | (~Q(state=TraceState.DONE) & Q(digest="", data__isnull=True)),
                name="trace_done_has_digest",
            ),
            models.UniqueConstraint(
                fields=("execution",),
                condition=~Q(state__in=_ENDED),
                name="trace_one_pending",
            ),
        )
        indexes = (
            models.Index(fields=("execution", "id"), name="trace_of_execution"),
            models.Index(
                fields=("available_at",), condition=~Q(state__in=_ENDED), name="trace_waiting"
            ),
        )

    def __str__(self) -> str:
        return str(self.id)
