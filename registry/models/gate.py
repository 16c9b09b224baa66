"""Requests for the files of gated models."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from registry.choices import AccessState
from registry.models.model import Model


class AccessRequest(models.Model):
    """One person's standing with one gated model; a new request reuses the row."""

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="access_requests")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="access_requests"
    )
    reason = models.CharField(max_length=1000)
    state = models.CharField(max_length=16, choices=AccessState, default=AccessState.WAITING)
    asked_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("user", "model"), name="access_request_unique"),
        )
        indexes = (models.Index(fields=("model", "state", "id"), name="access_of_model"),)

    def __str__(self) -> str:
        return f"{self.user_id} for {self.model_id}: {self.state}"
