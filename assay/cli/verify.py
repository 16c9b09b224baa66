"""`assay verify`: a receipt, or any claim of the ledger, checked step by step without a network.

The options in typer's form, for help, completion and mistakes. `assay.cli.light` reads the same
options without typer; a test compares the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from assay.cli.checking import Question, check
from assay.statements import EXECUTION

ReceiptArgument = Annotated[
    str, typer.Argument(help="A receipt: a file, or an http(s) URL to fetch.")
]
KeyOption = Annotated[Path | None, typer.Option(help="Public key of the signer, PEM.")]
RootOption = Annotated[Path | None, typer.Option(help="The trusted log: trusted_root.json.")]
PolicyOption = Annotated[Path | None, typer.Option(help="The witness policy: policy.txt.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]
SaltOption = Annotated[str, typer.Option(help="Salt of a private output, 64 hex digits.")]
InputSaltOption = Annotated[str, typer.Option(help="Salt of a private input, 64 hex digits.")]


def verify(
    receipt: ReceiptArgument,
    *,
    key: KeyOption = None,
    trusted_root: RootOption = None,
    policy: PolicyOption = None,
    registration: Annotated[
        str, typer.Option(help="The key's own entry, a bundle: a file or a URL.")
    ] = "",
    checkpoint: Annotated[
        str, typer.Option(help="The newest checkpoint that you have: a file or a URL.")
    ] = "",
    max_age: Annotated[
        str, typer.Option(help="Refuse an older proof: seconds, or as 15m, 24h, 7d.")
    ] = "",
    blob: Annotated[
        Path | None,
        typer.Option(help="What was signed: output.tensors, a file, or a model folder."),
    ] = None,
    input_: Annotated[Path | None, typer.Option("--input", help="The file input.tensors.")] = None,
    type_: Annotated[
        str, typer.Option("--type", help="The predicate type that must have been signed.")
    ] = EXECUTION,
    output_salt: SaltOption = "",
    input_salt: InputSaltOption = "",
    offline: Annotated[bool, typer.Option("--offline", help="Fetch nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check a receipt offline. Exit code: 0 verified, 1 refused, 2 usage, 3 could not check."""
    check(
        Question(
            receipt=receipt,
            key=key,
            trusted_root=trusted_root,
            policy=policy,
            registration=registration,
            checkpoint=checkpoint,
            max_age=max_age,
            blob=blob,
            input_=input_,
            type_=type_,
            output_salt=output_salt,
            input_salt=input_salt,
            offline=offline,
            as_json=as_json,
        )
    )
