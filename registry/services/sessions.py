"""The sessions of an account: what they look like to their owner, and their end.

A session's key is a secret that opens the account: pages and audit rows name it by `handle`, which
leads nowhere. Ending is one transaction, the rows and an audit row (COMMIT POINT); a crash before
it ends nothing, and after it the next request with that cookie is a stranger's.
"""

from __future__ import annotations

import re

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from assay.digests import sha256_hex
from registry.models import Session
from registry.services import audit

MOST = 200
UNKNOWN = "A device that says nothing of itself"
# The first that matches: later words are in the texts of earlier ones too.
_BROWSERS = (
    ("Edge", r"Edg(?:e|A|iOS)?/"),
    ("Opera", r"OPR/|Opera"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"Chrome/|CriOS/|Chromium/"),
    ("Safari", r"Safari/"),
)
_SYSTEMS = (
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("Android", r"Android"),
    ("ChromeOS", r"CrOS"),
    ("Windows", r"Windows"),
    ("macOS", r"Macintosh|Mac OS X"),
    ("Linux", r"Linux|X11"),
)


def device_words(agent: str) -> str:
    """Return browser and system that a `User-Agent` names, in words; whoever sends it may lie."""
    browser = _first(_BROWSERS, agent[:500])
    system = _first(_SYSTEMS, agent[:500])
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or UNKNOWN


def _first(names: tuple[tuple[str, str], ...], agent: str) -> str:
    return next((name for name, pattern in names if re.search(pattern, agent)), "")


def handle(session_key: str) -> str:
    """Return the public name of a session: 32 hex digits that do not give its key away."""
    return sha256_hex(f"assay session {session_key}".encode())[:32]


def of(user: AbstractBaseUser) -> QuerySet[Session]:
    """Return the sessions of `user` that have not run out, the one used last first."""
    rows = Session.objects.filter(user_id=user.pk, expire_date__gt=timezone.now())
    return rows.order_by("-seen_at", "session_key")


def end(user: AbstractBaseUser, name: str) -> bool:
    """End the session of `user` that is called `name`; False when there is none."""
    with transaction.atomic():
        for row in of(user).select_for_update(of=("self",)).defer("session_data"):
            if handle(row.session_key) == name:
                row.delete()
                audit.note(user, "session.end", row.device or UNKNOWN)
                return True
    return False


def end_others(user: AbstractBaseUser, keep: str | None) -> int:
    """End every session of `user` but the one with the key `keep`; return how many those were."""
    with transaction.atomic():
        rows = Session.objects.filter(user_id=user.pk).exclude(session_key=keep or "")
        ended = rows.delete()[0]
        if ended:
            audit.note(user, "session.end_others", user.get_username(), count=ended)
    return ended


def sweep() -> int:
    """Delete the sessions that have run out; return how many."""
    return Session.objects.filter(expire_date__lte=timezone.now()).delete()[0]
