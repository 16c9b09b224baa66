"""Accounts that wait to be closed."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from registry.models.owner import Owner


class Closing(models.Model):
    """A wish to close an account; the row goes with the account, or when it is taken back.

    `to` is the organisation that gets the models; without one they stay where they are.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="closing"
    )
    to = models.ForeignKey(Owner, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.user_id} at {self.due_at:%Y-%m-%d}"
