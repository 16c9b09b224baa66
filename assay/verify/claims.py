"""The whole question: a bundle against a file or a folder, a receipt, an alias, a bare proof.

A policy is a `Policy`, or a tlog-policy alone, or None where no witness is asked for. Without a key
the one of the policy is taken that the bundle's hint names.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from assay.checkpoint import VerifiedCheckpoint
from assay.digests import is_sha256, sha256_hex
from assay.dsse import PublicKey
from assay.errors import MisuseError, VerificationError
from assay.manifest import OMS, Manifest, parse_oms
from assay.merkle import check_inclusion
from assay.note import VKey
from assay.policy import TlogPolicy, TrustedRoot, verify_checkpoint
from assay.receipt import execution_of, parse_tlog_proof
from assay.statements import (
    ALIAS,
    EXECUTION,
    AliasPredicate,
    ExecutionPredicate,
    Predicate,
    Statement,
    TensorSet,
)
from assay.tensors import commitment
from assay.verify import steps
from assay.verify.fresh import Policy, check_fresh, policy_of
from assay.verify.keys import TrustedKey
from assay.verify.registration import check_registration
from assay.verify.steps import ConsistencySource, OnStep, Report, Verified


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """What the reader trusts and remembers."""

    key: TrustedKey | None
    trusted_root: TrustedRoot
    policy: Policy
    registration: bytes | None
    remembered: VerifiedCheckpoint | None
    consistency: ConsistencySource | None


def verify_bundle(
    data: bytes,
    *,
    key: PublicKey | TrustedKey | None = None,
    trusted_root: TrustedRoot,
    predicate_type: str,
    policy: Policy | TlogPolicy | None,
    registration: bytes | None = None,
    file_sha256: str | None = None,
    manifest: Manifest | None = None,
    without_file: bool = False,
    remembered: VerifiedCheckpoint | None = None,
    consistency: ConsistencySource | None = None,
    on_step: OnStep | None = None,
) -> Verified:
    """Verify the Sigstore bundle `data` and return what it proves.

    `file_sha256` is the hex SHA-256 of the file that must be a subject; for model signing
    `manifest` is that of the reader's folder instead. `without_file` asks for the signature and the
    log only. The predicate is an opaque object here; `assay.statements.parse_predicate` reads it.
    Without a `policy` no witness is asked for; say so to whoever reads the verdict. `registration`
    is the bundle of the key's own entry, which then says role and owner instead of the reader's
    list; `assay.verify.registration` has the rules.

    Raises:
        MisuseError: a question that cannot be asked.
        FormatError: the bytes are not the format.
        VerificationError: the format is right, the claim is not.
        SplitViewError: the log signed two trees of one size.
        UnavailableError: no consistency proof to the remembered checkpoint, or an age is asked for
            and unknown.
    """
    report = Report(on_step=on_step)
    reader = _reader(key, trusted_root, policy, registration, remembered, consistency)
    _check_question(reader, predicate_type, report, file_sha256, manifest, without_file)
    verified = _verify_claim(data, reader, predicate_type, report)
    _check_subject(verified.statement, file_sha256, manifest, report)
    verified = _check_signer(verified, reader, predicate_type, report)
    return _concluded(verified, reader, report)


def verify_receipt(
    data: bytes,
    *,
    key: PublicKey | TrustedKey | None = None,
    trusted_root: TrustedRoot,
    policy: Policy | TlogPolicy | None,
    registration: bytes | None = None,
    output: bytes | None = None,
    output_salt: bytes | None = None,
    input: bytes | None = None,
    input_salt: bytes | None = None,
    remembered: VerifiedCheckpoint | None = None,
    consistency: ConsistencySource | None = None,
    on_step: OnStep | None = None,
) -> Verified:
    """Verify the receipt of an execution: all that `verify_bundle` does, and step 13.

    `output` and `input` are `output.tensors` and `input.tensors`, whole, where the reader has them;
    a private execution needs the salt beside each.

    Raises: as `verify_bundle`.
    """
    sets = (("output", output, output_salt), ("input", input, input_salt))
    if any(tensors is None and salt is not None for _, tensors, salt in sets):
        raise MisuseError("a salt without its tensors opens nothing")
    report = Report(on_step=on_step)
    reader = _reader(key, trusted_root, policy, registration, remembered, consistency)
    _check_question(reader, EXECUTION, report, without_file=True)
    verified = _verify_claim(data, reader, EXECUTION, report)
    predicate = execution_of(verified.statement)
    _check_output_subject(verified.statement, predicate)
    held = _check_tensors("output", predicate.output, output, output_salt)
    report.passed(11, "the subject is the output", held)
    verified = _check_signer(verified, reader, EXECUTION, report)
    _check_observed(verified, predicate)
    held = _check_tensors("input", predicate.input, input, input_salt)
    ran = f"{predicate.execution} of {predicate.model} at {predicate.revision}"
    report.passed(13, "the execution agrees with its entry", f"{ran}; {held}")
    return _concluded(verified, reader, report)


def verify_alias(
    data: bytes,
    *,
    key: PublicKey | TrustedKey | None = None,
    trusted_root: TrustedRoot,
    policy: Policy | TlogPolicy | None,
    registration: bytes | None = None,
    manifest: Manifest | None = None,
    remembered: VerifiedCheckpoint | None = None,
    consistency: ConsistencySource | None = None,
    on_step: OnStep | None = None,
) -> Verified:
    """Verify one move of an alias: all that `verify_bundle` does, and step 13.

    `manifest` is that of the reader's folder, where they have it. Whether the alias has moved on
    since is not in the bundle: the later entries of the log say that.

    Raises: as `verify_bundle`.
    """
    report = Report(on_step=on_step)
    reader = _reader(key, trusted_root, policy, registration, remembered, consistency)
    _check_question(reader, ALIAS, report, without_file=True)
    verified = _verify_claim(data, reader, ALIAS, report)
    predicate = AliasPredicate.from_dict(verified.statement.predicate, "predicate")
    held = _check_manifest(verified.statement, manifest)
    report.passed(11, "the subject is the manifest", held)
    verified = _check_signer(verified, reader, ALIAS, report)
    _check_owner(verified.signer, predicate.model)
    _check_observed(verified, predicate)
    before = f"before at {predicate.previous}" if predicate.previous else "new"
    moved = f"{predicate.alias} of {predicate.model} to {predicate.revision}, {before}"
    report.passed(13, "the move agrees with its entry", moved)
    return _concluded(verified, reader, report)


def verify_tlog_proof(
    data: bytes, *, leaf: bytes, origin: str, log: VKey, policy: TlogPolicy | None
) -> VerifiedCheckpoint:
    """Check that the tlog-proof `data` shows `leaf`, 32 bytes, to be in the log `origin`.

    Raises:
        FormatError: not a tlog-proof.
        VerificationError: the checkpoint is not signed as asked, or the leaf is not in it.
    """
    proof = parse_tlog_proof(data)
    verified = verify_checkpoint(proof.checkpoint, origin=origin, log=log, policy=policy)
    tree = verified.checkpoint
    check_inclusion(leaf, proof.index, tree.size, proof.hashes, tree.root)
    return verified


def _reader(
    key: PublicKey | TrustedKey | None,
    trusted_root: TrustedRoot,
    policy: Policy | TlogPolicy | None,
    registration: bytes | None,
    remembered: VerifiedCheckpoint | None,
    consistency: ConsistencySource | None,
) -> _Reader:
    return _Reader(
        key=TrustedKey(key=key) if isinstance(key, PublicKey) else key,
        trusted_root=trusted_root,
        policy=policy_of(policy),
        registration=registration,
        remembered=remembered,
        consistency=consistency,
    )


def _check_question(
    reader: _Reader,
    predicate_type: str,
    report: Report,
    file_sha256: str | None = None,
    manifest: Manifest | None = None,
    without_file: bool = False,
) -> None:
    """Step 1."""
    reader.policy.check()
    if not reader.trusted_root.logs:
        raise MisuseError("the trusted root names no log")
    if reader.key is None and not reader.policy.keys.keys:
        raise MisuseError("no key is given, and the policy names none")
    if not predicate_type:
        raise MisuseError("no predicate type is asked for: any signed statement would do")
    if (file_sha256 is not None) + (manifest is not None) + without_file != 1:
        raise MisuseError("give one thing to check against: a file, a folder, or say without")
    if file_sha256 is not None and not is_sha256(file_sha256):
        # A subject may have no SHA-256 at all, and "" must not find it.
        raise MisuseError("a file is named by the 64 lower-case hex digits of its SHA-256")
    if predicate_type == OMS and file_sha256 is not None:
        raise MisuseError("model signing is about a folder, not about a file")
    if predicate_type != OMS and manifest is not None:
        raise MisuseError(f"{predicate_type} is about files, not about a folder")
    names = ", ".join(log.origin for log in reader.trusted_root.logs)
    report.passed(1, "the question makes sense", f"trusted log {names}; type {predicate_type}")


def _verify_claim(data: bytes, reader: _Reader, predicate_type: str, report: Report) -> Verified:
    """Steps 2 to 10."""
    bundle = steps.read_bundle(data, report)
    trusted = reader.key or reader.policy.keys.find(bundle.hint)
    checkpoint = steps.check_logged(
        bundle, trusted.key, reader.trusted_root, reader.policy.witnesses, report
    )
    steps.check_history(checkpoint, reader.remembered, reader.consistency, report)
    statement = steps.read_statement(bundle.envelope, predicate_type, report)
    return Verified(
        envelope=bundle.envelope,
        statement=statement,
        key=trusted.key,
        index=bundle.entry.index,
        checkpoint=checkpoint,
        steps=(),
        signer=trusted,
        listed=trusted.role != "",
    )


def _check_signer(
    verified: Verified, reader: _Reader, predicate_type: str, report: Report
) -> Verified:
    """Step 12; return the claim with what is known of its signer."""
    if reader.registration is not None:
        signer = check_registration(
            reader.registration,
            verified.signer,
            verified,
            reader.trusted_root,
            reader.policy.witnesses,
        )
        verified = replace(verified, signer=signer, registered=True)
    steps.check_key(verified.signer, predicate_type, verified, reader.trusted_root, report)
    return verified


def _concluded(verified: Verified, reader: _Reader, report: Report) -> Verified:
    """Step 14, and the steps that were taken."""
    check_fresh(verified, reader.policy, reader.trusted_root, report)
    return replace(verified, steps=tuple(report.steps))


def _check_subject(
    statement: Statement, file_sha256: str | None, manifest: Manifest | None, report: Report
) -> None:
    """Step 11."""
    signed = parse_oms(statement) if statement.predicate_type == OMS else None
    if manifest is not None and signed is not None:
        signed.check_folder(manifest)
        detail = f"{len(manifest.resources)} files, manifest {signed.digest}"
    elif file_sha256 is not None:
        if file_sha256 not in statement.digests:
            raise VerificationError(
                "no subject is this file",
                expected=", ".join(statement.digests),
                found=file_sha256,
            )
        detail = f"SHA-256 {file_sha256}"
    else:
        detail = "not compared with a file"
    report.passed(11, "the subject is the thing at hand", detail)


def _check_output_subject(statement: Statement, predicate: ExecutionPredicate) -> None:
    if statement.digests != (predicate.output.sha256,):
        raise VerificationError(
            "the subject is not the output",
            expected=predicate.output.sha256,
            found=", ".join(statement.digests),
        )


def _check_manifest(statement: Statement, manifest: Manifest | None) -> str:
    """Compare the subject of an alias with the reader's folder; return what was compared."""
    if len(statement.digests) != 1:
        raise VerificationError(
            "an alias has one subject, the manifest",
            expected="one digest",
            found=", ".join(statement.digests),
        )
    (claimed,) = statement.digests
    if manifest is None:
        return f"manifest {claimed}, not compared with a folder"
    if manifest.digest != claimed:
        raise VerificationError(
            "the alias names another folder", expected=claimed, found=manifest.digest
        )
    return f"{len(manifest.resources)} files, manifest {claimed}"


def _check_owner(key: TrustedKey, model: str) -> None:
    """A publisher speaks for models of their own name only."""
    owner = model.partition("/")[0]
    if key.owner and key.owner != owner:
        raise VerificationError(
            "the key speaks for another owner's models", expected=owner, found=key.owner
        )


def _check_observed(verified: Verified, predicate: Predicate) -> None:
    """The checkpoint that the signer saw came before the entry, so the entry is not inside it."""
    observed = predicate.observed
    origin = verified.checkpoint.checkpoint.origin
    if observed.origin == origin and observed.tree_size > verified.index:
        raise VerificationError(
            "the statement saw a tree that came after it",
            expected=f"at most {verified.index} leaves",
            found=str(observed.tree_size),
        )


def _check_tensors(name: str, claimed: TensorSet, tensors: bytes | None, salt: bytes | None) -> str:
    """Compare the reader's tensors with what the statement says; return what was compared."""
    if tensors is None:
        return f"{name} {claimed.form} {claimed.sha256}, not compared"
    found = sha256_hex(tensors)
    if claimed.form == "commitment":
        if salt is None:
            raise MisuseError(f"the {name} is private: its salt is needed to compare it")
        found = commitment(salt, found)
    if found != claimed.sha256:
        raise VerificationError(f"the {name} is another one", expected=claimed.sha256, found=found)
    return f"{name} {claimed.form} {found}"
