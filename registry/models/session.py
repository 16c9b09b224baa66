"""Sessions of browsers, which their owner can tell apart and end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.utils import timezone

if TYPE_CHECKING:
    from registry.session_store import SessionStore


class Session(AbstractBaseSession):
    """Django's session with its account, its device in words, and when it was used last.

    `seen_at` is exact to five minutes. No address and no name of a browser's version is kept.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="sessions",
    )
    device = models.CharField(max_length=80, blank=True)
    signed_in_at = models.DateTimeField(null=True, blank=True)
    seen_at = models.DateTimeField(default=timezone.now)

    @classmethod
    def get_session_store_class(cls) -> type[SessionStore]:
        """Return the engine that writes these rows."""
        from registry.session_store import SessionStore

        return SessionStore
