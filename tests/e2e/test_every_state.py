"""Axe looks at every page in every state that the permission matrix knows.

The matrix has a row for every address and method, or `tests/permissions` fails: so a new page is
looked at here without anybody thinking of it. For each row every kind of answer that is a page is
taken: as its owner sees it, as a stranger does, as a moderator, after a form was sent, refused.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.cache import caches
from django.core.signals import request_finished
from django.db import close_old_connections, connections, transaction
from django.test import Client
from playwright.sync_api import Browser, Page, Route

from tests.e2e.test_accessibility import Looks, complaints
from tests.e2e.walkers import OVERFLOW
from tests.people import PASSWORD
from tests.permissions import conftest
from tests.permissions.scene import Scene
from tests.permissions.table import NAMES, Row
from tests.permissions.test_matrix import GROUPS

ORIGIN = "http://localhost:1"  # nobody listens there: everything is answered in this process
# Both widths and both themes; `test_accessibility` crosses them.
LOOKS: Looks = ((1280, "light"), (360, "dark"))
# Swagger's browser of the API draws itself, and nothing of it is ours.
VENDORS = "/api/v1/docs/"
WATCHERS = ("owner", "anonymous", "moderator", "member", "mallory")
scene = conftest.scene


@pytest.fixture(scope="module", autouse=True)
def _connections(browser: Browser) -> Iterator[None]:
    """Under Playwright's event loop Django has a connection of its own: end it there too."""
    yield
    connections.close_all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One page in one state."""

    words: str
    path: str
    status: int
    body: bytes


def answer(scene: Scene, row: Row, method: str, person: str) -> Shown | None:
    """Return the page that a person gets, None where it is none; nothing stays written."""
    client = Client(headers={"accept": "text/html,*/*;q=0.8", **row.headers})
    name = NAMES.get(person, person)
    if name in scene.cookies:
        client.cookies[settings.SESSION_COOKIE_NAME] = scene.cookies[name]
    sent = row.send(scene) if callable(row.send) else row.send
    raw = sent if isinstance(sent, bytes) else b"" if sent is None else json.dumps(sent).encode()
    path = scene.at(row.path)
    caches["default"].clear()  # where allauth counts guesses
    with transaction.atomic():
        if name in scene.cookies:  # who has just said again who they are sees more
            client.post("/accounts/reauthenticate/", {"password": PASSWORD})
        got = client.generic(method, path, raw, row.kind)
        transaction.set_rollback(True)
    if got.streaming:  # a file
        request_finished.disconnect(close_old_connections)  # as the client does for the others
        got.close()
        request_finished.connect(close_old_connections)
        return None
    if not got.get("Content-Type", "").startswith("text/html"):
        return None
    if got.status_code == 405 or b"<html" not in got.content:  # or a part for htmx
        return None
    words = f"{method} {row.path} {row.note} as {person}: {got.status_code}"
    return Shown(words=words, path=path, status=got.status_code, body=got.content)


def states(scene: Scene, rows: list[Row]) -> Iterator[Shown]:
    """Yield each page once for each status that it has for somebody."""
    for row in rows:
        for method in row.methods if row.signed_in and row.path != VENDORS else ():
            seen = set()
            for person in WATCHERS:
                shown = answer(scene, row, method, person)
                if shown and shown.status not in seen:
                    seen.add(shown.status)
                    yield shown


def show(page: Page, shown: Shown) -> None:
    """Open the page as it was answered, with the styles and scripts of this tree."""

    def serve(route: Route) -> None:
        path = urlsplit(route.request.url).path
        if route.request.is_navigation_request():
            kind = "text/html; charset=utf-8"
            route.fulfill(status=shown.status, content_type=kind, body=shown.body)
        elif path.startswith(settings.STATIC_URL):
            found = str(finders.find(path.removeprefix(settings.STATIC_URL)))
            kind = mimetypes.guess_type(found)[0] or "application/octet-stream"
            route.fulfill(content_type=kind, path=found)
        else:
            route.abort()

    page.unroute_all()
    page.route("**/*", serve)
    page.goto(shown.path)


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_axe_finds_nothing_on_any_page_in_any_state(
    group: str, scene: Scene, browser: Browser
) -> None:
    context = browser.new_context(base_url=ORIGIN)
    page = context.new_page()
    found: list[str] = []
    for shown in states(scene, GROUPS[group]):
        show(page, shown)
        found += complaints(page, shown.words, LOOKS)
        page.set_viewport_size({"width": 360, "height": 740})
        over = page.evaluate(OVERFLOW)
        found += [f"{shown.words}: {over} px too wide for a phone"] if over > 0 else []
    context.close()
    assert not found, "\n".join(["", *found])
