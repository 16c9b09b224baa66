"""Which keys may write is what the log says of them, and nothing else."""

from __future__ import annotations

import pytest

from assay.digests import sha256_hex
from assay.statements import (
    ALIAS,
    CARD,
    EXECUTION,
    KEY,
    MODERATION,
    OMS,
    RELEASE,
    REPLAY,
    ModerationPredicate,
    Statement,
    Subject,
)
from ledger.errors import KeyMayNotError, UnregisteredKeyError
from ledger.models import Log
from ledger.services.registered import RegisteredKey, check_may, find_registered
from tests.ledger.builders import OBSERVED, claim, sequence, signed
from tests.ledger.writing import key_statement, public_key, register

ALICE = public_key("alice").fingerprint
MAY = {
    "publisher": {OMS, RELEASE, CARD, ALIAS},
    "executor": {EXECUTION},
    "auditor": {REPLAY},
    "registry": {MODERATION},
}


def about(kind: str, model: object = None) -> Statement:
    predicate = {} if model is None else {"model": model}
    subject = Subject(name="", sha256=sha256_hex(b"x"))
    return Statement(subjects=(subject,), predicate_type=kind, predicate=predicate)


def key(role: str = "publisher", owner: str = "alice") -> RegisteredKey:
    return RegisteredKey(key=public_key("alice"), owner=owner, role=role)


@pytest.mark.parametrize("role", MAY)
def test_a_registered_key_has_the_owner_and_role_of_its_entry(opened: None, role: str) -> None:
    register("alice", role=role, owner="somebody")
    assert find_registered(ALICE) == key(role=role, owner="somebody")


@pytest.mark.parametrize("fingerprint", [ALICE, "", "alice", "0" * 64, "\0", ALICE.upper()])
def test_a_key_that_the_log_does_not_know_does_not_count(opened: None, fingerprint: str) -> None:
    claim(1).append()  # signing something is no registration
    sequence()
    with pytest.raises(UnregisteredKeyError, match="is not registered here") as caught:
        find_registered(fingerprint)
    assert (caught.value.code, caught.value.status) == ("key_not_registered", 403)


def test_a_registration_counts_when_it_has_its_place_in_the_log(opened: None) -> None:
    signed(key_statement("alice")).append()
    with pytest.raises(UnregisteredKeyError, match="not in the log yet"):
        find_registered(ALICE)
    sequence()
    assert find_registered(ALICE).owner == "alice"


def test_mallory_may_not_register_the_key_of_alice(opened: None) -> None:
    """The key signs its own registration: whoever does not hold it cannot say whose it is."""
    register("alice", signer="mallory", owner="mallory")
    with pytest.raises(UnregisteredKeyError, match="is not registered"):
        find_registered(ALICE)
    register("alice")
    assert find_registered(ALICE).owner == "alice"


def test_the_first_registration_says_whose_the_key_is_for_good(opened: None) -> None:
    register("alice")
    register("alice", owner="bob", role="registry")
    assert find_registered(ALICE) == key()


@pytest.mark.parametrize("signer", ["alice", "another key of alice"])
def test_a_revoked_key_does_not_count_from_the_moment_of_its_revocation(
    opened: None, signer: str
) -> None:
    register("alice")
    signed(key_statement("alice", action="revoke"), by=signer).append()
    with pytest.raises(UnregisteredKeyError, match="was revoked"):
        find_registered(ALICE)
    sequence()
    with pytest.raises(UnregisteredKeyError, match="was revoked"):
        find_registered(ALICE)


def test_registering_a_revoked_key_again_does_not_bring_it_back(opened: None) -> None:
    register("alice", action="revoke")
    register("alice", owner="alice again")
    with pytest.raises(UnregisteredKeyError, match="was revoked"):
        find_registered(ALICE)


def test_a_rotation_that_the_key_before_did_not_sign_registers_nothing(opened: None) -> None:
    register("alice", action="supersede", previous=public_key("bob").fingerprint)
    with pytest.raises(UnregisteredKeyError, match="is not registered"):
        find_registered(ALICE)


def test_a_key_entry_of_another_form_says_nothing(opened: None) -> None:
    about_alice = Subject(name="", sha256=ALICE)
    strange = Statement(subjects=(about_alice,), predicate_type=KEY, predicate={"role": "all"})
    signed(strange).append()
    sequence()
    with pytest.raises(UnregisteredKeyError, match="is not registered"):
        find_registered(ALICE)


def test_a_key_counts_in_the_logs_that_follow_its_own(opened: None) -> None:
    register("alice")
    old = Log.objects.get()
    Log.objects.create(origin="next.example.org", vkey=old.vkey, root=old.root)
    assert find_registered(ALICE).owner == "alice"


@pytest.mark.parametrize("role", MAY)
@pytest.mark.parametrize("kind", sorted({kind for kinds in MAY.values() for kind in kinds}))
def test_each_role_signs_its_own_kinds(role: str, kind: str) -> None:
    if kind in MAY[role]:
        check_may(key(role=role), about(kind))
        return
    with pytest.raises(KeyMayNotError, match=f"registered as {role}, which may not sign") as caught:
        check_may(key(role=role), about(kind))
    assert (caught.value.code, caught.value.status) == ("key_may_not", 403)


@pytest.mark.parametrize("role", MAY)
def test_no_key_says_anything_about_keys_here(role: str) -> None:
    with pytest.raises(KeyMayNotError, match="on the site"):
        check_may(key(role=role), about(KEY))


@pytest.mark.parametrize("model", ["bob/digits", "alice2/digits", "Alice/digits", "/digits"])
def test_alices_key_may_not_speak_of_the_models_of_bob(model: str) -> None:
    with pytest.raises(KeyMayNotError, match=f"belongs to alice, .* about {model}"):
        check_may(key(), about(RELEASE, model))


def test_alices_key_speaks_of_her_own_models_and_an_executors_of_everybodys() -> None:
    check_may(key(), about(RELEASE, "alice/digits"))
    check_may(key(role="executor", owner="localhost"), about(EXECUTION, "bob/digits"))


def test_a_model_signature_names_no_model() -> None:
    check_may(key(), about(OMS))


# ------------------------------------------------------------------ rotation


def rotate(*signers: str) -> None:
    """Log that the key "new" takes the place of alice's, signed by each of `signers`."""
    statement = key_statement("new", owner="alice", action="supersede", previous=ALICE)
    for signer in signers:
        signed(statement, by=signer).append()


def test_a_key_that_both_signed_counts_and_the_old_one_no_longer(opened: None) -> None:
    register("alice")
    rotate("new", "alice")
    with pytest.raises(UnregisteredKeyError, match="was superseded"):
        find_registered(ALICE)  # at once: what it signs now would stand above
    sequence()
    new = find_registered(public_key("new").fingerprint)
    assert (new.owner, new.role, new.key) == ("alice", "publisher", public_key("new"))
    with pytest.raises(UnregisteredKeyError, match="was superseded"):
        find_registered(ALICE)


def test_mallory_may_not_take_the_place_of_alices_key_alone(opened: None) -> None:
    register("alice")
    rotate("new")
    sequence()
    with pytest.raises(UnregisteredKeyError, match="is not registered"):
        find_registered(public_key("new").fingerprint)
    assert find_registered(ALICE).owner == "alice"


# ------------------------------------------------------------------ what the registry suspends


def acted(action: str, name: str, digest: str, reason: str = "a test") -> None:
    predicate = ModerationPredicate(
        observed=OBSERVED, action=action, category="other", reason=reason
    )
    signed(predicate.statement([Subject(name=name, sha256=digest)]), by="registry").append()


def test_a_key_that_the_registry_suspends_counts_no_longer_and_stays_so(opened: None) -> None:
    register("alice")
    acted("hide", "", ALICE)  # as if it were a file
    assert find_registered(ALICE) == key()
    acted("suspend", "", ALICE)
    with pytest.raises(UnregisteredKeyError, match="suspended by the registry"):
        find_registered(ALICE)


def test_the_keys_of_who_is_suspended_count_again_when_they_are_reinstated(opened: None) -> None:
    register("alice")
    name = sha256_hex(b"alice")
    acted("suspend", "", name)  # a key whose digest that were; not the owner
    assert find_registered(ALICE) == key()
    acted("suspend", "alice", name)
    with pytest.raises(UnregisteredKeyError, match="alice is suspended"):
        find_registered(ALICE)
    acted("reinstate", "alice", name)
    assert find_registered(ALICE) == key()


def test_what_is_no_statement_of_moderators_suspends_nobody(opened: None) -> None:
    register("alice")
    subject = Subject(name="", sha256=ALICE)
    predicate = {"action": "suspend"}
    signed(
        Statement(subjects=(subject,), predicate_type=MODERATION, predicate=predicate),
        by="registry",
    ).append()
    assert find_registered(ALICE) == key()
