"""Who belongs to an organisation, and as what."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from registry.choices import MemberState, Role
from registry.models.owner import Owner


class Membership(models.Model):
    """A person in an organisation, or an invitation that they have not answered."""

    owner = models.ForeignKey(Owner, on_delete=models.PROTECT, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=16, choices=Role)
    state = models.CharField(max_length=8, choices=MemberState, default=MemberState.INVITED)
    invited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("user", "owner"), name="membership_unique"),)

    def __str__(self) -> str:
        return f"{self.user_id} {self.role} of {self.owner_id}"
