"""`assay trace`: run the execution of a receipt again and keep a digest of every step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.capsule import Final, compare_final
from assay.cli.files import write_file
from assay.cli.given import (
    Files,
    Given,
    InputOption,
    ModelOption,
    RuntimeOption,
    UrlOption,
    claimed,
    material_of,
    open_receipt,
    runner_for,
)
from assay.cli.output import REFUSED, VERIFIED, Output, exit_codes
from assay.cli.trust import Named
from assay.cli.verify import (
    InputSaltOption,
    JsonOption,
    KeyOption,
    PolicyOption,
    ReceiptArgument,
    RootOption,
    SaltOption,
)
from assay.closeness import CLOSE, DIVERGED, EXACT
from assay.digests import sha256_hex
from assay.errors import UnavailableError, VerificationError
from assay.replay.run import set_value
from assay.replay.tracing import trace_again
from assay.statements import ExecutionPredicate
from assay.tensors import Tensor, decode_tensors, encode_tensors
from assay.trace import Trace

UNKNOWN = "unknown"
_STYLE = {EXACT: "bold green", CLOSE: "bold green", DIVERGED: "bold red", UNKNOWN: "bold yellow"}


def trace(
    receipt: ReceiptArgument,
    *,
    out: Annotated[Path, typer.Option(help="Where the trace is written.")] = Path("trace.json"),
    model: ModelOption = None,
    input_: InputOption = None,
    blob: Annotated[
        Path | None, typer.Option(help="The claimed output.tensors, to compare the end with.")
    ] = None,
    url: UrlOption = "",
    runtime: RuntimeOption = None,
    key: KeyOption = None,
    trusted_root: RootOption = None,
    policy: PolicyOption = None,
    input_salt: InputSaltOption = "",
    output_salt: SaltOption = "",
    as_json: JsonOption = False,
) -> None:
    """Write a digest of every step. Exit code: 0 written, 1 the end diverged, 3 unrunnable."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        files = Files(
            model=model,
            input=input_,
            blob=blob,
            runtime=runtime,
            url=url,
            input_salt=input_salt,
            output_salt=output_salt,
        )
        named = Named(key=key, trusted_root=trusted_root, policy=policy)
        predicate, given = open_receipt(receipt, files, named, output)
        made, tensors = _run(predicate, given)
        final = _final(predicate, given, made, tensors)
        _write(out, made)
        raise typer.Exit(_conclude(made, final, out, output))


def _run(predicate: ExecutionPredicate, given: Given) -> tuple[Trace, list[Tensor]]:
    material = material_of(predicate, given)
    pairs = (
        ("graph", predicate.graph.sha256, sha256_hex(material.graph)),
        (
            "input",
            predicate.input.sha256,
            set_value(predicate.input, material.input, given.input_salt),
        ),
    )
    for what, expected, found in pairs:
        if expected != found:
            words = f"this is not the {what} of the receipt"
            raise VerificationError(words, expected=expected, found=found)
    return trace_again(material, predicate.runtime, runner_for(predicate.runtime, given))


def _final(
    predicate: ExecutionPredicate, given: Given, made: Trace, tensors: list[Tensor]
) -> Final:
    """Compare the end with the claim, as far as the claim is at hand."""
    data = claimed(predicate, given)
    if data is not None:
        value = set_value(predicate.output, data, given.output_salt)
        if value != predicate.output.sha256:
            words = "this is not the output of the receipt"
            raise VerificationError(words, expected=predicate.output.sha256, found=value)
        return compare_final(made, tensors, decode_tensors(data))
    whole = encode_tensors(tensors)
    private = predicate.output.form != "digest" and given.output_salt is None
    if not private and set_value(predicate.output, whole, given.output_salt) == (
        predicate.output.sha256
    ):
        return Final(verdict=EXACT, detail="the traced run gave the claimed bits")
    return Final(verdict=UNKNOWN, detail="without the claimed output.tensors nobody can tell")


def _write(out: Path, made: Trace) -> None:
    try:
        write_file(out.parent, out.name, made.render())
    except OSError as error:
        raise UnavailableError(f"cannot write {out}: {error.strerror}") from error


def _conclude(made: Trace, final: Final, out: Path, output: Output) -> int:
    options = made.runtime["options"]
    output.line(f"Traced {len(made.nodes)} nodes", style=_STYLE[final.verdict])
    output.line(f"  digest    {made.digest}")
    output.line(f"  written   {out}")
    output.line(f"  level     {options['graphOptimizationLevel']}, {options['threads']} thread")
    output.line(f"  the end   {final.verdict}: {final.detail}")
    output.json(
        verdict=final.verdict,
        reason=final.detail,
        trace=made.digest,
        nodes=len(made.nodes),
        path=str(out),
        runtime=made.runtime,
    )
    return REFUSED if final.verdict == DIVERGED else VERIFIED
