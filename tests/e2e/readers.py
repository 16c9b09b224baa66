"""Strangers at /verify/: what they hold of an execution, and a browser that was never here."""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from tests.e2e.stack import ROOT, Stack

ARTIFACTS = ROOT / "artifacts" / "e2e"
NUMBERED = [str(number) for number in range(1, 15)]
STEPS = ["A", "B", *NUMBERED, "15", "16", "17"]
PINNED = ("trusted_root.json", "witness-policy.txt", "keys.json")
ROW = [13.2, 1.78, 2.14, 11.2, 100.0, 2.65, 2.76, 0.26, 1.28, 4.38, 1.05, 3.4, 1050.0]
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An execution, its files in `folder`, and the checkpoint from before there was one."""

    execution: str
    folder: Path
    earlier: bytes

    @property
    def link(self) -> str:
        return f"/verify/?receipt=/executions/{self.execution}/receipt"

    @property
    def files(self) -> list[Path]:
        """The receipt, the tensors, and what the reader has pinned."""
        names = ("receipt.json", "output.tensors", "input.tensors", *PINNED)
        return [self.folder / name for name in names]


def ask(stack: Stack, path: str, body: Any = None, token: str = "") -> bytes:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(stack.url + path, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return bytes(answer.read())


def run_wine(stack: Stack, token: str = "", **parameters: Any) -> dict[str, Any]:
    """Run the small model; return the parameters of the answer."""
    tensor = {"name": "features", "datatype": "FP32", "shape": [1, 13], "data": ROW}
    body = {"inputs": [tensor], "parameters": parameters}
    answer = json.loads(ask(stack, "/v2/models/examples--wine/infer", body, token))
    said: dict[str, Any] = answer["parameters"]
    return said


def until_covered(stack: Stack, receipt: bytes) -> None:
    """Wait until the published checkpoint is the receipt's or a later one."""
    entry = json.loads(receipt)["verificationMaterial"]["tlogEntries"][0]
    size, end = int(entry["inclusionProof"]["treeSize"]), time.monotonic() + PATIENCE_S
    while int(ask(stack, "/log/checkpoint").split(b"\n")[1]) < size:
        assert time.monotonic() < end, "the checkpoint was never published"
        threading.Event().wait(0.05)


def grow(stack: Stack) -> None:
    """Let the log have an entry more, and a checkpoint over it."""
    execution = run_wine(stack)["execution_id"]
    until_covered(stack, ask(stack, f"/executions/{execution}/receipt?wait=20"))


def tell_all(stack: Stack, folder: Path) -> Told:
    """Run a model and keep what a stranger needs."""
    earlier = ask(stack, "/log/checkpoint")
    execution = str(run_wine(stack)["execution_id"])
    place = f"/executions/{execution}"
    receipt = ask(stack, f"{place}/receipt?wait=20")
    until_covered(stack, receipt)
    (folder / "receipt.json").write_bytes(receipt)
    for name in ("output.tensors", "input.tensors"):
        (folder / name).write_bytes(ask(stack, f"{place}/{name}"))
    for name in PINNED:
        (folder / name).write_bytes(ask(stack, f"/.well-known/assay/{name}"))
    return Told(execution=execution, folder=folder, earlier=earlier)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """A stranger with a fresh browser."""

    page: Page
    context: BrowserContext

    def visit(self, told: Told) -> None:
        """Follow the link to an execution's check, and wait for its end."""
        self.page.goto(told.link)
        self.ended()

    def drop(self, *files: Path) -> None:
        self.page.locator("#files").set_input_files(files)
        self.ended()

    def step(self, name: str) -> Locator:
        return self.page.locator(f'[data-step-id="{name}"]')

    def stands(self, name: str, state: str, words: str | re.Pattern[str] = "") -> None:
        expect(self.step(name)).to_have_attribute("data-step", state)
        if words:
            expect(self.step(name)).to_contain_text(words)

    def all_stand(self, names: list[str], state: str) -> None:
        for name in names:
            self.stands(name, state)

    def ended(self) -> None:
        """Wait for the end of a check: the certificate is shown last."""
        expect(self.page.locator("#certificate")).to_be_visible()

    def rerun(self) -> None:
        self.page.get_by_role("button", name=re.compile("Run it again")).click()
        expect(self.page.locator("#cancel")).to_have_count(0)

    def verdict(self, verdict: str) -> None:
        expect(self.page.locator("[data-verdict]")).to_have_attribute("data-verdict", verdict)

    def refused(self, step: str, words: str, *, values: bool = True) -> None:
        """The step is red and says so, and where two values differ, both are there."""
        self.stands(step, "failed", words)
        self.verdict("failed")
        expect(self.page.locator("[data-verdict]")).to_contain_text(f"Refused at step {step}")
        expected, found = (
            self.step(step).locator(f"[data-value={name}]") for name in ("expected", "found")
        )
        if values:
            assert expected.inner_text() != found.inner_text()
        else:
            expect(expected).to_have_count(0)

    def shoot(self, name: str) -> None:
        """Keep the page as it stands, wide and light, narrow and dark; it fits both."""
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        for width in (1280, 360):
            self.page.set_viewport_size({"width": width, "height": 900})
            self.page.emulate_media(color_scheme="light" if width == 1280 else "dark")
            assert self.page.evaluate(wide) <= 0, f"{name} is too wide at {width} px"
            path = ARTIFACTS / f"verify-{name}-{width}.png"
            self.page.screenshot(path=path, full_page=True)
        self.page.set_viewport_size({"width": 1280, "height": 900})


@contextmanager
def reading(stack: Stack, browser: Browser) -> Iterator[Reader]:
    """Yield a reader whose page has no fault, and asks nobody but the site."""
    context = browser.new_context(base_url=stack.url, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    found: list[str] = []

    def note(message: ConsoleMessage) -> None:
        # An answer that is not there is the server's word to the page, and no fault of it.
        if message.type in ("error", "warning") and "Failed to load" not in message.text:
            found.append(message.text)

    def watch(url: str) -> None:
        if not url.startswith((stack.url + "/", "blob:", "data:")):
            found.append(url)

    page.on("console", note)
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("request", lambda asked: watch(asked.url))
    yield Reader(page=page, context=context)
    context.close()
    assert found == []
