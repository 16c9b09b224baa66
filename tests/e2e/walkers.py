"""People who walk through the site: at a desk or with a phone, in the light or in the dark."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, expect

from tests.e2e.conftest import ARTIFACTS
from tests.e2e.desks import Desk
from tests.e2e.readers import PATIENCE_S
from tests.e2e.stack import Stack

# Axe would fetch the styles again and put them into the page, which the policy forbids.
AXE = {"preload": False, "resultTypes": ["violations"]}
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Chromium says this of every answer of 400 and above; whether one was due is the test's matter.
ANSWERED = "Failed to load resource: the server responded with a status of "
SMALL_TARGETS = """() => [...document.querySelectorAll("main.page :is(button, .button, summary)")]
  .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 24)
  .map((one) => one.textContent.trim())"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """How somebody sees the site."""

    name: str
    width: int
    height: int
    scheme: Literal["light", "dark"]
    phone: bool = False


EYES = (
    Eyes(name="desk-light", width=1280, height=900, scheme="light"),
    Eyes(name="desk-dark", width=1280, height=900, scheme="dark"),
    Eyes(name="phone-light", width=360, height=740, scheme="light", phone=True),
    Eyes(name="phone-dark", width=360, height=740, scheme="dark", phone=True),
)
in_all_eyes = pytest.mark.parametrize("eyes", EYES, ids=[one.name for one in EYES])


@dataclass
class Walker(Desk):
    """Somebody whose browser must stay silent and whose every page is looked at closely."""

    eyes: Eyes = EYES[0]
    refusals: list[str] = field(default_factory=list)

    def note(self, message: ConsoleMessage) -> None:
        """Note every message of whatever kind; a refusal has to be expected by the test."""
        if message.text.startswith(ANSWERED):
            self.refusals.append(f"{message.location['url']}: {message.text[len(ANSWERED) :]}")
        else:
            self.complaints.append(f"{self.page.url}: {message.type}: {message.text}")

    def look(self, word: str) -> None:
        """Keep the page as it stands; note what is too wide or too small, and what axe says."""
        self.page.wait_for_load_state()
        place = f"{word}, {self.eyes.name}"
        over = self.page.evaluate(OVERFLOW)
        if over > 0:
            self.faults.append(f"{place}: {over} px too wide")
        small = self.page.evaluate(SMALL_TARGETS) if self.eyes.phone else []
        self.faults += [f"{place}: {words!r} is too small for a finger" for words in small]
        self.faults += [
            f"{place}: {violation['id']}: {node['target']}"
            for violation in Axe().run(self.page, options=AXE).response["violations"]
            for node in violation["nodes"]
        ]
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        shot = ARTIFACTS / f"walk-{self.name}-{word}-{self.eyes.name}.png"
        self.page.screenshot(path=shot, full_page=True)

    def follow(self, name: str, within: str = "main", leads: str = "") -> None:
        """Follow the link of this name to its end, or to `leads` where it leads on."""
        link = self.page.locator(within).get_by_role("link", name=name, exact=True).first
        address = leads or str(link.evaluate("one => one.href")).partition("#")[0]
        self.touch(link)
        self.page.wait_for_url(lambda url: url.partition("#")[0].endswith(address))

    def press(self, name: str) -> None:
        self.touch(self.page.get_by_role("button", name=name, exact=True).first)

    def touch(self, target: Locator) -> None:
        if self.eyes.phone:
            target.tap()
        else:
            target.click()

    def reads(self, *words: str) -> None:
        """The page says so."""
        for one in words:
            expect(self.page.locator("main")).to_contain_text(one)

    def look_again_for(self, target: Locator) -> None:
        """Load the page again until it shows `target`: the log takes seconds for an entry."""
        end = time.monotonic() + PATIENCE_S
        while target.count() == 0:
            assert time.monotonic() < end, f"{self.page.url} never showed {target}"
            self.page.wait_for_timeout(200)
            self.page.reload()

    def check_here(self) -> None:
        """Press the button of the evidence panel; the four rows turn green."""
        self.press("Check in this browser")
        expect(self.page.locator("[data-check-status]").first).to_contain_text(
            "4 of 4 checked in this browser."
        )
        self.look("checked-here")


@contextmanager
def walking(
    stack: Stack, browser: Browser, eyes: Eyes, name: str, *, refused: int = 0
) -> Iterator[Walker]:
    """Give a walker with a fresh profile; at the end nothing was wrong on any page.

    `refused` is how many answers of 400 and above the walk brings about on purpose.
    """
    context = browser.new_context(
        base_url=stack.url,
        viewport={"width": eyes.width, "height": eyes.height},
        color_scheme=eyes.scheme,
        is_mobile=eyes.phone,
        has_touch=eyes.phone,
        accept_downloads=True,
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    walker = Walker(page=page, origin=stack.url, name=name, eyes=eyes)
    page.on("console", walker.note)
    page.on("pageerror", lambda error: walker.complaints.append(str(error)))
    page.on("request", walker.watch)
    yield walker
    context.close()
    wrong = [*walker.faults, *walker.complaints, *walker.strangers]
    assert not wrong, "\n".join(wrong)
    assert len(walker.refusals) == refused, walker.refusals
