"""What an owner wants to be told of. Where to, and what arrived, is in `inference.models.Hook`."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

from registry.models.model import Model
from registry.models.owner import Owner


class Watch(models.Model):
    """A wish to be told of changes to `owner`, or to `model` alone while it is that owner's.

    `events` are verbs of the audit log, or their first words; empty: all that are told.
    """

    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="watches")
    model = models.ForeignKey(
        Model, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    events = ArrayField(models.CharField(max_length=40), default=list)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.model or self.owner)
