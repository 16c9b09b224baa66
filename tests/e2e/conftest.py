"""One running Assay for the whole folder, a browser that notes every complaint, stock programs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.e2e.readers import Reader, Told, reading, tell_all
from tests.e2e.stack import ROOT, Stack

expect.set_options(timeout=60_000)  # two shared cores: patience, never a sleep
ARTIFACTS = ROOT / "artifacts" / "e2e"


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    running = Stack(data=tmp_path_factory.mktemp("assay"))
    running.start()
    yield running
    code = running.stop()
    assert code == 0, "\n".join(running.lines)
    assert running.pids() == {}, "processes were left behind"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine: .ci/run installs Debian's")
    # Playwright's driver must find no proxy or display of the session in its way.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # An event loop runs in this thread from here on; what tests ask the database for waits.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        launched = playwright.chromium.launch(
            executable_path=chromium,
            args=[
                *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update"),
                *("--disable-sync", "--disable-dev-shm-usage"),
            ],
        )
        yield launched
        launched.close()


@dataclass  # Playwright hangs its wrappers on the instance: no slots
class Visitor:
    """A page in a fresh browser profile, and what it complained about."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    shots: int = 0

    def note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {message.text}")

    def watch(self, request: Request) -> None:
        if not request.url.startswith((self.origin + "/", "data:", "blob:")):
            self.strangers.append(request.url)

    def shoot(self, name: str) -> None:
        """Keep a screenshot of the whole page in `artifacts/e2e`."""
        self.shots += 1
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=ARTIFACTS / f"{self.shots:02d}-{name}.png", full_page=True)


@pytest.fixture
def visitor(stack: Stack, browser: Browser) -> Iterator[Visitor]:
    context = browser.new_context(
        base_url=stack.url, viewport={"width": 1280, "height": 900}, accept_downloads=True
    )
    page = context.new_page()
    page.set_default_timeout(60_000)
    person = Visitor(page=page, origin=stack.url)
    page.on("console", person.note)
    page.on("pageerror", lambda error: person.complaints.append(str(error)))
    page.on("request", person.watch)
    yield person
    context.close()
    assert person.complaints == []
    assert person.strangers == []


@pytest.fixture(scope="session")
def cosign() -> str:
    found = os.environ.get("COSIGN") or shutil.which("cosign")
    if found is None:
        pytest.skip("no cosign on this machine: .ci/run fetches Debian's")
    return found


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what strangers download."""
    return tmp_path_factory.mktemp("stranger")


@pytest.fixture(scope="session")
def told(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """An execution, and the files of it that a stranger holds."""
    return tell_all(stack, tmp_path_factory.mktemp("told"))


@pytest.fixture
def reader(stack: Stack, browser: Browser) -> Iterator[Reader]:
    """A stranger at /verify/."""
    with reading(stack, browser) as person:
        yield person
