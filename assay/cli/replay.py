"""`assay replay`: run the execution of a receipt again and compare bits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
)
from assay.replay import DIVERGED, EXACT, UNRUNNABLE, Replay, replay as run_again
from assay.statements import ExecutionPredicate

_EXIT = {EXACT: VERIFIED, DIVERGED: REFUSED, UNRUNNABLE: UNCHECKED}
_STYLE = {EXACT: "bold green", DIVERGED: "bold red", UNRUNNABLE: "bold yellow"}


def replay(
    receipt: ReceiptArgument,
    *,
    model: ModelOption = None,
    input_: InputOption = None,
    blob: Annotated[
        Path | None, typer.Option(help="The claimed output.tensors: tells what differs.")
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
    """Run it again and compare bits. Exit code: 0 exact, 1 diverged or refused, 3 unrunnable."""
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
        raise typer.Exit(_conclude(_run(predicate, given), predicate, output))


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
