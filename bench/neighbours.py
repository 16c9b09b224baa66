"""What a hostile model costs its neighbour: the p99 of an honest one, beside it and without it.

    python -m bench.neighbours                          every file of the corpus, about ten minutes
    python -m bench.neighbours --json FILE --markdown FILE    the tables of docs/performance.md
    python -m bench.neighbours --only "endless loop" --answers 2000
    python -m bench.neighbours --quick                  does it run? The figures mean nothing

One supervisor with its jailed processes, as the tests of the corpus start it. An honest caller asks
a tiny model, one request after the other; the hostile file is loaded and run by somebody else,
again and again, at most a hundred times a second. Rounds without it (quiet) and with it (loud) take
turns, so that both meet the same machine. It needs the development packages: the corpus is the
tests'.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bench.machine import machine
from bench.sheets import Report, Sheet
from tests.inference.executor.hostile import (
    IN_NATIVE,
    ROWS,
    Build,
    Neighbour,
    begin,
    start,
    tidy,
    warm,
)
from tests.inference.executor.models import Revision
from tests.inference.executor.running import Running

COLUMNS = (
    *("hostile file", "kind", "its runs", "answers", "p50 quiet", "p50 beside"),
    *("p99 quiet", "p99 beside", "p99 ratio"),
)
PACE_S = 0.01  # from one hostile request to the next, at least: this measures files, no floods
AIM = 2.0  # a neighbour's p99 with a hostile model is at most so many times that without


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One hostile file: how often it was run, the neighbour's answers (each way), times in ms."""

    name: str
    kind: str
    runs: int
    answers: int
    p50_quiet: float
    p50_loud: float
    p99_quiet: float
    p99_loud: float

    @property
    def ratio(self) -> float:
        """Return how many times as long the slowest hundredth takes beside it."""
        return self.p99_loud / self.p99_quiet


@dataclass(slots=True, kw_only=True)
class Figures(Report):
    """Everything that one run measured."""

    rows: list[Row] = field(default_factory=list)

    def sheets(self) -> Iterator[Sheet]:
        """Yield the tables."""
        yield self.about()
        yield Sheet(
            title="An honest model's answers in ms, without and beside a hostile one",
            columns=COLUMNS,
            rows=[
                (
                    *(row.name, row.kind, str(row.runs), f"{row.answers:,}"),
                    *(f"{row.p50_quiet:.2f}", f"{row.p50_loud:.2f}"),
                    *(f"{row.p99_quiet:.2f}", f"{row.p99_loud:.2f}", f"{row.ratio:.2f}"),
                )
                for row in self.rows
            ],
            words=2,
        )
        yield Sheet(title="All of them", columns=("what", "is"), rows=self._summary(), words=2)

    def _summary(self) -> list[tuple[str, str]]:
        ratios = sorted(row.ratio for row in self.rows)
        within = sum(ratio <= AIM for ratio in ratios)
        return [
            ("files", str(len(ratios))),
            (f"within {AIM:g} times", f"{within} of {len(ratios)}"),
            ("median ratio", f"{statistics.median(ratios):.2f}"),
            ("worst ratio", f"{ratios[-1]:.2f}"),
        ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    options = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 150)
    command = " ".join(["python -m bench.neighbours", *(arguments or sys.argv[1:])])
    figures = Figures(command=command, machine=machine(Path.cwd()))
    running = start()
    try:
        for name, kind, build in _files(options):
            with console.status(f"{name}, {kind}"):
                figures.rows.append(_measure(running, name, kind, build, options))
    finally:
        running.stop()
    figures.hand_out(console, options)


def _files(options: argparse.Namespace) -> Iterator[tuple[str, str, Build]]:
    chosen = [row for row in ROWS if options.only in ("", row[0])]
    for name, build, _ in chosen[:2] if options.quick else chosen:
        yield name, "portable", build
        if name in IN_NATIVE:
            yield name, "native", build


def _measure(
    running: Running, name: str, kind: str, build: Build, options: argparse.Namespace
) -> Row:
    revision = Revision.of(build())
    neighbour = Neighbour(running)
    quiet: list[float] = []
    loud: list[float] = []
    runs = 0
    share = options.answers // options.rounds
    for _ in range(options.rounds):
        quiet += [neighbour.ask()[0] for _ in range(share)]
        told = threading.Event()
        hostile, count = _again(running, revision, kind, told)
        loud += [neighbour.ask()[0] for _ in range(share)]
        told.set()
        loud += neighbour.go_on(hostile)
        hostile.join()
        runs += len(count)
        tidy(neighbour)
    (p50_quiet, p99_quiet), (p50_loud, p99_loud) = _of(quiet), _of(loud)
    return Row(
        name=name,
        kind=kind,
        runs=runs,
        answers=len(loud),
        p50_quiet=p50_quiet,
        p50_loud=p50_loud,
        p99_quiet=p99_quiet,
        p99_loud=p99_loud,
    )


def _again(
    running: Running, revision: Revision, kind: str, told: threading.Event
) -> tuple[threading.Thread, list[str]]:
    """Load and run the hostile file until `told`, and at least once; the list grows by each."""
    verdicts: list[str] = []
    ask = warm(running, revision, kind)

    def work() -> str:
        for number in itertools.count():
            if number and told.wait(PACE_S):
                break
            verdicts.append(ask())
        return ""

    thread, _ = begin(work)
    return thread, verdicts


def _of(times: Sequence[float]) -> tuple[float, float]:
    """Return the median and the p99, in ms."""
    ordered = sorted(times)
    return statistics.median(ordered) * 1000, ordered[int(len(ordered) * 0.99)] * 1000


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.neighbours", allow_abbrev=False)
    parser.add_argument("--only", default="", help="one file of the corpus, by its name")
    parser.add_argument("--answers", type=int, default=1_000, help="honest answers each way")
    parser.add_argument("--rounds", type=int, default=4, help="turns of quiet and loud")
    parser.add_argument("--quick", action="store_true", help="two files, few answers")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    parser.add_argument("--markdown", type=Path, help="where to keep the tables")
    options = parser.parse_args(arguments)
    if options.quick:
        options.answers, options.rounds = 40, 2
    return options


if __name__ == "__main__":
    main()
