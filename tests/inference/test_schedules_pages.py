"""The pages of schedules: a person's own, without a script, and in the manner of all pages."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, Route, sync_playwright
from pytest_django import Settings

from inference import wakeups
from inference.choices import ExecutionState
from inference.models import Execution, Schedule
from inference.services import schedules
from inference.services.when import When
from tests.builders import publish_release
from tests.inference.builders import plan
from tests.inference.test_schedules import GIVEN
from tests.pages.html import faults, parse
from tests.pages.test_every_page import check
from tests.people import Person

LIST = "/schedules/"


@pytest.fixture(autouse=True)
def _no_broker(settings: Settings) -> Iterator[None]:
    settings.CELERY_BROKER_URL = "memory://"
    wakeups._client.cache_clear()
    yield
    wakeups._client.cache_clear()


def browser_of(person: Person | None) -> Client:
    client = Client(headers={"accept": "text/html,*/*;q=0.8"})
    if person is not None:
        client.force_login(person.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def make(person: Person, name: str, when: When) -> Schedule:
    planned = plan(name, [GIVEN], user=person.user)
    start = timezone.now() - timedelta(days=2)
    return schedules.create(person.user, planned, when, version="", now=start)


@pytest.fixture
def rows(alice: Person) -> dict[str, Schedule]:
    """One schedule in each state: the active one has fired twice."""
    name = publish_release(alice).model.full_name
    states = ("active", "paused", "failed", "stopped", "new")
    made = {state: make(alice, name, When(cron="*/5 * * * *")) for state in states}
    schedules.pause(alice.user, made["paused"].pk)
    schedules.stop(alice.user, made["stopped"].pk)
    reason = "There is no model 'alice/<gone>'."
    columns = {"paused_at": timezone.now(), "paused_reason": reason}
    Schedule.objects.filter(pk=made["failed"].pk).update(**columns)
    later = timezone.now() + timedelta(hours=1)
    Schedule.objects.filter(pk=made["new"].pk).update(next_at=later)
    for hour in (30, 3):
        schedules.fire_due(timezone.now() - timedelta(hours=hour))
    first = Execution.objects.order_by("id")[0]
    Execution.objects.filter(pk=first.pk).update(
        state=ExecutionState.CANCELLED, finished_at=timezone.now()
    )
    return made


def test_alice_sees_her_schedules_and_what_came_of_them(
    rows: dict[str, Schedule], alice: Person
) -> None:
    client = browser_of(alice)
    for path in (LIST, f"{LIST}?stopped=1", *(f"{LIST}{row.pk}/" for row in rows.values())):
        check(client, path)
    listed = client.get(LIST).content.decode()
    assert [str(row.pk) in listed for row in rows.values()] == [True, True, True, False, True]
    assert str(rows["stopped"].pk) in client.get(f"{LIST}?stopped=1").content.decode()
    shown = client.get(f"{LIST}{rows['active'].pk}/").content.decode()
    assert all(str(row.pk) in shown for row in Execution.objects.all())
    assert "alice/&lt;gone&gt;" in client.get(f"{LIST}{rows['failed'].pk}/").content.decode()
    assert "It has not fired yet" in client.get(f"{LIST}{rows['new'].pk}/").content.decode()


def test_alice_pauses_resumes_and_stops_without_a_script(
    rows: dict[str, Schedule], alice: Person
) -> None:
    client, row = browser_of(alice), rows["active"]
    page = f"{LIST}{row.pk}/"
    for action, words in (("pause", "paused"), ("resume", "goes on"), ("stop", "stopped")):
        html = client.get(page).content.decode()
        assert f'action="{page}{action}/"' in html
        answer = client.post(f"{page}{action}/", follow=True)
        assert answer.redirect_chain == [(page, 302)]
        assert words in answer.content.decode()
        assert faults(parse(answer.content.decode())) == []
    assert f'action="{page}' not in client.get(page).content.decode()
    # An old tab still has the buttons.
    answer = client.post(f"{page}resume/", follow=True)
    assert "for good" in answer.content.decode()
    row.refresh_from_db()
    assert row.stopped_at is not None


def test_history_goes_on(
    rows: dict[str, Schedule], alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = schedules.history
    monkeypatch.setattr(schedules, "history", lambda row, cursor: real(row, cursor=cursor, size=1))
    client, page = browser_of(alice), f"{LIST}{rows['active'].pk}/"
    newest = client.get(page)
    older = client.get(f"{page}?cursor={newest.context['next']}")
    assert newest.context["fires"][0].at > older.context["fires"][0].at
    assert 'rel="next"' in newest.content.decode()
    assert older.context["next"] == ""


def test_mallory_may_not_see_or_change_alices_schedule(
    rows: dict[str, Schedule], alice: Person, mallory: Person
) -> None:
    client, base = browser_of(mallory), f"{LIST}{rows['active'].pk}/"
    assert client.get(base).status_code == 404
    for action in ("pause", "resume", "stop"):
        assert client.post(f"{base}{action}/").status_code == 404
    check(client, LIST)
    assert str(rows["active"].pk) not in client.get(LIST).content.decode()
    rows["active"].refresh_from_db()
    assert (rows["active"].paused_at, rows["active"].stopped_at) == (None, None)
    # Nor may another site's page press her buttons for her.
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    assert strict.post(f"{base}stop/").status_code == 403


def test_a_stranger_is_asked_to_sign_in(rows: dict[str, Schedule]) -> None:
    base = f"{LIST}{rows['active'].pk}/"
    for answer in (browser_of(None).get(LIST), browser_of(None).post(f"{base}stop/")):
        assert answer.status_code == 302
        assert answer["Location"].startswith("/accounts/login/?next=/")


def test_there_is_no_other_action(rows: dict[str, Schedule], alice: Person) -> None:
    client, base = browser_of(alice), f"{LIST}{rows['active'].pk}/"
    assert client.post(f"{base}delete/").status_code == 404
    assert client.get(f"{base}stop/").status_code == 405
    assert client.get(f"{LIST}{uuid.uuid4()}/").status_code == 404


# ------------------------------------------------------------------ accessibility


@pytest.fixture
def chromium() -> Iterator[Browser]:
    executable = shutil.which("chromium")
    if executable is None:
        pytest.skip("no chromium on this machine: .ci/run installs Debian's")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable,
            args=["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage"],
        )
        yield browser
        browser.close()


def complaints(browser: Browser, pages: dict[str, str]) -> list[str]:
    """Return what axe has against `pages`, which are HTML with the site's own styles."""
    static = [Path(folder) for folder in django_settings.STATICFILES_DIRS]

    def serve(route: Route) -> None:
        name = route.request.url.removeprefix("http://assay.test/")
        if name in pages:
            route.fulfill(body=pages[name], content_type="text/html; charset=utf-8")
            return
        files = [folder / name.removeprefix("static/").partition("?")[0] for folder in static]
        found = [path for path in files if path.is_file()]
        if found:
            route.fulfill(path=found[0])
        else:
            route.fulfill(status=404)

    found = []
    page = browser.new_page(bypass_csp=True)
    page.route("**/*", serve)
    for name in pages:
        page.goto(f"http://assay.test/{name}")
        for width, scheme in ((1280, "light"), (360, "dark")):
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            found += [
                f"{name}, {width}, {scheme}: {violation['id']}: {node['target']}"
                for violation in Axe().run(page).response["violations"]
                for node in violation["nodes"]
            ]
            overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if overflow > 0:
                found.append(f"{name}, {width}: {overflow} pixels too wide")
    return found


@pytest.mark.browser
def test_axe_finds_nothing_on_the_pages_of_schedules(
    rows: dict[str, Schedule], alice: Person, request: pytest.FixtureRequest
) -> None:
    client = browser_of(alice)
    paths = {"list": LIST, "stopped": f"{LIST}?stopped=1"}
    paths |= {state: f"{LIST}{row.pk}/" for state, row in rows.items()}
    # The pages first: the browser's driver and the database share no thread.
    pages = {name: client.get(path).content.decode() for name, path in paths.items()}
    assert complaints(request.getfixturevalue("chromium"), pages) == []
