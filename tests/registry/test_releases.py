"""Releases: three signatures that say exactly what the server computed, or nothing at all."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from assay.canonical import canonical_json, parse_json
from assay.dsse import Envelope, sign
from ledger import services as ledger
from registry import selectors
from registry.choices import ClaimKind
from registry.claims import next_version
from registry.errors import (
    BadSignatureError,
    InvalidInputError,
    NameTakenError,
    NotAllowedError,
)
from registry.models import AuditEvent, Claim, Key, Model, Release, Revision, RevisionFile
from registry.services import audit, keys, releases, revisions, transfers
from tests import builders
from tests.builders import CARD, ONNX, KeyPair, key_envelope, make_claims
from tests.ledger.builders import sequence
from tests.people import Person
from tests.registry import calls
from tests.registry.calls import API

pytestmark = pytest.mark.usefixtures("opened")


def _edited(envelope: Envelope, pair: KeyPair, path: str, value: Any) -> Envelope:
    """Sign the statement again with one field changed; `path` is dotted."""
    statement = parse_json(envelope.payload)
    *parents, last = path.split(".")
    place: Any = statement
    for name in parents:
        place = place[int(name)] if name.isdigit() else place[name]
    place[int(last) if last.isdigit() else last] = value
    return sign(canonical_json(statement), pair.private)


def _request(revision: Revision, pair: KeyPair) -> releases.Request:
    return releases.Request(
        revision=revision.pk,
        version="1.0.0",
        notes="",
        envelopes=make_claims(revision, pair.private),
        key=pair.fingerprint,
    )


def _publish(person: Person, revision: Revision, pair: KeyPair, version: str = "1.0.0") -> Any:
    envelopes = make_claims(revision, pair.private, version)
    return calls.release(
        person.api(), revision.model.full_name, revision.pk, envelopes, pair.fingerprint, version
    )


def _next(person: Person, revision: Revision, words: bytes) -> Revision:
    return builders.make_revision(
        person, revision.model, {"model.onnx": ONNX, "README.md": CARD + words}, report=None
    )


HEX, REVISION = "0" * 64, "0" * 40
LIES = [
    (ClaimKind.RELEASE, "predicate.model", "alice/other", "predicate.model"),
    (ClaimKind.RELEASE, "predicate.revision", REVISION, "predicate.revision"),
    (ClaimKind.RELEASE, "predicate.version", "1.0.1", "predicate.version"),
    (ClaimKind.RELEASE, "predicate.manifest", HEX, "predicate.manifest"),
    (ClaimKind.RELEASE, "predicate.card", HEX, "predicate.card"),
    (ClaimKind.RELEASE, "predicate.license", "apache-2.0", "predicate.license"),
    (ClaimKind.RELEASE, "predicate.previous", REVISION, "predicate.previous"),
    (ClaimKind.RELEASE, "predicate.observed.treeSize", 99, "predicate.observed"),
    (ClaimKind.RELEASE, "predicate.extra", 1, "predicate"),
    (ClaimKind.RELEASE, "subject.0.digest.sha256", HEX, "subject"),
    (ClaimKind.RELEASE, "subject.1.name", "other.onnx", "subject"),
    (ClaimKind.RELEASE, "subject", [{"name": "README.md", "digest": {"sha256": HEX}}], "subject"),
    (ClaimKind.RELEASE, "predicateType", "urn:assay:card:v1", "predicateType"),
    (ClaimKind.CARD, "predicate.model", "alice/other", "predicate.model"),
    (ClaimKind.CARD, "predicate.revision", REVISION, "predicate.revision"),
    (ClaimKind.CARD, "predicate.manifest", HEX, "predicate.manifest"),
    (ClaimKind.CARD, "predicate.metadata.license", "gpl-3.0", "predicate.metadata"),
    (ClaimKind.CARD, "predicate.metadata", {}, "predicate.metadata"),
    (ClaimKind.CARD, "predicate.observed.rootHash", HEX, "predicate.observed"),
    (ClaimKind.CARD, "subject.0.digest.sha256", HEX, "subject"),
    (ClaimKind.CARD, "subject.0.name", "CARD.md", "subject"),
    (ClaimKind.MODEL_SIGNATURE, "predicate.resources.1.digest", HEX, "subject"),
    (ClaimKind.MODEL_SIGNATURE, "predicate.resources.1.name", "n.onnx", "predicate.resources"),
    (
        ClaimKind.MODEL_SIGNATURE,
        "predicate.serialization.allow_symlinks",
        True,
        "subject",
    ),
    (ClaimKind.MODEL_SIGNATURE, "predicateType", "urn:assay:card:v1", "predicateType"),
    (ClaimKind.MODEL_SIGNATURE, "_type", "https://in-toto.io/Statement/v0.1", "payload"),
]


@pytest.mark.parametrize(("kind", "path", "value", "field"), LIES)
def test_a_statement_with_one_field_changed_is_refused_with_both_values(
    alice: Person, kind: ClaimKind, path: str, value: Any, field: str
) -> None:
    revision, pair = builders.make_revision(alice), builders.make_key(alice)
    envelopes = make_claims(revision, pair.private)
    envelopes[kind] = _edited(envelopes[kind], pair, path, value)
    answer = calls.release(alice.api(), "alice/double", revision.pk, envelopes, pair.fingerprint)
    assert calls.error(answer) == (400, "bad_signature")
    detail = answer.json()["error"]["detail"]
    assert (detail["claim"], detail["field"]) == (str(kind), field)
    if path == field and path.startswith("predicate"):
        assert detail["found"] == value
    assert not Release.objects.exists()
    assert not Claim.objects.exists()


def test_claims_in_each_others_place_are_refused(alice: Person) -> None:
    revision, pair = builders.make_revision(alice), builders.make_key(alice)
    envelopes = make_claims(revision, pair.private)
    card, release = ClaimKind.CARD, ClaimKind.RELEASE
    envelopes[card], envelopes[release] = envelopes[release], envelopes[card]
    answer = calls.release(alice.api(), "alice/double", revision.pk, envelopes, pair.fingerprint)
    assert answer.json()["error"]["detail"]["field"] == "predicateType"


def test_all_three_claims_are_needed(alice: Person) -> None:
    revision, pair = builders.make_revision(alice), builders.make_key(alice)
    envelopes = make_claims(revision, pair.private)
    del envelopes[ClaimKind.CARD]
    answer = calls.release(alice.api(), "alice/double", revision.pk, envelopes, pair.fingerprint)
    assert calls.error(answer) == (400, "invalid_input")
    request = releases.Request(
        revision=revision.pk, version="1", notes="", envelopes=envelopes, key=pair.fingerprint
    )
    with pytest.raises(InvalidInputError):
        releases.publish(alice.user, revision.model, request)


def test_the_order_of_subjects_means_nothing(alice: Person) -> None:
    revision, pair = builders.make_revision(alice), builders.make_key(alice)
    envelopes = make_claims(revision, pair.private)
    subjects = parse_json(envelopes[ClaimKind.RELEASE].payload)["subject"]
    envelopes[ClaimKind.RELEASE] = _edited(
        envelopes[ClaimKind.RELEASE], pair, "subject", subjects[::-1]
    )
    answer = calls.release(alice.api(), "alice/double", revision.pk, envelopes, pair.fingerprint)
    assert answer.status_code == 201, answer.json()


def test_a_failure_at_the_end_leaves_nothing(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision, pair = builders.make_revision(alice), builders.make_key(alice)
    request = _request(revision, pair)

    def broken(*_: Any, **__: Any) -> None:
        raise OSError("the connection to the database is gone")

    with monkeypatch.context() as patch:
        patch.setattr(audit, "note", broken)
        with pytest.raises(OSError, match="gone"):
            releases.publish(alice.user, revision.model, request)
    assert not Release.objects.exists()
    assert not Claim.objects.exists()
    for envelope in request.envelopes.values():
        assert ledger.entry_for_claim(pair.fingerprint, envelope.pae_sha256) is None
    assert releases.publish(alice.user, revision.model, request).number == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_releases_at_once_exactly_one_wins(alice: Person) -> None:
    """Both name the same predecessor, so the second is wrong as soon as the first is there."""
    ledger.ensure_log()
    first, pair = builders.make_revision(alice), builders.make_key(alice)
    requests = [_request(revision, pair) for revision in (first, _next(alice, first, b"more\n"))]
    barrier = threading.Barrier(2)
    outcomes: list[str] = []

    def publish(request: releases.Request) -> None:
        try:
            barrier.wait(10)
            outcomes.append(releases.publish(alice.user, first.model, request).version)
        except (BadSignatureError, NameTakenError) as error:
            outcomes.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=publish, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["1.0.0", "name_taken"]
    assert Claim.objects.count() == 3


def test_what_was_not_inspected_or_failed_cannot_be_released(alice: Person) -> None:
    revision, pair = builders.make_revision(alice, report=None), builders.make_key(alice)
    assert calls.error(_publish(alice, revision, pair)) == (409, "not_inspected")
    failed = {**builders.REPORT, "verdict": "failed"}
    revisions.record_inspection(revision.pk, failed)
    assert calls.error(_publish(alice, revision, pair)) == (409, "not_inspected")


def test_a_revision_is_released_once(alice: Person) -> None:
    revision, pair = builders.make_revision(alice), builders.make_key(alice)
    assert _publish(alice, revision, pair).status_code == 201
    sequence()
    answer = _publish(alice, revision, pair, "2.0.0")
    assert calls.error(answer) == (409, "conflict")
    assert answer.json()["error"]["detail"] == {"version": "1.0.0"}


def test_alice_goes_back_to_what_she_released_before(alice: Person) -> None:
    """The model signature is the same claim again: the log has it once, both releases show it."""
    first, pair = builders.make_revision(alice), builders.make_key(alice)
    assert _publish(alice, first, pair).status_code == 201
    second = _next(alice, first, b"worse\n")
    assert _publish(alice, second, pair, "1.1.0").status_code == 201
    third = _next(alice, second, b"")
    assert third.manifest == first.manifest
    answer = _publish(alice, third, pair, "1.2.0")
    assert answer.status_code == 201, answer.json()
    old, new = (selectors.find_release(first.model, v) for v in ("1.0.0", "1.2.0"))
    oms = ClaimKind.MODEL_SIGNATURE
    assert old.claims.get(kind=oms).entry_id == new.claims.get(kind=oms).entry_id
    sequence()
    assert selectors.oms_bundle(old) == selectors.oms_bundle(new)


def test_a_release_needs_a_card(alice: Person) -> None:
    revision = builders.make_revision(alice, files={"model.onnx": ONNX})
    url = f"{API}/models/alice/double/revisions/{revision.pk}/signing"
    answer = alice.api().get(url)
    assert calls.error(answer) == (400, "invalid_input")
    assert "README.md" in answer.json()["error"]["message"]


def test_a_revoked_key_releases_nothing(alice: Person) -> None:
    revision, pair = builders.make_revision(alice), builders.make_key(alice)
    revocation = key_envelope(pair.private, "alice", action="revoke")
    keys.revoke(alice.user, pair.fingerprint, revocation, reason="lost")
    assert calls.error(_publish(alice, revision, pair)) == (403, "not_allowed")


def test_a_key_that_nobody_registered_releases_nothing(alice: Person) -> None:
    revision = builders.make_revision(alice)
    envelopes = make_claims(revision, builders.private_key("unknown"))
    answer = calls.release(alice.api(), "alice/double", revision.pk, envelopes, HEX)
    assert calls.error(answer) == (404, "unknown_key")


def test_the_next_release_names_the_one_before(alice: Person) -> None:
    first, pair = builders.make_revision(alice), builders.make_key(alice)
    assert _publish(alice, first, pair).status_code == 201
    sequence()
    second = _next(alice, first, b"more\n")
    seen = alice.api().get(f"{API}/models/alice/double/revisions/{second.pk}/signing").json()
    assert (seen["previous"], seen["next_version"]) == (first.pk, "1.0.1")
    assert seen["observed"]["treeSize"] == 4
    answer = _publish(alice, second, pair, seen["next_version"])
    assert answer.json()["number"] == 2
    listed = alice.api().get(f"{API}/models/alice/double/releases").json()["items"]
    assert [(item["version"], item["number"]) for item in listed] == [("1.0.1", 2), ("1.0.0", 1)]
    assert {claim["index"] for claim in listed[1]["claims"].values()} == {1, 2, 3}
    one = alice.api().get(f"{API}/models/alice/double/releases/1.0.0").json()
    assert one == {**listed[1], "notes_html": "<p>the first one</p>\n"}


@pytest.mark.parametrize(
    "version", ["", "a b", "..", "1--0", "latest/1", "-1", "infer", "a" * 40, "x" * 97]
)
def test_a_version_is_a_name(alice: Person, version: str) -> None:
    revision, pair = builders.make_revision(alice), builders.make_key(alice)
    envelopes = make_claims(revision, pair.private)
    answer = calls.release(
        alice.api(), "alice/double", revision.pk, envelopes, pair.fingerprint, version
    )
    assert calls.error(answer) == (400, "invalid_input")


def test_a_version_is_given_once(alice: Person) -> None:
    first, pair = builders.make_revision(alice), builders.make_key(alice)
    assert _publish(alice, first, pair, "1.0.0-RC1").status_code == 201
    second = _next(alice, first, b"more\n")
    assert calls.error(_publish(alice, second, pair, "1.0.0-rc1")) == (409, "name_taken")


@pytest.mark.parametrize(
    ("last", "proposed"),
    [(None, "1.0.0"), ("1.0.9", "1.0.10"), ("v3", "v4"), ("2-beta", "3-beta"), ("x", "x-2")],
)
def test_the_next_version_is_proposed(last: str | None, proposed: str) -> None:
    assert next_version(last) == proposed


# ------------------------------------------------------------------ withdrawal


def test_a_withdrawn_release_is_no_longer_the_newest(alice: Person, mallory: Person) -> None:
    first, pair = builders.make_revision(alice), builders.make_key(alice)
    _publish(alice, first, pair)
    second = _next(alice, first, b"more\n")
    _publish(alice, second, pair, "1.1.0")
    url = f"{API}/models/alice/double/releases/1.1.0/yank"
    reason = {"reason": "wrong labels"}
    assert calls.error(mallory.api().post(url, reason, format="json")) == (403, "not_allowed")
    answer = alice.api().post(url, reason, format="json")
    assert answer.json()["yank_reason"] == "wrong labels"
    assert calls.error(alice.api().post(url, reason, format="json")) == (409, "conflict")
    model = selectors.find_model("alice/double")
    assert selectors.resolve(model, None).version == "1.0.0"
    assert selectors.resolve(model, "1.1.0").revision == second
    assert alice.api().get(f"{API}/models/alice/double").json()["latest"] == "1.0.0"
    with pytest.raises(IntegrityError, match="stands"), transaction.atomic():
        Release.objects.update(yank_reason="no reason")
    with pytest.raises(InvalidInputError):
        releases.yank(alice.user, model, "1.0.0", reason=" ")


# ------------------------------------------------------------------ history


@pytest.mark.parametrize(
    ("table", "change"),
    [
        (Release, {"version": "9"}),
        (Release, {"notes": "other"}),
        (Claim, {"kind": "x"}),
        (Revision, {"message": "other"}),
        (Revision, {"card_body": "other"}),
        (RevisionFile, {"path": "other"}),
        (Key, {"role": "registry"}),
        (AuditEvent, {"action": "other"}),
    ],
)
def test_the_database_keeps_history(alice: Person, table: Any, change: dict[str, str]) -> None:
    builders.publish_release(alice)
    with pytest.raises(IntegrityError, match="history"), transaction.atomic():
        table.objects.update(**change)
    with pytest.raises(IntegrityError, match="history"), transaction.atomic():
        table.objects.all()._raw_delete("default")


def test_a_model_with_history_cannot_be_deleted(alice: Person) -> None:
    builders.publish_release(alice)
    with pytest.raises(IntegrityError):
        Model.objects.get().delete()


# ------------------------------------------------------------------ withdrawn, noted, listed


def test_notes_are_markdown_that_runs_nothing(alice: Person) -> None:
    revision, pair = builders.make_revision(alice), builders.make_key(alice)
    notes = "# Better\n\n<script>alert(1)</script> [here](javascript:alert(1)) **faster**"
    body = {
        "revision": revision.pk,
        "version": "1.0.0",
        "notes": notes,
        "claims": {
            str(kind): envelope.to_dict()
            for kind, envelope in make_claims(revision, pair.private).items()
        },
        "key": pair.fingerprint,
    }
    address = f"{API}/models/alice/double/releases"
    assert alice.api().post(address, body, format="json").status_code == 201
    told = alice.api().get(f"{address}/1.0.0").json()
    assert told["notes"] == notes
    assert "<strong>faster</strong>" in told["notes_html"]
    assert "<script" not in told["notes_html"]
    assert 'href="javascript' not in told["notes_html"]


def test_the_list_of_releases_comes_in_pages(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selectors, "PAGE", 2)
    first = builders.publish_release(alice)
    for number in (1, 2):
        revision = _next(alice, first.revision, b"%d" % number)
        revisions.record_inspection(revision.pk, builders.REPORT)
        builders.publish_release(alice, revision, version=f"1.0.{number}")
    address = f"{API}/models/alice/double/releases"
    page = alice.api().get(address).json()
    assert ([item["number"] for item in page["items"]], page["next"]) == ([3, 2], "2")
    rest = alice.api().get(f"{address}?cursor=2").json()
    assert ([item["number"] for item in rest["items"]], rest["next"]) == ([1], "")
    assert calls.error(alice.api().get(f"{address}?cursor=x")) == (400, "invalid_input")


def test_mallory_may_not_withdraw_and_a_withdrawal_is_final(alice: Person, mallory: Person) -> None:
    release = builders.publish_release(alice)
    address = f"{API}/models/alice/double/releases/1.0.0/yank"
    refused = mallory.api().post(address, {"reason": "mine now"}, format="json")
    assert calls.error(refused) == (403, "not_allowed")
    done = alice.api().post(address, {"reason": "wrong weights"}, format="json")
    assert (done.status_code, done.json()["yank_reason"]) == (200, "wrong weights")
    again = alice.api().post(address, {"reason": "other words"}, format="json")
    assert calls.error(again) == (409, "conflict")
    for change in ({"yanked_at": None}, {"yank_reason": "other words"}, {"notes": "x"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Release.objects.filter(pk=release.pk).update(**change)
    with pytest.raises(NameTakenError):
        builders.publish_release(
            alice, _inspected(_next(alice, release.revision, b"again")), version="1.0.0"
        )


def test_who_gave_the_model_away_meanwhile_withdraws_nothing(alice: Person, bob: Person) -> None:
    """The right is asked for again under the lock: the model that the request read is old."""
    release = builders.publish_release(alice)
    seen = selectors.find_model("alice/double")
    transfers.accept(bob.user, transfers.offer(alice.user, release.model, to="bob").pk)
    with pytest.raises(NotAllowedError, match="Only bob"):
        releases.yank(alice.user, seen, "1.0.0", reason="out of spite")
    assert selectors.find_release(release.model, "1.0.0").yanked_at is None


def _inspected(revision: Revision) -> Revision:
    revisions.record_inspection(revision.pk, builders.REPORT)
    return selectors.find_revision(revision.model, revision.pk)
