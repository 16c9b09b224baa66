"""Forged and late moves of aliases: each is refused with the exact answer, and leaves nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from rest_framework.test import APIClient

from assay.canonical import canonical_json, parse_json
from assay.dsse import Envelope, sign
from assay.statements import parse_statement
from ledger import services as ledger
from registry import moves, selectors
from registry.errors import RegistryError
from registry.models import Alias, AliasMove, Release
from registry.services import aliases, audit, keys, releases
from tests import builders
from tests.builders import CARD, ONNX, alias_envelope, move_alias, private_key
from tests.people import Person
from tests.registry import calls
from tests.registry.alias_calls import ALIASES, another, point, send
from tests.registry.calls import API

pytestmark = pytest.mark.usefixtures("opened")

# ------------------------------------------------------------------ forged moves


LIES: list[tuple[dict[str, Any], str]] = [
    ({"model": "alice/other"}, "predicate.model"),
    ({"model": "mallory/double"}, "predicate.model"),
    ({"alias": "staging"}, "predicate.alias"),
    ({"alias": "Production"}, "predicate.alias"),
    ({"subject": "0" * 64}, "subject"),
]


@pytest.mark.parametrize(("lie", "field"), LIES)
def test_a_statement_that_says_something_else_is_refused_with_both_values(
    alice: Person, first: Release, lie: dict[str, Any], field: str
) -> None:
    answer = point(alice, first, **lie)
    assert calls.error(answer) == (400, "bad_signature")
    detail = answer.json()["error"]["detail"]
    assert (detail["claim"], detail["field"]) == ("alias", field)
    assert detail["expected"] != detail["found"]
    assert not Alias.objects.exists()


def _changed(envelope: Envelope, path: str, value: Any) -> Envelope:
    statement = parse_json(envelope.payload)
    *parents, last = path.split(".")
    place: Any = statement
    for name in parents:
        place = place[name]
    place[last] = value
    return sign(canonical_json(statement), private_key("alice"))


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("predicateType", "urn:assay:card:v1", "predicateType"),
        ("_type", "https://in-toto.io/Statement/v0.1", "payload"),
        ("predicate.extra", 1, "predicate"),
        ("predicate.revision", None, "predicate.revision"),  # a move to nothing cannot be said
        ("predicate.observed.rootHash", "0" * 64, "predicate.observed"),
        ("predicate.observed.origin", "elsewhere.example", "predicate.observed"),
        ("subject", [{"digest": {"sha256": "0" * 64}}] * 2, "subject"),
    ],
)
def test_a_statement_of_another_form_is_refused(
    alice: Person, first: Release, path: str, value: Any, field: str
) -> None:
    answer = send(alice.api(), _changed(alias_envelope(first, private_key("alice")), path, value))
    assert calls.error(answer) == (400, "bad_signature")
    assert answer.json()["error"]["detail"]["field"] == field
    assert not Alias.objects.exists()


def test_mallory_may_not_move_alices_alias(
    alice: Person, mallory: Person, first: Release, second: Release
) -> None:
    builders.make_key(mallory)
    move_alias(alice, first)
    for signer in ("alice", "mallory"):
        envelope = alias_envelope(second, private_key(signer), previous=first.revision_id)
        answer = send(mallory.api(), envelope, signer=signer)
        assert calls.error(answer) == (403, "not_allowed")
    anonymous = send(APIClient(), alias_envelope(second, private_key("alice")))
    assert calls.error(anonymous) == (401, "not_authenticated")
    read_only = send(alice.api("read"), alias_envelope(second, private_key("alice")))
    assert calls.error(read_only) == (403, "not_allowed")
    assert AliasMove.objects.count() == 1


def test_mallorys_key_signs_nothing_for_alice(
    alice: Person, mallory: Person, first: Release
) -> None:
    """Her key under its own name is not alice's; under the name of alice's key it did not sign."""
    builders.make_key(mallory)
    forged = alias_envelope(first, private_key("mallory"))
    assert calls.error(send(alice.api(), forged, signer="mallory")) == (403, "not_allowed")
    answer = send(alice.api(), forged, signer="alice")
    assert calls.error(answer) == (400, "bad_signature")
    assert answer.json()["error"]["detail"]["field"] == "signature"
    unknown = send(alice.api(), alias_envelope(first, private_key("nobody")), signer="nobody")
    assert calls.error(unknown) == (404, "unknown_key")
    assert not Alias.objects.exists()


def test_a_revoked_key_moves_nothing(alice: Person, first: Release) -> None:
    envelope = alias_envelope(first, private_key("alice"))
    revocation = builders.key_envelope(private_key("alice"), "alice", action="revoke")
    keys.revoke(alice.user, first.key_id, revocation, reason="lost")
    answer = send(alice.api(), envelope)
    assert calls.error(answer) == (403, "not_allowed")
    assert "revoked" in answer.json()["error"]["message"]
    assert not Alias.objects.exists()


def test_the_statement_of_another_model_moves_nothing(
    alice: Person, mallory: Person, first: Release
) -> None:
    """Mallory copies the model and its alias; alice's words do not fit her model, nor hers his."""
    move_alias(alice, first)
    row = AliasMove.objects.select_related("entry__payload").get().entry
    stolen = builders.alias_envelope(first, private_key("alice"))
    assert stolen.payload == bytes(row.payload.payload)
    revision = builders.make_revision(mallory)
    own = builders.publish_release(mallory, revision)
    resigned = sign(stolen.payload, private_key("mallory"))
    client, key = mallory.api(), own.key_id
    address = f"{API}/models/mallory/double/aliases/production/moves"
    body = {"envelope": resigned.to_dict(), "key": key}
    answer = client.post(address, body, format="json")
    assert calls.error(answer) == (400, "bad_signature")
    assert answer.json()["error"]["detail"]["field"] == "predicate.model"
    foreign = alias_envelope(own, private_key("alice"), model="alice/double")
    assert calls.error(send(alice.api(), foreign, "staging")) == (400, "bad_signature")
    foreign = alias_envelope(own, private_key("alice"), "staging", model="alice/double")
    assert calls.error(send(alice.api(), foreign, "staging")) == (404, "unknown_revision")


def test_a_stale_previous_is_a_conflict_with_both(
    alice: Person, first: Release, second: Release
) -> None:
    third = another(alice, first, "3.0.0")
    move_alias(alice, first)
    move_alias(alice, second)
    for stale in (None, first.revision_id):
        answer = point(alice, third, stale)
        assert calls.error(answer) == (409, "conflict")
        detail = answer.json()["error"]["detail"]
        assert (detail["present"], detail["previous"]) == (second.revision_id, stale)
    assert AliasMove.objects.count() == 2
    assert point(alice, third, second.revision_id).status_code == 201


def test_a_new_alias_comes_from_nowhere(alice: Person, first: Release, second: Release) -> None:
    answer = point(alice, second, first.revision_id)
    assert calls.error(answer) == (409, "conflict")
    assert answer.json()["error"]["detail"]["present"] is None


def test_an_alias_does_not_move_to_where_it_stands(alice: Person, first: Release) -> None:
    move_alias(alice, first)
    answer = point(alice, first, first.revision_id)
    assert calls.error(answer) == (409, "conflict")
    assert "there already" in answer.json()["error"]["message"]


def test_an_old_statement_cannot_be_played_again(
    alice: Person, first: Release, second: Release
) -> None:
    """Back to the first, by the very statement that put it there once."""
    original = alias_envelope(first, private_key("alice"))
    assert send(alice.api(), original).status_code == 201
    move_alias(alice, second)
    again = send(alice.api(), original)
    assert calls.error(again) == (409, "replayed_signature")
    entry = again.json()["error"]["detail"]["entry"]
    assert AliasMove.objects.get(entry_id=entry).number == 1
    assert Alias.objects.get().release == second


def test_a_statement_that_somebody_logged_by_hand_moves_nothing(
    alice: Person, first: Release
) -> None:
    """The log takes any publisher's alias statement; the registry's own record is what counts."""
    envelope = alias_envelope(first, private_key("alice"))
    with transaction.atomic():
        ledger.append(envelope, selectors.public_key(first.key), parse_statement(envelope.payload))
    assert calls.error(alice.api().get(f"{ALIASES}/production")) == (404, "unknown_revision")
    assert calls.error(send(alice.api(), envelope)) == (409, "replayed_signature")


@pytest.mark.parametrize("released", [True, False])
def test_an_alias_points_at_releases_only(alice: Person, first: Release, released: bool) -> None:
    revision = builders.make_revision(
        alice, first.model, {"model.onnx": ONNX, "README.md": CARD + b"more"}
    )
    target = "0" * 40 if released else revision.pk
    envelope = alias_envelope(
        first, private_key("alice"), revision=target, subject=revision.manifest
    )
    expected = (404, "unknown_revision") if released else (409, "not_released")
    assert calls.error(send(alice.api(), envelope)) == expected


def test_a_withdrawn_release_is_no_target(alice: Person, first: Release, second: Release) -> None:
    releases.yank(alice.user, first.model, "1.0.0", reason="wrong weights")
    answer = point(alice, first)
    assert calls.error(answer) == (409, "withdrawn")
    assert answer.json()["error"]["detail"]["reason"] == "wrong weights"
    proposal = alice.api().get(f"{ALIASES}/production/signing?version=1.0.0")
    assert calls.error(proposal) == (409, "withdrawn")
    assert not Alias.objects.exists()


def test_an_alias_stays_when_its_release_is_withdrawn(
    alice: Person, first: Release, second: Release
) -> None:
    """Nobody but the publisher's key moves it; readers are told."""
    move_alias(alice, first)
    releases.yank(alice.user, first.model, "1.0.0", reason="wrong weights")
    now = alice.api().get(f"{ALIASES}/production").json()
    assert (now["version"], now["yank_reason"]) == ("1.0.0", "wrong weights")
    assert now["yanked_at"] is not None
    assert selectors.resolve(first.model, "production").version == "1.0.0"
    assert selectors.resolve(first.model, "latest").version == "2.0.0"
    assert point(alice, second, first.revision_id).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_of_two_moves_at_once_one_is_stale(alice: Person, first: Release, second: Release) -> None:
    third = another(alice, first, "3.0.0")
    move_alias(alice, first)
    sent = [
        alias_envelope(release, private_key("alice"), previous=first.revision_id)
        for release in (second, third)
    ]
    ready = threading.Barrier(2)
    ends: list[str] = []

    def run(envelope: Envelope) -> None:
        try:
            ready.wait(10)
            aliases.move(alice.user, first.model, "production", envelope, first.key_id)
            ends.append("moved")
        except RegistryError as error:
            ends.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(envelope,)) for envelope in sent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(ends) == ["conflict", "moved"]
    assert AliasMove.objects.count() == 2
    newest = moves.moves_of(Alias.objects.get())[0]
    assert (newest.previous, newest.release) == (first, Alias.objects.get().release)


def test_nothing_of_a_move_that_fails_late_is_left(
    alice: Person, first: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The audit row is the last write: without it there is no entry, no move, no alias."""

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the disk is full")

    envelope = alias_envelope(first, private_key("alice"))
    with monkeypatch.context() as patch:
        patch.setattr(audit, "note", broken)
        with pytest.raises(RuntimeError):
            aliases.move(alice.user, first.model, "production", envelope, first.key_id)
    assert not Alias.objects.exists()
    assert ledger.entry_for_claim(first.key_id, envelope.pae_sha256) is None
    aliases.move(alice.user, first.model, "production", envelope, first.key_id)
    assert Alias.objects.get().release == first


# ------------------------------------------------------------------ the database itself


def committed(change: Callable[[], object]) -> None:
    """Make a change and ask what is asked when its transaction commits."""
    with transaction.atomic():
        change()
        connection.check_constraints()


def test_no_program_moves_an_alias_without_a_signed_move(
    alice: Person, first: Release, second: Release
) -> None:
    move_alias(alice, first)
    unsigned: list[Callable[[], object]] = [
        lambda: Alias.objects.update(release=second),
        lambda: Alias.objects.create(model=first.model, name="staging", release=first),
    ]
    for change in unsigned:
        with pytest.raises(IntegrityError, match="newest signed move"):
            committed(change)
    forbidden: list[Callable[[], object]] = [
        lambda: Alias.objects.update(name="other"),
        lambda: Alias.objects.get().delete(),
        lambda: AliasMove.objects.update(release=second),
        lambda: AliasMove.objects.update(note="better words"),
    ]
    for change in forbidden:
        with pytest.raises(IntegrityError), transaction.atomic():
            change()


def test_a_move_goes_on_from_the_newest_one(alice: Person, first: Release, second: Release) -> None:
    made = move_alias(alice, first)
    entry = Release.objects.get(pk=second.pk).claims.get(kind="release").entry_id
    good = {
        "alias": made.alias,
        "key": first.key,
        "author_id": alice.user.pk,
        "entry_id": entry,
        "number": 2,
        "previous": first,
        "release": second,
    }
    for lie in (
        {"number": 1},
        {"number": 3},
        {"previous": None},
        {"previous": second},
        {"release": first},
    ):
        with pytest.raises(IntegrityError, match="goes on"), transaction.atomic():
            AliasMove.objects.create(**{**good, **lie})
    with pytest.raises(IntegrityError, match="newest signed move"):
        committed(lambda: AliasMove.objects.create(**good))


def test_the_order_of_the_errors_tells_mallory_nothing(
    alice: Person, mallory: Person, first: Release
) -> None:
    """Who may not move is told so before anything about names, keys or statements."""
    builders.make_key(mallory)
    for name in ("latest", "nothing", "1.0.0"):
        envelope = alias_envelope(first, private_key("mallory"), name)
        answer = send(mallory.api(), envelope, name, signer="mallory")
        assert calls.error(answer) == (403, "not_allowed")


def test_a_malformed_envelope_is_told_as_one(alice: Person, first: Release) -> None:
    body = {"envelope": {"payload": "!"}, "key": first.key_id}
    answer = alice.api().post(f"{ALIASES}/production/moves", body, format="json")
    assert calls.error(answer) == (400, "bad_signature")
    body = {"envelope": {}, "key": "short"}
    answer = alice.api().post(f"{ALIASES}/production/moves", body, format="json")
    assert calls.error(answer) == (400, "invalid_input")
