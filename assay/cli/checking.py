"""The work of `assay verify`: what was asked, as one value, and the verdict in words.

Nothing here needs typer or rich, and the network's modules are imported when an address is named:
a check of files starts, checks and ends in the time that those imports would take.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from assay.bundle import parse_bundle
from assay.checkpoint import VerifiedCheckpoint
from assay.cli.files import hash_file, read_file, read_folder
from assay.cli.output import Output, exit_codes
from assay.cli.trust import Named, Trust, load_trust, origin_of
from assay.digests import parse_hex
from assay.errors import FormatError, MisuseError
from assay.limits import LIMITS
from assay.manifest import OMS
from assay.policy import verify_checkpoint
from assay.statements import ALIAS, EXECUTION
from assay.verify import (
    KeyRing,
    Policy,
    TrustedKey,
    Verified,
    verify_alias,
    verify_bundle,
    verify_receipt,
)
from assay.verify.fresh import instant

_ADDRESSES = ("http://", "https://")
_AGE = re.compile(r"([0-9]{1,12})([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_MOVE = ("model", "alias", "revision", "previous")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What `assay verify` is asked, in the words of its options; `""` and None: not given."""

    receipt: str
    key: Path | None = None
    trusted_root: Path | None = None
    policy: Path | None = None
    registration: str = ""
    checkpoint: str = ""
    max_age: str = ""
    blob: Path | None = None
    input_: Path | None = None
    type_: str = EXECUTION
    output_salt: str = ""
    input_salt: str = ""
    offline: bool = False
    as_json: bool = False


def read_receipt(receipt: str, *, offline: bool = False) -> bytes:
    """Return the bytes of a receipt: a file, or what an http(s) URL answers.

    Raises:
        MisuseError: an address, though nothing may be fetched.
        UnavailableError: it cannot be had.
    """
    if not receipt.startswith(_ADDRESSES):
        return read_file(Path(receipt), LIMITS.bundle)
    if offline:
        raise MisuseError(f"--offline, and {receipt} is an address: save it to a file first")
    from assay.fetch import fetch

    return fetch(receipt, limit=LIMITS.bundle)


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


def parse_age(text: str) -> int | None:
    """Return the seconds in `text`, as 90, 90s, 15m, 24h or 7d; None for `""`.

    Raises:
        MisuseError: anything else.
    """
    if not text:
        return None
    match = _AGE.fullmatch(text)
    if match is None:
        raise MisuseError(f"--max-age is a number of seconds, or as 15m, 24h, 7d; not {text!r}")
    return int(match[1]) * _SECONDS[match[2]]


def choose_key(keys: KeyRing, hint: str, *, named: bool) -> TrustedKey:
    """Return the key to try: the one named, or the one that the hint chooses."""
    return keys.keys[0] if named else keys.find(hint)


def check(question: Question) -> None:
    """Answer the question: lines or JSON on the standard output, and the exit code."""
    output = Output(as_json=question.as_json)
    with exit_codes(output):
        data = read_receipt(question.receipt, offline=question.offline)
        bundle = parse_bundle(data)
        trust = load_trust(
            origin_of(bundle.entry.inclusion.checkpoint),
            Named(key=question.key, trusted_root=question.trusted_root, policy=question.policy),
        )
        signer = choose_key(trust.keys, bundle.hint, named=question.key is not None)
        verified = _verify(data, signer, trust, question, output)
        _conclude(verified, question, output)


def _verify(
    data: bytes, signer: TrustedKey, trust: Trust, question: Question, output: Output
) -> Verified:
    registration = None
    if question.registration:
        registration = read_receipt(question.registration, offline=question.offline)
    policy = _policy(trust, question)
    blob = question.blob
    if question.type_ == EXECUTION:
        return verify_receipt(
            data,
            key=signer,
            trusted_root=trust.trusted_root,
            policy=policy,
            registration=registration,
            output=None if blob is None else read_file(blob, LIMITS.tensor_bytes),
            output_salt=parse_salt(question.output_salt),
            input=_read_input(question),
            input_salt=parse_salt(question.input_salt),
            on_step=output.step,
        )
    if question.type_ == ALIAS:
        return verify_alias(
            data,
            key=signer,
            trusted_root=trust.trusted_root,
            policy=policy,
            registration=registration,
            manifest=None if blob is None else read_folder(blob),
            on_step=output.step,
        )
    folder = question.type_ == OMS and blob is not None
    return verify_bundle(
        data,
        key=signer,
        trusted_root=trust.trusted_root,
        predicate_type=question.type_,
        policy=policy,
        registration=registration,
        file_sha256=hash_file(blob) if blob is not None and not folder else None,
        manifest=read_folder(blob) if blob is not None and folder else None,
        without_file=blob is None,
        on_step=output.step,
    )


def _read_input(question: Question) -> bytes | None:
    named = question.input_
    return None if named is None else read_file(named, LIMITS.tensor_bytes)


def _policy(trust: Trust, question: Question) -> Policy:
    return Policy(
        witnesses=trust.policy,
        keys=trust.keys,
        max_age=parse_age(question.max_age),
        now=int(time.time()),
        known_to=_known_to(trust, question),
    )


def _known_to(trust: Trust, question: Question) -> VerifiedCheckpoint | None:
    """Return the newest checkpoint that the reader names, verified; None where they name none."""
    if not question.checkpoint:
        return None
    note = read_receipt(question.checkpoint, offline=question.offline)
    origin = origin_of(note)
    for log in trust.trusted_root.logs:
        if log.origin == origin:
            return verify_checkpoint(note, origin=origin, log=log.vkey, policy=trust.policy)
    raise MisuseError(f"--checkpoint is one of {origin}, which the trusted root does not name")


def _conclude(verified: Verified, question: Question, output: Output) -> None:
    """Say what was checked, by whom it was said, and when; never a bare yes."""
    tree, kind = verified.checkpoint.checkpoint, question.type_
    signer = verified.signer
    who = f"{signer.role} {signer.owner}".strip() or "the key that you named"
    seconds = verified.checkpoint.witnessed_at
    when = instant(seconds) if seconds is not None else "no witness said when"
    names = ", ".join(name for name, _ in verified.checkpoint.witnesses) or "no witness"
    output.line("Verified", style="bold green")
    output.line(f"  said    {kind}")
    output.line(f"  by      {who}, key {verified.key.fingerprint}")
    output.line(f"  logged  index {verified.index} of {tree.size} in {tree.origin}")
    output.line(f"  seen    {when}, by {names}")
    if question.blob is None:
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
        key={
            "fingerprint": verified.key.fingerprint,
            "role": signer.role,
            "owner": signer.owner,
            "registered": verified.registered,
        },
        index=verified.index,
        checkpoint={"origin": tree.origin, "size": tree.size, "root": tree.root.hex()},
        witnesses=[
            {"name": name, "time": instant(seconds)}
            for name, seconds in verified.checkpoint.witnesses
        ],
        subjects=[
            {"name": subject.name, "sha256": subject.sha256}
            for subject in verified.statement.subjects
        ],
        blob=question.blob is not None,
        **({"alias": {name: moved[name] for name in _MOVE}} if moved else {}),
    )
