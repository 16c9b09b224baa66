"""`assay verify`: a receipt, or any claim of the ledger, checked step by step without a network."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from assay.bundle import parse_bundle
from assay.cli.files import hash_file, read_file, read_folder
from assay.cli.output import Output, exit_codes
from assay.cli.trust import Named, Trust, load_trust, origin_of
from assay.digests import parse_hex
from assay.errors import FormatError, MisuseError
from assay.fetch import fetch
from assay.limits import LIMITS
from assay.manifest import OMS
from assay.statements import ALIAS, EXECUTION
from assay.verify import (
    KeyRing,
    TrustedKey,
    Verified,
    verify_alias,
    verify_bundle,
    verify_receipt,
)

ReceiptArgument = Annotated[
    str, typer.Argument(help="A receipt: a file, or an http(s) URL to fetch.")
]
KeyOption = Annotated[Path | None, typer.Option(help="Public key of the signer, PEM.")]
RootOption = Annotated[Path | None, typer.Option(help="The trusted log: trusted_root.json.")]
PolicyOption = Annotated[Path | None, typer.Option(help="The witness policy: policy.txt.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")]
SaltOption = Annotated[str, typer.Option(help="Salt of a private output, 64 hex digits.")]
InputSaltOption = Annotated[str, typer.Option(help="Salt of a private input, 64 hex digits.")]

_MOVE = ("model", "alias", "revision", "previous")


def read_receipt(receipt: str) -> bytes:
    """Return the bytes of a receipt: a file, or what an http(s) URL answers."""
    if receipt.startswith(("http://", "https://")):
        return fetch(receipt, limit=LIMITS.bundle)
    return read_file(Path(receipt), LIMITS.bundle)


def parse_salt(text: str) -> bytes | None:
    """Return the salt in `text`, None for none.

    Raises:
        MisuseError: not 64 hex digits.
    """
    if not text:
        return None
    try:
        return parse_hex(text)
    except FormatError as error:
        raise MisuseError("a salt is 64 lower-case hex digits") from error


def verify(
    receipt: ReceiptArgument,
    *,
    key: KeyOption = None,
    trusted_root: RootOption = None,
    policy: PolicyOption = None,
    blob: Annotated[
        Path | None,
        typer.Option(help="What was signed: output.tensors, a file, or a model folder."),
    ] = None,
    type_: Annotated[
        str, typer.Option("--type", help="The predicate type that must have been signed.")
    ] = EXECUTION,
    output_salt: SaltOption = "",
    as_json: JsonOption = False,
) -> None:
    """Check a receipt offline. Exit code: 0 verified, 1 refused, 2 usage, 3 could not check."""
    output = Output(as_json=as_json)
    with exit_codes(output):
        data = read_receipt(receipt)
        bundle = parse_bundle(data)
        trust = load_trust(
            origin_of(bundle.entry.inclusion.checkpoint),
            Named(key=key, trusted_root=trusted_root, policy=policy),
        )
        signer = choose_key(trust.keys, bundle.hint, named=key is not None)
        verified = _verify(data, signer, trust, type_, blob, parse_salt(output_salt), output)
        _conclude(verified, signer, type_, blob, output)


def choose_key(keys: KeyRing, hint: str, *, named: bool) -> TrustedKey:
    """Return the key to try: the one named, or the one that the hint chooses."""
    return keys.keys[0] if named else keys.find(hint)


def _verify(
    data: bytes,
    signer: TrustedKey,
    trust: Trust,
    predicate_type: str,
    blob: Path | None,
    salt: bytes | None,
    output: Output,
) -> Verified:
    if predicate_type == EXECUTION:
        return verify_receipt(
            data,
            key=signer,
            trusted_root=trust.trusted_root,
            policy=trust.policy,
            output=None if blob is None else read_file(blob, LIMITS.tensor_bytes),
            output_salt=salt,
            on_step=output.step,
        )
    if predicate_type == ALIAS:
        return verify_alias(
            data,
            key=signer,
            trusted_root=trust.trusted_root,
            policy=trust.policy,
            manifest=None if blob is None else read_folder(blob),
            on_step=output.step,
        )
    folder = predicate_type == OMS and blob is not None
    return verify_bundle(
        data,
        key=signer,
        trusted_root=trust.trusted_root,
        predicate_type=predicate_type,
        policy=trust.policy,
        file_sha256=hash_file(blob) if blob is not None and not folder else None,
        manifest=read_folder(blob) if blob is not None and folder else None,
        without_file=blob is None,
        on_step=output.step,
    )


def _conclude(
    verified: Verified, signer: TrustedKey, kind: str, blob: Path | None, output: Output
) -> None:
    """Say what was checked, by whom it was said, and when; never a bare yes."""
    tree = verified.checkpoint.checkpoint
    who = f"{signer.role} {signer.owner}".strip() or "the key that you named"
    seconds = verified.checkpoint.witnessed_at
    when = _time(seconds) if seconds is not None else "no witness said when"
    names = ", ".join(name for name, _ in verified.checkpoint.witnesses) or "no witness"
    output.line("Verified", style="bold green")
    output.line(f"  said    {kind}")
    output.line(f"  by      {who}, key {verified.key.fingerprint}")
    output.line(f"  logged  index {verified.index} of {tree.size} in {tree.origin}")
    output.line(f"  seen    {when}, by {names}")
    if blob is None:
        output.line("  the bytes themselves were not compared: give them with --blob", "yellow")
    if kind == EXECUTION:
        output.line("  whether it is true: `assay replay` runs it again")
    moved = verified.statement.predicate if kind == ALIAS else {}
    if moved:
        output.line(f"  names   {moved['alias']} of {moved['model']}")
        output.line(f"  moved   from {moved['previous'] or 'nothing'} to {moved['revision']}")
        output.line("  whether it has moved again: the later entries of the ledger say")
    output.json(
        verdict="verified",
        type=kind,
        key={"fingerprint": verified.key.fingerprint, "role": signer.role, "owner": signer.owner},
        index=verified.index,
        checkpoint={"origin": tree.origin, "size": tree.size, "root": tree.root.hex()},
        witnesses=[
            {"name": name, "time": _time(seconds)}
            for name, seconds in verified.checkpoint.witnesses
        ],
        subjects=[
            {"name": subject.name, "sha256": subject.sha256}
            for subject in verified.statement.subjects
        ],
        blob=blob is not None,
        **({"alias": {name: moved[name] for name in _MOVE}} if moved else {}),
    )


def _time(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
    except (OverflowError, ValueError, OSError):
        return f"{seconds} s after 1970"
