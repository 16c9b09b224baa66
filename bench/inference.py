"""The benchmark of inference: against servers that verify nothing, the raw runtimes, and itself.

    python -m bench.peers                       once: build the peers' environment (optional)
    python -m bench.inference                   all figures, about ten minutes
    python -m bench.inference --json F --markdown F        those kept: bench/figures-inference.*
    python -m bench.inference --requests 100000 --parts memory     is memory flat?
    python -m bench.inference --quick           does it run? The figures mean nothing

It starts a PostgreSQL that writes durably, Redis, the sequencer, a witness, the executor, the web
tier and a worker, each a process of its own, publishes the models for real, and throws everything
away at the end. Peers serve the same model side by side and take turns with the product. Where
their environment is absent their rows are left out, and it says so.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from bench import peers
from bench.site import Site

if TYPE_CHECKING:
    from bench.inference_report import Figures
    from bench.inference_stack import Stack

PARTS = ("serving", "sizes", "queue", "memory")
SIZES = ("squeezenet", "shufflenet", "resnet50")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # also then, leave nothing behind
    console = Console(width=None if sys.stdout.isatty() else 150)
    if not peers.built():
        console.print(
            "[bold yellow]The peers are not here (python -m bench.peers builds them): "
            "their rows are left out.[/]"
        )
    with Site.open(options.folder) as site:
        # Django is set up by now; the measurements need its models.
        from bench.inference_report import Figures
        from bench.inference_stack import running, versions
        from bench.machine import durability, machine

        figures = Figures(
            machine=machine(site.data),
            settings=versions() | {f"PostgreSQL {name}": is_ for name, is_ in durability().items()},
            command=" ".join(["python -m bench.inference", *(arguments or sys.argv[1:])]),
        )
        with running(site) as stack:
            with console.status("publishing models"):
                _publish(stack, options)
            for part in options.parts:
                with console.status(f"measuring: {part}"):
                    MEASURE[part](stack, figures, options)
    figures.hand_out(console, options)


def _publish(stack: Stack, options: argparse.Namespace) -> None:
    from bench.inference_models import architecture
    from bench.inference_stack import digits

    stack.publish("digits", digits())
    if {"sizes", "memory"} & set(options.parts):
        for model in options.sizes:
            stack.publish(model, architecture(model))


def _serving(stack: Stack, figures: Figures, options: argparse.Namespace) -> None:
    from bench.inference_parts import serve

    seconds, rounds = (0.3, 1) if options.quick else (4.0, 5)
    figures.serving += serve(stack, seconds, rounds)


def _sizes(stack: Stack, figures: Figures, options: argparse.Namespace) -> None:
    from bench.inference_parts import above

    seconds, rounds = (0.2, 1) if options.quick else (4.0, 3)
    raws, aboves = above(stack, ("digits", *options.sizes), seconds, rounds)
    figures.raw += raws
    figures.above += aboves


def _queue(stack: Stack, figures: Figures, options: argparse.Namespace) -> None:
    from bench.inference_parts import bulk, single

    many, few = (200, 40) if options.quick else (10_000, 1_000)
    bulk(stack, many // 10)  # warm
    figures.queued += [bulk(stack, many), single(stack, few)]


def _memory(stack: Stack, figures: Figures, options: argparse.Namespace) -> None:
    from bench.inference_parts import memory, warm

    figures.warm += warm(stack, options.sizes)
    figures.memory += memory(stack, options.requests, 1 if options.quick else 5)


MEASURE = {"serving": _serving, "sizes": _sizes, "queue": _queue, "memory": _memory}


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.inference", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--parts", type=_parts, default=PARTS, help=f"of {','.join(PARTS)}")
    parser.add_argument("--sizes", type=_models, help="architectures, e.g. resnet50,densenet121")
    parser.add_argument("--requests", type=int, help="of the memory part; 100000 when asked")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--folder", type=Path, help="where to put the data, e.g. on another disk")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--markdown", type=Path, help="write the tables there, too")
    options = parser.parse_args(arguments)
    if options.sizes is None:
        options.sizes = SIZES[:1] if options.quick else SIZES
    if options.requests is None:
        options.requests = 100 if options.quick else 5_000
    return options


def _parts(text: str) -> list[str]:
    parts = text.split(",")
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown)}")
    return [part for part in PARTS if part in parts]


def _models(text: str) -> list[str]:
    from bench.inference_models import ARCHITECTURES

    models = text.split(",")
    unknown = sorted(set(models) - set(ARCHITECTURES))
    if unknown:
        raise argparse.ArgumentTypeError(f"no such architecture: {', '.join(unknown)}")
    return models


if __name__ == "__main__":
    main()
