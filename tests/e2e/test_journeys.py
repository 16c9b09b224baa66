"""People publish together: an organisation, two keys, an alias, and somebody who must fail."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e import desks
from tests.e2e.desks import Desk
from tests.e2e.stack import ROOT, Stack

OWNER, HELPER, LIAR, READER, HOUSE = "alice", "bob", "mallory", "rita", "atelier"
DIGITS = ROOT / "examples" / "digits"
FILES = [DIGITS / "model.onnx", DIGITS / "README.md"]
MODEL = f"{HOUSE}/digits"
TIME = "main section[aria-labelledby=moves] time"


@pytest.fixture
def room(stack: Stack, browser: Browser) -> Iterator[list[Desk]]:
    with desks.seated() as seats:
        yield seats


def test_a_house_publishes_together(stack: Stack, browser: Browser, room: list[Desk]) -> None:
    alice, bob, mallory = (
        desks.sit(room, browser, stack.url, name) for name in (OWNER, HELPER, LIAR)
    )
    stranger = desks.sit(room, browser, stack.url)
    found_a_house(alice, bob)
    publish_first(alice, bob)
    desks.move_alias(bob, MODEL, "production", "1.0.0", "it passed")
    publish_second(bob)
    desks.move_alias(bob, MODEL, "production", "1.1.0", "better words")
    mallory_fails(mallory)
    read_history(stranger)
    protect(alice, bob)
    withdraw(bob, stranger)
    gate(alice, mallory)
    give_away(alice, bob, stranger)


def found_a_house(alice: Desk, bob: Desk) -> None:
    """Alice makes an organisation, invites bob as a publisher; he accepts."""
    page = alice.page
    page.goto("/settings/organisations/")
    page.locator("main input[name=name]").fill(HOUSE)
    alice.press("Make the organisation")
    page.wait_for_url(f"**/orgs/{HOUSE}/")
    invitation = page.locator("section[aria-labelledby=invite]")
    invitation.locator("input[type=text]").fill(HELPER)
    invitation.locator("select").select_option("publisher")
    alice.press("Invite")
    expect(page.locator("section[aria-labelledby=members]")).to_contain_text("invited")
    alice.look("house")
    bob.page.goto("/settings/organisations/")
    bob.look("invited")
    bob.press(f"Accept the invitation of {HOUSE}")
    expect(bob.page.locator("main")).to_contain_text(HOUSE)


def publish_first(alice: Desk, bob: Desk) -> None:
    """Bob uploads, edits the card, makes a key, which alice registers; then he signs."""
    page = bob.page
    desks.make_model(bob, "digits", HOUSE)
    desks.upload(bob, MODEL, FILES)
    desks.edit_card(bob, "Published by the house.")
    expect(page.locator("#make-key")).to_contain_text(f"An admin of {HOUSE} registers it")
    bob.look("sign-without-a-key")
    desks.make_key(bob, "Make the key")
    expect(page.locator("#key-choice")).to_contain_text("not registered")
    bob.press("Ask an admin to register it")
    asked = page.get_by_label("Request for an admin")
    expect(asked).to_contain_text("payload")
    bob.look("sign-asked")
    fingerprint = page.locator("#key-choice input[name=key]").get_attribute("value") or ""
    register(alice, asked.text_content() or "", fingerprint)
    page.reload()
    desks.sign_release(bob, MODEL, "1.0.0")
    bob.look("released")


def register(alice: Desk, asked: str, fingerprint: str) -> None:
    """Alice looks at the request, compares the fingerprint, registers the key."""
    page = alice.page
    page.goto("/settings/keys/")
    page.get_by_role("link", name="Register a member's key").click()
    page.get_by_label("The request").fill(asked)
    alice.look("asked")
    alice.press("Go on")
    expect(page.locator("main")).to_contain_text(fingerprint)
    alice.look("compare")
    alice.press(f"Register it for {HOUSE}")
    page.wait_for_url(f"**/keys/{fingerprint}/")
    alice.look("registered")


def publish_second(bob: Desk) -> None:
    """Bob changes the card alone: that is a new revision, and a release of its own."""
    page = bob.page
    page.goto(f"/publish/{MODEL}/")
    page.get_by_role("link", name="Go on with the last revision").click()
    page.wait_for_url(desks.REVISION)
    desks.edit_card(bob, "And better described.")
    desks.sign_release(bob, MODEL, "1.1.0")
    expect(page.locator("main")).to_contain_text("Since 1.0.0")
    bob.look("released-again")


def mallory_fails(mallory: Desk) -> None:
    """She sees what everybody sees, and no way to change it; addresses that she guesses refuse."""
    page = mallory.page
    page.goto(f"/models/{MODEL}/aliases/production/")
    expect(page.get_by_role("link", name="Move it")).to_have_count(0)
    expect(page.get_by_role("link", name="New version")).to_have_count(0)
    for path in (
        f"/publish/{MODEL}/",
        f"/publish/{MODEL}/alias/?alias=production",
        f"/models/{MODEL}/settings/",
        f"/models/{MODEL}/activity/",
    ):
        assert mallory.status_of(path) == 403, path
    page.goto(f"/models/{MODEL}/releases/1.1.0/")
    expect(page.get_by_text("Withdraw this version")).to_have_count(0)
    token = page.context.cookies()
    sent = page.request.post(
        f"/models/{MODEL}/releases/1.1.0/withdraw/",
        form={
            "csrfmiddlewaretoken": next(c["value"] for c in token if "csrf" in c["name"]),
            "reason": "mine now",
        },
        headers={"Referer": page.url},
    )
    assert sent.status == 403
    page.reload()
    expect(page.locator("main")).not_to_contain_text("Withdrawn on")


def read_history(stranger: Desk) -> None:
    """Without an account: what did production mean before, and who says so?"""
    page = stranger.page
    page.goto(f"/models/{MODEL}/aliases/production/")
    newest, oldest = (page.locator(TIME).nth(place) for place in (0, 1))
    expect(page.locator("main")).to_contain_text("It means version 1.1.0 now")
    moved, made = (time.get_attribute("datetime") or "" for time in (newest, oldest))
    for at, words in (
        (moved, "it meant 1.1.0 by move 2"),
        (made, "it meant 1.0.0 by move 1"),
        ("2020-01-01T00:00:00Z", "it meant nothing yet"),
    ):
        page.wait_for_function("at => Date.now() > Date.parse(at)", arg=next_second(at))
        page.goto(f"/models/{MODEL}/aliases/production/?at={next_second(at)}")
        expect(page.locator("section[aria-labelledby=then]")).to_contain_text(words)
    stranger.look("history")
    page.goto(f"/models/{MODEL}/releases/")
    stranger.look("releases")


def next_second(at: str) -> str:
    """Return the second after `at`, which a page rounds down, in the same minute's spelling."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d).*", at)
    assert found is not None, at
    return f"{found[1]}.999Z"


def protect(alice: Desk, bob: Desk) -> None:
    """Alice keeps production to admins; bob's page says so and offers no move."""
    alice.page.goto(f"/models/{MODEL}/aliases/production/")
    alice.press("Protect it")
    expect(alice.page.locator("main")).to_contain_text("production is protected now")
    alice.look("protected")
    bob.page.goto(f"/models/{MODEL}/aliases/production/")
    expect(bob.page.get_by_role("link", name="Move it")).to_have_count(0)
    assert bob.status_of(f"/publish/{MODEL}/alias/?alias=production") == 403


def withdraw(bob: Desk, stranger: Desk) -> None:
    """Bob withdraws 1.0.0 with a reason, which everybody reads wherever the version stands."""
    page = bob.page
    page.goto(f"/models/{MODEL}/releases/1.0.0/")
    page.get_by_text("Withdraw this version").click()
    page.get_by_label("Reason, for everybody to read").fill("the card named other data")
    bob.look("withdraw")
    bob.press("Withdraw 1.0.0")
    expect(page.locator("main")).to_contain_text("Withdrawn on")
    for path in ("releases/1.0.0/", "releases/"):
        stranger.page.goto(f"/models/{MODEL}/{path}")
        expect(stranger.page.locator("main")).to_contain_text("the card named other data")
    stranger.look("withdrawn")
    assert stranger.status_of(f"/models/{MODEL}/releases/latest/") == 302


def gate(alice: Desk, mallory: Desk) -> None:
    """Alice gates the model; who asks waits, and has the files once alice approves."""
    page = alice.page
    page.goto(f"/models/{MODEL}/settings/")
    seen = page.locator("section[aria-labelledby=seen]")
    seen.locator("input[value=gated]").check()
    seen.locator("textarea").fill("Say what you study.")
    alice.look("settings")
    alice.press("Save")
    expect(page.locator("main")).to_contain_text("Saved.")
    page.goto(f"/models/{MODEL}/files/")
    address = page.get_by_role("link", name="Download model.onnx").get_attribute("href") or ""
    asking = mallory.page
    asking.goto(f"/models/{MODEL}/files/")
    expect(asking.get_by_role("link", name="Download model.onnx")).to_have_count(0)
    assert mallory.status_of(address) == 403
    asking.get_by_role("link", name=f"Ask {HOUSE}").click()
    asking.locator("main textarea").fill("Old handwriting.")
    mallory.look("asking")
    mallory.press("Ask for the files")
    expect(asking.locator("main")).to_contain_text("Your request is waiting")
    mallory.look("waiting")
    assert mallory.status_of(address) == 403
    page.goto(f"/models/{MODEL}/access/")
    expect(page.locator("main")).to_contain_text("Old handwriting.")
    alice.look("requests")
    alice.press(f"Approve {LIAR}")
    expect(page.locator("main")).to_contain_text("approved")
    assert mallory.status_of(address) == 200
    asking.goto(f"/models/{MODEL}/files/")
    expect(asking.get_by_role("link", name="Download model.onnx")).to_be_visible()


def give_away(alice: Desk, bob: Desk, stranger: Desk) -> None:
    """The model becomes bob's own; its old address leads to the new one, for ever."""
    page = alice.page
    page.goto(f"/models/{MODEL}/settings/")
    giving = page.locator("section[aria-labelledby=give]")
    giving.locator("input[type=text]").fill(HELPER)
    alice.press("Offer the model")
    expect(page.locator("main")).to_contain_text(f"{HELPER} has to accept")
    alice.look("offered")
    bob.page.goto("/settings/organisations/")
    bob.look("offer")
    bob.press(f"Accept {MODEL}")
    expect(bob.page.locator("main")).to_contain_text("digits")
    stranger.page.goto(f"/models/{MODEL}/releases/1.1.0/")
    stranger.page.wait_for_url(f"**/models/{HELPER}/digits/releases/1.1.0/")
    stranger.look("moved")


def test_rita_replaces_her_key_and_both_keys_say_so(
    stack: Stack, browser: Browser, room: list[Desk]
) -> None:
    rita = desks.sit(room, browser, stack.url, READER)
    page = rita.page
    page.goto("/settings/keys/")
    desks.make_key(rita, "Make the key and register it")
    row = page.locator("#browser-keys li").first
    expect(row).to_contain_text("registered")
    old = row.get_attribute("data-fingerprint")
    row.get_by_text("Replace it by a new key").click()
    row.get_by_label("Name of the new key").fill("new laptop")
    row.get_by_label("Passphrase for its backup file").fill(desks.PASSPHRASE)
    rita.look("replace")
    with page.expect_download():
        rita.press("Replace it")
    expect(page.locator("#registered-keys")).to_contain_text("superseded")
    expect(page.locator("#browser-keys")).to_contain_text("new laptop")
    rita.look("replaced")
    page.goto(f"/keys/{old}/")
    expect(page.locator("main")).to_contain_text("Another key took its place")
    rows = page.locator("section[aria-labelledby=history] tbody tr")
    expect(rows).to_have_count(2)
    rita.look("key-history")
    page.get_by_role("link", name="new laptop").first.click()
    expect(page.locator("main")).to_contain_text("registered, and took the place of")
