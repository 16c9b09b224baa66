"""Keys: self-signed, owned, logged, backed up and revoked."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from rest_framework.test import APIClient

from assay.canonical import canonical_json, parse_json
from assay.dsse import Envelope, sign
from assay.statements import ModerationPredicate, Observed, Subject, render
from ledger import services as ledger
from registry.choices import KeyRole, KeyState
from registry.errors import BadSignatureError, ConflictError, InvalidInputError
from registry.models import AuditEvent, Key
from registry.services import keys
from tests import builders
from tests.builders import key_envelope, private_key
from tests.ledger.builders import sequence
from tests.people import Person
from tests.registry import calls
from tests.registry.calls import API

pytestmark = pytest.mark.usefixtures("opened")
BACKUP = {
    "wrapped": b64encode(b"wrapped " * 20).decode(),
    "salt": b64encode(b"salt" * 4).decode(),
    "iterations": 600_000,
    "iv": b64encode(b"iv" * 6).decode(),
}


def _register(person: Person, envelope: Envelope, name: str = "laptop") -> Any:
    body = {"envelope": envelope.to_dict(), "name": name}
    return person.api().post(f"{API}/keys", body, format="json")


def test_alice_registers_a_key_and_bob_sees_it(alice: Person, bob: Person) -> None:
    answer = _register(alice, key_envelope(private_key("alice"), "alice"))
    assert answer.status_code == 201, answer.json()
    fingerprint = answer.json()["fingerprint"]
    assert ledger.entry_status(answer.json()["entry"]).index is None
    sequence()
    seen = bob.api().get(f"{API}/keys/{fingerprint}").json()
    assert (seen["owner"], seen["role"], seen["state"], seen["index"]) == (
        "alice",
        "publisher",
        "registered",
        0,
    )
    listed = bob.api().get(f"{API}/keys?owner=Alice").json()["items"]
    assert [item["fingerprint"] for item in listed] == [fingerprint]
    assert bob.api().get(f"{API}/keys?owner=bob").json()["items"] == []
    assert AuditEvent.objects.filter(user=alice.user, action="key.register").count() == 1


def test_mallory_may_not_register_a_key_for_alice(alice: Person, mallory: Person) -> None:
    answer = _register(mallory, key_envelope(private_key("mallory"), "alice"))
    assert calls.error(answer) == (400, "bad_signature")
    detail = answer.json()["error"]["detail"]
    assert detail == {
        "claim": "key",
        "field": "predicate.owner",
        "expected": "mallory",
        "found": "alice",
    }


def test_mallory_may_not_register_alices_key_as_hers(alice: Person, mallory: Person) -> None:
    envelope = key_envelope(private_key("alice"), "mallory", signer=private_key("mallory"))
    answer = _register(mallory, envelope)
    assert calls.error(answer) == (400, "bad_signature")
    assert answer.json()["error"]["detail"]["field"] == "signature"


def test_a_registration_counts_once(alice: Person) -> None:
    envelope = key_envelope(private_key("alice"), "alice")
    assert _register(alice, envelope).status_code == 201
    assert calls.error(_register(alice, envelope)) == (409, "replayed_signature")
    sequence()
    later = key_envelope(private_key("alice"), "alice")  # it has seen a newer checkpoint
    assert calls.error(_register(alice, later)) == (409, "conflict")
    assert Key.objects.count() == 1
    assert ledger.entry_for_claim(Key.objects.get().pk, later.pae_sha256) is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"role": "executor"}, "predicate.role"),
        ({"action": "revoke"}, "predicate.action"),
        ({"previous": "0" * 64}, "predicate.previous"),
        ({"public_key": "no key"}, "predicate.publicKey"),
        (
            {"observed": Observed(origin="localhost", tree_size=9, root_hash="0" * 64)},
            "predicate.observed",
        ),
        (
            {"observed": Observed(origin="elsewhere", tree_size=0, root_hash="0" * 64)},
            "predicate.observed",
        ),
    ],
)
def test_a_statement_that_says_something_else_is_refused(
    alice: Person, changes: dict[str, Any], field: str
) -> None:
    answer = _register(alice, key_envelope(private_key("alice"), "alice", **changes))
    assert calls.error(answer) == (400, "bad_signature")
    assert answer.json()["error"]["detail"]["field"] == field


def test_a_key_has_one_spelling_and_is_the_only_subject(alice: Person) -> None:
    private = private_key("alice")
    statement = parse_json(key_envelope(private, "alice").payload)
    spelled = {**statement, "predicate": {**statement["predicate"]}}
    spelled["predicate"]["publicKey"] += "\n"
    subjects = {**statement, "subject": [{"digest": {"sha256": "0" * 64}}]}
    named = {**statement, "subject": [{**statement["subject"][0], "name": "a\u0000b"}]}
    extra = {**statement, "predicate": {**statement["predicate"], "note": "x"}}
    other = {**statement, "predicateType": "urn:assay:unknown:v1"}
    for value, field in (
        (spelled, "predicate.publicKey"),
        (subjects, "subject"),
        (named, "subject"),
        (extra, "predicate"),
        (other, "predicateType"),
        ({"no": "statement"}, "statement"),
    ):
        answer = _register(alice, sign(canonical_json(value), private))
        assert calls.error(answer) == (400, "bad_signature")
        assert answer.json()["error"]["detail"]["field"] == field


def test_a_statement_of_another_kind_registers_nothing(alice: Person) -> None:
    predicate = ModerationPredicate(
        observed=builders.observed(), action="hide", category="a", reason="b"
    )
    statement = predicate.statement([Subject(name="x", sha256="0" * 64)])
    answer = _register(alice, sign(render(statement), private_key("alice")))
    assert answer.json()["error"]["detail"]["field"] == "predicateType"


def test_an_envelope_is_strict(alice: Person) -> None:
    good = key_envelope(private_key("alice"), "alice").to_dict()
    for envelope in (
        {},
        {**good, "extra": 1},
        {**good, "signatures": good["signatures"] * 2},
        {**good, "payload": good["payload"] + "\n"},
        {**good, "payloadType": "text/plain"},
        {**good, "signatures": [{**good["signatures"][0], "keyid": "alice"}]},
    ):
        body = {"envelope": envelope, "name": "laptop"}
        answer = alice.api().post(f"{API}/keys", body, format="json")
        assert calls.error(answer) == (400, "bad_signature")
    assert not Key.objects.exists()


def test_a_key_has_a_name(alice: Person) -> None:
    envelope = key_envelope(private_key("alice"), "alice")
    assert calls.error(_register(alice, envelope, "")) == (400, "invalid_input")
    with pytest.raises(InvalidInputError):
        keys.register(alice.user, envelope, name=" ")


def test_only_the_owner_gets_the_backup(alice: Person, mallory: Person) -> None:
    key = builders.make_key(alice)
    url = f"{API}/keys/{key.fingerprint}/backup"
    assert calls.error(alice.api().get(url)) == (404, "unknown_key")
    kept = alice.api().put(url, BACKUP, format="json")
    assert kept.status_code == 200, kept.json()
    assert alice.api().get(url).json() == {**BACKUP, "fingerprint": key.fingerprint}
    assert alice.api().put(url, {**BACKUP, "iterations": 700_000}, format="json").status_code == 200
    assert alice.api().get(url).json()["iterations"] == 700_000
    for answer in (
        mallory.api().get(url),
        mallory.api().put(url, BACKUP, format="json"),
        alice.api().get(f"{API}/keys/{'0' * 64}/backup"),
    ):
        assert calls.error(answer) == (404, "unknown_key")
    assert calls.error(APIClient().get(url)) == (401, "not_authenticated")


@pytest.mark.parametrize(
    ("field", "value"),
    [("wrapped", "YQ=="), ("salt", "YQ=="), ("iv", "YQ=="), ("iterations", 1), ("iv", "a b")],
)
def test_a_backup_that_is_none_is_refused(alice: Person, field: str, value: Any) -> None:
    key = builders.make_key(alice)
    body = {**BACKUP, field: value}
    answer = alice.api().put(f"{API}/keys/{key.fingerprint}/backup", body, format="json")
    assert calls.error(answer) == (400, "invalid_input")
    assert answer.json()["error"]["detail"]["field"] == field


# ------------------------------------------------------------------ revocation


def _revoke(person: Person, fingerprint: str, envelope: Envelope) -> Any:
    url = f"{API}/keys/{fingerprint}/revocation"
    body = {"envelope": envelope.to_dict(), "reason": "the laptop is lost"}
    return person.api().post(url, body, format="json")


@pytest.mark.parametrize("signer", ["alice", "alice's other key"])
def test_alice_revokes_a_key_with_it_or_with_another_of_hers(alice: Person, signer: str) -> None:
    key = builders.make_key(alice)
    builders.make_key(alice, "alice's other key")
    envelope = key_envelope(
        private_key("alice"), "alice", signer=private_key(signer), action="revoke"
    )
    answer = _revoke(alice, key.fingerprint, envelope)
    assert answer.status_code == 200, answer.json()
    assert answer.json()["state"] == "revoked"
    assert answer.json()["revocation_reason"] == "the laptop is lost"
    sequence()
    seen = alice.api().get(f"{API}/keys/{key.fingerprint}").json()
    assert seen["revoked_at_index"] == 2
    assert calls.error(_revoke(alice, key.fingerprint, envelope)) == (409, "conflict")


def test_mallory_may_not_revoke_alices_key(alice: Person, mallory: Person) -> None:
    key = builders.make_key(alice)
    builders.make_key(mallory)
    own = key_envelope(private_key("alice"), "alice", action="revoke")
    assert calls.error(_revoke(mallory, key.fingerprint, own)) == (404, "unknown_key")
    forged = key_envelope(
        private_key("alice"), "alice", signer=private_key("mallory"), action="revoke"
    )
    answer = _revoke(alice, key.fingerprint, forged)
    assert answer.json()["error"]["detail"]["field"] == "signature"
    other = key_envelope(private_key("mallory"), "alice", action="revoke")
    answer = _revoke(alice, key.fingerprint, other)
    assert answer.json()["error"]["detail"]["field"] == "predicate.publicKey"
    assert Key.objects.get(pk=key.fingerprint).state == KeyState.REGISTERED


def test_a_revocation_stands(alice: Person) -> None:
    key = builders.make_key(alice)
    envelope = key_envelope(key.private, "alice", action="revoke")
    keys.revoke(alice.user, key.fingerprint, envelope, reason="lost")
    for changes in ({"state": KeyState.REGISTERED}, {"revocation_reason": "none"}):
        with pytest.raises(IntegrityError, match="stands"), transaction.atomic():
            Key.objects.update(**changes)


@pytest.mark.parametrize("reason", ["", " ", "x" * 301])
def test_a_revocation_has_a_reason(alice: Person, reason: str) -> None:
    key = builders.make_key(alice)
    envelope = key_envelope(key.private, "alice", action="revoke")
    with pytest.raises(InvalidInputError):
        keys.revoke(alice.user, key.fingerprint, envelope, reason=reason)
    assert Key.objects.get().state == KeyState.REGISTERED


def test_alice_names_her_keys_and_mallory_does_not(alice: Person, mallory: Person) -> None:
    key = builders.make_key(alice)
    url = f"{API}/keys/{key.fingerprint}"
    answer = alice.api().patch(url, {"name": " desk "}, format="json")
    assert (answer.status_code, answer.json()["name"]) == (200, "desk")
    assert calls.error(alice.api().patch(url, {"name": "a\nb"}, format="json"))[0] == 400
    refused = mallory.api().patch(url, {"name": "mine"}, format="json")
    assert calls.error(refused) == (404, "unknown_key")
    assert Key.objects.get().name == "desk"


# ------------------------------------------------------------------ service keys


def test_a_service_key_belongs_to_the_origin() -> None:
    private = private_key("executor")
    envelope = key_envelope(private, "localhost", role="executor")
    key = keys.register_service_key(envelope, KeyRole.EXECUTOR)
    assert (key.owner, key.role, key.name) == (None, "executor", "executor of localhost")
    sequence()
    later = key_envelope(private, "localhost", role="executor")
    with pytest.raises(ConflictError):
        keys.register_service_key(later, KeyRole.EXECUTOR)


@pytest.mark.parametrize(
    ("owner", "role"), [("alice", "executor"), ("localhost", "auditor"), ("localhost", "publisher")]
)
def test_a_service_key_says_whose_it_is(owner: str, role: str) -> None:
    envelope = key_envelope(private_key("executor"), owner, role=role)
    with pytest.raises(BadSignatureError):
        keys.register_service_key(envelope, KeyRole.EXECUTOR)


def test_a_publishers_key_is_no_service_key() -> None:
    with pytest.raises(InvalidInputError):
        keys.register_service_key(key_envelope(private_key("x"), "localhost"), KeyRole.PUBLISHER)
