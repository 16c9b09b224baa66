"""The page of the REST API keeps the site's own policy, and asks nobody else for anything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import ConsoleMessage, Page, Request, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from config.openapi.schema import CHAPTERS

PATIENCE_MS = 60_000


@pytest.fixture
def address(transactional_db: None) -> Iterator[str]:
    """The site; the fixture `live_server` would start before the folders are set."""
    server = LiveServer("127.0.0.1")
    yield server.url
    server.stop()


@pytest.mark.browser
def test_a_developer_reads_and_tries_an_operation(address: str, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine: .ci/run installs Debian's")
    complaints: list[str] = []
    strangers: list[str] = []

    def note(message: ConsoleMessage) -> None:
        complaints.append(message.text)

    def watch(request: Request) -> None:
        if not request.url.startswith((f"{address}/", "data:")):
            strangers.append(request.url)

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(base_url=address, viewport={"width": 1280, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", watch)
        _read_and_try(page, tmp_path)
        browser.close()
    assert complaints == []
    assert strangers == []


def _read_and_try(page: Page, folder: Path) -> None:
    page.goto("/api/v1/docs/")
    chapters = page.locator(".opblock-tag-section")
    expect(chapters).to_have_count(len(CHAPTERS), timeout=PATIENCE_MS)
    chapter = chapters.filter(has=page.locator("#operations-tag-Models"))
    chapter.locator(".opblock-tag").click()
    one = chapter.locator("#operations-Models-listModels")
    expect(one).to_contain_text("Find models", timeout=PATIENCE_MS)
    page.screenshot(path=folder / "openapi.png")
    page.set_viewport_size({"width": 360, "height": 800})
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.screenshot(path=folder / "narrow.png")
    assert wide <= 360
    page.set_viewport_size({"width": 1280, "height": 900})
    one.locator(".opblock-summary-control").click()
    one.get_by_role("button", name="Try it out").click()
    one.get_by_role("button", name="Execute").click()
    expect(one.locator(".live-responses-table")).to_contain_text('"items"', timeout=PATIENCE_MS)
    one.locator(".live-responses-table").screenshot(path=folder / "tried.png")
