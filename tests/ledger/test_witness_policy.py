"""The policy file says whom to ask and how many must agree; without one the log runs alone."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings

from assay.note import COSIGNATURE, vkey_for
from assay.policy import Group, PolicyKey, TlogPolicy
from ledger.policy import WitnessPolicyError, witness_policy, witnesses_needed, witnesses_of


def test_without_a_policy_nobody_is_needed() -> None:
    assert witness_policy() is None
    assert witnesses_needed(None) == 0
    assert witnesses_of(None, []) == []


def test_a_malformed_policy_is_a_fault_of_the_operator() -> None:
    settings.WITNESS_POLICY.write_text("witness\n")
    with pytest.raises(WitnessPolicyError, match="malformed"):
        witness_policy()


def test_the_least_number_of_witnesses_is_computed_through_groups() -> None:
    keys = {}
    for number in range(5):
        made = Ed25519PrivateKey.from_private_bytes(bytes([number] * 32))
        keys[f"w{number}"] = PolicyKey(vkey=vkey_for("w", made.public_key(), COSIGNATURE))
    groups = {
        "pair": Group(threshold=2, members=("w0", "w1")),
        "any": Group(threshold=1, members=("w2", "w3")),
        "all": Group(threshold=2, members=("pair", "any", "w4")),
    }

    def needed(quorum: str) -> int:
        return witnesses_needed(TlogPolicy(logs=(), witnesses=keys, groups=groups, quorum=quorum))

    assert [needed(name) for name in ("none", "w0", "pair", "any", "all")] == [0, 1, 2, 1, 2]
