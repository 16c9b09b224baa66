"""`assay replay`: run the execution of a receipt again and compare bits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli.given import Given, base_of, check_signature, claimed, material_of, runner_for
from assay.cli.output import REFUSED, UNCHECKED, VERIFIED, Output, exit_codes
from assay.cli.trust import Named
from assay.cli.verify import (
    InputSaltOption,
    JsonOption,
    KeyOption,
    PolicyOption,
    ReceiptArgument,
    RootOption,
    SaltOption,
    parse_salt,
    read_receipt,
)
from assay.receipt import parse_receipt
from assay.replay import DIVERGED, EXACT, UNRUNNABLE, Replay, replay as run_again
from assay.statements import ExecutionPredicate

_EXIT = {EXACT: VERIFIED, DIVERGED: REFUSED, UNRUNNABLE: UNCHECKED}
_STYLE = {EXACT: "bold green", DIVERGED: "bold red", UNRUNNABLE: "bold yellow"}


def replay(
    receipt: ReceiptArgument,
    *,
    model: Annotated[
        Path | None, typer.Option(help="The ONNX file, or the whole model folder.")
    ] = None,
    input_: Annotated[Path | None, typer.Option("--input", help="The file input.tensors.")] = None,
    blob: Annotated[
        Path | None, typer.Option(help="The claimed output.tensors: tells what differs.")
    ] = None,
    url: Annotated[str, typer.Option(help="The registry to fetch the rest from.")] = "",
    runtime: Annotated[
        Path | None, typer.Option(help="Folder with the runtime's files, which are run.")
    ] = None,
    key: KeyOption = None,
    trusted_root: RootOption = None,
    policy: PolicyOption = None,
    input_salt: InputSaltOption = "",
    output_salt: SaltOption = "",
    as_json: JsonOption = False,
) -> None:
    """Run it again and compare bits. Exit code: 0 exact, 1 diverged or refused, 3 unrunnable."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        data = read_receipt(receipt)
        parsed = parse_receipt(data)
        named = Named(key=key, trusted_root=trusted_root, policy=policy)
        trust = check_signature(data, parsed, named, output)
        given = Given(
            model=model,
            input=input_,
            blob=blob,
            runtime=runtime,
            base=url or base_of(receipt, parsed, trust),
            input_salt=parse_salt(input_salt),
            output_salt=parse_salt(output_salt),
        )
        raise typer.Exit(_conclude(_run(parsed.predicate, given), parsed.predicate, output))


def _run(predicate: ExecutionPredicate, given: Given) -> Replay:
    return run_again(
        predicate,
        material_of(predicate, given),
        runner_for(predicate.runtime, given),
        claimed_output=claimed(predicate, given),
        input_salt=given.input_salt,
        output_salt=given.output_salt,
    )


def _conclude(result: Replay, predicate: ExecutionPredicate, output: Output) -> int:
    runtime = predicate.runtime
    output.line(result.verdict, style=_STYLE[result.verdict])
    output.line(f"  why       {result.reason}")
    output.line(f"  claimed   {predicate.output.form} {result.claimed}")
    if result.found:
        output.line(f"  replayed  {predicate.output.form} {result.found}")
    output.line(f"  under     {runtime.name} {runtime.version}, {runtime.digest}")
    for item in result.differences:
        output.line(f"  differs   {item.name}: {item.detail}")
    output.json(
        verdict=result.verdict,
        reason=result.reason,
        execution=predicate.execution,
        claimed=result.claimed,
        replayed=result.found or None,
        runtime=runtime.to_dict(),
        differences=[{"name": item.name, "detail": item.detail} for item in result.differences],
    )
    return _EXIT[result.verdict]
