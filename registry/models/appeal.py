"""A publisher's request that a person look at an inspection that failed."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from registry.choices import AppealState
from registry.models.revision import Revision


class Appeal(models.Model):
    """What the publisher says, and what a moderator answered."""

    revision = models.ForeignKey(Revision, on_delete=models.PROTECT, related_name="appeals")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(max_length=2000)
    findings = models.JSONField(default=list, help_text="what the report said when it was asked")
    state = models.CharField(max_length=16, choices=AppealState, default=AppealState.WAITING)
    answer = models.TextField(blank=True, max_length=2000)
    moderator = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=("revision",),
                condition=models.Q(state=AppealState.WAITING),
                name="appeal_one_waiting",
            ),
        )

    def __str__(self) -> str:
        return f"{self.revision_id} {self.state}"
