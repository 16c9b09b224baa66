"""/verify/ in a browser: the answer is run again, in a worker, and its bits are compared."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Route, expect

from tests.e2e import lies
from tests.e2e.lies import Lie, tell
from tests.e2e.readers import NUMBERED, STEPS, Reader, Told, ask
from tests.e2e.stack import Stack

pytestmark = pytest.mark.browser

RUNTIME = "**/onnxruntime-web-1.30.0/ort-wasm-simd-threaded"


def test_another_model_is_refused_before_it_runs(reader: Reader, told: Told) -> None:
    tell(reader.page, Lie(address="**/sha256/*", alter=lies.last_byte, step="15", words=""))
    reader.visit(told)
    reader.rerun()
    reader.refused("15", "is not the")
    reader.stands("16", "skipped")


def test_another_runtime_is_refused_before_it_runs(reader: Reader, told: Told) -> None:
    tell(reader.page, Lie(address=f"{RUNTIME}.mjs", alter=lies.last_byte, step="16", words=""))
    reader.visit(told)
    reader.rerun()
    reader.refused("16", "the file of the receipt's runtime")


def test_an_answer_that_the_model_does_not_give_is_refuted(reader: Reader, stack: Stack) -> None:
    """The operator signed it, logged it, and had it witnessed. It is still not true."""
    said = stack.manage("shell", "-c", "from tests.e2e.lying import lie; lie(traced=False)")
    execution = said.split()[-1]
    ask(stack, f"/executions/{execution}/receipt?wait=20")
    reader.page.goto(f"/verify/?receipt=/executions/{execution}/receipt")
    reader.ended()
    reader.all_stand(["A", "B", *NUMBERED], "passed")
    reader.rerun()
    reader.refused("17", "other bits")
    reader.stands("17", "failed", re.compile(r"elements differ, the first at \d+: claimed"))
    reader.shoot("refuted")


def test_a_reader_cancels_and_begins_again(reader: Reader, told: Told) -> None:
    page = reader.page

    def hold(route: Route) -> None:
        """Answer what is asked about the file, and never send it."""
        if route.request.method == "HEAD":
            route.continue_()

    page.route(f"{RUNTIME}.wasm", hold)
    reader.visit(told)
    page.locator("#run-again").click()
    expect(page.get_by_text(re.compile("fetching the runtime"))).to_be_visible()
    page.locator("#cancel").click()
    reader.stands("16", "skipped", "you cancelled it")
    reader.verdict("verified")
    page.unroute(f"{RUNTIME}.wasm")
    reader.rerun()
    reader.all_stand(STEPS, "passed")


def test_a_model_that_is_too_large_for_a_page_is_left_to_the_command(
    reader: Reader, told: Told
) -> None:
    def answer(route: Route) -> None:
        if route.request.method != "HEAD":
            route.continue_()
            return
        route.fulfill(status=200, headers={"Content-Length": "1200000000"})

    reader.page.route("**/sha256/*", answer)
    reader.visit(told)
    reader.stands("15", "skipped", "1.2 GB")
    reader.stands("15", "skipped", "assay replay")
    reader.verdict("verified")
