"""The whole main job by REST: alice publishes, bob reads, mallory fails."""

from __future__ import annotations

from base64 import b64encode

import pytest

from assay.dsse import load_public_key, parse_envelope, sign
from assay.manifest import OMS, Manifest
from assay.policy import parse_trusted_root
from assay.verify import verify_bundle
from ledger import services as ledger
from registry import selectors
from registry.choices import ClaimKind
from registry.models import AuditEvent, Claim, Release
from registry.services import revisions
from tests import builders
from tests.ledger.builders import sequence
from tests.people import Person
from tests.registry import calls
from tests.registry.calls import API

pytestmark = pytest.mark.usefixtures("opened")


def _commit(person: Person, name: str = "double") -> str:
    client = person.api()
    client.post(f"{API}/models", {"name": name}, format="json")
    files = {
        "README.md": calls.upload(client, builders.CARD),
        "model.onnx": calls.upload(client, builders.ONNX),
    }
    answer = calls.commit(client, f"{person.name}/{name}", files)
    assert answer.status_code == 201, answer.json()
    return str(answer.json()["id"])


def test_alice_publishes_and_bob_reads(alice: Person, bob: Person) -> None:
    client = alice.api()
    made = client.post(f"{API}/models", {"name": "double"}, format="json")
    assert (made.status_code, made.json()["id"]) == (201, "alice/double")
    revision = _commit(alice)
    key = builders.private_key("alice")
    registered = client.post(
        f"{API}/keys",
        {"envelope": builders.key_envelope(key, "alice").to_dict(), "name": "laptop"},
        format="json",
    )
    assert registered.status_code == 201, registered.json()
    revisions.record_inspection(revision, builders.REPORT)

    seen = client.get(f"{API}/models/alice/double/revisions/{revision}/signing").json()
    assert seen["next_version"] == "1.0.0"
    assert seen["previous"] is None
    assert seen["license"] == "mit"
    assert [item["name"] for item in seen["resources"]] == ["README.md", "model.onnx"]
    row = selectors.find_revision(selectors.find_model("alice--double"), revision, alice.user)
    answer = calls.release(
        client,
        "alice/double",
        revision,
        builders.make_claims(row, key),
        registered.json()["fingerprint"],
    )
    assert answer.status_code == 201, answer.json()
    assert answer.json()["number"] == 1
    assert set(answer.json()["claims"]) == {"oms", "card", "release"}

    reader = bob.api("read")
    listed = reader.get(f"{API}/models").json()
    assert [(item["id"], item["latest"]) for item in listed["items"]] == [("alice/double", "1.0.0")]
    found = reader.get(f"{API}/models/alice/double/revisions/{revision}").json()
    assert found["release"] == "1.0.0"
    assert found["manifest"] == seen["manifest"]
    assert "<h1>Double</h1>" in found["card"]["body_html"]
    assert AuditEvent.objects.filter(action="release.publish", user=alice.user).count() == 1


def test_a_stranger_checks_model_sig(alice: Person) -> None:
    release = builders.publish_release(alice)
    url = f"{API}/models/alice/double/releases/1.0.0/model.sig"
    assert calls.error(alice.api().get(url)) == (404, "not_included_yet")
    sequence()
    answer = alice.api().get(url)
    assert answer.status_code == 200
    verify_bundle(
        answer.content,
        key=load_public_key(bytes(release.key.spki)),
        trusted_root=parse_trusted_root(ledger.trusted_root()),
        predicate_type=OMS,
        policy=None,
        manifest=Manifest.from_pairs(selectors.resources(release.revision)),
    )


def test_a_replayed_signature_is_refused(alice: Person) -> None:
    revision, pair = builders.make_revision(alice), builders.make_key(alice)
    envelopes = builders.make_claims(revision, pair.private)
    send = (alice.api(), "alice/double", revision.pk, envelopes, pair.fingerprint)
    assert calls.release(*send).status_code == 201
    again = calls.release(*send)
    assert calls.error(again) == (409, "replayed_signature")
    assert again.json()["error"]["detail"]["entry"] > 0
    assert Release.objects.count() == 1
    assert Claim.objects.count() == 3


def test_mallory_may_not_publish_for_alice(alice: Person, mallory: Person) -> None:
    revision, pair = builders.make_revision(alice), builders.make_key(alice)
    own = builders.make_key(mallory)
    theirs = builders.make_claims(revision, own.private)
    alices = builders.make_claims(revision, pair.private)
    for envelopes, key in ((theirs, own.fingerprint), (alices, pair.fingerprint)):
        answer = calls.release(mallory.api(), "alice/double", revision.pk, envelopes, key)
        assert calls.error(answer) == (403, "not_allowed")
    assert not Release.objects.exists()


def test_mallory_may_not_pass_her_key_off_as_alices(alice: Person, mallory: Person) -> None:
    revision, own = builders.make_revision(alice), builders.make_key(mallory)
    pair = builders.make_key(alice)
    envelopes = builders.make_claims(revision, own.private)
    answer = calls.release(alice.api(), "alice/double", revision.pk, envelopes, own.fingerprint)
    assert calls.error(answer) == (403, "not_allowed")
    answer = calls.release(alice.api(), "alice/double", revision.pk, envelopes, pair.fingerprint)
    assert calls.error(answer) == (400, "bad_signature")
    assert answer.json()["error"]["detail"]["field"] == "signature"


def test_mallory_may_not_release_alices_statements_as_her_own(
    alice: Person, mallory: Person
) -> None:
    """The same files under her name: her revision is another, so alice's words do not fit it."""
    builders.publish_release(alice)
    revision = builders.make_revision(mallory)
    own = builders.make_key(mallory)
    stolen = {
        ClaimKind(claim.kind): parse_envelope(
            {
                "payload": b64encode(bytes(claim.entry.payload.payload)).decode(),
                "payloadType": claim.entry.payload.payload_type,
                "signatures": [{"sig": b64encode(bytes(claim.entry.signature)).decode()}],
            }
        )
        for claim in Claim.objects.select_related("entry__payload")
    }
    answer = calls.release(mallory.api(), "mallory/double", revision.pk, stolen, own.fingerprint)
    assert calls.error(answer) == (400, "bad_signature")
    resigned = {kind: sign(envelope.payload, own.private) for kind, envelope in stolen.items()}
    answer = calls.release(mallory.api(), "mallory/double", revision.pk, resigned, own.fingerprint)
    assert calls.error(answer) == (400, "bad_signature")
    detail = answer.json()["error"]["detail"]
    assert (detail["claim"], detail["field"]) == ("card", "predicate.model")
    assert (detail["expected"], detail["found"]) == ("mallory/double", "alice/double")
    assert Release.objects.count() == 1
