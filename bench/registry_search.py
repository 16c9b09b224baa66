"""The benchmark of lists and search: how they grow from a hundred models to a hundred thousand.

    python -m bench.registry_search                      10^2, 10^4, 10^5 models
    python -m bench.registry_search --json FILE          the figures for comparisons, too
    python -m bench.registry_search --explain            how PostgreSQL answers the slowest search
    python -m bench.registry_search --quick              does it run? The figures mean nothing

It starts a PostgreSQL of its own with the settings of `make run`, fills it, and throws it away. A
page is made whole, by the code of the site, in one process, without a network: middleware, queries,
template. A search is one page of the list with all counts beside it, by relevance.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from bench.sheets import Report, Sheet
from bench.site import Site

if TYPE_CHECKING:
    from django.test import Client

SIZES = (100, 10_000, 100_000)
FIRST = 20  # numbers of models begin here: owner 1 has the first ones


@dataclass(slots=True, kw_only=True)
class Grown:
    """The figures with so many models; times in milliseconds."""

    models: int
    rebuild_s: float = 0.0
    megabytes: float = 0.0
    pages: dict[str, float] = field(default_factory=dict)
    searches: int = 0
    search_p50: float = 0.0
    search_p95: float = 0.0
    database_p50: float = 0.0
    database_p95: float = 0.0
    slowest: str = ""
    each: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Figures(Report):
    """Everything that one run measured."""

    search: list[Grown] = field(default_factory=list)

    def sheets(self) -> Iterator[Sheet]:
        """Yield the tables."""
        yield self.about()
        yield Sheet(
            title="Lists and search, in ms",
            columns=("measured", *(f"{one.models:,} models" for one in self.search)),
            rows=list(_rows(self.search)),
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # also then, leave nothing behind
    console = Console(width=None if sys.stdout.isatty() else 120)
    with Site.open(options.folder) as site:
        from bench.claims import copy_in, shaped
        from bench.machine import machine

        figures = Figures(
            machine=machine(site.data),
            command=" ".join(["python -m bench.registry_search", *(arguments or sys.argv[1:])]),
        )
        copy_in(list(shaped(0, 1)))
        there = 0
        for size in options.sizes:
            with console.status(f"{size:,} models"):
                figures.search.append(_grow(there, size, options))
            there = size
            if options.explain:
                _explain(console, figures.search[-1].slowest)
    figures.hand_out(console, options)


def _grow(there: int, size: int, options: argparse.Namespace) -> Grown:
    from django.db import connection

    from bench.search_rows import insert
    from registry.services import search

    found = Grown(models=size)
    for start in range(there, size, 10_000):
        insert(FIRST + start, min(10_000, size - start))
    started = time.perf_counter()
    search.rebuild()
    found.rebuild_s = time.perf_counter() - started
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")
        cursor.execute("SELECT pg_total_relation_size('registry_searchdocument')")
        found.megabytes = cursor.fetchone()[0] / 2**20
    _pages(found, options.times)
    _searches(found, size, options.times)
    return found


def _client() -> Client:
    from django.conf import settings
    from django.test import Client

    settings.STATIC_ROOT.mkdir(exist_ok=True)  # else each client says that it is missing
    return Client(SERVER_NAME="localhost", headers={"accept": "text/html, application/json"})


def _ms(times: int, work: Callable[..., Any], *given: Any) -> list[float]:
    """Return how long each of `times` calls took, after one that warms up."""
    work(*given)
    took = []
    for _ in range(times):
        started = time.perf_counter()
        work(*given)
        took.append((time.perf_counter() - started) * 1000)
    return took


def _get(client: Client, path: str) -> bytes:
    answer = client.get(path)
    if answer.status_code != 200:
        raise RuntimeError(f"{path}: {answer.status_code}")
    return answer.content


def _pages(found: Grown, times: int) -> None:
    from registry.models import Model

    client = _client()
    middle = Model.objects.filter(visibility="public").order_by("pk")[found.models // 2]
    addresses = {
        "model page": f"/models/{middle.full_name}/",
        "list, newest": "/models/",
        "list by name": "/models/?sort=name",
        "list, verified": "/models/?sort=verified",
        "list, filtered": "/models/?task=text-classification&license=mit",
        "API list": "/api/v1/models",
    }
    for name, path in addresses.items():
        found.pages[name] = statistics.median(_ms(times, _get, client, path))


def _searches(found: Grown, size: int, times: int) -> None:
    from urllib.parse import urlencode

    from django.contrib.auth.models import AnonymousUser

    from registry import finding
    from registry.listing import listing, matches

    def ask(wanted: finding.Filters) -> None:
        listing(nobody, wanted, sort="relevance")
        finding.count(matches(nobody, wanted))

    client, nobody = _client(), AnonymousUser()
    whole: list[float] = []
    database: list[float] = []
    worst = 0.0
    for query in queries(size):
        wanted = finding.Filters(**query, released=True)
        path = "/models/?" + urlencode([("q", wanted.text), *wanted.pairs()])
        whole += _ms(times, _get, client, path)
        took = _ms(times, ask, wanted)
        database += took
        found.each[path] = statistics.median(took)
        if found.each[path] > worst:
            worst, found.slowest = found.each[path], path
    found.searches = len(whole)
    found.search_p50, found.search_p95 = _quantiles(whole)
    found.database_p50, found.database_p95 = _quantiles(database)


def _quantiles(values: list[float]) -> tuple[float, float]:
    cuts = statistics.quantiles(values, n=100)
    return cuts[49], cuts[94]


def queries(size: int) -> Iterator[dict[str, Any]]:
    """Yield what people type: words of all cards and of one, names letter by letter, filters."""
    from bench.search_rows import make, words

    for text in ("model", "training data", "image classification", "license mit", "the", "en"):
        yield {"text": text}
    for start in ("resnet", "distilbert", "mobilenet-v2"):
        for end in range(1, len(start) + 1, 2):
            yield {"text": start[:end]}
    rare = words(30_000, 1)
    for place in (5, 50, 500, 5_000, 29_000):
        yield {"text": rare[place]}
        yield {"text": f"{rare[place]} model"}
    for one in make(FIRST + size // 3, 8):
        yield {"text": one.name}
        yield {"text": f"owner{one.number // 20}/{one.name}"}
    for task in ("text-classification", "depth-estimation"):
        yield {"text": "bert", "facets": (("task", task),)}
        yield {"text": "accuracy", "facets": (("task", task), ("license", "mit"))}
    yield {"text": "vit", "operators": ("conv",)}
    yield {"text": "no such word anywhere"}
    yield {"text": "& | ! :* ( ' %"}


def _explain(console: Console, path: str) -> None:
    from urllib.parse import parse_qsl

    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    console.rule(f"{path} {dict(parse_qsl(path.partition('?')[2]))}")
    with CaptureQueriesContext(connection) as captured:
        _get(_client(), path)
    for query in captured.captured_queries:
        if "registry_searchdocument" not in query["sql"]:
            continue
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, BUFFERS) " + query["sql"].replace("%", "%%"), [])
            console.print("\n".join(row[0] for row in cursor.fetchall()), markup=False)
        console.rule()


def _rows(figures: Sequence[Grown]) -> Iterator[tuple[str, ...]]:
    for name in figures[0].pages:
        yield (name, *(f"{one.pages[name]:.1f}" for one in figures))
    for label, name in (
        ("search page, p50", "search_p50"),
        ("search page, p95", "search_p95"),
        ("of that list and counts, p50", "database_p50"),
        ("of that list and counts, p95", "database_p95"),
    ):
        yield (label, *(f"{getattr(one, name):.1f}" for one in figures))
    yield ("search_rebuild, s", *(f"{one.rebuild_s:.1f}" for one in figures))
    yield ("documents with indexes, MB", *(f"{one.megabytes:.0f}" for one in figures))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.registry_search", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--sizes", type=_numbers, help="numbers of models, e.g. 100,10000")
    parser.add_argument("--times", type=int, default=5, help="how often each thing is measured")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--explain", action="store_true", help="print the plans of the slowest")
    parser.add_argument("--folder", type=Path, help="where to put the data, e.g. on another disk")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--markdown", type=Path, help="write the table there, too")
    options = parser.parse_args(arguments)
    if options.sizes is None:
        options.sizes = (50, 200) if options.quick else SIZES
    return options


def _numbers(text: str) -> list[int]:
    return sorted(int(one) for one in text.split(","))


if __name__ == "__main__":
    main()
