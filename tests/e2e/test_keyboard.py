"""Nobody needs a mouse: Kim publishes and verifies by the keyboard alone, and always sees where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.desks import PASSPHRASE, PASSWORD, REVISION
from tests.e2e.readers import NUMBERED, STEPS, Told
from tests.e2e.stack import ROOT, Stack
from tests.e2e.walkers import EYES, Walker, walking

DIGITS = ROOT / "examples" / "digits"
FILES = [DIGITS / "model.onnx", DIGITS / "README.md"]
NAME = "kim"
STOPS = 400  # more stops than any page has
# What is wrong with the place of the focus; "" where nothing is, null outside of the page. A file
# field is hidden behind its label, which shows the focus for it.
PLACE = """async () => {
  const one = document.activeElement;
  if (!one || one === document.body || one === document.documentElement) return null;
  const shown = one.matches("input.visually-hidden") ? one.nextElementSibling : one;
  const words = `${one.tagName} ${one.id || one.textContent.trim().slice(0, 40)}`;
  const style = getComputedStyle(shown);
  const ringed = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  if (!ringed && style.boxShadow === "none") return `${words}: the focus cannot be seen`;
  for (let frame = 0; frame < 60; frame += 1) {
    const { top, right, bottom, left } = shown.getBoundingClientRect();
    if (bottom > 0 && top < innerHeight && right > 0 && left < innerWidth) return "";
    await new Promise(requestAnimationFrame);  // it is being scrolled to
  }
  return `${words}: the focus is outside of the window`;
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """Two hands on a keyboard."""

    walker: Walker

    def __post_init__(self) -> None:
        # Chromium is told in time that its dialogue is answered here.
        self.page.on("filechooser", lambda _: None)

    @property
    def page(self) -> Page:
        return self.walker.page

    def press(self, *names: str) -> None:
        for name in names:
            self.page.keyboard.press(name)

    def tab(self) -> bool:
        """Go on to the next stop; say whether there was one. It has to be seen."""
        self.press("Tab")
        wrong = self.page.evaluate(PLACE)
        if wrong:
            self.walker.faults.append(f"{self.page.url}: {wrong}")
        return wrong is not None

    def go_to(self, target: Locator) -> None:
        """Press Tab until `target` has the focus, once round the page at most."""
        expect(target).to_be_visible()
        expect(target).to_be_enabled()
        self.find(target)

    def find(self, target: Locator) -> None:
        for _ in range(STOPS):
            if target.evaluate("one => one === document.activeElement"):
                return
            self.tab()
        raise AssertionError(f"no Tab leads to {target}")

    def write(self, target: Locator, text: str) -> None:
        self.go_to(target)
        self.press("Control+a")
        self.page.keyboard.type(text)

    def enter(self, target: Locator, key: str = "Enter") -> None:
        self.go_to(target)
        self.press(key)

    def choose(self, field: Locator, files: list[Path]) -> None:
        """Open the system's dialogue at a file field and choose in it."""
        self.find(field)
        with self.page.expect_file_chooser() as dialogue:
            self.press("Space")
        dialogue.value.set_files(files)


def test_kim_publishes_with_the_keyboard(stack: Stack, browser: Browser) -> None:
    with walking(stack, browser, EYES[0], NAME) as walker:
        kim = Hands(walker=walker)
        sign_up(kim)
        begin(kim)
        send_files(kim)
        describe(kim)
        make_a_key(kim)
        sign(kim)


def sign_up(kim: Hands) -> None:
    page = kim.page
    page.goto("/")
    kim.enter(page.get_by_role("link", name="Sign up", exact=True))
    page.wait_for_url("**/accounts/signup/")
    kim.write(page.get_by_label("Username"), NAME)
    kim.write(page.get_by_label(re.compile("mail", re.IGNORECASE)), f"{NAME}@example.org")
    for name in ("password1", "password2"):
        kim.write(page.locator(f"input[name={name}]"), PASSWORD)
    kim.press("Enter")
    expect(page.locator("header")).to_contain_text(NAME)


def begin(kim: Hands) -> None:
    """The menu of the account opens and closes by keys, and leads to the wizard."""
    page = kim.page
    summary = page.locator("details.menu summary")
    kim.enter(summary)
    entry = page.locator("header").get_by_role("link", name="Publish a model")
    expect(entry).to_be_visible()
    kim.press("Escape")
    expect(entry).to_be_hidden()
    expect(summary).to_be_focused()
    kim.press("Enter")
    kim.enter(entry)
    page.wait_for_url("**/publish/")
    kim.write(page.locator("input[name=name]"), "handwriting")
    kim.press("Enter")
    page.wait_for_url(f"**/publish/{NAME}/handwriting/")


def send_files(kim: Hands) -> None:
    page = kim.page
    kim.choose(page.locator("#files"), FILES)
    expect(page.locator("#file-rows tr")).to_have_count(len(FILES))
    kim.enter(page.locator("#upload"))
    expect(page.locator("#commit")).to_be_enabled()
    kim.enter(page.locator("#commit"))
    page.wait_for_url(REVISION)


def describe(kim: Hands) -> None:
    page = kim.page
    kim.go_to(page.locator("#card"))
    kim.press("Control+End", "Enter")
    page.keyboard.type("Written without a mouse.")
    kim.enter(page.get_by_role("button", name="Save the card"))
    expect(page.locator("#card")).to_have_value(re.compile("Written without a mouse"))
    kim.enter(page.locator("#go-sign"))
    page.wait_for_url(re.compile(r"/sign/$"))


def make_a_key(kim: Hands) -> None:
    page = kim.page
    kim.write(page.locator("#key-name"), "Kim's keyboard")
    kim.write(page.locator("#key-passphrase"), PASSPHRASE)
    with page.expect_download():
        kim.press("Enter")
    expect(page.locator("#make-key-done")).to_contain_text("Kim's keyboard")


def sign(kim: Hands) -> None:
    """What is signed can be read to its end by keys, and is signed by keys."""
    page = kim.page
    kim.write(page.locator("#version"), "1.0.0")
    statement = page.locator("#statement-release")
    expect(statement).to_contain_text("urn:assay:release:v1")
    kim.go_to(statement)  # a box that scrolls is a stop of its own
    kim.enter(page.locator("#read"), "Space")
    expect(page.locator("#sign")).to_have_text("Sign and publish 1.0.0")
    kim.enter(page.locator("#sign"))
    page.wait_for_url(f"**/models/{NAME}/handwriting/releases/1.0.0/")


def test_kim_verifies_with_the_keyboard(stack: Stack, browser: Browser, told: Told) -> None:
    with walking(stack, browser, EYES[0], "kim-verifies") as walker:
        kim = Hands(walker=walker)
        page = kim.page
        page.goto(f"/executions/{told.execution}/")
        kim.enter(page.locator("[data-check]"))
        expect(page.locator("[data-check-status]")).to_contain_text("4 of 4 checked")
        page.goto("/")
        kim.enter(page.locator("header").get_by_role("link", name="Verify"))
        page.wait_for_url("**/verify/")
        kim.choose(page.locator("#files"), told.files)
        expect(page.locator("#certificate")).to_be_visible()
        expect_passed(page, NUMBERED)
        kim.enter(page.locator("#run-again"))
        expect_passed(page, STEPS)
        with page.expect_download():
            kim.enter(page.get_by_role("button", name="Save as JSON"))
        kim.enter(page.get_by_role("button", name="Start over"))
        expect(page.locator("#result")).to_be_hidden()
        kim.write(page.locator("#receipt-address"), told.execution)
        kim.press("Enter")
        expect(page.locator("#certificate")).to_be_visible()
        expect_passed(page, NUMBERED)


def expect_passed(page: Page, steps: list[str]) -> None:
    for name in steps:
        expect(page.locator(f'[data-step-id="{name}"]')).to_have_attribute("data-step", "passed")


def test_the_first_key_skips_to_the_content(stack: Stack, browser: Browser) -> None:
    with walking(stack, browser, EYES[0], "kim-skips") as walker:
        kim = Hands(walker=walker)
        kim.page.goto("/models/")
        kim.tab()
        skip = kim.page.get_by_role("link", name="Skip to the content")
        expect(skip).to_be_focused()
        kim.press("Enter")
        kim.tab()
        assert kim.page.evaluate("document.activeElement.closest('main') !== null")


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/models/", "/ledger/", "/ledger/0/", "/ledger/checkpoints/", "/verify/"),
        *("/models/examples/digits/", "/models/examples/digits/run/", "/moderation/report/"),
        *("/models/examples/digits/graph/", "/models/examples/wine/run/", "/accounts/login/"),
    ],
)
def test_no_page_holds_the_focus_or_hides_it(stack: Stack, browser: Browser, path: str) -> None:
    with walking(stack, browser, EYES[0], "kim-walks") as walker:
        kim = Hands(walker=walker)
        kim.page.goto(path)
        stops = 0
        while kim.tab():
            stops += 1
            assert stops < STOPS, f"{path} has no end"
        assert stops > 5
