"""Rotation: a new key takes the place of an old one, and both say so."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from assay.dsse import Envelope, public_key_of, sign
from ledger import services as ledger
from ledger.models import Entry
from registry import selectors, signers
from registry.choices import KeyState
from registry.errors import ConflictError
from registry.models import AuditEvent, Key, Model
from registry.services import alarms, keys, rotation
from tests import builders
from tests.builders import KeyPair, key_envelope, private_key
from tests.ledger.builders import sequence
from tests.people import Person, make_person
from tests.registry import calls
from tests.registry.calls import API


def both(old: KeyPair, new: str = "new", owner: str = "alice", **changes: Any) -> dict[str, Any]:
    """Return the statement about the key called `new`, signed by it and by `old`."""
    fields = {"action": "supersede", "previous": old.fingerprint, **changes}
    first = key_envelope(private_key(new), owner, **fields)
    return {"envelope": first, "previous": sign(first.payload, old.private)}


def rotate(person: Person, fingerprint: str, signed: dict[str, Envelope]) -> Any:
    body = {name: envelope.to_dict() for name, envelope in signed.items()}
    url = f"{API}/keys/{fingerprint}/rotation"
    return person.api().post(url, {**body, "name": "new laptop"}, format="json")


def fingerprint_of(name: str) -> str:
    return public_key_of(private_key(name).public_key()).fingerprint


@pytest.mark.usefixtures("opened")
class TestOne:
    def test_alice_replaces_her_key_and_both_keys_say_so_in_the_ledger(self, alice: Person) -> None:
        old = builders.make_key(alice)
        answer = rotate(alice, old.fingerprint, both(old))
        assert answer.status_code == 201, answer.json()
        assert answer.json()["previous"] == old.fingerprint
        sequence()
        new = alice.api().get(f"{API}/keys/{fingerprint_of('new')}").json()
        assert (new["state"], new["index"], new["name"]) == ("registered", 1, "new laptop")
        seen = alice.api().get(f"{API}/keys/{old.fingerprint}").json()
        assert (seen["state"], seen["superseded_at_index"]) == ("superseded", 2)
        first, second = Entry.objects.filter(index__gt=0).order_by("index")
        assert first.payload_id == second.payload_id
        assert (first.fingerprint, second.fingerprint) == (new["fingerprint"], old.fingerprint)
        assert AuditEvent.objects.filter(user=alice.user, action="key.rotate").count() == 1

    def test_what_the_old_key_signs_afterwards_is_refused(self, alice: Person) -> None:
        builders.publish_release(alice)
        old = builders.known_key(Key.objects.get(), alice)
        rotation.rotate(alice.user, old.fingerprint, name="new", **both(old))
        later = builders.make_revision(alice, builders.make_model(alice, "second"))
        envelopes = builders.make_claims(later, old.private)
        answer = calls.release(alice.api(), "alice/second", later.pk, envelopes, old.fingerprint)
        assert calls.error(answer) == (403, "not_allowed")

    def test_readers_learn_from_the_key_list_where_the_old_key_ends(self, alice: Person) -> None:
        old = builders.make_key(alice)
        rotation.rotate(alice.user, old.fingerprint, name="new", **both(old))
        sequence()
        listed = alice.api().get("/.well-known/assay/keys.json").json()["keys"]
        found = {item["fingerprint"]: item for item in listed}
        assert found[old.fingerprint]["revoked"] == 2
        assert "revoked" not in found[fingerprint_of("new")]

    def test_mallory_may_not_rotate_alices_key(self, alice: Person, mallory: Person) -> None:
        old = builders.make_key(alice)
        assert calls.error(rotate(mallory, old.fingerprint, both(old))) == (404, "unknown_key")
        assert Key.objects.get().state == KeyState.REGISTERED

    def test_mallory_may_not_do_it_with_alices_account_alone(self, alice: Person) -> None:
        """Whoever has the account and not the key can register another, and not inherit."""
        old = builders.make_key(alice)
        signed = both(old)
        forged = {**signed, "previous": sign(signed["envelope"].payload, private_key("mallory"))}
        answer = rotate(alice, old.fingerprint, forged)
        assert calls.error(answer) == (400, "bad_signature")
        assert "previous key" in answer.json()["error"]["message"]
        swapped = {"envelope": signed["previous"], "previous": signed["envelope"]}
        assert calls.error(rotate(alice, old.fingerprint, swapped)) == (400, "bad_signature")
        assert Entry.objects.count() == 1

    def test_mallory_may_not_make_her_key_the_heir_of_alices(
        self, alice: Person, mallory: Person
    ) -> None:
        old, own = builders.make_key(alice), builders.make_key(mallory)
        inherit = both(own, new="heir", owner="mallory", previous=old.fingerprint)
        answer = rotate(mallory, own.fingerprint, inherit)
        assert answer.json()["error"]["detail"]["field"] == "predicate.previous"

    def test_mallory_may_not_replay_a_rotation(self, alice: Person, mallory: Person) -> None:
        old = builders.make_key(alice)
        signed = both(old)
        assert rotate(alice, old.fingerprint, signed).status_code == 201
        assert calls.error(rotate(alice, old.fingerprint, signed)) == (409, "conflict")
        assert calls.error(rotate(mallory, old.fingerprint, signed)) == (404, "unknown_key")
        registered = {"envelope": signed["envelope"].to_dict(), "name": "again"}
        answer = mallory.api().post(f"{API}/keys", registered, format="json")
        assert calls.error(answer) == (400, "bad_signature")
        assert Entry.objects.count() == 3

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"action": "register"}, "predicate.action"),
            ({"owner": "bob"}, "predicate.owner"),
            ({"role": "auditor"}, "predicate.role"),
            ({"previous": None}, "predicate.previous"),
            ({"previous": "0" * 64}, "predicate.previous"),
        ],
    )
    def test_a_statement_that_says_something_else_is_refused(
        self, alice: Person, changes: dict[str, Any], field: str
    ) -> None:
        old = builders.make_key(alice)
        answer = rotate(alice, old.fingerprint, both(old, **changes))
        assert calls.error(answer) == (400, "bad_signature")
        assert answer.json()["error"]["detail"]["field"] == field

    def test_both_keys_sign_the_same_bytes(self, alice: Person) -> None:
        old = builders.make_key(alice)
        other = both(old, new="another")
        answer = rotate(alice, old.fingerprint, {**both(old), "previous": other["previous"]})
        assert answer.json()["error"]["detail"]["field"] == "payload"

    def test_a_key_does_not_take_its_own_place(self, alice: Person) -> None:
        old = builders.make_key(alice)
        answer = rotate(alice, old.fingerprint, both(old, new="alice"))
        assert calls.error(answer) == (400, "invalid_input")

    def test_a_key_that_is_registered_already_takes_nobodys_place(self, alice: Person) -> None:
        old = builders.make_key(alice)
        builders.make_key(alice, "new")
        answer = rotate(alice, old.fingerprint, both(old))
        assert calls.error(answer) == (409, "conflict")
        assert Entry.objects.count() == 2

    def test_a_revoked_key_names_nobody(self, alice: Person) -> None:
        old = builders.make_key(alice)
        revocation = key_envelope(old.private, "alice", action="revoke")
        keys.revoke(alice.user, old.fingerprint, revocation, reason="stolen")
        answer = rotate(alice, old.fingerprint, both(old))
        assert calls.error(answer) == (409, "conflict")
        assert answer.json()["error"]["detail"]["state"] == "revoked"

    def test_a_superseded_key_can_still_be_called_stolen(self, alice: Person) -> None:
        old = builders.make_key(alice)
        rotation.rotate(alice.user, old.fingerprint, name="new", **both(old))
        sequence()
        revocation = key_envelope(old.private, "alice", signer=private_key("new"), action="revoke")
        key = keys.revoke(alice.user, old.fingerprint, revocation, reason="stolen")
        assert key.state == KeyState.REVOKED
        sequence()
        listed = alice.api().get("/.well-known/assay/keys.json").json()["keys"]
        ends = [item["revoked"] for item in listed if item["fingerprint"] == old.fingerprint]
        assert ends == [2]  # where it was superseded, not where it was revoked

    def test_the_database_keeps_how_a_key_ended(self, alice: Person) -> None:
        old = builders.make_key(alice)
        rotation.rotate(alice.user, old.fingerprint, name="new", **both(old))
        row = Key.objects.filter(pk=old.fingerprint)
        for changes in (
            {"state": KeyState.REGISTERED},
            {"supersession": Key.objects.get(pk=fingerprint_of("new")).entry},
            {"previous": fingerprint_of("new")},
        ):
            with pytest.raises(IntegrityError), transaction.atomic():
                row.update(**changes)

    def test_a_crash_before_the_commit_leaves_the_old_key_as_it_was(
        self, alice: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old = builders.make_key(alice)

        def power_cut(*_: object) -> None:
            raise RuntimeError("power")

        monkeypatch.setattr(alarms, "raise_alarm", power_cut)
        with pytest.raises(RuntimeError, match="power"), transaction.atomic():
            rotation.rotate(alice.user, old.fingerprint, name="new", **both(old))
        assert Key.objects.get().state == KeyState.REGISTERED
        assert Entry.objects.count() == 1
        monkeypatch.undo()
        rotation.rotate(alice.user, old.fingerprint, name="new", **both(old))
        assert Entry.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_of_two_rotations_at_once_one_wins() -> None:
    ledger.ensure_log()
    alice = make_person("alice")
    old = builders.make_key(alice)
    ready, outcomes = threading.Barrier(2), []

    def run(signed: dict[str, Any]) -> None:
        try:
            ready.wait(10)
            rotation.rotate(alice.user, old.fingerprint, name="new", **signed)
            outcomes.append("won")
        except ConflictError as error:
            outcomes.append(str(error.detail["state"]))
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(both(old, new=name),)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["superseded", "won"]
    assert Key.objects.filter(previous=old.fingerprint).count() == 1
    assert Entry.objects.count() == 3


# ------------------------------------------------------------------ who signed a model


def _release(person: Person, number: int, key: KeyPair) -> None:
    model = Model.objects.get(name="double")
    files = {"model.onnx": builders.ONNX, "README.md": builders.CARD, "n.txt": b"%d" % number}
    revision = builders.make_revision(person, model, files)
    builders.publish_release(person, revision, version=f"1.{number}", key=key)


def _pair(row: Key, name: str) -> KeyPair:
    private = private_key(name)
    return KeyPair(private=private, public=public_key_of(private.public_key()), row=row)


@pytest.mark.usefixtures("opened")
def test_a_model_tells_who_signed_it_from_when_to_when(alice: Person) -> None:
    builders.make_model(alice)
    old = builders.make_key(alice)
    _release(alice, 0, old)
    _release(alice, 1, old)
    row = rotation.rotate(alice.user, old.fingerprint, name="new", **both(old))
    _release(alice, 2, _pair(row, "new"))
    other = builders.make_key(alice, "unannounced")
    _release(alice, 3, other)
    _release(alice, 4, _pair(row, "new"))
    items = alice.api().get(f"{API}/models/alice/double/signers").json()["items"]
    told = [(item["change"], item["first"], item["last"], item["releases"]) for item in items]
    assert told == [
        ("returned", "1.4", "1.4", 1),
        ("other", "1.3", "1.3", 1),
        ("rotated", "1.2", "1.2", 1),
        ("first", "1.0", "1.1", 2),
    ]
    assert items[-1]["key"] == old.fingerprint
    newest, *_, second, oldest = selectors.releases(Model.objects.get())
    changed = signers.change_at(newest)
    assert changed is not None
    assert (changed.change, changed.change.alarming) == ("returned", False)
    assert signers.change_at(oldest) is None
    assert signers.change_at(second) is None


@pytest.mark.usefixtures("opened")
def test_two_rotations_in_a_row_are_still_announced(alice: Person) -> None:
    builders.make_model(alice)
    old = builders.make_key(alice)
    _release(alice, 0, old)
    middle = _pair(rotation.rotate(alice.user, old.fingerprint, name="m", **both(old, "m")), "m")
    row = rotation.rotate(alice.user, middle.fingerprint, name="new", **both(middle, "new"))
    _release(alice, 1, _pair(row, "new"))
    model = Model.objects.get()
    assert [one.change for one in signers.history(model)] == ["rotated", "first"]


@pytest.mark.usefixtures("opened")
def test_strangers_do_not_learn_who_signed_a_private_model(alice: Person, bob: Person) -> None:
    builders.make_model(alice, visibility="private")
    answer = bob.api().get(f"{API}/models/alice/double/signers")
    assert calls.error(answer) == (404, "unknown_model")
