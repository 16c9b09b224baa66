"""Who changed what: one row per mutation, written in the mutation's own transaction."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from registry.models.model import Model
from registry.models.owner import Owner


class AuditEvent(models.Model):
    """One change. `action` is a stable verb such as `model.create`; `data` is about the case.

    `owner` and `model` are whose change it was when it happened: they decide who reads the row.
    `token` is the visible prefix of the token that did it, `""` for a session.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT
    )
    action = models.CharField(max_length=40)
    target = models.CharField(max_length=300, db_index=True)
    owner = models.ForeignKey(
        Owner, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    model = models.ForeignKey(
        Model, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    token = models.CharField(max_length=16, blank=True)
    data = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        indexes = (
            models.Index(fields=("owner", "-id"), name="audit_of_owner"),
            models.Index(fields=("model", "-id"), name="audit_of_model"),
            models.Index(fields=("user", "-id"), name="audit_of_user"),
        )

    def __str__(self) -> str:
        return f"{self.action} {self.target}"
