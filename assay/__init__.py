"""Check the answers of machine-learning models without trusting whoever gave them.

A receipt is a Sigstore bundle: a signed statement that this model, on this input, gave this output,
with the proof that the statement is in an append-only log. Nothing here touches the network.

    from pathlib import Path

    import assay

    verified = assay.verify_receipt(
        Path("receipt.json").read_bytes(),
        key=assay.load_public_key(Path("executor.pem").read_bytes()),
        trusted_root=assay.parse_trusted_root(Path("trusted_root.json").read_bytes()),
        policy=assay.parse_policy(Path("policy.txt").read_bytes()),
        output=Path("output.tensors").read_bytes(),
    )
    for step in verified.steps:
        print(step.number, step.name, step.detail)

It returns, or raises one of four families of `AssayError`: the question was wrong (`MisuseError`),
the bytes are not the format (`FormatError`), the claim does not hold (`VerificationError`), or it
could not be checked (`UnavailableError`). The same on the command line: `assay verify`. What a
program needs for more than that, policies and `replay` among it, is in `assay.api`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from assay.errors import (
    AssayError,
    FormatError,
    MisuseError,
    SplitViewError,
    UnavailableError,
    VerificationError,
)

if TYPE_CHECKING:
    from assay.dsse import load_public_key
    from assay.policy import parse_policy, parse_trusted_root
    from assay.receipt import parse_receipt
    from assay.tensors import decode_tensors
    from assay.verify import verify_alias, verify_bundle, verify_receipt

__all__ = [
    "AssayError",
    "FormatError",
    "MisuseError",
    "SplitViewError",
    "UnavailableError",
    "VerificationError",
    "decode_tensors",
    "load_public_key",
    "parse_policy",
    "parse_receipt",
    "parse_trusted_root",
    "verify_alias",
    "verify_bundle",
    "verify_receipt",
]

# Imported at first use: `import assay` alone costs a millisecond.
_HOMES = {
    "decode_tensors": "assay.tensors",
    "load_public_key": "assay.dsse",
    "parse_policy": "assay.policy",
    "parse_receipt": "assay.receipt",
    "parse_trusted_root": "assay.policy",
    "verify_alias": "assay.verify",
    "verify_bundle": "assay.verify",
    "verify_receipt": "assay.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'assay' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
