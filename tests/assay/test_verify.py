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
    assert [step.number for step in verified.steps] == [*range(1, 13), 14]
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
        {"publicKey": claims.public_key().pem.replace("\n", "\r\n")},
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


# ------------------------------------------------------------------ keys across logs

OLD, NEW = "a.example.org", "b.example.org"
LOGS = (OLD, claims.ORIGIN, NEW)


def registered(**fields: Any) -> TrustedKey:
    return TrustedKey(key=claims.public_key(), role="publisher", owner="alice", **fields)


def test_a_key_of_an_earlier_log_counts_in_the_later_ones() -> None:
    key = registered(index=7, log=OLD)
    key.check_index(7, OLD, LOGS)
    key.check_index(0, claims.ORIGIN, LOGS)
    key.check_index(0, NEW, LOGS)
    with pytest.raises(VerificationError, match=r"expected an index from 7, found 6"):
        key.check_index(6, OLD, LOGS)


def test_mallory_may_not_have_signed_in_a_log_that_ended_before_the_key_was_registered() -> None:
    key = registered(index=0, log=NEW)
    with pytest.raises(VerificationError, match=f"from 0 of {NEW}, found 100 of {OLD}"):
        key.check_index(100, OLD, LOGS)


def test_a_key_that_was_revoked_in_a_later_log_counts_until_then() -> None:
    key = registered(index=7, log=OLD, revoked=2, revoked_log=NEW)
    key.check_index(1000, OLD, LOGS)
    key.check_index(1000, claims.ORIGIN, LOGS)
    key.check_index(1, NEW, LOGS)
    with pytest.raises(VerificationError, match="an index below 2, found 2"):
        key.check_index(2, NEW, LOGS)


def test_a_key_that_was_revoked_in_an_earlier_log_counts_no_more() -> None:
    key = registered(index=1, log=OLD, revoked=9)  # in the same log
    key.check_index(8, OLD, LOGS)
    with pytest.raises(VerificationError, match=f"below 9 of {OLD}, found 0 of {NEW}"):
        key.check_index(0, NEW, LOGS)


def test_a_log_that_the_trusted_root_does_not_name_has_no_place_in_the_order() -> None:
    for key in (registered(index=1, log="mallory.example"), registered(index=1, log=OLD)):
        origin = OLD if key.log != OLD else "mallory.example"
        with pytest.raises(VerificationError, match=r"which log came first.*mallory"):
            key.check_index(5, origin, LOGS)
    late = registered(index=1, log=OLD, revoked=3, revoked_log="mallory.example")
    with pytest.raises(VerificationError, match="which log came first"):
        late.check_index(2, OLD, LOGS)


def test_without_a_log_all_indices_are_of_one() -> None:
    key = registered(index=7, revoked=9)
    key.check_index(8, NEW, LOGS)
    with pytest.raises(VerificationError, match="revoked"):
        key.check_index(9, OLD, LOGS)
    registered(index=7, log=OLD).check_index(7)


def test_the_verdict_names_the_log_of_a_key_that_came_from_another(policy: TlogPolicy) -> None:
    root = TrustedRoot(logs=(replace(ROOT.logs[0], origin=OLD, key_id32=bytes(32)), *ROOT.logs))
    step = ask(
        policy, key=registered(index=999, log=OLD), trusted_root=root, without_file=True
    ).steps[11]
    listed = ", as the reader's own list says"
    assert step.detail == f"publisher alice, registered at index 999 of {OLD}{listed}"
    here = registered(index=7, log=claims.ORIGIN)
    assert ask(policy, key=here, without_file=True).steps[11].detail.endswith(f"at index 7{listed}")
    with pytest.raises(VerificationError, match="which log came first"):
        ask(policy, key=registered(index=999, log=OLD), without_file=True)


def test_a_document_of_keys_names_the_logs() -> None:
    (key,) = parse_keys(document(log=OLD, revoked=3, revokedLog=NEW)).keys
    assert key == registered(index=7, log=OLD, revoked=3, revoked_log=NEW)
    for bent in ({"log": "https://a.example.org"}, {"log": ""}, {"revokedLog": None}):
        with pytest.raises(FormatError, match="keys"):
            parse_keys(document(**bent))


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
