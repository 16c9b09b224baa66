"""Models that change hands, and the addresses that they leave behind."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower

from registry.choices import TransferState
from registry.models.model import Model
from registry.models.owner import Owner


class Transfer(models.Model):
    """An offer of a model to another owner; only one waits at a time."""

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="transfers")
    source = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="+")
    target = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="offers")
    state = models.CharField(max_length=16, choices=TransferState, default=TransferState.WAITING)
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("model",),
                condition=models.Q(state=TransferState.WAITING),
                name="transfer_waiting_unique",
            ),
        )

    def __str__(self) -> str:
        return f"{self.model_id} to {self.target_id}: {self.state}"


class FormerName(models.Model):
    """An address that a model had: it leads to the model for ever, and is nobody else's."""

    name = models.CharField(max_length=200, help_text="owner/name")
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="former_names")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(Lower("name"), name="former_name_unique"),)

    def __str__(self) -> str:
        return self.name
