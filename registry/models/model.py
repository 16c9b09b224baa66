"""A model: a name under an owner, with a history of revisions."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower

from registry.choices import Gate, Standing, Visibility
from registry.models.owner import Owner


class Model(models.Model):
    """`owner/name`. `head` is the newest revision; releases are what the public runs."""

    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="models")
    name = models.CharField(max_length=96)
    visibility = models.CharField(max_length=16, choices=Visibility, default=Visibility.PUBLIC)
    gate = models.CharField(max_length=8, choices=Gate, default=Gate.MANUAL)
    gate_terms = models.TextField(blank=True, help_text="what who asks for a gated model is told")
    head = models.ForeignKey(
        "registry.Revision", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(
        null=True, blank=True, help_text="a tombstone: the name is never given out again"
    )
    standing = models.CharField(
        max_length=16, choices=Standing, blank=True, default="", db_default="", editable=False
    )

    class Meta:
        constraints = (models.UniqueConstraint("owner", Lower("name"), name="model_name_unique"),)
        indexes = (models.Index(fields=("-updated_at", "id"), name="model_newest"),)

    def __str__(self) -> str:
        return f"{self.owner.name}/{self.name}"

    @property
    def full_name(self) -> str:
        """Return `owner/name`, as statements spell it."""
        return f"{self.owner.name}/{self.name}"
