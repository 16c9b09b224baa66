"""Steps 2 to 10 and 12, each a function that raises or reports what it compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from assay.bundle import Bundle, LogEntry, hint_for, oms_hint_for, parse_bundle
from assay.checkpoint import VerifiedCheckpoint
from assay.dsse import Envelope, PublicKey, check_headers, rekor_body, verify_envelope
from assay.errors import SplitViewError, UnavailableError, VerificationError
from assay.merkle import check_consistency, check_inclusion, leaf_hash
from assay.policy import TlogPolicy, TrustedRoot, verify_checkpoint
from assay.statements import KEY, Statement, parse_statement
from assay.verify.keys import TrustedKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step that passed: its number in `assay.verify`, what it asked, what it compared."""

    number: int
    name: str
    detail: str


OnStep = Callable[[Step], None]


class ConsistencySource(Protocol):
    """Where a consistency proof between two sizes of the log comes from."""

    def __call__(self, old_size: int, new_size: int) -> Sequence[bytes]:
        """Return the hashes, 32 bytes each, from the tree of `old_size` to that of `new_size`.

        Raises `UnavailableError` when it cannot be had.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A claim that held: who signed what, at which index of which tree, and the steps taken.

    `signer` is the key with the role and owner that counted: from the key's own entry in the log
    (`registered`), or else from the reader's list. `listed` is False for a key that the caller
    vouches for, of which no list tells revocations.
    """

    envelope: Envelope
    statement: Statement
    key: PublicKey
    index: int
    checkpoint: VerifiedCheckpoint
    steps: tuple[Step, ...]
    signer: TrustedKey
    listed: bool
    registered: bool = False


@dataclass(slots=True)
class Report:
    """The steps so far, each handed to `on_step` as it passes."""

    on_step: OnStep | None = None
    steps: list[Step] = field(default_factory=list)

    def passed(self, number: int, name: str, detail: str) -> None:
        """Record a step that passed."""
        step = Step(number=number, name=name, detail=detail)
        self.steps.append(step)
        if self.on_step is not None:
            self.on_step(step)


def read_bundle(data: bytes, report: Report) -> Bundle:
    """Step 2: the whole bundle, syntax only."""
    bundle = parse_bundle(data)
    report.passed(2, "the file is a Sigstore bundle v0.3", f"{len(data)} bytes, one log entry")
    return bundle


def check_logged(
    bundle: Bundle,
    key: PublicKey,
    trusted_root: TrustedRoot,
    policy: TlogPolicy | None,
    report: Report,
) -> VerifiedCheckpoint:
    """Steps 3 to 8: the key signed the claim, and a tree that is signed as asked holds it."""
    check_kind(bundle, key, report)
    check_signature(bundle, key, report)
    leaf = check_body(bundle, key, report)
    checkpoint = check_tree(bundle.entry, trusted_root, policy, report)
    check_copies(bundle.entry, checkpoint, report)
    check_leaf(bundle.entry, leaf, checkpoint, report)
    return checkpoint


def check_kind(bundle: Bundle, key: PublicKey, report: Report) -> None:
    """Step 3: payload type, key id and hint; `parse_bundle` refused other entry kinds."""
    check_headers(bundle.envelope)
    forms = (hint_for(key.spki), oms_hint_for(key.spki))
    if bundle.hint and bundle.hint not in forms:
        raise VerificationError(
            "the hint names another key", expected=" or ".join(forms), found=bundle.hint
        )
    report.passed(3, "it is of the kind taken here", f"hint {bundle.hint or 'absent'}")


def check_signature(bundle: Bundle, key: PublicKey, report: Report) -> None:
    """Step 4: ECDSA P-256 over the PAE."""
    verify_envelope(bundle.envelope, key)
    digest = bundle.envelope.pae_sha256.hex()
    report.passed(
        4, "the key signed the statement", f"key {key.fingerprint}, SHA-256 of the PAE {digest}"
    )


def check_body(bundle: Bundle, key: PublicKey, report: Report) -> bytes:
    """Step 5: rebuild the logged body, compare, and return its 32-byte leaf hash."""
    envelope = bundle.envelope
    body = rekor_body(envelope.pae_sha256, envelope.signature, key.spki)
    leaf = leaf_hash(body)
    if body != bundle.entry.body:
        raise VerificationError(
            "the logged body is not the one of this envelope and key",
            expected=f"leaf {leaf.hex()}",
            found=f"leaf {leaf_hash(bundle.entry.body).hex()}",
        )
    report.passed(5, "the log entry is this claim's", f"leaf {leaf.hex()}")
    return leaf


def check_tree(
    entry: LogEntry, trusted_root: TrustedRoot, policy: TlogPolicy | None, report: Report
) -> VerifiedCheckpoint:
    """Step 6: the log is known, and it and a quorum of witnesses signed the checkpoint."""
    log = trusted_root.find(entry.key_id32)
    verified = verify_checkpoint(
        entry.inclusion.checkpoint, origin=log.origin, log=log.vkey, policy=policy
    )
    names = ", ".join(name for name, _ in verified.witnesses)
    asked = f"cosigned by {names or 'nobody'}" if policy else "no policy, so no witness was asked"
    tree = f"{verified.checkpoint.size} leaves under {verified.checkpoint.root.hex()}"
    report.passed(6, f"the log {log.origin} signed the tree", f"{tree}; {asked}")
    return verified


def check_copies(entry: LogEntry, verified: VerifiedCheckpoint, report: Report) -> None:
    """Step 7: what nobody signed equals what the log signed."""
    proof, tree = entry.inclusion, verified.checkpoint
    copies = (
        ("root hash", tree.root.hex(), proof.root.hex()),
        ("tree size", str(tree.size), str(proof.size)),
        ("index", str(entry.index), str(proof.index)),
    )
    for name, expected, found in copies:
        if expected != found:
            raise VerificationError(f"the unsigned {name} differs", expected=expected, found=found)
    report.passed(7, "the unsigned copies agree", f"index {entry.index} of {tree.size}")


def check_leaf(entry: LogEntry, leaf: bytes, verified: VerifiedCheckpoint, report: Report) -> None:
    """Step 8: the leaf is in the signed tree, at that index."""
    tree, hashes = verified.checkpoint, entry.inclusion.hashes
    check_inclusion(leaf, entry.index, tree.size, hashes, tree.root)
    report.passed(
        8,
        "the claim is in the tree",
        f"index {entry.index}, {len(hashes)} hashes to {tree.root.hex()}",
    )


def check_history(
    verified: VerifiedCheckpoint,
    remembered: VerifiedCheckpoint | None,
    consistency: ConsistencySource | None,
    report: Report,
) -> None:
    """Step 9: one history with the remembered tree, whichever is larger.

    An old bundle is no rollback: only a live checkpoint that shrinks is.
    """
    name = "the tree continues the one remembered"
    if remembered is None:
        report.passed(9, name, "nothing is remembered")
        return
    old, new = sorted((remembered, verified), key=lambda item: item.checkpoint.size)
    first, second = old.checkpoint, new.checkpoint
    if first.origin != second.origin:
        report.passed(9, name, f"nothing is remembered of {verified.checkpoint.origin}")
        return
    if first.size == second.size and first.root != second.root:
        raise SplitViewError(
            f"{first.origin} signed two trees of {first.size} leaves",
            first=remembered.note,
            second=verified.note,
        )
    # A wrong proof is a VerificationError only: it comes from outside and may be the server's slip.
    proof = _proof_between(first.size, second.size, consistency)
    check_consistency(first.size, first.root, second.size, second.root, proof)
    report.passed(9, name, f"{first.size} to {second.size} leaves")


def _proof_between(
    old_size: int, new_size: int, consistency: ConsistencySource | None
) -> Sequence[bytes]:
    if old_size in (0, new_size):
        return ()
    if consistency is None:
        raise UnavailableError(
            f"no consistency proof from {old_size} to {new_size} leaves is at hand"
        )
    return consistency(old_size, new_size)


def read_statement(envelope: Envelope, predicate_type: str, report: Report) -> Statement:
    """Step 10: the statement, and its type."""
    statement = parse_statement(envelope.payload)
    if statement.predicate_type != predicate_type:
        raise VerificationError(
            "a statement of another type", expected=predicate_type, found=statement.predicate_type
        )
    subjects = f"{len(statement.subjects)} subject" + "s" * (len(statement.subjects) > 1)
    report.passed(10, "the statement is of the type asked for", f"{predicate_type}, {subjects}")
    return statement


def check_key(
    trusted: TrustedKey,
    predicate_type: str,
    verified: Verified,
    trusted_root: TrustedRoot,
    report: Report,
) -> None:
    """Step 12: the key's role, and the places in the logs between which it counts.

    Where `verified.registered` is set, role, owner and place are those of the key's own entry.
    """
    trusted.check_role(predicate_type)
    origin = verified.checkpoint.checkpoint.origin
    revoking = predicate_type == KEY and verified.statement.predicate.get("action") == "revoke"
    trusted.check_index(verified.index, origin, trusted_root.origins, revoking=revoking)
    role = f"{trusted.role} {trusted.owner}".strip() or "a key given by the caller"
    since = "" if trusted.index is None else f", registered at index {trusted.index}"
    elsewhere = f" of {trusted.log}" if since and trusted.log not in ("", origin) else ""
    if verified.registered:
        source = ", as its own entry in the log says"
    else:
        source = ", as the reader's own list says" if trusted.role else ""
    report.passed(12, "the key may sign this", f"{role}{since}{elsewhere}{source}")
