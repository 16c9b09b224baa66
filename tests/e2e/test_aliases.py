"""Alice names a release in her browser, signed by a key that never leaves it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from ledger import services as ledger
from registry.models import Alias, AliasMove, Release
from tests import builders
from tests.builders import CARD, ONNX
from tests.ledger.builders import sequence
from tests.people import Person, make_person

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/publish/alice/double/alias/"
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync")
MAKE_KEY = """async () => {
  const { makeKey } = await import("/static/js/keys.js");
  const { openKeyStore } = await import("/static/js/key-store.js");
  const { registerKey } = await import("/static/js/registration.js");
  const { request } = await import("/static/js/api.js");
  const made = { owner: "alice", name: "a test's browser", passphrase: "correct horse battery" };
  const record = await makeKey(await openKeyStore(), { ...made, iterations: 100000 });
  await registerKey(request, record);
  return record.fingerprint;
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A browser in a thread of its own: Django refuses the thread in which Playwright's loop is."""

    thread: ThreadPoolExecutor
    page: Page

    def do(self, steps: Callable[[Page], Any]) -> Any:
        return self.thread.submit(steps, self.page).result()


@pytest.fixture
def alice_released() -> Person:
    """Publish 1.0.0 and 2.0.0 of alice/double."""
    ledger.ensure_log()
    alice = make_person("alice")
    first = builders.publish_release(alice)
    files = {"model.onnx": ONNX, "README.md": CARD + b"More words.\n"}
    revision = builders.make_revision(alice, first.model, files)
    builders.publish_release(alice, revision, version="2.0.0")
    sequence()
    return alice


@pytest.fixture
def desk(alice_released: Person) -> Iterator[Desk]:
    """Sit alice down at a browser of her own, signed in."""
    if shutil.which("chromium") is None:
        pytest.skip("no chromium on this machine: .ci/run installs Debian's")
    client = Client()
    client.force_login(alice_released.user, backend="django.contrib.auth.backends.ModelBackend")
    session = client.cookies[settings.SESSION_COOKIE_NAME].value
    with ExitStack() as stack:
        server = LiveServer("127.0.0.1")
        stack.callback(server.stop)
        thread = stack.enter_context(ThreadPoolExecutor(1))
        held = ExitStack()
        stack.callback(lambda: thread.submit(held.close).result())
        yield Desk(thread=thread, page=thread.submit(_open, held, server.url, session).result())


def _open(held: ExitStack, url: str, session: str) -> Page:
    playwright = held.enter_context(sync_playwright())
    browser = playwright.chromium.launch(
        executable_path=shutil.which("chromium"), args=[*FLAGS, "--disable-dev-shm-usage"]
    )
    held.callback(browser.close)
    context = browser.new_context(base_url=url)
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": url}])
    return context.new_page()


def choose(page: Page, alias: str, version: str) -> None:
    page.goto(f"{PAGE}?alias={alias}&version={version}")
    button = page.get_by_role("button", name=f"Sign: production is {version}")
    expect(button).to_be_enabled(timeout=20_000)


def send(page: Page) -> None:
    page.locator("#sign").click()
    page.wait_for_url("**/models/alice/double/aliases/production/")


def test_alice_makes_production_and_moves_it(desk: Desk) -> None:
    def make_key(page: Page) -> Any:
        page.goto(PAGE)
        expect(page.get_by_text("No key of this owner is in this browser.")).to_be_visible()
        expect(page.locator("#sign")).to_be_disabled()
        return page.evaluate(MAKE_KEY)

    def make_alias(page: Page) -> None:
        choose(page, "production", "1.0.0")
        expect(page.locator("#statement")).to_contain_text('"alias":"production"')
        expect(page.locator("#sign-checks")).to_contain_text("computed here from 2 files")
        page.get_by_label("Why").fill("it passed")
        send(page)
        expect(page.get_by_text("“it passed”")).to_be_visible()

    def move_on(page: Page) -> None:
        choose(page, "Production", "2.0.0")
        expect(page.locator("#sign-checks")).to_contain_text("the alias stands at 1.0.0")
        send(page)

    def be_refused(page: Page) -> None:
        page.goto(f"{PAGE}?alias=production&version=2.0.0")
        expect(page.locator("#sign-checks")).to_contain_text("stands there already")
        expect(page.locator("#sign")).to_be_disabled()
        page.get_by_label("Alias", exact=True).fill("latest")
        expect(page.locator("#sign-error")).to_contain_text("moves by itself")
        expect(page.locator("#sign")).to_be_disabled()

    fingerprint = desk.do(make_key)
    desk.do(make_alias)
    move = AliasMove.objects.select_related("release").get()
    assert (move.release.version, move.key_id) == ("1.0.0", fingerprint)
    sequence()
    desk.do(move_on)
    assert Alias.objects.get().release == Release.objects.get(version="2.0.0")
    sequence()
    desk.do(be_refused)
    assert AliasMove.objects.count() == 2
