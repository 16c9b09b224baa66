"""Check in this browser: true pages turn their rows green, each lie turns its own row red."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from assay.note import VKey
from assay.splitview import check_split_view, parse_split_view
from tests.e2e import lies
from tests.e2e.conftest import Visitor
from tests.e2e.lies import Lie, in_receipt, tell
from tests.e2e.readers import run_wine, until_covered
from tests.e2e.stack import Stack
from tests.e2e.test_accessibility import complaints, new_page
from tests.e2e.test_consumer import fetch

ROWS = ("contents", "signature", "ledger", "consistency")
MODEL = "/models/examples/digits/"


@dataclass(frozen=True, slots=True)
class Panel:
    """The evidence panel of a page."""

    page: Page

    def row(self, name: str) -> Locator:
        return self.page.locator(f'.evidence [data-evidence="{name}"]').first

    def check(self) -> None:
        self.page.locator("[data-check]").click()
        expect(self.page.locator("[data-check-status]")).to_contain_text("in this browser.")

    def stands(self, **states: str) -> None:
        for name, state in states.items():
            expect(self.row(name), name).to_have_attribute("data-state", state)

    def is_green(self) -> None:
        self.stands(**dict.fromkeys(ROWS, "checked"))


@pytest.fixture(scope="module")
def execution(stack: Stack) -> str:
    """The path of an execution that the log covers."""
    path = f"/executions/{run_wine(stack)['execution_id']}/"
    until_covered(stack, fetch(stack, f"{path}receipt?wait=20"))
    return path


@pytest.fixture
def reader(stack: Stack, browser: Browser) -> Iterator[Page]:
    """A stranger with a fresh browser; what is wrong on purpose may be complained about."""
    page = browser.new_context(base_url=stack.url, accept_downloads=True).new_page()
    page.set_default_timeout(60_000)
    yield page
    page.context.close()


def test_true_pages_turn_green_and_nothing_else_is_asked(visitor: Visitor, execution: str) -> None:
    panel = Panel(visitor.page)
    for path in (execution, MODEL, f"{MODEL}releases/1.0.0/", "/ledger/0/", "/ledger/6/"):
        visitor.page.goto(path)
        panel.stands(contents="server", signature="server")
        panel.check()
        panel.is_green()
        expect(panel.row("signature")).to_contain_text("checked here")
        visitor.shoot(f"panel-{path.strip('/').replace('/', '-')}")
    expect(panel.row("consistency")).to_contain_text("continues the")


def test_a_panel_that_waited_for_the_log_can_be_checked_without_a_reload(
    stack: Stack, visitor: Visitor
) -> None:
    visitor.page.goto(f"/executions/{run_wine(stack)['execution_id']}/")
    panel = Panel(visitor.page)
    panel.check()
    panel.is_green()


def test_what_was_compared_stands_under_each_row(visitor: Visitor, execution: str) -> None:
    visitor.page.goto(execution)
    panel = Panel(visitor.page)
    panel.check()
    for name, number in (("contents", 11), ("signature", 4), ("ledger", 8), ("consistency", 6)):
        panel.row(name).locator("summary").click()
        expect(panel.row(name).locator(f'li[value="{number}"]')).to_be_visible()
    expect(panel.row("contents")).to_contain_text("output.tensors has the signed digest")


def test_the_panel_leads_to_the_whole_check_and_to_its_words(
    visitor: Visitor, execution: str
) -> None:
    visitor.page.goto(execution)
    link = visitor.page.get_by_role("link", name="Step by step")
    receipt = quote(f"{execution}receipt", safe="")
    expect(link).to_have_attribute("href", f"/verify/?receipt={receipt}")
    visitor.page.get_by_role("link", name="How to read this evidence").first.click()
    expect(visitor.page.locator("h1")).to_have_text("How to read this evidence")


def test_a_keyboard_is_enough(visitor: Visitor, execution: str) -> None:
    visitor.page.goto(execution)
    visitor.page.locator("[data-check]").focus()
    visitor.page.keyboard.press("Enter")
    Panel(visitor.page).is_green()
    expect(visitor.page.get_by_role("button", name="Check again")).to_be_focused()


RECEIPT = "**/receipt"
LIES = (
    ("contents", Lie(address="**/output.tensors", alter=lies.last_byte, step="11", words="output")),
    ("contents", Lie(address="**/input.tensors", alter=lies.last_byte, step="13", words="input")),
    ("contents", Lie(address=RECEIPT, alter=lies.cut, step="2", words="JSON")),
    (
        "signature",
        Lie(address=RECEIPT, alter=in_receipt(lies.other_answer), step="4", words="signature"),
    ),
    ("signature", Lie(address="**/keys.json", alter=lies.as_publisher, step="12", words="role")),
    ("ledger", Lie(address=RECEIPT, alter=in_receipt(lies.other_index), step="7", words="index")),
    ("ledger", Lie(address=RECEIPT, alter=in_receipt(lies.other_path), step="8", words="proof")),
    (
        "consistency",
        Lie(address=RECEIPT, alter=in_receipt(lies.no_witness), step="6", words="witnesses"),
    ),
    (
        "consistency",
        Lie(
            address="**/trusted_root.json",
            alter=lies.other_log_key,
            step="A",
            words="another key",
            later=True,
        ),
    ),
    (
        "consistency",
        Lie(
            address="**/witness-policy.txt",
            alter=lies.other_policy,
            step="A",
            words="another witness policy",
            later=True,
        ),
    ),
)


@pytest.mark.parametrize(("row", "lie"), LIES, ids=[f"{row}: {lie.words}" for row, lie in LIES])
def test_each_lie_turns_its_row_red(reader: Page, execution: str, row: str, lie: Lie) -> None:
    panel = Panel(reader)
    reader.goto(execution)
    if lie.later:
        panel.check()
        panel.is_green()
    tell(reader, lie)
    reader.locator("[data-check]").click()
    panel.stands(**{row: "failed"})
    expect(panel.row(row)).to_contain_text(lie.words)
    for other in set(ROWS) - {row}:
        expect(panel.row(other)).not_to_have_attribute("data-state", "failed")


def test_a_fork_is_an_alarm_that_stays_with_evidence_for_anybody(
    stack: Stack, reader: Page, execution: str
) -> None:
    panel = Panel(reader)
    reader.goto(execution)
    panel.check()
    fork = lies.forked(stack.data)
    tell(reader, Lie(address="**/log/checkpoint", alter=fork, step="B", words="two trees"))
    reader.locator("[data-check]").click()
    panel.stands(consistency="failed")
    reader.unroute("**/log/checkpoint")
    reader.goto("/ledger/0/")
    alarm = reader.locator("[data-fork]")
    expect(alarm).to_contain_text("contradicts itself")
    with reader.expect_download() as download:
        alarm.get_by_role("button", name="Save this evidence").click()
    evidence = parse_split_view(download.value.path().read_bytes())
    vkey = VKey.parse(fetch(stack, "/.well-known/assay/log.vkey").decode().strip())
    assert "signed two trees" in check_split_view(evidence, vkey)
    panel.check()
    panel.stands(consistency="failed", contents="checked")
    reader.goto("/docs/evidence/")
    reader.get_by_role("button", name="Forget").click()
    expect(reader.locator("#remembered")).to_contain_text("Nothing yet")
    reader.goto("/ledger/0/")
    expect(alarm).to_have_count(0)


def test_a_page_whose_log_shrank_is_checked_without_being_asked(
    reader: Page, execution: str
) -> None:
    panel = Panel(reader)
    reader.goto(execution)
    panel.check()
    reader.evaluate(
        """() => {
          const name = Object.keys(localStorage).find((key) => key.startsWith("assay-log:"));
          const seen = JSON.parse(localStorage.getItem(name));
          localStorage.setItem(name, JSON.stringify({ ...seen, size: seen.size + 1 }));
        }"""
    )
    reader.goto(execution)
    expect(reader.locator("[data-check-status]")).to_contain_text("in this browser.")


def test_without_a_network_nothing_is_claimed(reader: Page, execution: str) -> None:
    panel = Panel(reader)
    reader.goto(execution)
    panel.check()
    reader.context.set_offline(True)
    reader.locator("[data-check]").click()
    panel.stands(**dict.fromkeys(ROWS, "unknown"))
    expect(panel.row("contents")).to_contain_text("could not check")


def test_the_memory_is_listed_and_axe_finds_nothing(
    stack: Stack, browser: Browser, execution: str
) -> None:
    page = new_page(stack, browser)
    panel = Panel(page)
    page.goto(execution)
    panel.check()
    found = complaints(page, "a checked panel")
    tell(page, LIES[0][1])
    page.locator("[data-check]").click()
    panel.stands(contents="failed")
    found += complaints(page, "a panel with a failure")
    page.goto("/docs/evidence/")
    head = json.loads(fetch(stack, "/api/v1/ledger/head"))
    expect(page.locator("#remembered")).to_contain_text(head["origin"])
    found += complaints(page, "what is remembered")
    page.context.close()
    assert found == []
