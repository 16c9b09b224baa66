"""A page that alice saved checks its receipt in bob's browser, from a disk, with no network."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect
from typer.testing import CliRunner

from assay.cli import app
from tests.assay import claims
from tests.assay.vectors import vector
from tests.e2e.readers import tell_all
from tests.e2e.stack import Stack
from tests.e2e.test_accessibility import LOOKS

NO_CRYPTO = "Object.defineProperty(globalThis, 'crypto', { value: {} });"


def saved(folder: Path, *options: str) -> Path:
    """Return the page that `assay page` makes of a true receipt."""
    held = {
        "receipt.json": claims.receipt_of(claims.execution()),
        "output.tensors": claims.OUTPUT,
        "input.tensors": claims.INPUT,
        **{name: vector(name) for name in ("signer.pub", "trusted_root.json", "bundle.json")},
        "policy.txt": vector("witness-policy.txt"),
    }
    for name, data in held.items():
        (folder / name).write_bytes(data)
    page = folder / "receipt.html"
    named = ("--key", "signer.pub", "--trusted-root", "trusted_root.json", "--policy", "policy.txt")
    given = ["page", "receipt.json", "--out", page.name, *named, *options]
    paths = [str(folder / text) if "." in text and ":" not in text else text for text in given]
    done = CliRunner().invoke(app, paths)
    assert done.exit_code == 0, done.output
    return page


@pytest.fixture
def page_file(tmp_path: Path) -> Path:
    return saved(tmp_path, "--blob", "output.tensors", "--input", "input.tensors")


@pytest.fixture
def cut_off(browser: Browser) -> Iterator[BrowserContext]:
    """A browser without a network, which would tell if the page asked for anything."""
    context = browser.new_context(offline=True)
    yield context
    context.close()


def opened(context: BrowserContext, file: Path) -> tuple[Page, list[str]]:
    """Open the file; return the page and everything that it complained about or asked for."""
    heard: list[str] = []

    def watch(asked: Request) -> None:
        if not asked.url.startswith("file:"):
            heard.append(asked.url)

    page = context.new_page()
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", watch)
    page.goto(file.as_uri())
    return page, heard


def state(page: Page, wanted: str) -> str:
    """Wait for the verdict and return its words."""
    verdict = page.locator("#verdict")
    expect(verdict).to_have_attribute("data-state", wanted)
    return verdict.inner_text()


def bend(file: Path, name: str, data: bytes | None) -> None:
    """Put other bytes into the page, as mallory would who passes it on."""
    whole = file.read_text(encoding="utf-8")
    match = re.search(r'(?<=id="evidence">).*?(?=</script>)', whole)
    assert match is not None
    told: dict[str, Any] = json.loads(match[0])
    told[name] = None if data is None else b64encode(data).decode()
    file.write_text(whole.replace(match[0], json.dumps(told)), encoding="utf-8")


def test_a_true_receipt_passes_every_step_with_the_network_cut(
    cut_off: BrowserContext, page_file: Path
) -> None:
    page, heard = opened(cut_off, page_file)
    words = state(page, "passed")
    assert re.match(r"Checked here \d\d:\d\d:\d\d UTC: signed, logged and unchanged", words)
    passed = page.locator('#steps li:not([data-state="passed"])')
    expect(page.locator("#steps li")).to_have_count(14)
    assert [item.get_attribute("data-step") for item in passed.all()] == ["9"]
    expect(page.locator("#pins")).to_contain_text(claims.public_key().fingerprint)
    expect(page.locator("#facts")).to_contain_text("alice/add")
    assert heard == []


def test_a_sites_receipt_with_the_keys_own_entry_needs_the_site_no_more(
    stack: Stack, cut_off: BrowserContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tell_all(stack, tmp_path)
    (tmp_path / "policy.txt").write_bytes((tmp_path / "witness-policy.txt").read_bytes())
    monkeypatch.setenv("ASSAY_TRUST", str(tmp_path))
    keys = json.loads((tmp_path / "keys.json").read_text())["keys"]
    index = next(key["index"] for key in keys if key["role"] == "executor")
    own = f"{stack.url}/ledger/{index}/bundle"
    receipt, file = tmp_path / "receipt.json", tmp_path / "site.html"
    given = ["page", str(receipt), "--registration", own, "--out", str(file)]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    page, heard = opened(cut_off, file)
    state(page, "passed")
    expect(page.locator('[data-step="12"]')).to_contain_text("as its own entry in the log says")
    expect(page.locator("#facts")).to_contain_text(told.execution)
    assert heard == []


def test_the_page_may_ask_for_nothing(cut_off: BrowserContext, page_file: Path) -> None:
    page, _ = opened(cut_off, page_file)
    state(page, "passed")
    asked = page.evaluate("() => fetch('https://models.example.org/').catch(String)")
    assert "Failed to fetch" in asked or "violates" in asked


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("output", claims.INPUT, "the output is another one"),
        ("input", claims.OUTPUT, "the input is another one"),
        ("receipt", claims.receipt_of(claims.execution(), subject="0" * 64), "the subject is not"),
        ("receipt", b"{", "Refused: not the format"),
        ("predicateType", b"urn:assay:alias:v1", "a statement of another type"),
        ("trustedRoot", b"{}", "Refused: not the format"),
        ("registration", vector("bundle.json"), "Refused"),
    ],
)
def test_what_mallory_changed_in_it_is_refused_and_named(
    cut_off: BrowserContext, page_file: Path, name: str, data: bytes, words: str
) -> None:
    bend(page_file, name, data)
    page, _ = opened(cut_off, page_file)
    assert words in state(page, "failed")
    if name in ("output", "input"):
        step = page.locator('#steps li[data-state="failed"]')
        expect(step).to_contain_text(re.compile("expected [0-9a-f]{64}, found [0-9a-f]{64}"))


def test_a_changed_script_does_not_run(cut_off: BrowserContext, page_file: Path) -> None:
    whole = page_file.read_text(encoding="utf-8")
    page_file.write_text(whole.replace('"use strict";', '"use strict"; ', 1), encoding="utf-8")
    page, heard = opened(cut_off, page_file)
    expect(page.locator("#verdict")).to_have_text("Checking…")
    assert any("Content Security Policy" in words for words in heard)


def test_a_file_chosen_by_the_reader_is_compared(cut_off: BrowserContext, tmp_path: Path) -> None:
    page, _ = opened(cut_off, saved(tmp_path))
    assert "were not compared" in state(page, "passed")
    page.get_by_label("output.tensors").set_input_files(tmp_path / "output.tensors")
    expect(page.locator("#verdict")).not_to_contain_text("not compared")
    page.get_by_label("input.tensors").set_input_files(tmp_path / "output.tensors")
    assert "the input is another one" in state(page, "failed")


def test_the_receipt_comes_out_as_it_went_in(cut_off: BrowserContext, page_file: Path) -> None:
    page, _ = opened(cut_off, page_file)
    state(page, "passed")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the receipt").click()
    assert download.value.path().read_bytes() == (page_file.parent / "receipt.json").read_bytes()


def test_a_browser_without_cryptography_says_so(cut_off: BrowserContext, page_file: Path) -> None:
    cut_off.add_init_script(NO_CRYPTO)
    page, _ = opened(cut_off, page_file)
    assert "gives no cryptography" in state(page, "unknown")


def test_a_browser_without_scripts_names_the_command(browser: Browser, page_file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page, _ = opened(context, page_file)
    shown = page.locator(".verdict:visible")
    expect(shown).to_have_count(1)
    expect(shown).to_contain_text("assay verify")
    context.close()


def test_axe_finds_nothing_in_it(browser: Browser, page_file: Path) -> None:
    context = browser.new_context(bypass_csp=True, offline=True)
    page, _ = opened(context, page_file)
    state(page, "passed")
    found = []
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        found += [rule["id"] for rule in Axe().run(page).response["violations"]]
    context.close()
    assert found == []
