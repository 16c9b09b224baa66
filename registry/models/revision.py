"""A revision: an immutable commit of a model's files, named by its record's digest."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from registry.choices import RevisionState
from registry.models.blob import Blob
from registry.models.model import Model


class Revision(models.Model):
    """One commit. `id` is 40 hex digits: the start of SHA-256 over its record in RFC 8785 form."""

    id = models.CharField(primary_key=True, max_length=40)
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="revisions")
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    message = models.CharField(max_length=500)
    manifest = models.CharField(max_length=64, db_index=True)
    state = models.CharField(max_length=16, choices=RevisionState, default=RevisionState.PENDING)
    graph_path = models.CharField(max_length=1024, blank=True)
    report = models.JSONField(
        default=dict, help_text="the inspection: verdict, findings, facts, trial"
    )
    card_metadata = models.JSONField(default=dict)
    card_body = models.TextField(blank=True)
    inspected_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(help_text="part of the record, to the millisecond")

    class Meta:
        indexes = (
            models.Index(
                fields=("created_at",),
                condition=models.Q(state=RevisionState.PENDING),
                name="revision_pending",
            ),
        )

    def __str__(self) -> str:
        return self.id


class RevisionFile(models.Model):
    """A path of a revision and the content it names."""

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="files")
    path = models.CharField(max_length=1024)
    blob = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("revision", "path"), name="revision_path_unique"),
        )
        ordering = ("path",)

    def __str__(self) -> str:
        return self.path
