"""What was found when a release was run several times on one input."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from inference.choices import ExecutorKind, InputSource


class DeterminismCheck(models.Model):
    """Runs of one revision in one kind of executor, in fresh processes.

    `digests` has, for each process, the output digest of each of its runs; `runs` counts them.
    `equal` is null where it could not be run, and `reason` says why.
    """

    revision = models.ForeignKey(
        "registry.Revision", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    kind = models.CharField(max_length=16, choices=ExecutorKind)
    runtime = models.JSONField(null=True, blank=True)
    input_source = models.CharField(max_length=16, choices=InputSource)
    input_digest = models.CharField(max_length=64, blank=True)
    runs = models.SmallIntegerField(default=0)
    equal = models.BooleanField(null=True, blank=True)
    digests = models.JSONField(default=list)
    reason = models.TextField(blank=True)
    checked_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("revision", "kind"), name="determinism_once"),
            models.CheckConstraint(
                condition=Q(equal__isnull=True) | Q(runs__gt=1), name="determinism_has_runs"
            ),
        )

    def __str__(self) -> str:
        return f"{self.revision_id} {self.kind}"
