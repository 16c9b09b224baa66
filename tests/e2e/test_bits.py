"""The same models give the same bits in Node, in a browser, and where they were written down.

The browser gets the files that the site serves, under the policy of its pages and workers.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, JSHandle, Page

from config.headers import WORKER_POLICY, add_headers
from tests.e2e.bits import Given, executor, run, runtime, stored
from tests.e2e.bits_models import CASES
from tests.e2e.stack import ROOT
from tests.e2e.test_main_job import POLICY
from tests.inference.executor.running import Running

pytestmark = pytest.mark.browser
WORKER = "/static/js/workers/bits-worker.js"
PLACES = {
    WORKER: Path(__file__).with_name("bits_worker.js"),
    "/replay/tensors.mjs": ROOT / "assay" / "replay" / "tensors.mjs",
}
KINDS = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}
START = """url => new Promise((ready, failed) => {
  const worker = new Worker(url, { type: "module" });
  worker.addEventListener("message", () => ready(worker), { once: true });
  worker.addEventListener("error", (event) => failed(event.message || "no worker"));
})"""
ASK = """(worker, name) => new Promise((answer) => {
  worker.addEventListener("message", ({ data }) => answer(data), { once: true });
  worker.postMessage(name);
})"""
UNCAPPED = 0.3  # of the numbers of an output, at least so many are different ones


def job(name: str) -> bytes:
    """Return a case as the worker reads it: a line of JSON, the graph, the inputs."""
    graph, inputs = CASES[name]()
    described = [{**item.header(), "size": len(item.data)} for item in inputs]
    line = json.dumps({"graph": len(graph), "inputs": described}).encode()
    return b"\n".join([line, graph]) + b"".join(item.data for item in inputs)


class Handler(BaseHTTPRequestHandler):
    """The site's static files with the site's headers, an empty page, and the jobs."""

    def do_GET(self) -> None:
        headers: dict[str, str] = {}
        if self.path in ("/", "/favicon.ico"):
            kind, body = "text/html", b"<!doctype html><title>Bits</title>"
            headers["Content-Security-Policy"] = "; ".join(map(" ".join, POLICY.items()))
        elif self.path.startswith("/jobs/"):
            kind, body = "application/octet-stream", job(self.path.removeprefix("/jobs/"))
        else:
            path = PLACES.get(self.path, ROOT / self.path.lstrip("/"))
            kind, body = KINDS[path.suffix], path.read_bytes()
            add_headers(headers, str(path), self.path)
        self.send_response(200)
        for name, text in {"Content-Type": kind, **headers}.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """An empty page of a site whose only guest this is."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    complaints: list[str] = []
    opened = browser.new_page()
    opened.set_default_timeout(120_000)
    opened.on("console", lambda message: complaints.append(message.text))
    opened.goto(f"http://127.0.0.1:{server.server_port}/")
    yield opened
    opened.close()
    server.shutdown()
    thread.join()
    server.server_close()
    assert complaints == []


@pytest.fixture(scope="module")
def worker(page: Page) -> JSHandle:
    return page.evaluate_handle(START, WORKER)


@pytest.fixture(scope="module")
def node() -> Iterator[Running]:
    with executor() as running:
        yield running


@pytest.fixture(scope="module")
def in_node(node: Running) -> dict[str, Given]:
    """What each case gave in Node, when it has been asked for."""
    return {}


def asked(node: Running, in_node: dict[str, Given], name: str) -> Given:
    if name not in in_node:
        in_node[name] = run(node, name)
    return in_node[name]


@pytest.mark.parametrize("name", CASES)
def test_node_gives_the_digest_that_is_written_down(
    node: Running, in_node: dict[str, Given], name: str
) -> None:
    given = asked(node, in_node, name)
    assert given.digest == stored()[runtime()][name]


@pytest.mark.parametrize("name", CASES)
def test_a_browser_gives_the_digest_that_is_written_down(worker: JSHandle, name: str) -> None:
    assert worker.evaluate(ASK, name) == {"digest": stored()[runtime()][name]}


@pytest.mark.parametrize("name", CASES)
def test_the_digests_are_about_something(
    node: Running, in_node: dict[str, Given], name: str
) -> None:
    """Of every case, some output has many different numbers."""
    given = asked(node, in_node, name)
    shares = [
        len(np.unique(np.frombuffer(item.data, np.dtype(f"<u{size}")))) / max(item.elements, 1)
        for item in given.outputs
        if (size := len(item.data) // max(item.elements, 1))
    ]
    assert max(shares) > UNCAPPED


def test_the_browser_was_under_the_sites_policies(page: Page) -> None:
    """A worker from elsewhere may not compile WebAssembly: the policies were in force."""
    assert "wasm-unsafe-eval" in WORKER_POLICY
    refused = page.evaluate("""async () => {
      try {
        await WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
        return "compiled";
      } catch (error) {
        return error.constructor.name;
      }
    }""")
    assert refused == "CompileError"
