"""What a browser needs for a page when it first comes: bytes, requests, and the first paint."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, sync_playwright

ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_PAINT = """() => new Promise((done) => {
  const look = (list) => {
    const [found] = list.getEntriesByName("first-contentful-paint");
    if (found) done(found.startTime);
  };
  new PerformanceObserver(look).observe({ type: "paint", buffered: true });
})"""
_ANSWER = "performance.getEntriesByType('navigation')[0].responseStart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Painted:
    """Medians over all visits: milliseconds to the first byte and the first paint, and the worst.

    `kilobytes` came over the wire with all heads of answers, in `requests`.
    """

    path: str
    first_byte: float
    paint: float
    worst: float
    kilobytes: float
    requests: int


def paint(origin: str, paths: Sequence[str], times: int) -> Iterator[Painted]:
    """Visit each page so many times in a fresh profile; yield what that took."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        _visit(browser, origin, paths[0])  # the browser's own start is nobody's fault
        for path in paths:
            seen = [_visit(browser, origin, path) for _ in range(times)]
            yield Painted(
                path=path,
                first_byte=statistics.median(one["answer"] for one in seen),
                paint=statistics.median(one["paint"] for one in seen),
                worst=max(one["paint"] for one in seen),
                kilobytes=statistics.median(one["bytes"] for one in seen) / 1000,
                requests=int(statistics.median(one["requests"] for one in seen)),
            )
        browser.close()


def _visit(browser: Browser, origin: str, path: str) -> dict[str, Any]:
    context = browser.new_context(base_url=origin, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    sizes: list[float] = []
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda one: sizes.append(one["encodedDataLength"]))
    page.goto(path)
    page.wait_for_load_state("load")
    found = {
        "answer": page.evaluate(_ANSWER),
        "paint": page.evaluate(_PAINT),
        "bytes": sum(sizes),
        "requests": len(sizes),
    }
    context.close()
    return found
