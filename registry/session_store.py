"""The engine of sessions (`SESSION_ENGINE`): Django's, over rows that name account and device.

To end a session is to delete its row: a request that is under way can only update it, and fails.
Reading a session notes that it is in use, at most once in five minutes and never its contents, so
that nothing is lost that another request writes meanwhile.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as StockStore
from django.utils import timezone

SIGN_IN = "sign_in"
SEEN_EVERY = timedelta(minutes=5)


class SessionStore(StockStore):
    """Sessions in `registry.models.Session`."""

    @classmethod
    def get_model_class(cls) -> Any:
        """Return the model of the rows."""
        from registry.models import Session

        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        """Return the row of `data`, with what its sign-in said of the device."""
        row: Any = super().create_model_instance(data)
        sign_in = data.get(SIGN_IN, {})
        row.user_id = int(data[SESSION_KEY]) if SESSION_KEY in data else None
        row.device = sign_in.get("device", "")
        at = sign_in.get("at", "")
        row.signed_in_at = datetime.fromisoformat(at) if at else None
        return row

    def load(self) -> dict[str, Any]:
        """Return the data of the session, and note that it is in use."""
        now, rows = timezone.now(), self.get_model_class().objects
        row = rows.filter(session_key=self.session_key, expire_date__gt=now).first()
        if row is None:
            self._session_key = None
            return {}
        if now - row.seen_at > SEEN_EVERY:
            rows.filter(pk=row.pk, seen_at=row.seen_at).update(seen_at=now)
        return dict(self.decode(row.session_data))
