"""Mona keeps order in the open: a report, an action that everybody can read, and its end."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from registry.services.flags import LEAST_S
from tests.e2e import desks
from tests.e2e.stack import Stack
from tests.e2e.test_journey_publisher import FILES
from tests.e2e.test_moderator import let_in, sure
from tests.e2e.walkers import EYES, Eyes, Walker, in_all_eyes, walking

NAMES = dict(zip((one.name for one in EYES), ("mona", "mara", "mila", "mina"), strict=True))
OWNERS = {"owner": "otto"}
WRONG = "These weights are those of our network; see the paper's appendix, table two."
REASON = "The card names another author than the one who trained it."
BACK = "The card names its author now."


@pytest.fixture(scope="module")
def model(stack: Stack, browser: Browser) -> str:
    """Otto's model: published by him, and hidden and shown again by everybody here."""
    name = OWNERS["owner"]
    with walking(stack, browser, EYES[0], name) as otto:
        desks.sign_up(otto, name)
        desks.make_model(otto, "disputed")
        desks.upload(otto, f"{name}/disputed", FILES)
    return f"{name}/disputed"


@in_all_eyes
def test_mona_hides_a_model_says_why_and_shows_it_again(
    stack: Stack, browser: Browser, eyes: Eyes, model: str
) -> None:
    name = NAMES[eyes.name]
    with (
        walking(stack, browser, eyes, "reader") as reader,
        walking(stack, browser, eyes, name) as mona,
    ):
        report(reader, model)
        desks.sign_up(mona, name)
        be_nobody_yet(mona)
        let_in(stack, name)
        open_the_report(mona, model)
        action = act(mona, "Hide", model, REASON)
        read_why(reader, model, action)
        act(mona, "Restore", model, BACK)
        reader.page.goto(f"/models/{model}/")
        expect(reader.page.locator("main")).not_to_contain_text("Moderators hid this model")


def report(reader: Walker, model: str) -> None:
    """Without an account, from the model's own page; what is too short is sent back."""
    page = reader.page
    page.goto(f"/models/{model}/")
    reader.follow("Report this model")
    page.get_by_label("Why").select_option("deception")
    page.get_by_label("What is wrong").fill(WRONG)
    reader.look("report")
    page.wait_for_timeout(LEAST_S * 1000 + 500)  # sooner than a person reads is refused
    reader.press("Send the report")
    expect(page.locator("h1")).to_have_text("Thank you")
    reader.look("reported")


def be_nobody_yet(mona: Walker) -> None:
    """An account alone moderates nothing, and its menu does not speak of it."""
    assert mona.status_of("/admin/registry/report/") in (302, 403)
    mona.page.goto("/")
    expect(mona.page.locator("header").get_by_text("Administration")).to_have_count(0)


def open_the_report(mona: Walker, model: str) -> None:
    """The queue shows what waits, and a report what is known of the thing."""
    page = mona.page
    page.goto("/")
    mona.touch(page.locator("details.menu summary"))
    mona.follow("Administration", within="header")
    mona.look("administration")
    page.goto("/admin/registry/report/")
    mona.look("queue")
    row = page.locator("#result_list tr", has_text=model).first  # the newest
    row.get_by_role("link", name=model, exact=True).click()
    expect(page.get_by_role("heading", name=f"Model: {model}")).to_be_visible()
    expect(page.locator("body")).to_contain_text(WRONG)
    mona.look("a-report")
    page.get_by_role("link", name="Hide", exact=True).click()


def act(mona: Walker, action: str, model: str, reason: str) -> str:
    """Choose, give the reason, read what everybody will read, and do it; return its page."""
    page = mona.page
    if action == "Restore":
        page.goto(f"/admin/registry/moderationaction/act/?kind=model&name={model}&act=restore")
    expect(page.locator("input[name=password], #id_category").first).to_be_visible()
    sure(mona)
    page.get_by_label("Category").select_option("deception")
    page.get_by_label("Reason").fill(reason)
    mona.look(f"{action.lower()}-act")
    page.get_by_role("button", name="Show what would be signed").click()
    expect(page.get_by_role("heading", name="What everybody will read")).to_be_visible()
    expect(page.locator(".moderation-text").first).to_contain_text(reason)
    mona.look(f"{action.lower()}-preview")
    if page.get_by_label("Type the name").count():
        page.get_by_label("Type the name").fill(model)
    page.get_by_role("button", name=f"{action} {model}").click()
    page.wait_for_url(re.compile(r"/moderation/\d+/$"))
    mona.reads(reason, "The signed statement")
    mona.look(f"{action.lower()}-done")
    return page.url


def read_why(reader: Walker, model: str, action: str) -> None:
    """Whoever comes to the model reads that it was hidden, why, and finds the statement."""
    page = reader.page
    page.goto(f"/models/{model}/")
    reader.reads("Moderators hid this model", REASON)
    reader.look("hidden")
    number = action.rstrip("/").rpartition("/")[2]
    page.goto("/moderation/")
    reader.touch(page.get_by_role("link", name=f"Action {number}", exact=True))
    reader.reads(REASON, "Verify it yourself")
    reader.look_again_for(page.get_by_role("link", name="Download the receipt"))
    reader.look("action")
