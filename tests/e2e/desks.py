"""People at browsers of their own, each with a profile, a name and pages that may complain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from tests.e2e.conftest import ARTIFACTS, Visitor

PASSWORD = "correct horse battery staple"
PASSPHRASE = "a passphrase for the backup"
REVISION = re.compile(r"/publish/[^/]+/[^/]+/[0-9a-f]{40}/$")


@dataclass
class Desk(Visitor):
    """A person's browser. `look` looks at a page as the person does, wide and narrow."""

    name: str = ""
    faults: list[str] = field(default_factory=list)

    def look(self, word: str) -> None:
        """Keep the page as it stands at 1280 and 360 px; note what is too wide, and what axe says.

        The size that the person works with is set again.
        """
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        for width in (1280, 360):
            self.page.set_viewport_size({"width": width, "height": 800})
            over = self.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            if over > 0:
                self.faults.append(f"{word}: {over} px too wide at {width}")
            self.faults += [
                f"{word}, {width}: {violation['id']}: {node['target']}"
                for violation in Axe().run(self.page).response["violations"]
                for node in violation["nodes"]
            ]
            shot = ARTIFACTS / f"journey-{self.name}-{word}-{width}.png"
            self.page.screenshot(path=shot, full_page=True)
        self.page.set_viewport_size({"width": 1280, "height": 900})

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def status_of(self, path: str) -> int:
        """Ask for a page with the person's session; the browser's console hears nothing of it."""
        return self.page.request.get(path, max_redirects=0).status


@contextmanager
def seated() -> Iterator[list[Desk]]:
    """Give a list to which `sit` adds; afterwards nobody's page may have complained."""
    desks: list[Desk] = []
    yield desks
    for desk in desks:
        desk.page.context.close()
    assert [fault for desk in desks for fault in desk.faults] == []
    assert [line for desk in desks for line in (*desk.complaints, *desk.strangers)] == []


def sit(desks: list[Desk], browser: Browser, origin: str, name: str = "") -> Desk:
    """Sit somebody down in a fresh profile; who has a name signs up under it."""
    context = browser.new_context(
        base_url=origin, viewport={"width": 1280, "height": 900}, accept_downloads=True
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    desk = Desk(page=page, origin=origin, name=name or "stranger")
    page.on("console", desk.note)
    page.on("pageerror", lambda error: desk.complaints.append(str(error)))
    page.on("request", desk.watch)
    desks.append(desk)
    if name:
        sign_up(desk, name)
    return desk


def sign_up(desk: Desk, name: str) -> None:
    """Make an account; who made it is signed in."""
    page = desk.page
    page.goto("/accounts/signup/")
    page.get_by_label("Username").fill(name)
    page.get_by_label(re.compile("mail", re.IGNORECASE)).fill(f"{name}@example.org")
    page.locator("input[name=password1]").fill(PASSWORD)
    page.locator("input[name=password2]").fill(PASSWORD)
    page.locator("main button[type=submit]").click()
    expect(page.locator("header")).to_contain_text(name)


# ------------------------------------------------------------------ what publishers do


def make_model(desk: Desk, name: str, owner: str = "") -> None:
    """Make a model through the wizard's first page; `owner` is an organisation."""
    page = desk.page
    page.goto("/publish/")
    if owner:
        page.locator("select[name=owner]").select_option(owner)
    page.locator("input[name=name]").fill(name)
    page.get_by_role("button", name="Make the model and choose files").click()
    page.wait_for_url(f"**/publish/{owner or desk.name}/{name}/")


def upload(desk: Desk, model: str, files: list[Path]) -> None:
    """Choose the files, wait for hashing, sending and inspection."""
    page = desk.page
    page.goto(f"/publish/{model}/")
    page.locator("#files").set_input_files(files)
    expect(page.locator("#file-rows tr")).to_have_count(len(files))
    page.locator("#upload").click()
    expect(page.locator("#commit")).to_be_enabled()
    desk.look("uploaded")
    page.locator("#commit").click()
    page.wait_for_url(REVISION)
    expect(page.locator("#card")).to_be_visible()


def edit_card(desk: Desk, words: str) -> None:
    """Add `words` to the card that the page shows, save, and go on to the signing."""
    page = desk.page
    card = page.locator("#card")
    card.fill(card.input_value() + f"\n{words}\n")
    desk.press("Save the card")
    expect(page.locator("#card")).to_have_value(re.compile(re.escape(words)))
    expect(page.locator("#go-sign")).to_be_visible()
    desk.look("card")
    page.locator("#go-sign").click()
    page.wait_for_url(re.compile(r"/sign/$"))


def make_key(desk: Desk, button: str) -> None:
    """Fill in the form of the page that makes a key; the backup file is downloaded."""
    page = desk.page
    page.locator("#key-name").fill(f"{desk.name}'s laptop")
    page.locator("#key-passphrase").fill(PASSPHRASE)
    with page.expect_download() as download:
        desk.press(button)
    assert Path(download.value.path()).stat().st_size > 100
    expect(page.locator("#make-key-done")).to_contain_text(f"{desk.name}'s laptop")


def sign_release(desk: Desk, model: str, version: str) -> None:
    """Read, sign and publish; the key is in the browser and registered."""
    page = desk.page
    expect(page.locator("#statement-release")).to_contain_text("urn:assay:release:v1")
    page.locator("#version").fill(version)
    page.locator("#read").check()
    expect(page.locator("#sign")).to_have_text(f"Sign and publish {version}")
    expect(page.locator("#sign")).to_be_enabled()
    desk.look("sign")
    page.locator("#sign").click()
    page.wait_for_url(f"**/models/{model}/releases/{version}/")


def move_alias(desk: Desk, model: str, alias: str, version: str, why: str) -> None:
    """Sign that `alias` means `version` from now on."""
    page = desk.page
    page.goto(f"/publish/{model}/alias/?alias={alias}&version={version}")
    button = page.get_by_role("button", name=f"Sign: {alias} is {version}")
    expect(button).to_be_enabled()
    page.get_by_label("Why").fill(why)
    desk.look(f"alias-{version}")
    button.click()
    page.wait_for_url(f"**/models/{model}/aliases/{alias}/")
    expect(page.locator("main")).to_contain_text(f"“{why}”")
