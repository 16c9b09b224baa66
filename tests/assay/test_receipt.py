"""Receipts and tlog-proofs: what alice may rely on, and what mallory may not slip in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from assay.checkpoint import VerifiedCheckpoint
from assay.digests import sha256_hex
from assay.dsse import PublicKey
from assay.errors import (
    FormatError,
    MisuseError,
    SplitViewError,
    UnavailableError,
    VerificationError,
)
from assay.note import VKey
from assay.policy import TlogPolicy, parse_trusted_root, verify_checkpoint
from assay.receipt import TlogProof, parse_receipt, parse_tlog_proof, render_tlog_proof
from assay.statements import RELEASE, Observed, TensorSet
from assay.verify import Step, TrustedKey, Verified, verify_bundle, verify_receipt
from tests.assay import claims
from tests.assay.vectors import values, vector

ROOT = parse_trusted_root(vector("trusted_root.json"))


def verify(receipt: bytes, policy: TlogPolicy, **options: Any) -> Verified:
    options = {"key": claims.public_key(), "trusted_root": ROOT, **options}
    return verify_receipt(receipt, policy=policy, **options)


def test_alice_reads_her_receipt() -> None:
    receipt = parse_receipt(claims.receipt_of(claims.execution()))
    assert receipt.predicate == claims.execution()
    assert receipt.bundle.entry.index == 1


def test_a_release_is_no_receipt() -> None:
    with pytest.raises(FormatError, match="not an execution"):
        parse_receipt(vector("bundle.json"))


def test_alice_verifies_her_receipt_step_by_step(policy: TlogPolicy) -> None:
    seen: list[Step] = []
    verified = verify(
        claims.receipt_of(claims.execution()),
        policy,
        output=claims.OUTPUT,
        input=claims.INPUT,
        on_step=seen.append,
    )
    assert verified.steps == tuple(seen)
    assert [step.number for step in seen] == list(range(1, 15))
    assert all(step.name and step.detail for step in seen)
    assert verified.index == 1
    assert verified.checkpoint.witnessed_at == claims.TIME + 1
    assert sha256_hex(claims.OUTPUT) in seen[10].detail
    assert sha256_hex(claims.INPUT) in seen[12].detail


def test_without_files_and_policy_the_steps_say_so(policy: TlogPolicy) -> None:
    receipt = claims.receipt_of(claims.execution())
    verified = verify_receipt(receipt, key=claims.public_key(), trusted_root=ROOT, policy=None)
    assert "no witness was asked" in verified.steps[5].detail
    assert "not compared" in verified.steps[10].detail
    assert "not compared" in verified.steps[12].detail


def test_mallory_may_not_exchange_output_or_input(policy: TlogPolicy) -> None:
    receipt = claims.receipt_of(claims.execution())
    with pytest.raises(VerificationError, match="the output is another one"):
        verify(receipt, policy, output=claims.INPUT)
    with pytest.raises(VerificationError, match="the input is another one"):
        verify(receipt, policy, input=claims.OUTPUT)


def test_a_private_execution_is_opened_by_its_salts(policy: TlogPolicy) -> None:
    private = claims.execution(
        input=claims.private_set(claims.INPUT), output=claims.private_set(claims.OUTPUT)
    )
    receipt = claims.receipt_of(private)
    opened = verify(
        receipt,
        policy,
        output=claims.OUTPUT,
        output_salt=claims.SALT,
        input=claims.INPUT,
        input_salt=claims.SALT,
    )
    assert "output commitment" in opened.steps[10].detail
    with pytest.raises(MisuseError, match="its salt is needed"):
        verify(receipt, policy, output=claims.OUTPUT)
    with pytest.raises(VerificationError, match="another one"):
        verify(receipt, policy, output=claims.OUTPUT, output_salt=bytes(32))
    with pytest.raises(MisuseError, match="without its tensors"):
        verify(receipt, policy, input_salt=claims.SALT)


def test_mallory_may_not_sign_another_subject_than_the_output(policy: TlogPolicy) -> None:
    receipt = claims.receipt_of(claims.execution(), subject="0" * 64)
    with pytest.raises(VerificationError, match="the subject is not the output"):
        verify(receipt, policy)


def test_mallory_may_not_have_seen_the_future(policy: TlogPolicy) -> None:
    observed = Observed(origin=claims.ORIGIN, tree_size=2, root_hash="0" * 64)
    receipt = claims.receipt_of(claims.execution(observed=observed))
    with pytest.raises(VerificationError, match="came after it"):
        verify(receipt, policy)
    elsewhere = replace(observed, origin="elsewhere.example.org")
    assert verify(claims.receipt_of(claims.execution(observed=elsewhere)), policy).index == 1


def test_a_publishers_key_may_not_sign_executions(policy: TlogPolicy) -> None:
    receipt = claims.receipt_of(claims.execution())
    executor = TrustedKey(key=claims.public_key(), role="executor", owner="examples", index=0)
    assert "executor examples, registered at index 0" in (
        verify(receipt, policy, key=executor).steps[11].detail
    )
    with pytest.raises(VerificationError, match="may not sign"):
        verify(receipt, policy, key=replace(executor, role="publisher"))


def test_a_key_counts_from_its_registration_to_its_revocation(policy: TlogPolicy) -> None:
    receipt = claims.receipt_of(claims.execution())
    executor = TrustedKey(key=claims.public_key(), role="executor", index=1, revoked=2)
    assert verify(receipt, policy, key=executor).index == 1
    with pytest.raises(VerificationError, match="older than its key"):
        verify(receipt, policy, key=replace(executor, index=2))
    with pytest.raises(VerificationError, match="was revoked"):
        verify(receipt, policy, key=replace(executor, revoked=1))


class TestRemembered:
    """Alice remembers a checkpoint of the log."""

    RECEIPT = claims.receipt_of(claims.execution())

    def remembered(self, name: str, policy: TlogPolicy) -> VerifiedCheckpoint:
        return self.verified(vector(name), policy)

    def verified(self, note: bytes, policy: TlogPolicy) -> VerifiedCheckpoint:
        log = ROOT.logs[0]
        return verify_checkpoint(note, origin=log.origin, log=log.vkey, policy=policy)

    def release(self, policy: TlogPolicy, **options: Any) -> Verified:
        options = {"key": claims.public_key(), "trusted_root": ROOT, **options}
        return verify_bundle(
            vector("bundle.json"),
            policy=policy,
            predicate_type=RELEASE,
            without_file=True,
            **options,
        )

    def proof(self, old: int, new: int) -> list[bytes]:
        return [bytes.fromhex(item) for item in values()["log"][f"consistency_{old}_{new}"]]

    def test_the_same_tree_needs_no_proof(self, policy: TlogPolicy) -> None:
        remembered = self.remembered("checkpoint", policy)
        verified = self.release(policy, remembered=remembered)
        assert "259 to 259" in verified.steps[8].detail

    def test_a_grown_tree_needs_a_proof(self, policy: TlogPolicy) -> None:
        remembered = self.remembered("checkpoint.200", policy)
        verified = self.release(policy, remembered=remembered, consistency=self.proof)
        assert "200 to 259" in verified.steps[8].detail
        with pytest.raises(UnavailableError, match="no consistency proof"):
            self.release(policy, remembered=remembered)

    def test_an_old_receipt_is_no_rollback(self, policy: TlogPolicy) -> None:
        late = [bytes.fromhex(item) for item in values()["log"]["late"]["consistency_259_late"]]
        remembered = self.remembered("checkpoint.late", policy)
        verified = self.release(policy, remembered=remembered, consistency=lambda *_: late)
        assert "259 to 323" in verified.steps[8].detail

    def test_a_wrong_proof_is_refused_and_accuses_nobody(self, policy: TlogPolicy) -> None:
        remembered = self.remembered("checkpoint.200", policy)
        with pytest.raises(VerificationError) as caught:
            self.release(policy, remembered=remembered, consistency=lambda *_: [bytes(32)])
        assert not isinstance(caught.value, SplitViewError)

    def test_two_trees_of_one_size_are_evidence(self, policy: TlogPolicy) -> None:
        fork = self.remembered("checkpoint.fork", policy)
        with pytest.raises(SplitViewError) as caught:
            self.release(policy, remembered=fork)
        assert caught.value.first == vector("checkpoint.fork")
        assert caught.value.second == vector("checkpoint")

    def test_another_log_says_nothing(self, policy: TlogPolicy) -> None:
        remembered = self.remembered("checkpoint", policy)
        other = replace(
            remembered, checkpoint=replace(remembered.checkpoint, origin="other.example.org")
        )
        verified = self.release(policy, remembered=other)
        assert "nothing is remembered of ledger.example.org" in verified.steps[8].detail


def test_a_tlog_proof_has_one_spelling() -> None:
    data = vector("entry.tlog-proof")
    proof = parse_tlog_proof(data)
    assert render_tlog_proof(proof) == data
    extra = replace(proof, extra=b"unsigned")
    assert parse_tlog_proof(render_tlog_proof(extra)) == extra


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x" * 1_000_001, "at most"),
        (b"c2sp.org/tlog-proof@v1", "empty line"),
        ("c2sp.org/tlog-proof@v1\nindex é\n\n".encode(), "ASCII"),
        (b"c2sp.org/tlog-proof@v1\n\n", "index line"),
        (b"c2sp.org/tlog-proof@v1\nindex 1\n" + b"AAAA\n" * 64 + b"\nx", "at most 63"),
    ],
)
def test_mallorys_tlog_proof_is_malformed(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        parse_tlog_proof(data)


def test_a_tlog_proof_of_the_first_entry_has_no_hashes(log_vkey: VKey) -> None:
    proof = TlogProof(index=0, hashes=(), checkpoint=vector("checkpoint"))
    assert parse_tlog_proof(render_tlog_proof(proof)) == proof


def test_keys_are_values() -> None:
    assert claims.public_key() == PublicKey(spki=claims.public_key().spki)
    assert TensorSet(form="digest", sha256="0" * 64).to_dict() == {"digest": {"sha256": "0" * 64}}
