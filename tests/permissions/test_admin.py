"""Django's admin as one group: nobody but staff gets in, and staff only where they were let."""

from __future__ import annotations

import re

from django.conf import settings
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import Client
from django.urls import get_resolver

from tests.permissions.scene import Scene
from tests.permissions.urlmap import ADMIN, walk

_PART = re.compile(r"<[^>]+>|\(\?P<[^)]+\)")
# What the admin does for whoever is in, whatever they may do there, and the ways in and out.
# `r` is Django's way from an object to its page.
OPEN_TO_STAFF = (
    "/admin/r/1/1/",
    "/admin/",
    "/admin/jsi18n/",
    "/admin/password_change/",
    "/admin/password_change/done/",
)
WAYS = ("/admin/login/", "/admin/logout/")


def addresses() -> list[str]:
    found = {
        "/" + _PART.sub("1", route).removesuffix("$").replace("^", "")
        for route, _ in walk(get_resolver("config.urls"))
        if route.startswith(ADMIN)
    }
    return sorted(path for path in found if "?" not in path and path not in WAYS)


def best(scene: Scene, name: str, path: str) -> int:
    """Return the smaller status of a GET and a POST: below 300 somebody was let in."""
    client = Client(headers={"accept": "*/*"})
    if name in scene.cookies:
        client.cookies[settings.SESSION_COOKIE_NAME] = scene.cookies[name]
    with transaction.atomic():
        answers = [client.generic(method, path) for method in ("GET", "POST")]
        transaction.set_rollback(True)
    return min(answer.status_code for answer in answers)


def test_nobody_who_is_no_staff_gets_into_the_admin(scene: Scene) -> None:
    paths = addresses()
    assert len(paths) > 20
    inside = [
        (name, path)
        for path in paths
        for name in ("anonymous", "alice", "mallory")
        if best(scene, name, path) < 300
    ]
    assert inside == []


def test_a_moderator_sees_only_what_they_were_let(scene: Scene) -> None:
    paths = [path for path in addresses() if path not in OPEN_TO_STAFF]
    seen = [path for path in paths if best(scene, "staff", path) < 300]
    assert seen == []
    scene.people["staff"].user.user_permissions.add(
        Permission.objects.get(codename="view_appeal", content_type__app_label="registry")
    )
    seen = [path for path in paths if best(scene, "staff", path) < 300]
    assert "/admin/registry/appeal/" in seen
    assert {path.removeprefix("/admin/registry/").partition("/")[0] for path in seen} == {"appeal"}
