"""Every page passes axe: narrow and wide, light and dark, signed out and in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from allauth.mfa.totp.internal.auth import (
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.e2e.conftest import Visitor
from tests.e2e.desks import PASSWORD
from tests.e2e.stack import Stack
from tests.e2e.test_main_job import MODEL, draw_a_one, sign_up, upload
from tests.e2e.walkers import ANSWERED

NAME = "dora"
MODEL_PAGE = "/models/examples/digits/"
PUBLIC = (
    *("/", "/models/", "/models/?q=nothing-like-it", "/executions/", "/ledger/", "/ledger/0/"),
    *("/ledger/checkpoints/1/", "/ledger/?kind=moderation", "/verify/", "/docs/", "/status/"),
    *("/ledger/checkpoints/", "/ledger/logs/", "/ledger/?kind=execution&owner=examples"),
    *("/ledger/?q=99999", "/ledger/?q=no+such+thing"),
    *("/docs/evidence/", "/docs/inspection/", "/moderation/", "/moderation/report/"),
    "/moderation/report/?kind=model&name=examples/digits",
    *("/examples/", "/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"),
    *("/no/such/page/", "/executions/00000000-0000-0000-0000-000000000000/"),
    *(MODEL_PAGE + tab for tab in ("", "files/", "graph/", "run/", "api/", "executions/")),
    *(MODEL_PAGE + tab for tab in ("releases/", "releases/1.0.0/", "signers/", "evidence/")),
    "/models/examples/wine/run/",
)
OWN = (
    *("/settings/keys/", "/settings/tokens/", "/me/models/", "/me/uploads/", "/executions/?mine=1"),
    *("/settings/organisations/", "/settings/activity/", "/settings/account/"),
    *("/settings/profile/", "/settings/sessions/", "/settings/export/"),
    *(f"/models/{NAME}/handwriting/{page}/" for page in ("settings", "access", "activity")),
    *("/schedules/", "/settings/keys/import/"),
    *("/settings/webhooks/", f"/settings/webhooks/?owner={NAME}"),
    *("/accounts/email/", "/accounts/password/change/", "/accounts/2fa/", "/accounts/logout/"),
    *("/accounts/2fa/webauthn/", "/accounts/2fa/webauthn/add/", "/accounts/2fa/totp/activate/"),
    *("/accounts/2fa/recovery-codes/generate/", "/accounts/reauthenticate/"),
    *("/publish/", f"/publish/{NAME}/handwriting/", f"/models/{NAME}/handwriting/"),
)
Scheme = Literal["light", "dark"]
Looks = tuple[tuple[int, Scheme], ...]
LOOKS: Looks = (
    *((1280, "light"), (1280, "dark")),
    *((360, "dark"), (360, "light")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """Somebody who is about to sign: the state of the browser, and the wizard's last pages."""

    state: Any
    revision: str


def new_page(stack: Stack, browser: Browser, **options: Any) -> Page:
    # axe is a script that the site's own policy would refuse.
    context = browser.new_context(base_url=stack.url, bypass_csp=True, **options)
    page = context.new_page()
    page.set_default_timeout(60_000)
    return page


def listen(page: Page) -> list[str]:
    """Return the list of what the console will have been told, refusals aside."""
    heard: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if not message.text.startswith(ANSWERED):
            heard.append(f"{page.url}: {message.type}: {message.text}")

    page.on("console", note)
    page.on("pageerror", lambda error: heard.append(f"{page.url}: {error}"))
    return heard


def complaints(page: Page, place: str, looks: Looks = LOOKS) -> list[str]:
    """Return what axe has against the page as it stands, in every look, and what it lacks."""
    found = []
    for width, scheme in looks:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        found += [
            f"{place}, {width}, {scheme}: {violation['id']}: {node['target']}"
            for violation in Axe().run(page).response["violations"]
            for node in violation["nodes"]
        ]
    page.set_viewport_size({"width": 1280, "height": 800})
    if page.locator("h1").count() != 1:
        found.append(f"{place}: {page.locator('h1').count()} headings of the first level")
    if not re.search("Assay", page.title()):
        found.append(f"{place}: the title is {page.title()!r}")
    return found


@pytest.fixture(scope="module")
def publisher(stack: Stack, browser: Browser) -> Iterator[Publisher]:
    page = new_page(stack, browser)
    visitor = Visitor(page=page, origin=stack.url)
    sign_up(visitor, NAME)
    upload(visitor, NAME, [MODEL / "model.onnx", MODEL / "README.md"])
    revision = page.url
    stack.manage("shell", "-c", _CONFIRM)  # passkeys ask for a confirmed address
    yield Publisher(state=page.context.storage_state(), revision=revision)
    page.context.close()


_CONFIRM = (
    "from allauth.account.models import EmailAddress;"
    f"EmailAddress.objects.filter(user__username='{NAME}').update(verified=True)"
)


def test_axe_finds_nothing_on_public_pages(stack: Stack, browser: Browser) -> None:
    page = new_page(stack, browser)
    found = listen(page)
    for path in PUBLIC:
        page.goto(path)
        found += complaints(page, path)
    page.goto(MODEL_PAGE + "run/")
    draw_a_one(page)
    page.get_by_role("button", name=re.compile("Run on the server")).click()
    expect(page.locator("#run-result a").first).to_be_visible()
    found += complaints(page, "an answer")
    page.locator("#run-json summary").click()
    page.locator("#inputs").fill("{no JSON")
    page.locator("#run").click()
    expect(page.locator("#run-error")).to_be_visible()
    found += complaints(page, "a refused request")
    page.goto("/executions/")
    page.locator("main tbody a").first.click()
    expect(page.locator("h1")).to_have_text("Execution")
    found += complaints(page, "an execution")
    page.context.close()
    assert found == []


def test_axe_finds_nothing_on_a_publishers_pages(
    stack: Stack, browser: Browser, publisher: Publisher
) -> None:
    page = new_page(stack, browser, storage_state=publisher.state)
    found = listen(page)
    for path in OWN:
        page.goto(path)
        found += complaints(page, path)
    page.locator("details.menu summary").click()
    found += complaints(page, "the menu of the account")
    found += wizard_complaints(page, publisher)
    page.context.close()
    assert found == []


def wizard_complaints(page: Page, publisher: Publisher) -> list[str]:
    """Go through the states of the publishing wizard."""
    page.goto(f"/publish/{NAME}/handwriting/")
    page.locator("#files").set_input_files([MODEL / "model.onnx"])
    expect(page.locator("#file-rows tr")).to_have_count(1)
    found = complaints(page, "files chosen")
    page.goto(publisher.revision)
    expect(page.locator("#preview")).to_contain_text("Reads one handwritten digit")
    found += complaints(page, "the card")
    card = page.locator("#card")
    card.fill("---\nlicense: [\n---\n")
    expect(page.locator("#preview")).to_contain_text("cannot be saved")
    found += complaints(page, "a card that cannot be saved")
    page.get_by_role("button", name=re.compile("Save")).click()
    expect(page.locator("#card-problem")).to_be_visible()
    found += complaints(page, "a card that was not saved")
    page.goto(publisher.revision + "sign/")
    expect(page.locator("#statement-release")).to_contain_text("urn:assay:release:v1")
    found += complaints(page, "no key")
    page.locator("#key-name").fill("Test browser")
    page.locator("#key-passphrase").fill("a passphrase for the backup")
    page.locator("#make-key").get_by_role("button").click()
    expect(page.locator("#make-key-done")).to_contain_text("registered")
    found += complaints(page, "ready to sign")
    page.goto("/settings/keys/")
    expect(page.locator("#browser-keys")).to_contain_text("Test browser")
    return found + complaints(page, "keys")


def test_axe_finds_nothing_on_the_pages_of_a_second_factor(
    stack: Stack, browser: Browser, publisher: Publisher
) -> None:
    """An authenticator is set up, shown, and asked for; recovery codes are made and shown."""
    page = new_page(stack, browser, storage_state=publisher.state)
    found = listen(page)
    page.goto("/accounts/2fa/totp/activate/")
    expect(page).to_have_url(re.compile("/accounts/reauthenticate/"))
    found += complaints(page, "asked for the password again")
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("main button[type=submit]").first.click()
    secret = page.locator("#authenticator_secret").input_value()
    page.locator("input[name=code]").fill("000000")
    page.locator("main button[type=submit]").click()
    expect(page.locator("main .error, main .errorlist, main [aria-invalid]").first).to_be_visible()
    found += complaints(page, "a wrong code")
    enter_code(page, secret)
    expect(page).to_have_url(re.compile(r"/accounts/2fa/"))
    for path in ("", "recovery-codes/", "totp/deactivate/"):
        page.goto(f"/accounts/2fa/{path}")
        found += complaints(page, f"with a second factor: {path}")
    page.context.clear_cookies()
    page.goto("/accounts/login/")
    page.locator("input[name=login]").fill(NAME)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("main button[type=submit]").first.click()
    expect(page).to_have_url(re.compile("/accounts/2fa/authenticate/"))
    found += complaints(page, "asked for the second factor")
    page.context.close()
    assert found == []


def enter_code(page: Page, secret: str) -> None:
    """Enter what an authenticator would show now."""
    counter = next(iter(yield_hotp_counters_from_time()))
    page.locator("input[name=code]").fill(format_hotp_value(hotp_value(secret, counter)))
    page.locator("main button[type=submit]").click()
