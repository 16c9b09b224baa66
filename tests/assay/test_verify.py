"""The questions a reader may ask, the keys a reader may hold, and the empty trusted root."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

import assay
from assay.errors import FormatError, MisuseError, VerificationError
from assay.manifest import OMS, Manifest
from assay.policy import TlogPolicy, TrustedRoot, parse_trusted_root
from assay.statements import KEY, RELEASE
from assay.verify import KeyRing, TrustedKey, Verified, parse_keys, verify_bundle
from tests.assay import claims
from tests.assay.vectors import values, vector

ROOT = parse_trusted_root(vector("trusted_root.json"))
MODEL_SHA256 = values()["oms"]["files"]["model.onnx"]


def ask(policy: TlogPolicy, data: bytes = b"", **options: Any) -> Verified:
    named: dict[str, Any] = {
        "key": claims.public_key(),
        "trusted_root": ROOT,
        "predicate_type": RELEASE,
        **options,
    }
    return verify_bundle(data or vector("bundle.json"), policy=policy, **named)


def test_alice_verifies_a_release_against_a_file(policy: TlogPolicy) -> None:
    verified = ask(policy, file_sha256=MODEL_SHA256)
    assert [step.number for step in verified.steps] == list(range(1, 13))
    assert verified.index == 256
    assert verified.key == claims.public_key()
    assert len(verified.statement.subjects) == 5


def test_alice_verifies_a_folder(policy: TlogPolicy) -> None:
    manifest = Manifest.from_pairs(values()["oms"]["files"].items())
    verified = ask(policy, vector("oms.bundle.json"), predicate_type=OMS, manifest=manifest)
    assert manifest.digest in verified.steps[10].detail


def test_a_folder_claim_is_read_even_without_the_folder(policy: TlogPolicy) -> None:
    verified = ask(policy, vector("oms.bundle.json"), predicate_type=OMS, without_file=True)
    assert "not compared" in verified.steps[10].detail


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"file_sha256": MODEL_SHA256, "without_file": True},
        {"file_sha256": MODEL_SHA256, "predicate_type": OMS},
        {"file_sha256": MODEL_SHA256, "predicate_type": ""},
        {"file_sha256": ""},
        {"file_sha256": MODEL_SHA256.upper()},
        {"manifest": Manifest.from_pairs([("a", MODEL_SHA256)])},
        {"without_file": True, "trusted_root": TrustedRoot(logs=())},
    ],
)
def test_a_question_that_cannot_be_asked(policy: TlogPolicy, question: dict[str, Any]) -> None:
    with pytest.raises(MisuseError):
        ask(policy, **question)


def document(**changed: Any) -> bytes:
    key = {
        "fingerprint": claims.public_key().fingerprint,
        "role": "publisher",
        "owner": "alice",
        "publicKey": claims.public_key().pem,
        "index": 7,
    }
    return json.dumps({"keys": [{**key, **changed}]}).encode()


def test_alice_finds_a_key_by_either_hint(policy: TlogPolicy) -> None:
    ring = parse_keys(document(revoked=None))
    key = TrustedKey(key=claims.public_key(), role="publisher", owner="alice", index=7)
    assert ring == KeyRing(keys=(key,))
    for hint in ("hint_claim", "hint_oms"):
        assert ring.find(values()["keys"]["signer"][hint]) == key
    assert "publisher alice, registered at index 7" in (
        ask(policy, key=key, without_file=True).steps[11].detail
    )
    for stranger in ("", values()["keys"]["mallory"]["hint_claim"]):
        with pytest.raises(VerificationError, match="not trusted here"):
            ring.find(stranger)


def test_an_unlogged_key_has_no_index() -> None:
    assert parse_keys(document(index=None, revoked=9)).keys[0].index is None


@pytest.mark.parametrize(
    "changed",
    [
        {"fingerprint": "0" * 64},
        {"role": "admin"},
        {"publicKey": vector("log.pub").decode()},
        {"index": "7"},
        {"note": 1},
    ],
)
def test_a_bent_document_of_keys_is_malformed(changed: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        parse_keys(document(**changed))


def test_a_revoked_key_may_not_stand_there_a_second_time_as_a_good_one() -> None:
    good, revoked = (json.loads(document(**more))["keys"][0] for more in ({}, {"revoked": 9}))
    with pytest.raises(FormatError, match="stands twice"):
        parse_keys(json.dumps({"keys": [good, revoked]}).encode())


def test_any_role_may_register_its_own_key() -> None:
    for role in ("publisher", "executor", "auditor", "registry"):
        TrustedKey(key=claims.public_key(), role=role).check_role(KEY)
    executor = TrustedKey(key=claims.public_key(), role="executor")
    with pytest.raises(VerificationError):
        executor.check_role(RELEASE)
    replace(executor, role="").check_role(RELEASE)


def test_the_front_door_is_lazy_and_complete() -> None:
    for name in assay.__all__:
        assert getattr(assay, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'forge'"):
        _ = assay.forge
