"""The Python API: a dozen names with which a program checks receipts as `assay verify` does.

    from pathlib import Path

    from assay.api import Policy, TrustedRoot, verify

    verified = verify(
        Path("receipt.json").read_bytes(),
        trusted_root=TrustedRoot.parse(Path("trusted_root.json").read_bytes()),
        policy=Policy.parse(
            witnesses=Path("policy.txt").read_bytes(), keys=Path("keys.json").read_bytes()
        ),
        output=Path("output.tensors").read_bytes(),
    )
    for step in verified.steps:
        print(step.number, step.name, step.detail)

`verify` is for receipts of executions; `verify_alias` and `verify_bundle` are for the other claims.
They read no file, no clock and no network. They return, or raise one of the four families of
`AssayError`: the question was wrong (`MisuseError`), the bytes are not the format (`FormatError`),
the claim does not hold (`VerificationError`), or it could not be checked (`UnavailableError`).
Whether the claim is true is for `replay`, which runs the model again. All values are frozen.
"""

from __future__ import annotations

from assay.errors import (
    AssayError,
    FormatError,
    MisuseError,
    SplitViewError,
    UnavailableError,
    VerificationError,
)
from assay.policy import TrustedRoot
from assay.receipt import Receipt
from assay.replay import Material, Replay, Runner, replay as _replay
from assay.verify import (
    KeyRing,
    Policy,
    Step,
    Verified,
    verify_alias,
    verify_bundle,
    verify_receipt as verify,
)

__all__ = [
    "AssayError",
    "FormatError",
    "KeyRing",
    "MisuseError",
    "Policy",
    "Receipt",
    "SplitViewError",
    "Step",
    "TrustedRoot",
    "UnavailableError",
    "VerificationError",
    "Verified",
    "replay",
    "verify",
    "verify_alias",
    "verify_bundle",
]


def replay(
    receipt: Receipt,
    material: Material,
    runner: Runner,
    *,
    output: bytes | None = None,
    input_salt: bytes | None = None,
    output_salt: bytes | None = None,
) -> Replay:
    """Run the execution of `receipt` again: `exact`, `diverged`, or `unrunnable` and why.

    `material` is graph, external data and input; `runner` runs the graph, as
    `assay.replay.NodeRunner` does under Node. `output` is the claimed `output.tensors`: with it the
    differences are told. The receipt is not verified here; that is for `verify`.

    Raises:
        MisuseError: a private execution without its salt.
        FormatError: the input is not `assay-tensors-v1`.
        VerificationError: graph, input or output are not those of the receipt.
    """
    return _replay(
        receipt.predicate,
        material,
        runner,
        claimed_output=output,
        input_salt=input_salt,
        output_salt=output_salt,
    )
