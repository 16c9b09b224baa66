"""Step 12 with proof: whose key it is, by the key's own entry in the log and not by a list."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from assay.bundle import parse_bundle, render_bundle
from assay.errors import FormatError, SplitViewError, VerificationError
from assay.note import parse_note, render as render_note
from assay.policy import TlogPolicy, TrustedRoot, parse_trusted_root
from assay.statements import EXECUTION
from assay.verify import TrustedKey, Verified, verify_bundle, verify_receipt
from tests.assay import claims
from tests.assay.registering import MALLORY, execution_envelope, key_envelope, logged
from tests.assay.vectors import vector

ROOT = parse_trusted_root(vector("trusted_root.json"))
LISTED = TrustedKey(key=claims.public_key(), role="executor", index=0, log=claims.ORIGIN)


def verify(policy: TlogPolicy, key: Any = LISTED, *, root: TrustedRoot = ROOT, **said: Any) -> Any:
    """Verify an execution by the registration that says what `said` changes."""
    registration, receipt = logged([key_envelope(**said), execution_envelope()])
    return verify_receipt(
        receipt, key=key, trusted_root=root, policy=policy, registration=registration
    )


def step_12(verified: Verified) -> str:
    return next(step.detail for step in verified.steps if step.number == 12)


def test_alice_believes_the_keys_own_entry(policy: TlogPolicy) -> None:
    verified = verify(policy)
    assert verified.registered
    assert verified.signer == replace(LISTED, owner=claims.ORIGIN)
    assert step_12(verified) == (
        f"executor {claims.ORIGIN}, registered at index 0, as its own entry in the log says"
    )


def test_without_the_entry_the_step_says_whom_it_believed(policy: TlogPolicy) -> None:
    _, receipt = logged([key_envelope(), execution_envelope()])
    verified = verify_receipt(receipt, key=LISTED, trusted_root=ROOT, policy=policy)
    assert not verified.registered
    assert verified.signer == LISTED
    assert step_12(verified) == "executor, registered at index 0, as the reader's own list says"


def test_a_key_that_alice_was_given_gets_its_role_from_the_log(policy: TlogPolicy) -> None:
    verified = verify(policy, claims.public_key(), owner="alice")
    assert (verified.signer.role, verified.signer.owner) == ("executor", "alice")
    with pytest.raises(VerificationError, match="may not sign"):
        verify(policy, claims.public_key(), owner="alice", role="publisher")


@pytest.mark.parametrize(
    ("listed", "said", "words"),
    [
        ({}, {"role": "auditor"}, r"another role \(expected executor, found auditor"),
        ({}, {"owner": "mallory"}, r"another owner \(expected ledger.example.org, found mallory"),
        ({"owner": "alice"}, {"owner": "Alice"}, r"another owner \(expected alice, found Alice"),
        ({"index": 1}, {}, r"at another index \(expected 1, found 0"),
        ({"log": "log2.example.org"}, {}, r"at another log \(expected log2.example.org, found"),
        ({}, {"action": "revoke"}, r"is no registration \(expected register, found revoke"),
        ({}, {"action": "supersede"}, r"is no registration \(expected register, found supersede"),
        ({}, {"about": MALLORY}, "the registration is another key's"),
        ({}, {"subject": "0" * 64}, "the registration is another key's"),
    ],
)
def test_a_registration_that_says_something_else_is_refused(
    policy: TlogPolicy, listed: dict[str, Any], said: dict[str, Any], words: str
) -> None:
    with pytest.raises(VerificationError, match=words):
        verify(policy, replace(LISTED, **listed), **said)


def test_mallory_may_not_register_alices_key(policy: TlogPolicy) -> None:
    with pytest.raises(VerificationError, match="the hint names another key"):
        verify(policy, signer=MALLORY)


def test_what_is_no_key_or_no_key_statement_is_malformed(policy: TlogPolicy) -> None:
    with pytest.raises(FormatError, match=r"predicate.publicKey: no public key"):
        verify(policy, public_key="a key")
    _, receipt = logged([key_envelope(), execution_envelope()])
    with pytest.raises(VerificationError, match="a statement of another type"):
        verify_receipt(receipt, key=LISTED, trusted_root=ROOT, policy=policy, registration=receipt)
    with pytest.raises(FormatError, match="not strict JSON"):
        verify_receipt(receipt, key=LISTED, trusted_root=ROOT, policy=policy, registration=b"x")


def test_a_registration_without_the_policys_witnesses_is_refused(policy: TlogPolicy) -> None:
    envelopes = [key_envelope(), execution_envelope()]
    (registration, _), (_, receipt) = logged(envelopes, more=1), logged(envelopes, more=2)
    parsed = parse_bundle(registration)
    proof = parsed.entry.inclusion
    note = parse_note(proof.checkpoint)
    proof = replace(proof, checkpoint=render_note(replace(note, lines=note.lines[:1])))
    bare = render_bundle(replace(parsed, entry=replace(parsed.entry, inclusion=proof)))
    asked: dict[str, Any] = {"key": LISTED, "trusted_root": ROOT, "registration": bare}
    assert verify_receipt(receipt, policy=None, **asked).registered
    with pytest.raises(VerificationError, match="no quorum"):
        verify_receipt(receipt, policy=policy, **asked)


def test_a_claim_before_its_keys_registration_is_refused(policy: TlogPolicy) -> None:
    receipt, registration = logged([execution_envelope(), key_envelope()])
    with pytest.raises(VerificationError, match="older than its key"):
        verify_receipt(
            receipt,
            key=claims.public_key(),
            trusted_root=ROOT,
            policy=policy,
            registration=registration,
        )


def test_a_revocation_of_the_list_counts_beside_the_registration(policy: TlogPolicy) -> None:
    assert verify(policy, replace(LISTED, revoked=2)).registered
    with pytest.raises(VerificationError, match="revoked"):
        verify(policy, replace(LISTED, revoked=1))


def test_two_trees_of_one_size_are_a_split_view(policy: TlogPolicy) -> None:
    _, receipt = logged([key_envelope(), execution_envelope()])
    registration, _ = logged([key_envelope(), key_envelope(role="auditor")])
    with pytest.raises(SplitViewError, match="two trees of 2 leaves") as caught:
        verify_receipt(
            receipt, key=LISTED, trusted_root=ROOT, policy=policy, registration=registration
        )
    assert caught.value.first != caught.value.second


def test_later_trees_hold_the_same_registration(policy: TlogPolicy) -> None:
    envelopes = [key_envelope(), execution_envelope()]
    registration, _ = logged(envelopes, more=5)
    _, receipt = logged(envelopes)
    verified = verify_bundle(
        receipt,
        key=LISTED,
        trusted_root=ROOT,
        predicate_type=EXECUTION,
        policy=policy,
        registration=registration,
        without_file=True,
    )
    assert verified.registered
