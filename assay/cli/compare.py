"""`assay compare`: the first step at which two traces of one graph part."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli.files import read_file
from assay.cli.output import REFUSED, VERIFIED, Output, exit_codes
from assay.cli.verify import JsonOption
from assay.trace import (
    MAX_TRACE_BYTES,
    SAME,
    Comparison,
    Trace,
    compare as compare_traces,
    parse_trace,
)

FirstArgument = Annotated[Path, typer.Argument(metavar="A", help="A trace.")]
SecondArgument = Annotated[Path, typer.Argument(metavar="B", help="A trace of the same run.")]


def read_trace(path: Path) -> Trace:
    """Return the trace in a file; UnavailableError, FormatError."""
    return parse_trace(read_file(path, MAX_TRACE_BYTES))


def compare(first: FirstArgument, second: SecondArgument, *, as_json: JsonOption = False) -> None:
    """Name the first step that differs. Exit code: 0 the same, 1 diverged, 3 unreadable."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        raise typer.Exit(_conclude(compare_traces(read_trace(first), read_trace(second)), output))


def _conclude(found: Comparison, output: Output) -> int:
    if not found.same_runtime:
        output.note("The two ran under different runtimes or options: rounding may differ.")
    if found.verdict == SAME:
        output.line(f"The same: {found.nodes} nodes", style="bold green")
    if found.first is not None:
        output.line(f"Diverged at {found.first.place}", style="bold red")
        output.line(f"  values    {', '.join(found.values)}")
        output.line(f"  apart     {found.differing} of {found.nodes} nodes")
        output.line(f"  by itself {found.origins} of them: their inputs agree")
        if found.blind:
            output.note("It reads a value that is no tensor, which a trace does not show.")
    output.json(
        verdict=found.verdict,
        nodes=found.nodes,
        differing=found.differing,
        origins=found.origins,
        same_runtime=found.same_runtime,
        first=None if found.first is None else found.first.to_dict(),
        values=list(found.values),
    )
    return VERIFIED if found.verdict == SAME else REFUSED
