"""Trusted publishing: which build may publish a model, and which run did.

A `TrustedPublisher` is an owner's word about a model: a run of this workflow in this repository,
as this issuer signs it, may publish. Its two ids are pinned by the first run: a repository that
was deleted and made again under the same name has others.
"""

from __future__ import annotations

from django.conf import settings
from django.db import models

from registry.models.model import Model
from registry.models.release import Release


class TrustedPublisher(models.Model):
    """A workflow that may publish a model; a row stays when it is removed."""

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="trusted")
    issuer = models.CharField(max_length=300)
    repository = models.CharField(max_length=200, help_text="owner/name at the issuer's")
    workflow = models.CharField(max_length=200, help_text="a file of .github/workflows")
    environment = models.CharField(max_length=255, blank=True, help_text="empty: any")
    repository_id = models.CharField(max_length=64, blank=True)
    repository_owner_id = models.CharField(max_length=64, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("model", "issuer", "repository", "workflow", "environment"),
                condition=models.Q(removed_at=None),
                name="trusted_publisher_unique",
            ),
        )

    def __str__(self) -> str:
        return f"{self.repository} {self.workflow}"


class TrustedRun(models.Model):
    """One ID token that was exchanged, once; `token_digest` names the API token it got."""

    publisher = models.ForeignKey(TrustedPublisher, on_delete=models.PROTECT, related_name="runs")
    issuer = models.CharField(max_length=300)
    jti = models.CharField(max_length=200)
    claims = models.JSONField(help_text="those that pages show")
    token_digest = models.CharField(max_length=128, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("issuer", "jti"), name="trusted_run_once"),)

    def __str__(self) -> str:
        return f"{self.issuer} {self.jti}"


class ReleaseRun(models.Model):
    """The run whose token published a release."""

    release = models.OneToOneField(
        Release, primary_key=True, on_delete=models.PROTECT, related_name="ci"
    )
    run = models.ForeignKey(TrustedRun, on_delete=models.PROTECT, related_name="releases")

    def __str__(self) -> str:
        return f"{self.release_id} by {self.run_id}"
