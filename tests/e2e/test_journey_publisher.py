"""Paula has a model and wants it to be believed: the whole way, on every kind of screen."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, expect

from tests.e2e import desks
from tests.e2e.readers import Told
from tests.e2e.stack import ROOT, Stack
from tests.e2e.walkers import EYES, Eyes, Walker, in_all_eyes, walking

DIGITS = ROOT / "examples" / "digits"
FILES = [DIGITS / "model.onnx", DIGITS / "README.md"]
NAMES = dict(zip((one.name for one in EYES), ("paula", "petra", "pia", "pola"), strict=True))


@in_all_eyes
def test_paula_publishes_leaves_comes_back_and_signs(
    stack: Stack, browser: Browser, eyes: Eyes, told: Told
) -> None:
    assert told.execution  # somebody was here before her
    name = NAMES[eyes.name]
    model = f"{name}/handwriting"
    with walking(stack, browser, eyes, name) as paula:
        find_out_what_it_is(paula)
        desks.sign_up(paula, name)
        see_that_nothing_is_there_yet(paula)
        desks.make_model(paula, "handwriting")
        paula.look("files")
        desks.upload(paula, model, FILES)
        come_back_later(paula, model)
        desks.edit_card(paula, "Published by somebody who was interrupted.")
        paula.look("no-key")
        desks.make_key(paula, "Make the key and register it")
        desks.sign_release(paula, model, "1.0.0")
        see_it_released(paula, model)
        find_it_as_others_do(paula, model)


def find_out_what_it_is(paula: Walker) -> None:
    """The first page says what this is, and where a publisher begins; a sign-in is asked for."""
    paula.page.goto("/")
    paula.reads("Models whose answers you can check", "The newest answer, with its evidence")
    paula.look("home")
    paula.follow("Publish a model", leads="/accounts/login/?next=/publish/")
    paula.look("sign-in")


def see_that_nothing_is_there_yet(paula: Walker) -> None:
    """Each list that is still empty says so, and what to do next."""
    page = paula.page
    paula.touch(page.locator("details.menu summary"))
    paula.look("menu")
    paula.follow("My models", within="header")
    paula.reads("You have no model yet")
    paula.look("my-models-empty")
    for path, words in (("/me/uploads/", "upload"), ("/executions/?mine=1", "execution")):
        page.goto(path)
        paula.reads(words)
        paula.look("empty" + path.replace("/", "-").partition("?")[0].rstrip("-"))
    page.goto("/publish/")
    paula.reads("You have no model yet")
    paula.look("publish")


def come_back_later(paula: Walker, model: str) -> None:
    """She closes the tab in the middle; what she had done is still there, and one click away."""
    page = paula.page
    page.goto("about:blank")
    page.goto("/publish/")
    paula.follow(model)
    paula.follow("Go on with the last revision")
    page.wait_for_url(desks.REVISION)
    paula.reads("Inspection and card", "What a reader looks for")


def see_it_released(paula: Walker, model: str) -> None:
    """The release shows who signed, and what; she checks her own release as anybody would."""
    page = paula.page
    paula.reads("Version 1.0.0", "Three statements")
    row = page.locator('.evidence [data-evidence="ledger"]')
    paula.look_again_for(row.get_by_text(re.compile(r"in checkpoint \d+")))
    paula.check_here()
    page.get_by_role("link", name=re.compile(r"^Entry \d+$")).first.click()
    paula.reads("What it says", "Recorded bytes")
    paula.look("entry")
    page.goto("/me/models/")
    paula.follow(model)
    page.wait_for_url(f"**/models/{model}/")
    for tab in ("Files", "Graph", "Run", "API", "Executions", "Releases", "Evidence", "Settings"):
        page.locator("nav.tabs").get_by_role("link", name=tab, exact=True).click()
        page.wait_for_url(f"**/models/{model}/{tab.lower()}/")
        expect(page.locator("nav.tabs [aria-current]")).to_have_text(tab)
        paula.look(f"tab-{tab.lower()}")


def find_it_as_others_do(paula: Walker, model: str) -> None:
    """Whoever searches for a word of the card finds it."""
    page = paula.page
    page.goto("/models/?q=handwriting")
    expect(page.locator("#results").get_by_role("link", name=model)).to_be_visible()
    paula.look("found")
