"""The ledger's benchmark: durable entries, their latency, cost and size, and how fast it serves.

    python -m bench.ledger                              all figures, about ten minutes
    python -m bench.ledger --json bench/figures.json --markdown bench/figures.md    those kept
    python -m bench.ledger --sizes 10000,10000000       ten million, when asked
    python -m bench.ledger --quick                      does it run? The figures mean nothing

It starts a PostgreSQL with the settings of `make run` (durable), the real sequencer, a real witness
and the real web tier, each a process of its own, and throws everything away at the end. Every
figure is of durable writes; what is synced stands beside it. Ratios are against a named peer that
ran a moment before or after on the same machine.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench.site import Site

if TYPE_CHECKING:
    from bench.report import Figures

PARTS = ("growth", "batches", "intake", "latency", "serving")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # also then, leave nothing behind
    console = Console(width=None if sys.stdout.isatty() else 150)
    with Site.open(options.folder) as site:
        # Django is set up by now; the measurements need its models.
        from bench.machine import durability, machine
        from bench.report import Figures

        figures = Figures(
            machine=machine(site.data),
            durability=durability(),
            witness="assay witness serve",
            command=" ".join(["python -m bench.ledger", *(arguments or sys.argv[1:])]),
        )
        for part in options.parts:
            with console.status(f"measuring: {part}"):
                MEASURE[part](site, figures, options)
    figures.hand_out(console, options)


def _growth(site: Site, figures: Figures, options: argparse.Namespace) -> None:
    from bench.claims import shaped
    from bench.growing import grow, insert_only

    rows = list(shaped(10**9, 2_000 if options.quick else 40_000))
    figures.peer_rows = {batch: insert_only(rows, batch) for batch in (256, 4096)}
    figures.growth += grow(site, options.sizes)


def _batches(site: Site, figures: Figures, options: argparse.Namespace) -> None:
    from bench.growing import small_batches

    for batch, batches in ((256, 100), (1, 512)):
        figures.small.append(
            small_batches(site, batch, batches // 25 if options.quick else batches)
        )


def _intake(site: Site, figures: Figures, options: argparse.Namespace) -> None:
    from bench.feeding import take_in

    for processes, batch, entries in ((1, 1, 4_000), (1, 256, 20_000), (2, 256, 40_000)):
        count = entries // 20 if options.quick else entries
        figures.intake.append(take_in(site, count, batch, processes))


def _latency(site: Site, figures: Figures, options: argparse.Namespace) -> None:
    from bench.feeding import latency

    rate, seconds = (200, 2) if options.quick else (options.rate, 20)
    for claims in ("shaped", "signed"):
        figures.latency.append(latency(site, rate, seconds, claims))


def _serving(site: Site, figures: Figures, options: argparse.Namespace) -> None:
    from bench.serving import serve

    figures.serving += serve(site, 0.3 if options.quick else 5.0)


MEASURE = {
    "growth": _growth,
    "batches": _batches,
    "intake": _intake,
    "latency": _latency,
    "serving": _serving,
}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.ledger", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--sizes", type=_numbers, help="sizes of the log, e.g. 10000,100000")
    parser.add_argument("--rate", type=int, default=1000, help="claims a second of the latency run")
    parser.add_argument("--parts", type=_parts, default=PARTS, help=f"of {','.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--folder", type=Path, help="where to put the data, e.g. on another disk")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--markdown", type=Path, help="write the tables there, too")
    options = parser.parse_args(arguments)
    if options.sizes is None:
        options.sizes = [1_000, 3_000] if options.quick else [10_000, 100_000, 1_000_000]
    return options


def _numbers(text: str) -> list[int]:
    return sorted(int(part.replace("_", "")) for part in text.split(","))


def _parts(text: str) -> list[str]:
    parts = text.split(",")
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown)}")
    return [part for part in PARTS if part in parts]


if __name__ == "__main__":
    main()
