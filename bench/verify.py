"""How fast the verifier is: a cold command, many receipts, a whole ledger, a replay, a page.

    python -m bench.verify                              all of it, about half an hour
    python -m bench.verify --parts cold,bulk            some of it
    python -m bench.verify --entries 10000,100000       ledgers of other sizes
    python -m bench.verify --ezkl PYTHON                also a proof by EZKL, which PYTHON has
    python -m bench.verify --json FILE --markdown FILE  the tables of docs/performance.md
    python -m bench.verify --quick                      does it run? The figures mean nothing

Rates are per second of processor time, of one process: what one core gives. The best of several
rounds counts there, since other programs only make a round slower; of wall times the median.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bench.machine import machine
from bench.sheets import Report, Sheet
from bench.verify_again import Again, Fact, again, browser, command, ezkl
from bench.verify_parts import Audit, Bulk, Cold, audit, bulk, cold

PARTS = ("cold", "bulk", "audit", "replay", "browser")
EXAMPLE = Path(__file__).parents[1] / "examples" / "digits" / "model.onnx"
NETWORKS = {"squeezenet": "SqueezeNet 1.1", "resnet50": "ResNet-50"}


@dataclass(slots=True, kw_only=True)
class Figures(Report):
    """Everything that one run measured."""

    cold: list[Cold] = field(default_factory=list)
    bulk: list[Bulk] = field(default_factory=list)
    audits: list[Audit] = field(default_factory=list)
    replays: list[Again] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)

    def sheets(self) -> Iterator[Sheet]:
        """Yield the tables."""
        yield self.about()
        if self.cold:
            yield self._cold()
        if self.bulk:
            yield self._bulk()
        if self.audits:
            yield self._audits()
        if self.replays:
            yield self._replays()
        if self.facts:
            rows = [(fact.what, fact.value) for fact in self.facts]
            yield Sheet(title="Single figures", columns=("what", "is"), rows=rows, words=2)

    def _cold(self) -> Sheet:
        return Sheet(
            title="Process start to verdict, in ms",
            columns=("command", "runs", "p50", "p95", "processor"),
            rows=[
                (
                    *(row.what, str(row.runs)),
                    *(f"{value:.0f}" for value in (row.p50, row.p95, row.processor)),
                )
                for row in self.cold
            ],
        )

    def _bulk(self) -> Sheet:
        return Sheet(
            title="Receipts in one process",
            columns=("verifier", "receipts", "a second and core", "µs each"),
            rows=[
                (row.what, f"{row.receipts:,}", f"{row.rate:,.0f}", f"{1e6 / row.rate:.0f}")
                for row in self.bulk
            ],
        )

    def _audits(self) -> Sheet:
        return Sheet(
            title="A whole ledger recomputed by assay fsck: each tile, entry, envelope, signature",
            columns=("entries", "seconds", "processor s", "a second and core", "peak MB"),
            rows=[
                (
                    *(f"{row.entries:,}", f"{row.seconds:.1f}", f"{row.processor:.1f}"),
                    *(f"{row.entries / row.processor:,.0f}", f"{row.megabytes:.0f}"),
                )
                for row in self.audits
            ],
        )

    def _replays(self) -> Sheet:
        return Sheet(
            title="A replay beside the execution's own run, in ms",
            columns=("model", "MB", "own run", "first replay", "kept Node", "kept to own"),
            rows=[
                (
                    *(row.model, f"{row.megabytes:.1f}", f"{row.own:.2f}", f"{row.first:.0f}"),
                    *(f"{row.kept:.2f}", f"{row.kept / row.own:.1f}"),
                )
                for row in self.replays
            ],
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    options = _options(arguments)
    console = Console(width=None if sys.stdout.isatty() else 130)
    line = " ".join(["python -m bench.verify", *(arguments or sys.argv[1:])])
    figures = Figures(command=line, machine=machine(Path.cwd()))
    runs, receipts, entries, rounds = (
        (2, 40, [500], 1) if options.quick else (31, 4_000, options.entries, 9)
    )
    with console.status("measuring"):
        if "cold" in options.parts:
            figures.cold = cold(runs)
        if "bulk" in options.parts:
            figures.bulk = list(bulk(entries[0], receipts))
        if "audit" in options.parts:
            figures.audits = [audit(size) for size in entries]
        if "replay" in options.parts:
            _replay(figures, options, rounds)
        if "browser" in options.parts:
            figures.facts.append(browser(rounds))
    figures.hand_out(console, options)


def _replay(figures: Figures, options: argparse.Namespace, rounds: int) -> None:
    from bench.inference_models import architecture

    figures.replays.append(again("digits", EXAMPLE.read_bytes(), rounds))
    if not options.quick:
        for name, title in NETWORKS.items():
            figures.replays.append(again(title, architecture(name), 3))
    figures.facts.append(command(rounds))
    figures.facts += ezkl(options.ezkl)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the verifier.")
    parser.add_argument("--parts", type=lambda text: text.split(","), default=PARTS)
    parser.add_argument(
        "--entries",
        type=lambda text: [int(one) for one in text.split(",")],
        default=[100_000, 1_000_000],
    )
    parser.add_argument("--ezkl", type=Path, help="a Python in which `import ezkl` works")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    main()
