"""API tokens: a digest in the database, the token itself shown once."""

from __future__ import annotations

from django.db import models
from knox.models import AbstractAuthToken

from registry.choices import TokenScope
from registry.models.model import Model
from registry.models.owner import Owner

PREFIX = 12  # "assay_" and six more of 64


class ApiToken(AbstractAuthToken):
    """knox's token with a name, a scope, limits and the time of its last use.

    `limited`: beyond what everybody may do it reaches only the owners and models of its limits.
    """

    name = models.CharField(max_length=80)
    scope = models.CharField(max_length=8, choices=TokenScope, default=TokenScope.READ)
    limited = models.BooleanField(default=False)
    last_used_at = models.DateTimeField(null=True, blank=True)

    @property
    def prefix(self) -> str:
        """Return the part that may be shown: enough to tell tokens apart, worth nothing."""
        return str(self.token_key)[:PREFIX]

    def __str__(self) -> str:
        return self.name


class TokenLimit(models.Model):
    """An owner, or a model, that a limited token reaches."""

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="limits")
    owner = models.ForeignKey(
        Owner, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    model = models.ForeignKey(
        Model, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=models.Q(owner__isnull=True) ^ models.Q(model__isnull=True),
                name="token_limit_one",
            ),
            models.UniqueConstraint(
                fields=("token", "owner", "model"),
                name="token_limit_unique",
                nulls_distinct=False,
            ),
        )

    def __str__(self) -> str:
        return f"{self.owner or self.model}"
