"""What everybody reads of moderation, reports, and the appeal of who owns what was acted on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from registry.services import flags
from tests.permissions.rows_pages import form
from tests.permissions.scene import Scene
from tests.permissions.table import page, row

API = "/api/v1/moderation"
TEXT = "It is not what its card says that it is."


def report(_: Scene) -> Any:
    stamp = flags.stamp(timezone.now() - timedelta(minutes=1))
    return form(kind="model", name="acme/open", category="deception", text=TEXT, stamp=stamp)


ROWS = [
    page("GET", "/moderation/", "200"),
    page("GET", "/moderation/1/", "200"),
    page("GET", "/moderation/1/moderation.sigstore.json", "200"),
    page("GET", "/moderation/report/", "200"),
    page("POST", "/moderation/report/", "200", report),
    # Of acme's: whoever decides for it, and nobody else.
    page("POST", "/moderation/1/appeal/", "401 404 404 302 404 404", form(text=TEXT)),
    row("GET", API, "200"),
    row("GET", f"{API}/1", "200"),
    row("GET", f"{API}/1/bundle", "200"),
]
