"""The Run tab and the Graph tab: a reader asks here and there, and sees what a model is made of."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Visitor
from tests.e2e.stack import Stack
from tests.e2e.test_drawing import DIGITS, draw

RUN, GRAPH = "/models/examples/digits/run/", "/models/examples/digits/graph/"
HERE = "Run in this browser (not logged)"
SIZES = {"width": 360, "height": 800}, {"width": 1280, "height": 900}


def clean(page: Page) -> None:
    """Both themes and both widths are without a finding of axe."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for size in SIZES:
            page.set_viewport_size(size)  # type: ignore[arg-type]  # a dict with these two keys
            found = Axe().run(page).response["violations"]
            assert found == [], (scheme, size, [one["id"] for one in found])
            wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
            assert not wide, (scheme, size)


def test_the_browser_runs_what_the_server_runs_and_sends_nothing(visitor: Visitor) -> None:
    page, sent = visitor.page, []
    page.on("request", lambda request: sent.append((request.method, request.url)))
    page.goto(RUN)
    draw(page, DIGITS[3], 1.0)
    page.get_by_role("button", name=HERE).click()
    expect(page.locator("#not-logged")).to_contain_text("no receipt")
    expect(page.locator(".result-value")).to_have_text("3")
    expect(page.get_by_text("checked here").first).to_contain_text("the manifest, the graph and")
    assert [url for method, url in sent if method != "GET"] == []
    assert not any(url.endswith("/infer") for _, url in sent)
    visitor.shoot("run-here")
    page.locator("#run").click()
    expect(page.locator("#run-twin")).to_contain_text("have the same bits")
    clean(page)


def test_a_run_in_the_browser_can_be_ended(visitor: Visitor) -> None:
    page = visitor.page
    page.goto("/models/examples/wine/run/")
    page.route("**/*.wasm", lambda route: None)  # the runtime does not come
    page.get_by_role("button", name=HERE).click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#run-result")).to_have_text("No answer.")
    expect(page.locator("#run-progress")).to_be_hidden()
    expect(page.locator("#run-here")).to_be_enabled()


def test_other_bytes_than_the_page_names_do_not_run(visitor: Visitor) -> None:
    page = visitor.page
    page.goto("/models/examples/wine/run/")
    form = page.locator("#run-form")
    local = json.loads(form.get_attribute("data-local") or "")
    address = f"**/sha256/{local['graph']['sha256']}"
    page.route(address, lambda route: route.fulfill(body=b"another model"))
    page.get_by_role("button", name=HERE).click()
    expect(page.locator("#run-error")).to_contain_text("is not what this page names")
    expect(page.locator("#not-logged")).to_have_count(0)


def test_files_and_pictures_are_inputs(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    page.goto(RUN)
    page.screenshot(path=tmp_path / "picture.png")
    page.get_by_text("A picture instead").click()
    page.locator("#picture-0").set_input_files(tmp_path / "picture.png")
    expect(page.get_by_role("img", name="What the model is given: 8 by 8 pixels")).to_be_visible()
    page.locator("#run-json summary").click()
    expect(page.locator("#inputs")).to_have_value(re.compile(r'"shape":\[1,1,8,8\]'))
    three = np.zeros((1, 1, 8, 8), np.float32)
    three[0, 0, :, 3:5] = 16
    np.save(tmp_path / "three.npy", three)
    page.get_by_text("Inputs from a file").click()
    page.locator("#run-file-input").set_input_files(tmp_path / "three.npy")
    expect(page.get_by_text("Draw here")).to_be_hidden()  # it stands on the paper
    page.locator("#run").click()
    expect(page.locator(".result-value")).to_have_text("1")
    clean(page)
    np.save(tmp_path / "two.npy", np.concatenate([three, three]))
    page.locator("#run-file-input").set_input_files(tmp_path / "two.npy")
    expect(page.locator("#run-given")).to_contain_text("two.npy: image: FP32 [2, 1, 8, 8]")
    expect(page.locator("#run-old")).to_be_visible()
    page.locator("#run").click()
    expect(page.get_by_role("group", name="probabilities").locator("tbody tr")).to_have_count(2)
    clean(page)
    page.get_by_role("button", name="Use the form instead").click()
    expect(page.locator("#run-given")).to_be_hidden()
    (tmp_path / "odd.json").write_text("not a tensor")
    page.locator("#run-file-input").set_input_files(tmp_path / "odd.json")
    expect(page.locator("#run-error")).to_contain_text("neither tensors")


def test_the_examples_of_a_card_are_tried_by_a_press(visitor: Visitor) -> None:
    page = visitor.page
    page.goto(RUN)
    tries = page.get_by_role("group", name="Examples of the card").get_by_role("button")
    expect(tries).to_have_count(6)
    for at, digit in ((1, "3"), (2, "4")):
        tries.nth(at).press("Enter")
        expect(tries.nth(at)).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#run-old")).to_have_count(at - 1)
        page.locator("#run").click()
        expect(page.locator(".result-value")).to_have_text(digit)
        expect(page.locator("#run-old")).to_have_count(0)
    clean(page)
    visitor.shoot("run-example")
    draw(page, DIGITS[1], 1.0)
    expect(page.locator("#run-examples [aria-pressed=true]")).to_have_count(0)
    page.locator("#run").click()
    expect(page.locator(".result-value")).to_have_text("1")
    page.goto("/models/examples/diabetes/run/")
    expect(tries.first).to_have_attribute("aria-pressed", "true")
    tries.nth(2).click()
    expect(page.get_by_label("age in years")).to_have_value("43")
    page.locator("#run").click()
    expect(page.locator(".result-value")).to_have_text(
        re.compile(r"^2\d\d\.\d+ progression score$")
    )
    clean(page)


@pytest.mark.usefixtures("stack")
def test_the_lines_of_the_page_ask_the_same(visitor: Visitor, stack: Stack, tmp_path: Path) -> None:
    page = visitor.page
    page.goto("/models/examples/wine/run/")
    page.get_by_text("The same request from a program").click()
    codes = page.locator("#run-snippets pre")
    expect(codes).to_have_count(3)
    assay, python, curl = (codes.nth(at).inner_text() for at in range(3))
    answer = subprocess.run(
        ["bash", "-c", curl + " -sS"], capture_output=True, check=True, text=True
    )
    (label,) = [one for one in json.loads(answer.stdout)["outputs"] if one["name"] == "label"]
    assert label["data"] == [0]
    compile(python, "the page", "exec")
    env = stack.environment | {"HOME": str(tmp_path)}
    tool = f"'{sys.executable}' -m assay.cli"
    line = assay.replace("assay run", f"{tool} run --unverified --out '{tmp_path}/kept'", 1)
    asked = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, env=env, check=False
    )
    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert (tmp_path / "kept" / "receipt.json").exists()


def test_the_graph_is_drawn_searched_and_walked_by_keyboard(visitor: Visitor) -> None:
    page = visitor.page
    page.goto(GRAPH)
    page.locator("#draw-graph").press("Enter")
    expect(page.locator("#graph-svg .box")).to_have_count(12)  # an input, nine nodes, two outputs
    expect(page.locator("#graph-search")).to_be_focused()
    page.keyboard.type("softmax")
    expect(page.locator("#graph-found")).to_contain_text("1 match")
    page.keyboard.press("Enter")
    details = page.locator("#graph-details")
    expect(details).to_contain_text("Node Softmax")
    page.locator("#graph-svg .box[tabindex='0']").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(details).to_contain_text("Node Gemm")
    expect(details).to_contain_text(re.compile("weight, FP32 64 . 10"))
    details.get_by_role("button", name="Softmax").click()
    expect(details).to_contain_text("Node Softmax")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(details).to_contain_text("Input image")
    stage = page.locator("#graph-svg > g")
    before = stage.get_attribute("transform")
    page.keyboard.press("+")
    page.get_by_role("button", name="Show all").click()
    expect(stage).not_to_have_attribute("transform", before or "")
    visitor.shoot("graph")
    clean(page)


def test_a_drawing_that_does_not_come_leaves_the_summary(visitor: Visitor) -> None:
    page = visitor.page
    page.goto(GRAPH)
    told = {"error": {"code": "executor_away", "message": "No executor answers.", "detail": {}}}
    page.route("**/skeleton.json*", lambda route: route.fulfill(status=200, json=told))
    page.locator("#draw-graph").click()
    expect(page.locator("#drawing-error")).to_be_visible()
    expect(page.locator("#drawing-shown")).to_be_hidden()
    expect(page.get_by_role("heading", name="Operators")).to_be_visible()


def test_without_a_script_the_summary_says_it_all(stack: Stack, browser: Browser) -> None:
    context = browser.new_context(base_url=stack.url, java_script_enabled=False)
    page = context.new_page()
    page.goto(GRAPH)
    expect(page.locator("#draw-graph")).to_be_hidden()
    expect(page.get_by_text("Drawing takes JavaScript")).to_be_visible()
    expect(page.get_by_role("link", name="The same as JSON")).to_be_visible()
    page.goto(RUN)
    expect(page.locator("#run-here")).to_be_hidden()
    context.close()
