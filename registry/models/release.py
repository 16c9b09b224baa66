"""Releases and their signed claims."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower

from registry.choices import ClaimKind, Standing
from registry.models.key import Key
from registry.models.model import Model
from registry.models.revision import Revision


class Release(models.Model):
    """A revision that its publisher signed under a version; immutable but for how it stands."""

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="releases")
    revision = models.OneToOneField(Revision, on_delete=models.PROTECT, related_name="release")
    number = models.IntegerField(help_text="counts from 1 in each model")
    version = models.CharField(max_length=96)
    notes = models.TextField(blank=True)
    key = models.ForeignKey(Key, on_delete=models.PROTECT, related_name="releases")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    yanked_at = models.DateTimeField(null=True, blank=True)
    yank_reason = models.CharField(max_length=500, blank=True)
    standing = models.CharField(
        max_length=16, choices=Standing, blank=True, default="", db_default="", editable=False
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint("model", Lower("version"), name="release_version_unique"),
            models.UniqueConstraint(fields=("model", "number"), name="release_number_unique"),
        )
        ordering = ("-number",)

    def __str__(self) -> str:
        return f"{self.model} {self.version}"


class Claim(models.Model):
    """One signed statement of a release: model signature, card or release; logged as `entry`.

    Two releases of the very same files by one key share the entry of the model signature, which
    says nothing about model or revision: the log takes a claim once.
    """

    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="claims")
    kind = models.CharField(max_length=16, choices=ClaimKind)
    entry = models.ForeignKey("ledger.Entry", on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("release", "kind"), name="claim_kind_unique"),
        )

    def __str__(self) -> str:
        return f"{self.kind} of {self.release_id}"
