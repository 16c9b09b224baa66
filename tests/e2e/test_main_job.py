"""A new user does the whole main job in a browser, with a real model, and a stranger checks it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Visitor
from tests.e2e.stack import ROOT, Stack

PASSED = re.compile("Passed")
MODEL = ROOT / "examples" / "digits"
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "font-src": "'self'",
    "worker-src": "'self'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
}


def sign_up(visitor: Visitor, name: str) -> None:
    page = visitor.page
    page.goto("/accounts/signup/")
    visitor.shoot("sign-up")
    page.get_by_label("Username").fill(name)
    page.get_by_label(re.compile("mail", re.IGNORECASE)).fill(f"{name}@example.org")
    page.locator("input[name=password1]").fill("correct horse battery staple")
    page.locator("input[name=password2]").fill("correct horse battery staple")
    page.locator("main button[type=submit]").click()
    expect(page.locator("header")).to_contain_text(name)


def upload(visitor: Visitor, name: str, files: list[Path]) -> None:
    page = visitor.page
    page.goto("/publish/")
    page.locator("input[name=name]").fill("handwriting")
    visitor.shoot("publish-name")
    page.locator("main button[type=submit]").first.click()
    page.wait_for_url(f"**/publish/{name}/handwriting/")
    page.locator("#files").set_input_files(files)
    expect(page.locator("#file-rows tr")).to_have_count(len(files))
    page.locator("#upload").click()
    expect(page.locator("#commit")).to_be_enabled()
    visitor.shoot("publish-uploaded")
    page.locator("#commit").click()
    page.wait_for_url(re.compile(rf"/publish/{name}/handwriting/[0-9a-f]{{40}}/$"))


def describe(visitor: Visitor) -> None:
    page = visitor.page
    expect(page.locator("main")).to_contain_text(PASSED)
    visitor.shoot("publish-inspected")
    card = page.locator("#card")
    card.fill(card.input_value() + "\nPublished again by a new user.\n")
    page.locator("form", has=card).get_by_role("button", name=re.compile("Save")).click()
    expect(page.locator("#card")).to_have_value(re.compile("Published again by a new user"))
    expect(page.locator("main")).to_contain_text(PASSED)
    visitor.shoot("publish-card")
    page.get_by_role("link", name=re.compile("Review and sign")).click()
    page.wait_for_url(re.compile(r"/sign/$"))


def sign(visitor: Visitor, name: str) -> None:
    page = visitor.page
    visitor.shoot("publish-no-key-yet")
    form = page.locator("#make-key")
    form.locator("input[name=name], #key-name").first.fill("Test browser")
    form.locator("input[type=password]").first.fill("a passphrase for the backup")
    with page.expect_download() as download:
        form.get_by_role("button").first.click()
    assert Path(download.value.path()).stat().st_size > 100
    expect(page.locator("#statement-release")).to_contain_text("urn:assay:release:v1")
    page.locator("#read").check()
    visitor.shoot("publish-sign")
    page.locator("#sign").click()
    page.wait_for_url(re.compile(rf"/models/{name}/handwriting/releases/"))
    visitor.shoot("release")


def draw_a_one(page: Page) -> None:
    canvas = page.locator("#draw")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    x, top, bottom = box["x"] + box["width"] * 0.5, box["y"] + 20, box["y"] + box["height"] - 20
    page.mouse.move(x - 25, top + 35)
    page.mouse.down()
    page.mouse.move(x, top, steps=5)
    page.mouse.move(x, bottom, steps=12)
    page.mouse.up()


def run(visitor: Visitor, name: str) -> str:
    page = visitor.page
    page.goto(f"/models/{name}/handwriting/run/")
    draw_a_one(page)
    visitor.shoot("run-drawn")
    page.get_by_role("button", name=re.compile("Run on the server")).click()
    link = page.locator("#run-result a[href*='/executions/']").first
    expect(link).to_be_visible()
    visitor.shoot("run-answered")
    link.click()
    page.wait_for_url(re.compile(r"/executions/[0-9a-f-]{36}/$"))
    return page.url.rstrip("/").rpartition("/")[2]


def test_a_new_user_publishes_runs_and_checks(
    stack: Stack, visitor: Visitor, tmp_path: Path, cosign: str
) -> None:
    page, name = visitor.page, "carol"
    answer = page.goto("/")
    assert answer is not None
    policy = dict(
        part.strip().partition(" ")[::2]
        for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy == POLICY
    visitor.shoot("home")
    sign_up(visitor, name)
    upload(visitor, name, [MODEL / "model.onnx", MODEL / "README.md"])
    describe(visitor)
    sign(visitor, name)
    execution = run(visitor, name)
    expect(page.locator("main")).to_contain_text(re.compile(r"in checkpoint \d+"))
    visitor.shoot("execution")
    receipt = tmp_path / "receipt.json"
    got = page.request.get(f"/executions/{execution}/receipt?wait=20")
    receipt.write_bytes(got.body())
    index = json.loads(got.body())["verificationMaterial"]["tlogEntries"][0]["logIndex"]
    for shown in (f"/ledger/{index}/", "/ledger/", f"/models/{name}/handwriting/"):
        page.goto(shown)
        visitor.shoot("page" + re.sub(r"[^a-z0-9]+", "-", shown).rstrip("-"))
    check_as_a_stranger(stack, visitor, execution, receipt, cosign)


def check_as_a_stranger(
    stack: Stack, visitor: Visitor, execution: str, receipt: Path, cosign: str
) -> None:
    """Check the receipt with a program that is not ours, then with ours."""
    ask = visitor.page.request
    folder = receipt.parent
    output = folder / "output.tensors"
    output.write_bytes(ask.get(f"/executions/{execution}/output.tensors").body())
    root, policy, key = folder / "root.json", folder / "policy.txt", folder / "executor.pub"
    root.write_bytes(ask.get("/.well-known/assay/trusted_root.json").body())
    policy.write_bytes(ask.get("/.well-known/assay/witness-policy.txt").body())
    keys = ask.get("/.well-known/assay/keys.json").json()["keys"]
    key.write_text(next(k["publicKey"] for k in keys if k["role"] == "executor"))
    theirs = [
        *(cosign, "verify-blob-attestation", "--bundle", receipt, "--key", key),
        *("--trusted-root", root, "--type", "urn:assay:execution:v1", output),
    ]
    ours = [
        *(sys.executable, "-m", "assay.cli", "verify", receipt, "--key", key),
        *("--trusted-root", root, "--policy", policy, "--blob", output),
    ]
    for command in (theirs, ours):
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("width", [1280, 360])
def test_every_public_page_is_quiet_and_fits(stack: Stack, visitor: Visitor, width: int) -> None:
    page = visitor.page
    page.set_viewport_size({"width": width, "height": 800})
    model = "/models/examples/digits/"
    tabs = ("", "files/", "graph/", "run/", "api/", "executions/", "releases/", "releases/1.0.0/")
    pages = ["/", "/models/", "/executions/", "/ledger/", "/ledger/0/", "/verify/", "/docs/"]
    pages += ["/examples/", "/status/", "/accounts/login/", *(model + tab for tab in tabs)]
    for path in pages:
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        overflow = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0, f"{path} is {overflow} px too wide at {width} px"
        visitor.shoot(f"w{width}" + re.sub(r"[^a-z0-9]+", "-", path).rstrip("-"))
