"""Cora needs an answer that she can rely on: she finds a model, asks it, and believes nobody."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.readers import NUMBERED
from tests.e2e.stack import Stack
from tests.e2e.test_main_job import draw_a_one
from tests.e2e.walkers import Eyes, Walker, in_all_eyes, walking

MODEL = "examples/digits"


@in_all_eyes
def test_cora_asks_a_model_and_checks_the_answer(
    stack: Stack, browser: Browser, eyes: Eyes, tmp_path: Path
) -> None:
    with walking(stack, browser, eyes, "cora") as cora:
        find_a_model(cora)
        ask_it(cora)
        cora.check_here()
        files = take_the_receipt(cora, tmp_path)
        check_what_she_holds(cora, files)
        be_lied_to(cora, files)
        read_what_it_shows(cora)


def find_a_model(cora: Walker) -> None:
    """From the first page by the kind of task to one model; the wrong word finds nothing."""
    page = cora.page
    page.goto("/")
    cora.follow("Models", within="header")
    cora.look("models")
    cora.touch(page.locator(".facet-list").get_by_role("link", name="image-classification"))
    expect(page.get_by_role("list", name="Filters")).to_contain_text("image-classification")
    expect(page.locator("#results").get_by_role("link", name=MODEL)).to_be_visible()
    cora.look("filtered")
    page.goto("/models/?q=no-such-model-anywhere")
    cora.reads("No model")
    cora.look("nothing-found")
    page.goto("/models/?q=handwritten")
    cora.follow(MODEL)
    page.wait_for_url(f"**/models/{MODEL}/")
    cora.reads("Reads one handwritten digit", "Evidence", "Facts")
    cora.look("card")


def ask_it(cora: Walker) -> None:
    """She draws a digit; before that, what she sends is refused, and the page says why."""
    page = cora.page
    cora.touch(page.locator("nav.tabs").get_by_role("link", name="Run", exact=True))
    page.wait_for_url(f"**/models/{MODEL}/run/")
    cora.press("Run on the server (logged)")
    expect(page.locator("#run-error")).to_be_visible()
    cora.look("nothing-drawn")
    draw_a_one(page)
    cora.press("Run on the server (logged)")
    answer = page.locator("#run-result")
    evidence = answer.get_by_role("link", name="This execution and its evidence")
    expect(evidence).to_be_visible()
    expect(answer).to_contain_text(re.compile(r"entry \d+, in checkpoint \d+"))
    cora.look("answered")
    cora.touch(evidence)
    page.wait_for_url(re.compile(r"/executions/[0-9a-f-]{36}/$"))
    cora.reads("The signed statement", "Verify it yourself", "nobody signed in")
    cora.look("execution")


def take_the_receipt(cora: Walker, folder: Path) -> list[Path]:
    """Three files go with her, and are all that she needs."""
    page, kept = cora.page, []
    for words in ("Download the receipt", "output.tensors", "input.tensors"):
        link = page.locator("section[aria-labelledby=verify]").get_by_role("link", name=words)
        with page.expect_download() as download:
            cora.touch(link)
        kept.append(folder / download.value.suggested_filename)
        download.value.save_as(kept[-1])
    assert [file.name for file in kept] == ["receipt.json", "output.tensors", "input.tensors"]
    return kept


def check_what_she_holds(cora: Walker, files: list[Path]) -> None:
    """Days later, with the files alone: each step is shown with what was compared."""
    page = cora.page
    cora.follow("Verify", within="header")
    cora.look("verify")
    page.locator("#files").set_input_files(files)
    expect(page.locator("#certificate")).to_be_visible()
    for number in NUMBERED:
        expect(page.locator(f'[data-step-id="{number}"]')).to_have_attribute("data-step", "passed")
    expect(page.locator("[data-verdict]")).to_have_attribute("data-verdict", "verified")
    cora.look("verified")


def be_lied_to(cora: Walker, files: list[Path]) -> None:
    """One byte of the output is another one: the page says where, and shows both values."""
    page = cora.page
    output = next(file for file in files if file.name == "output.tensors")
    lie = bytearray(output.read_bytes())
    lie[-1] ^= 1
    output.write_bytes(lie)
    cora.press("Start over")
    page.locator("#files").set_input_files(files)
    expect(page.locator("#certificate")).to_be_visible()
    expect(page.locator("[data-verdict]")).to_contain_text("Refused at step 11")
    step = page.locator('[data-step-id="11"]')
    values = [step.locator(f"[data-value={name}]").inner_text() for name in ("expected", "found")]
    assert values[0] != values[1]
    cora.look("refused")


def read_what_it_shows(cora: Walker) -> None:
    """What a receipt does not show is one link away."""
    cora.follow("How to read this evidence")
    expect(cora.page.locator("h1")).to_have_text("How to read this evidence")
    cora.look("evidence")


@pytest.mark.parametrize("path", ["/", "/models/", f"/models/{MODEL}/", f"/models/{MODEL}/run/"])
def test_cora_reads_and_asks_without_javascript(stack: Stack, browser: Browser, path: str) -> None:
    context = browser.new_context(base_url=stack.url, java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(60_000)
    answer = page.goto(path)
    assert answer is not None
    assert answer.status == 200
    expect(page.locator("h1")).to_be_visible()
    if path.endswith("/run/"):
        page.get_by_role("button", name="Run on the server (logged)").click()
        link = page.locator("#run-result").get_by_role("link", name="This execution")
        expect(link).to_be_visible()
    context.close()
