"""`assay capsule`: one step of a run in a file of its own, made and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from assay.capsule import MAX_CAPSULE_BYTES, Capsule, Judgement, make_capsule
from assay.cli.compare import FirstArgument, SecondArgument, read_trace
from assay.cli.files import read_file, write_file
from assay.cli.given import Given, runner_for
from assay.cli.output import REFUSED, VERIFIED, Output, exit_codes
from assay.cli.verify import JsonOption
from assay.closeness import DIVERGED, EXACT
from assay.digests import sha256_hex
from assay.errors import MisuseError, UnavailableError, VerificationError
from assay.limits import LIMITS
from assay.manifest import check_path
from assay.replay.job import Material
from assay.replay.onnx_data import external_locations
from assay.replay.tracing import check_capsule, node_again
from assay.statements import Runtime
from assay.trace import Trace, compare

app = typer.Typer(help="One step of a run, to be checked alone.", no_args_is_help=True)
_GRAPH_BYTES = 2**31 - 1
_WORDS = {
    EXACT: "holds: the same bits",
    "close": "holds: within the bound of this operator",
    "sound": "doubtful: beyond what rounding usually does",
    "other": "does not hold: other bits, of which only the digest is known",
    DIVERGED: "does not hold: further off than rounding explains",
}
RuntimeOption = Annotated[
    Path | None, typer.Option(help="Folder with the runtime's files, which are run.")
]
UrlOption = Annotated[str, typer.Option(help="The registry to fetch the runtime from.")]


@app.command()
def make(
    first: FirstArgument,
    second: SecondArgument,
    *,
    graph: Annotated[Path, typer.Option(help="The ONNX file; external data lie beside it.")],
    input_: Annotated[Path, typer.Option("--input", help="The file input.tensors.")],
    out: Annotated[Path, typer.Option(help="Where the capsule is written.")] = Path("capsule.zip"),
    runtime: RuntimeOption = None,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Pack the first step that differs. Exit code: 0 packed, 1 refused, 2 usage, 3 unrunnable."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        traces = [("first", read_trace(first)), ("second", read_trace(second))]
        found = compare(traces[0][1], traces[1][1])
        if found.first is None:
            raise MisuseError("the two traces are the same: no step differs")
        material = _material(traces[0][1], graph, input_)
        used = Runtime.from_dict(traces[0][1].runtime, "runtime")
        runner = runner_for(used, _given(runtime, url))
        alone = node_again(material, used, runner, found.first.index)
        capsule = make_capsule(alone, traces, found.first.index)
        _write(out, capsule.render())
        output.line(f"Packed {found.first.place} into {out}", style="bold green")
        output.json(verdict="packed", node=found.first.to_dict(), path=str(out))


@app.command()
def check(
    file: Annotated[Path, typer.Argument(help="The capsule.")],
    *,
    runtime: RuntimeOption = None,
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Run the step and judge. Exit code: 0 every claim holds, 1 one does not, 3 unrunnable."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        capsule = Capsule.parse(read_file(file, MAX_CAPSULE_BYTES + 2**16))
        used = Runtime.from_dict(capsule.runtime, "runtime")
        judgements = check_capsule(capsule, runner_for(used, _given(runtime, url)))
        raise typer.Exit(_conclude(capsule, judgements, output))


def _given(runtime: Path | None, url: str) -> Given:
    nothing: dict[str, Any] = dict.fromkeys(("model", "input", "blob", "input_salt", "output_salt"))
    return Given(runtime=runtime, base=url, **nothing)


def _material(trace: Trace, graph: Path, input_: Path) -> Material:
    data, tensors = read_file(graph, _GRAPH_BYTES), read_file(input_, LIMITS.tensor_bytes)
    pairs = (("graph", trace.graph, data), ("input", trace.input, tensors))
    for what, expected, given in pairs:
        if sha256_hex(given) != expected:
            words = f"this is not the {what} of the traces"
            raise VerificationError(words, expected=expected, found=sha256_hex(given))
    external = {}
    for location in external_locations(data):
        check_path(location, "external data")
        external[location] = read_file(graph.parent / location, _GRAPH_BYTES)
    return Material(graph=data, external=external, input=tensors)


def _write(out: Path, data: bytes) -> None:
    try:
        write_file(out.parent, out.name, data)
    except OSError as error:
        raise UnavailableError(f"cannot write {out}: {error.strerror}") from error


def _conclude(capsule: Capsule, judgements: list[Judgement], output: Output) -> int:
    right = all(one.holds for one in judgements)
    output.line(capsule.subject.place, style="bold green" if right else "bold red")
    for one in judgements:
        output.line(f"  {one.label:<10} {_WORDS[one.verdict]}")
        if one.value:
            where = "" if one.place is None else f", element {one.place}"
            output.line(f"             {one.value}{where}")
    if not any(one.holds for one in judgements):
        output.note("No claim holds: the step gives something else here.")
    output.json(
        verdict="holds" if right else "refuted",
        node={"index": capsule.subject.index, "op_type": capsule.subject.op_type},
        claims=[
            {
                "label": one.label,
                "verdict": one.verdict,
                "value": one.value or None,
                "place": one.place,
                "worst": None if one.worst == float("inf") else one.worst,
            }
            for one in judgements
        ],
    )
    return VERIFIED if right else REFUSED
