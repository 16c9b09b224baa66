"""Executions: the row is the execution, a message is only a wake-up.

The states and who may move them are in `docs/explanation/executions.md`; CHECK constraints and the
trigger of migration 0002 hold the same table in the database. `lease` stays after the end, so that
a worker whose COMMIT got no answer can re-read the row and see whether it won.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce

from inference.choices import TERMINAL, ExecutionState, ExecutorKind
from inference.ids import uuid7

INLINE_BYTES = 256 * 1024


class Tensors(models.Model):
    """One `assay-tensors-v1` byte string by its SHA-256; small ones inline, large ones a blob.

    `salted`: 32 random bytes stand before them, in what is stored and in what is hashed, so that
    the set of a private execution shares its address with nothing. `size` counts without them.
    """

    sha256 = models.CharField(primary_key=True, max_length=64)
    size = models.BigIntegerField()
    inline = models.BinaryField(null=True, blank=True)
    salted = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    dropped_at = models.DateTimeField(null=True, blank=True, help_text="the bytes are gone")

    class Meta:
        verbose_name_plural = "tensors"
        indexes = (
            models.Index(
                fields=("dropped_at",),
                condition=Q(dropped_at__isnull=False, inline__isnull=True),
                name="tensors_to_delete",
            ),
        )

    def __str__(self) -> str:
        return self.sha256


class Execution(models.Model):
    """One run of one revision's graph on one set of input tensors. `id` is a UUIDv7."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    caller = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT
    )
    idempotency_key = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 (NULLs must not collide)
    request_digest = models.CharField(max_length=64)
    batch = models.UUIDField(null=True, blank=True, help_text="what was asked for together")
    state = models.CharField(max_length=16, choices=ExecutionState)
    priority = models.SmallIntegerField(default=100)
    available_at = models.DateTimeField()
    deadline = models.DateTimeField()
    cancel_requested = models.DateTimeField(null=True, blank=True)
    attempts = models.SmallIntegerField(default=0)
    max_attempts = models.SmallIntegerField(default=3)
    lease = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    revision = models.ForeignKey("registry.Revision", on_delete=models.PROTECT)
    model_name = models.CharField(max_length=200, help_text="owner/name when it ran")
    manifest = models.CharField(max_length=64)
    graph_path = models.CharField(max_length=1024)
    executor_kind = models.CharField(max_length=16, choices=ExecutorKind)
    requested_outputs = models.JSONField(null=True, blank=True)
    input = models.ForeignKey(Tensors, on_delete=models.PROTECT, related_name="+")
    output = models.ForeignKey(
        Tensors, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    runtime = models.JSONField(null=True, blank=True)
    executor = models.CharField(max_length=64, blank=True, help_text="fingerprint of its key")
    receipt = models.TextField(blank=True, help_text="the compact signed statement")
    entry = models.OneToOneField(
        "ledger.Entry", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    error_code = models.CharField(max_length=32, blank=True)
    error_message = models.TextField(blank=True)
    run_ms = models.FloatField(null=True, blank=True)
    queue_ms = models.FloatField(null=True, blank=True, help_text="waited for a model process")
    cold = models.BooleanField(null=True, blank=True, help_text="the model was loaded for it")
    retry_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT)

    hook = models.ForeignKey(  # no index: nothing looks for the executions of a hook
        "inference.Hook",
        null=True,
        blank=True,
        db_index=False,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="who is told when it ends",
    )

    private = models.BooleanField(default=False, help_text="the statement holds commitments")
    salts = models.JSONField(null=True, blank=True, help_text="hex, while the tensors are kept")
    disclosed_at = models.DateTimeField(null=True, blank=True)
    keep_s = models.PositiveIntegerField(null=True, blank=True, help_text="asked for, in seconds")
    keep_until = models.DateTimeField(null=True, blank=True, help_text="null: as policy says")
    dropped_at = models.DateTimeField(null=True, blank=True, help_text="the tensors are gone")

    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(state=ExecutionState.RUNNING, lease_until__isnull=False)
                | (~Q(state=ExecutionState.RUNNING) & Q(lease_until__isnull=True)),
                name="execution_running_has_lease",
            ),
            models.CheckConstraint(
                condition=Q(state__in=TERMINAL, finished_at__isnull=False)
                | (~Q(state__in=TERMINAL) & Q(finished_at__isnull=True)),
                name="execution_terminal_has_end",
            ),
            models.CheckConstraint(
                condition=Q(
                    state=ExecutionState.SUCCEEDED, output__isnull=False, entry__isnull=False
                )
                | (~Q(state=ExecutionState.SUCCEEDED) & Q(output__isnull=True, entry__isnull=True)),
                name="execution_success_has_entry",
            ),
            models.CheckConstraint(
                condition=Q(attempts__lte=models.F("max_attempts")),
                name="execution_attempts_bounded",
            ),
            models.CheckConstraint(
                condition=Q(private=False, salts__isnull=True, disclosed_at__isnull=True)
                | Q(private=True, caller__isnull=False),
                name="execution_private_has_caller",
            ),
            models.CheckConstraint(
                condition=Q(dropped_at__isnull=True) | Q(finished_at__isnull=False),
                name="execution_dropped_has_end",
            ),
            models.UniqueConstraint(
                fields=("caller", "idempotency_key"), name="execution_idempotency_unique"
            ),
        )
        indexes = (
            models.Index(
                F("executor_kind"),
                Coalesce(F("caller"), Value(0), output_field=models.IntegerField()),
                *(F("priority"), F("available_at"), F("id")),
                condition=Q(state=ExecutionState.QUEUED),
                name="execution_turns",
            ),
            models.Index(
                fields=("-finished_at",),
                condition=Q(error_code="worker_lost"),
                name="execution_lost",
            ),
            models.Index(
                fields=("keep_until",),
                condition=Q(dropped_at__isnull=True, keep_until__isnull=False),
                name="execution_kept_until",
            ),
            models.Index(
                fields=("finished_at",),
                condition=Q(dropped_at__isnull=True, keep_until__isnull=True),
                name="execution_kept",
            ),
            models.Index(
                fields=("lease_until",),
                condition=Q(state=ExecutionState.RUNNING),
                name="execution_leases",
            ),
            models.Index(
                fields=("batch", "id"), condition=Q(batch__isnull=False), name="execution_of_batch"
            ),
            models.Index(fields=("revision", "-created_at"), name="execution_of_revision"),
            models.Index(fields=("-created_at", "id"), name="execution_newest"),
        )

    def __str__(self) -> str:
        return str(self.id)
