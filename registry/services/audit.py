"""One audit row per mutation, written in the mutation's own transaction."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser

from registry.models import AuditEvent


def note(user: AbstractBaseUser | None, action: str, target: str, **data: Any) -> None:
    """Record that `user` (None: the site itself) did `action` to `target`."""
    AuditEvent.objects.create(
        user_id=None if user is None else user.pk, action=action, target=target[:300], data=data
    )
