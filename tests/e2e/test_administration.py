"""Axe looks at every page of the administration that a superuser has, each with a row in it."""

from __future__ import annotations

from collections.abc import Iterator

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.test import Client
from playwright.sync_api import Browser

from tests.e2e import test_every_state as states
from tests.e2e.test_accessibility import complaints
from tests.people import PASSWORD, make_person
from tests.permissions.scene import Scene

scene = states.scene
_connections = states._connections
OWN = ("", "password_change/", "state/", "state/queue/", "state/ledger/")
ACT = "registry/moderationaction/act/"
OF_A_ROW = ("change", "history", "delete")


def addresses() -> Iterator[str]:
    """Yield our own pages, and for each table its list, its form, and the pages of one row."""
    yield from (f"/admin/{path}" for path in (*OWN, ACT))
    for model in filter(admin.site.is_registered, apps.get_models()):
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        yield from (base, f"{base}add/")
        row = model._default_manager.first()
        if row is not None:
            yield from (f"{base}{quote(row.pk)}/{page}/" for page in OF_A_ROW)


def superuser() -> Client:
    person = make_person("root").user
    person.is_staff = person.is_superuser = True
    person.save()
    client = Client()
    client.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    return client


def test_axe_finds_nothing_in_the_administration(scene: Scene, browser: Browser) -> None:
    client = superuser()
    # Colours that are still on their way would be measured as they are.
    context = browser.new_context(base_url=states.ORIGIN, reduced_motion="reduce")
    page = context.new_page()
    seen, found = 0, list[str]()
    for path in addresses():
        answer = client.get(path)
        if answer.status_code != 200:  # nobody adds, changes or deletes those
            assert answer.status_code == 403, path
            continue
        seen += 1
        shown = states.Shown(words=path, path=path, status=200, body=answer.content)
        states.show(page, shown)
        found += complaints(page, path, states.LOOKS)
    context.close()
    assert seen > 40
    assert not found, "\n".join(["", *found])
