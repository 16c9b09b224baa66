"""Ada doubts everything that the site says about itself, and finds where each claim is proved."""

from __future__ import annotations

import re
import urllib.request

from playwright.sync_api import Browser, expect

from tests.e2e.readers import STEPS, Told
from tests.e2e.stack import Stack
from tests.e2e.walkers import Eyes, Walker, in_all_eyes, walking


@in_all_eyes
def test_ada_follows_an_answer_down_to_the_bits(
    stack: Stack, browser: Browser, eyes: Eyes, told: Told
) -> None:
    with walking(stack, browser, eyes, "ada") as ada:
        look_it_up(ada, told)
        read_the_entry(ada)
        read_the_checkpoints(ada)
        read_who_signs(ada)
        run_it_again(ada, told)
        have_it_replayed(ada, told)
        read_what_moderators_did(ada)


def look_it_up(ada: Walker, told: Told) -> None:
    """From the first page she searches for the execution, and from its page goes to the entry."""
    page = ada.page
    page.goto("/")
    page.locator("#home-search").fill(told.execution)
    page.locator("#home-search").press("Enter")
    page.wait_for_url(f"**/executions/{told.execution}/")
    page.goto("/ledger/")
    ada.look("ledger")
    page.locator("#q").fill("no-such-thing-in-it")
    ada.press("Find")
    page.wait_for_url("**/ledger/?q=no-such-thing-in-it*")
    ada.look("not-found")
    ada.touch(page.get_by_text("Filter by kind, model, owner, key"))
    page.get_by_label("Kind").select_option("execution")
    ada.look("filters")
    page.locator("#q").fill(told.execution)
    ada.press("Find")
    page.wait_for_url(f"**/executions/{told.execution}/")
    ada.look("execution")
    ada.touch(page.locator('.evidence [data-evidence="ledger"]').get_by_role("link").first)
    page.wait_for_url(re.compile(r"/ledger/\d+/$"))


def read_the_entry(ada: Walker) -> None:
    """Decoded and as it was recorded, with its proof; she checks it here."""
    page = ada.page
    ada.reads("What it says", "Recorded bytes", "Proof of inclusion", "Check it yourself")
    ada.check_here()
    bundle = page.get_by_role("link", name="Sigstore bundle").get_attribute("href")
    assert bundle is not None
    got = page.request.get(bundle)
    assert got.status == 200
    assert "dsseEnvelope" in got.json()


def read_the_checkpoints(ada: Walker) -> None:
    """Every head of the log, who cosigned it, and which logs there ever were."""
    page = ada.page
    ada.touch(page.locator("nav.crumbs").get_by_role("link", name="Ledger"))
    ada.touch(page.locator("nav.tabs").get_by_role("link", name="Checkpoints"))
    ada.reads("Checkpoints and witnesses", "Who cosigns", "Newest checkpoints")
    expect(page.get_by_role("img", name="Growth")).to_be_visible()
    ada.look("checkpoints")
    ada.touch(page.locator("section[aria-labelledby=list] tbody a").first)
    ada.reads("Who cosigned it", "The signed note")
    ada.look("checkpoint")
    page.goto("/ledger/logs/")
    ada.reads("The verifier key to pin")
    ada.look("logs")


def read_who_signs(ada: Walker) -> None:
    """Which keys signed the model, and the history of one of them."""
    page = ada.page
    page.goto("/models/examples/wine/signers/")
    ada.reads("Who signed this model")
    ada.look("signers")
    ada.touch(page.locator("section, main").locator("tbody th a").first)
    page.wait_for_url(re.compile(r"/keys/[0-9a-f]{64}/$"))
    ada.reads("Each line is a signed statement in the ledger.", "Compute the fingerprint")
    ada.look("key")
    ada.follow("All entries that it signed")
    expect(page.locator("main tbody tr").first).to_be_visible()


def run_it_again(ada: Walker, told: Told) -> None:
    """All seventeen steps in her own browser, the replay among them."""
    page = ada.page
    page.goto(told.link)
    expect(page.locator("#certificate")).to_be_visible()
    ada.touch(page.get_by_role("button", name=re.compile("Run it again")))
    expect(page.locator("#cancel")).to_have_count(0)
    for name in STEPS:
        expect(page.locator(f'[data-step-id="{name}"]')).to_have_attribute("data-step", "passed")
    expect(page.locator("[data-verdict]")).to_contain_text("gave the same bits")
    ada.look("replayed-here")


def have_it_replayed(ada: Walker, told: Told) -> None:
    """The registry's auditor does the same, signs what it found, and the page shows that."""
    page = ada.page
    page.goto(f"/executions/{told.execution}/")
    section = page.locator("section[aria-labelledby=replays]")
    rows = section.locator("tbody tr")
    if rows.count() == 0:
        ada.press("Have it replayed")
        expect(section).to_contain_text(re.compile("A replay is|exact"))
    ada.look_again_for(rows)
    expect(rows.first).to_contain_text("exact")
    ada.look("replayed-there")


def read_what_moderators_did(ada: Walker) -> None:
    """What was hidden or taken down is a list that nobody can shorten; the log has its kind."""
    page = ada.page
    page.goto("/moderation/")
    ada.reads("Moderation log", "nobody can act in silence")
    ada.look("moderation")
    page.goto("/ledger/?kind=moderation")
    ada.look("moderation-in-the-ledger")
    page.goto("/status/")
    ada.look("status")


def test_every_page_that_ada_saw_exists_for_programs_too(stack: Stack, told: Told) -> None:
    for path in (
        "/api/v1/ledger/entries?kind=execution",
        f"/api/v1/executions/{told.execution}/replays",
        "/api/v1/moderation",
        "/log/checkpoint",
        "/.well-known/assay/keys.json",
    ):
        with urllib.request.urlopen(stack.url + path, timeout=60) as answer:
            assert answer.status == 200, path
