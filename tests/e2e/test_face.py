"""The face of the site in a real browser: the first page, the ledger while it grows, its charts."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from config.stack import answers, free_port
from tests.e2e.conftest import Visitor
from tests.e2e.stack import ROOT, Stack
from tests.e2e.test_accessibility import complaints, new_page

MODEL = "/v2/models/examples--digits/infer"
FACE = ("/", "/ledger/", "/ledger/checkpoints/", "/ledger/0/", "/models/?task=image-classification")
PASTE = """([box, text]) => {
  const data = new DataTransfer();
  data.setData("text/plain", text);
  const made = { clipboardData: data, bubbles: true, cancelable: true };
  document.querySelector(box).dispatchEvent(new ClipboardEvent("paste", made));
}"""


def fetch(stack: Stack, path: str, body: bytes | None = None) -> bytes:
    with urllib.request.urlopen(stack.url + path, body, timeout=60) as answer:
        return bytes(answer.read())


def ask(stack: Stack, seed: int) -> dict[str, Any]:
    """Run a model as a program does; return the answer."""
    image = [float(place * seed % 16) for place in range(64)]
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, 1, 8, 8], "data": image}
    answer: dict[str, Any] = json.loads(
        fetch(stack, MODEL, json.dumps({"inputs": [tensor]}).encode())
    )
    return answer


def execution_of(answer: dict[str, Any]) -> str:
    return str(answer["parameters"]["execution_id"])


def receipt_of(stack: Stack, answer: dict[str, Any]) -> str:
    return fetch(stack, f"/executions/{execution_of(answer)}/receipt?wait=20").decode()


def test_an_entry_appears_while_the_ledger_is_open(stack: Stack, visitor: Visitor) -> None:
    page = visitor.page
    page.goto("/ledger/")
    news = page.locator("#live-news")
    expect(news).to_have_text("New entries appear here by themselves.")
    before = page.locator("tbody tr").count()
    execution = execution_of(ask(stack, 3))
    row = page.locator("tbody.fresh tr", has_text=execution)
    expect(row).to_be_visible()
    expect(news).to_contain_text("new entr")
    assert page.locator("tbody tr").count() > before
    size = int(row.locator("th").inner_text()) + 1
    expect(page.locator("#live-head")).to_contain_text(f"Checkpoint {size}")
    visitor.shoot("ledger-live")


def test_whoever_reads_can_stop_it_and_go_on(stack: Stack, visitor: Visitor) -> None:
    page, asked = visitor.page, []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.install()
    page.goto("/ledger/")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#live-news")).to_have_text("Paused: this list stands still.")
    asked.clear()
    page.clock.run_for(120_000)  # many looks were due
    assert [url for url in asked if "since=" in url] == []
    execution = execution_of(ask(stack, 5))
    receipt_of(stack, {"parameters": {"execution_id": execution}})
    assert page.locator("tbody tr", has_text=execution).count() == 0
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("tbody.fresh tr", has_text=execution)).to_be_visible()


def test_a_pasted_receipt_leads_to_its_execution(stack: Stack, visitor: Visitor) -> None:
    page = visitor.page
    answer = ask(stack, 7)
    receipt = receipt_of(stack, answer)
    for place, box, text in (
        ("/", "#home-search", receipt),
        ("/ledger/", "#q", json.dumps(json.loads(receipt), indent=2)),
        ("/models/", "#site-search", answer["parameters"]["receipt"]),
        ("/ledger/", "#q", json.dumps(answer)),
    ):
        page.goto(place)
        page.locator(box).focus()
        page.evaluate(PASTE, [box, text])
        page.wait_for_url(f"**/executions/{execution_of(answer)}/")
    page.goto("/ledger/")
    page.get_by_text("Paste a receipt").click()
    page.get_by_label("A receipt").fill(receipt)
    page.get_by_role("button", name="Find its execution").click()
    page.wait_for_url(f"**/executions/{execution_of(answer)}/")


def test_the_first_page_shows_the_newest_answer(stack: Stack, visitor: Visitor) -> None:
    answer = ask(stack, 9)
    receipt_of(stack, answer)
    page = visitor.page
    page.goto("/")
    section = page.locator("section", has=page.get_by_role("heading", name="The newest answer"))
    expect(section.first).to_contain_text("entry")
    expect(section.first.locator("[data-evidence=ledger]")).to_contain_text("in checkpoint")
    assert section.first.locator(f"a[href='/executions/{execution_of(answer)}/']").count() == 1
    visitor.shoot("home")
    page.get_by_role("button", name="Check in this browser").click()
    for row in ("contents", "signature", "ledger", "consistency"):
        found = section.first.locator(f"[data-evidence={row}]")
        expect(found).to_have_attribute("data-state", "checked")
    visitor.shoot("home-checked")


def test_without_javascript_everything_is_there(stack: Stack, browser: Browser) -> None:
    answer = ask(stack, 11)
    receipt = receipt_of(stack, answer)
    context = browser.new_context(base_url=stack.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/ledger/")
    expect(page.get_by_role("link", name="Look again")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_be_hidden()
    page.get_by_text("Paste a receipt").click()
    page.get_by_label("A receipt").fill(receipt)
    page.get_by_role("button", name="Find its execution").click()
    assert page.url.endswith(f"/executions/{execution_of(answer)}/")
    page.goto("/ledger/checkpoints/")
    expect(page.get_by_role("img", name="Growth")).to_be_visible()
    context.close()


def test_the_face_is_clean_in_every_look(stack: Stack, browser: Browser) -> None:
    receipt_of(stack, ask(stack, 13))
    page = new_page(stack, browser)
    found: list[str] = []
    for path in FACE:
        page.goto(path)
        found += [*complaints(page, path), *too_wide(page, path)]
    page.goto("/ledger/")
    page.get_by_text("Paste a receipt").click()
    page.get_by_label("A receipt").fill("no receipt")
    page.get_by_role("button", name="Find its execution").click()
    expect(page.get_by_role("heading", name="Not a receipt")).to_be_visible()
    found += complaints(page, "no receipt")
    page.context.close()
    assert found == []


def too_wide(page: Any, path: str) -> list[str]:
    page.set_viewport_size({"width": 360, "height": 800})
    over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [f"{path}: {over} px too wide"] if over > 0 else []


# ------------------------------------------------------------------ the style guide


@pytest.fixture
def designer(stack: Stack) -> Iterator[str]:
    """The address of a web process with DEBUG on, beside the others."""
    port = free_port(None)
    child = subprocess.Popen(
        [sys.executable, "manage.py", "serve", "--bind", f"127.0.0.1:{port}"],
        cwd=ROOT,
        env={**stack.environment, "DEBUG": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port, child)
        yield f"http://127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait(30)


def wait_for(port: int, child: subprocess.Popen[bytes]) -> None:
    ready = answers(port, "/healthz")
    while not ready():
        with pytest.raises(subprocess.TimeoutExpired):  # else the web process has ended
            child.wait(0.2)


def test_every_component_is_clean_in_every_look(
    stack: Stack, browser: Browser, designer: str
) -> None:
    page = new_page(stack, browser)
    page.goto(f"{designer}/styleguide/")
    expect(page.get_by_role("heading", name="Style guide")).to_be_visible()
    found = [*complaints(page, "the style guide"), *too_wide(page, "the style guide")]
    page.context.close()
    assert found == []
