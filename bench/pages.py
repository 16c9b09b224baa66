"""The benchmark of the pages: do they stay as quick while the site grows, and when is one seen?

    python -m bench.pages                          10^2, 10^4, 10^5 rows of everything
    python -m bench.pages --json FILE --markdown FILE
    python -m bench.pages --quick                  does it run? The figures mean nothing

It starts a PostgreSQL of its own with the settings of `make run`, fills it, and throws it away. A
page is first made whole by the code of the site, in one process, without a network: middleware,
queries, template. At the end the real web tier serves the largest site over loopback to Chromium,
each time in a fresh profile with nothing in its cache.
"""

from __future__ import annotations

import argparse
import gzip
import signal
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from bench.sheets import Report, Sheet
from bench.site import Site

if TYPE_CHECKING:
    from django.test import Client

SIZES = (100, 10_000, 100_000)
PAINT_MS, QUERIES = 400, 12  # what the pages are held to
PAGES = {
    "/": "first page",
    "/models/": "models",
    "/models/?task=text-classification&license=mit": "models, filtered",
    "/models/?sort=verified": "models, by verified executions",
    "/ledger/": "ledger",
    "/ledger/?kind=release": "ledger, one kind",
    "/ledger/?before={middle}": "ledger, its middle",
    "/ledger/?since={near}&quiet=0": "ledger, a look at what is new",
    "/ledger/checkpoints/": "checkpoints with charts",
    "/ledger/checkpoints/?before={middle}": "checkpoints, the middle",
    "/executions/": "executions",
}
SEEN = ("/", "/models/", "/ledger/", "/ledger/checkpoints/", "/executions/", "/docs/", "/verify/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A page with so many rows: median milliseconds, queries, and its bytes compressed."""

    path: str
    rows: int
    ms: float
    queries: int
    compressed: int


@dataclass(slots=True, kw_only=True)
class Figures(Report):
    """Everything that one run measured."""

    made: list[Made] = field(default_factory=list)
    painted: list[dict[str, Any]] = field(default_factory=list)

    def sheets(self) -> Iterator[Sheet]:
        """Yield the tables."""
        yield self.about()
        sizes = sorted({one.rows for one in self.made})
        yield Sheet(
            title=f"Making a page: ms, and queries (at most {QUERIES} are allowed)",
            columns=("page", *(f"{size:,} rows" for size in sizes), "queries", "kB compressed"),
            rows=[self._made(path, name) for path, name in PAGES.items()],
        )
        if self.painted:
            yield Sheet(
                title=f"Seeing a page over loopback, nothing cached (aim: paint in {PAINT_MS} ms)",
                columns=("page", "first byte ms", "first paint ms", "worst ms", "kB", "requests"),
                rows=[
                    (
                        *(one["path"], f"{one['first_byte']:.0f}", f"{one['paint']:.0f}"),
                        *(f"{one['worst']:.0f}", f"{one['kilobytes']:.1f}", str(one["requests"])),
                    )
                    for one in self.painted
                ],
            )

    def _made(self, path: str, name: str) -> tuple[str, ...]:
        found = sorted((one for one in self.made if one.path == path), key=lambda one: one.rows)
        queries = max(one.queries for one in found)
        largest = max(one.compressed for one in found) / 1000
        return (name, *(f"{one.ms:.1f}" for one in found), str(queries), f"{largest:.1f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # also then, leave nothing behind
    console = Console(width=None if sys.stdout.isatty() else 120)
    with Site.open(options.folder) as site:
        from bench.machine import machine

        figures = Figures(
            machine=machine(site.data),
            command=" ".join(["python -m bench.pages", *(arguments or sys.argv[1:])]),
        )
        measure(site, figures, options, console)
    figures.hand_out(console, options)


def measure(site: Site, figures: Figures, options: argparse.Namespace, console: Console) -> None:
    """Fill `figures`."""
    from bench.pages_paint import paint
    from bench.pages_rows import fill

    _first_checkpoint(site)
    there = 0
    for size in options.sizes:
        with console.status(f"{size:,} rows"):
            fill(there, size)
            figures.made += _pages(size, options.times)
        there = size
        if options.json:
            figures.save(options.json)  # what a later part does not take away
    if options.no_browser:
        return
    from django.core.management import call_command

    call_command("collectstatic", verbosity=0, interactive=False)
    with console.status("painting"), site.web() as port:
        origin = f"http://127.0.0.1:{port}"
        figures.painted = [asdict(one) for one in paint(origin, SEEN, options.times)]


def _first_checkpoint(site: Site) -> None:
    """Wait for the checkpoint of the empty log, with the witness's line: the others copy it."""
    from bench.site import PATIENCE_S
    from ledger.models import Cosignature

    deadline = time.monotonic() + PATIENCE_S
    with site.sequencer():
        while not Cosignature.objects.exists() and time.monotonic() < deadline:
            time.sleep(0.05)


def _pages(size: int, times: int) -> Iterator[Made]:
    from django.conf import settings
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    settings.STATIC_ROOT.mkdir(exist_ok=True)  # else the client says that it is missing
    client = Client(SERVER_NAME="localhost", headers={"accept": "text/html", "hx-request": "true"})
    for path in PAGES:
        address = path.format(middle=size // 2, near=size - 3)
        with CaptureQueriesContext(connection) as queries:
            text = _get(client, address)
        asked = len(queries)  # the next request clears the log
        took = []
        for _ in range(times):
            started = time.perf_counter()
            _get(client, address)
            took.append((time.perf_counter() - started) * 1000)
        yield Made(
            path=path,
            rows=size,
            ms=statistics.median(took),
            queries=asked,
            compressed=len(gzip.compress(text, 6)),
        )


def _get(client: Client, path: str) -> bytes:
    answer = client.get(path)
    if answer.status_code != 200:
        raise RuntimeError(f"{path}: {answer.status_code}")
    return answer.content


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.pages", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--sizes", type=lambda text: [int(one) for one in text.split(",")])
    parser.add_argument("--times", type=int, default=15, help="visits of each page")
    parser.add_argument("--quick", action="store_true", help="40 and 80 rows, to see that it runs")
    parser.add_argument("--no-browser", action="store_true", help="leave the painting out")
    parser.add_argument("--folder", type=Path, help="where to put the data, e.g. on another disk")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--markdown", type=Path, help="write the tables there, too")
    options = parser.parse_args(arguments)
    if options.quick:
        options.sizes, options.times = options.sizes or [40, 80], 2
    options.sizes = options.sizes or list(SIZES)
    return options


if __name__ == "__main__":
    main()
