"""API tokens: a digest in the database, the token itself shown once."""

from __future__ import annotations

from django.db import models
from knox.models import AbstractAuthToken

from registry.choices import TokenScope


class ApiToken(AbstractAuthToken):
    """knox's token with a name, a scope and the time of its last use."""

    name = models.CharField(max_length=80)
    scope = models.CharField(max_length=8, choices=TokenScope, default=TokenScope.READ)
    last_used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.name
