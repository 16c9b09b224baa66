"""Step 12 with proof: the key's own registration entry, in place of somebody's list of keys.

A registration is the bundle of a `urn:assay:key:v1` statement. What is checked, in this order:

1. Steps 2 to 8 and 10 hold for it, under the same trusted root and witnesses: it is in a log.
2. The key that signed the claim signed it.
3. It says `register` about that key: action, public key, and the one subject, its SPKI.
4. Its role and owner are those for which the reader trusts the key. The installation's own keys
   have no owner in a list of keys, and the origin of the log in their registration. A key that the
   caller vouches for (role `""`) gets both from here.
5. It is the entry that the reader's list names, where that names one: log and index.
6. The tree that holds it and the claim's tree are not two of one size.

A key that took another's place (`supersede`) was registered by two entries, which this does not
take: the reader's list is then what says it.
"""

from __future__ import annotations

from dataclasses import replace

from assay.checkpoint import Checkpoint
from assay.dsse import PublicKey
from assay.errors import SplitViewError, VerificationError
from assay.policy import TlogPolicy, TrustedRoot
from assay.statements import KEY, KeyPredicate
from assay.verify import steps
from assay.verify.keys import TrustedKey, spelled_key
from assay.verify.steps import Report, Verified

_PUBLISHER = "publisher"


def check_registration(
    data: bytes,
    trusted: TrustedKey,
    claim: Verified,
    trusted_root: TrustedRoot,
    witnesses: TlogPolicy | None,
) -> TrustedKey:
    """Check the registration `data`, and return the key with what it says: role, owner, place.

    Raises:
        FormatError: not a bundle of a key statement.
        VerificationError: not this key's registration, or not what the reader's list says.
        SplitViewError: its tree and the claim's have one size and two roots.
    """
    silent = Report()
    bundle = steps.read_bundle(data, silent)
    proved = steps.check_logged(bundle, trusted.key, trusted_root, witnesses, silent)
    statement = steps.read_statement(bundle.envelope, KEY, silent)
    predicate = KeyPredicate.from_dict(statement.predicate, "predicate")
    origin = proved.checkpoint.origin
    _check_about(predicate, statement.digests, trusted.key)
    _check_said(predicate, trusted, origin)
    _check_place(bundle.entry.index, origin, trusted)
    mine, theirs = claim.checkpoint, proved
    if _are_apart(mine.checkpoint, theirs.checkpoint):
        raise SplitViewError(
            f"{origin} signed two trees of {proved.checkpoint.size} leaves",
            first=mine.note,
            second=theirs.note,
        )
    return replace(
        trusted,
        role=predicate.role,
        owner=predicate.owner,
        index=bundle.entry.index,
        log=origin,
    )


def _check_about(predicate: KeyPredicate, digests: tuple[str, ...], key: PublicKey) -> None:
    if predicate.action != "register":
        raise VerificationError(
            "the entry is no registration", expected="register", found=predicate.action
        )
    named = spelled_key(predicate.public_key, "predicate.publicKey")
    for found in (named.fingerprint, ", ".join(digests)):
        if found != key.fingerprint:
            raise VerificationError(
                "the registration is another key's", expected=key.fingerprint, found=found
            )


def _check_said(predicate: KeyPredicate, trusted: TrustedKey, origin: str) -> None:
    if not trusted.role:
        return
    # A list of keys leaves the installation's own keys without an owner; they are the log's.
    own = origin if trusted.role != _PUBLISHER else ""
    for name, expected, found in (
        ("role", trusted.role, predicate.role),
        ("owner", trusted.owner or own, predicate.owner),
    ):
        if found != expected:
            raise VerificationError(
                f"the key is registered with another {name}", expected=expected, found=found
            )


def _check_place(index: int, origin: str, trusted: TrustedKey) -> None:
    for name, expected, found in (
        ("log", trusted.log or origin, origin),
        ("index", str(index if trusted.index is None else trusted.index), str(index)),
    ):
        if found != expected:
            raise VerificationError(
                f"the reader's list has the registration at another {name}",
                expected=expected,
                found=found,
            )


def _are_apart(first: Checkpoint, second: Checkpoint) -> bool:
    """Tell whether a log signed both, of one size, though no log has both."""
    return (first.origin, first.size) == (second.origin, second.size) and first.root != second.root
