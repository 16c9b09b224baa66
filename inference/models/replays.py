"""Replays of executions, and the rounds in which the registry's own auditor samples them.

A replay is one row from the wish to the verdict: `requested`, `running` under a lease, `done` with
the ledger entry of its statement. One execution has at most one that is not done. What somebody
else ran and handed in is born done. A done replay and a round never change: migration 0007 has the
triggers.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from inference.choices import ReplaySource, ReplayState, Verdict
from inference.ids import uuid7
from inference.models.execution import Execution


class AuditRound(models.Model):
    """Entries `start` to `end` of the log `origin`, and the later checkpoint that drew its lots.

    `seed_size` and `note` are of that checkpoint, `seed` is made of the note (`inference.sampling`)
    and `seed_at` its time. Of `executions` entries about executions `sampled` were drawn; one in
    `rate` is aimed at.
    """

    origin = models.CharField(max_length=253)
    start = models.BigIntegerField()
    end = models.BigIntegerField()
    seed_size = models.BigIntegerField()
    seed_at = models.DateTimeField()
    note = models.BinaryField()
    seed = models.CharField(max_length=64)
    rate = models.IntegerField()
    executions = models.IntegerField()
    sampled = models.IntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("origin", "start"), name="audit_round_once"),
            models.CheckConstraint(
                condition=Q(start__gte=0, end__gt=models.F("start"))
                & Q(seed_size__gt=models.F("end")),
                name="audit_round_in_order",
            ),
        )

    def __str__(self) -> str:
        return f"{self.origin} {self.start} to {self.end}"


class Replay(models.Model):
    """One more run of an execution, by an auditor. `id` is a UUIDv7.

    `output_digest` is what the statement says, in the form of the receipt (a commitment for a
    private execution). `reason` says in words what a statement has no field for.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    execution = models.ForeignKey(
        Execution, on_delete=models.PROTECT, related_name="replays", db_index=False
    )
    source = models.CharField(max_length=16, choices=ReplaySource)
    round = models.ForeignKey(
        AuditRound, null=True, blank=True, on_delete=models.PROTECT, related_name="replays"
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    state = models.CharField(max_length=16, choices=ReplayState, default=ReplayState.REQUESTED)
    available_at = models.DateTimeField()
    attempts = models.SmallIntegerField(default=0)
    lease = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)

    auditor = models.CharField(max_length=64, blank=True, help_text="fingerprint of its key")
    verdict = models.CharField(max_length=16, choices=Verdict, blank=True)
    runtime = models.JSONField(null=True, blank=True)
    output_digest = models.CharField(max_length=64, blank=True)
    first_divergence = models.TextField(blank=True)
    reason = models.TextField(blank=True)
    # Not one to one: the same words about the same thing, said twice, are one claim.
    entry = models.ForeignKey(
        "ledger.Entry", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(state=ReplayState.RUNNING, lease_until__isnull=False)
                | (~Q(state=ReplayState.RUNNING) & Q(lease_until__isnull=True)),
                name="replay_running_has_lease",
            ),
            models.CheckConstraint(
                condition=(
                    Q(state=ReplayState.DONE, finished_at__isnull=False, entry__isnull=False)
                    & ~Q(verdict="")
                    & ~Q(auditor="")
                )
                | (
                    ~Q(state=ReplayState.DONE)
                    & Q(finished_at__isnull=True, entry__isnull=True, verdict="")
                ),
                name="replay_done_is_logged",
            ),
            models.UniqueConstraint(
                fields=("execution",),
                condition=~Q(state=ReplayState.DONE),
                name="replay_one_pending",
            ),
        )
        indexes = (
            models.Index(fields=("execution", "id"), name="replay_of_execution"),
            models.Index(
                fields=("available_at",),
                condition=~Q(state=ReplayState.DONE),
                name="replay_waiting",
            ),
            models.Index(
                fields=("-finished_at",),
                condition=Q(verdict=Verdict.DIVERGED),
                name="replay_diverged",
            ),
        )

    def __str__(self) -> str:
        return str(self.id)
