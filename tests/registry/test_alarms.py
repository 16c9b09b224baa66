"""A key's owner hears of each change by e-mail, and what to do when it was not them."""

from __future__ import annotations

import pytest
from django.core import mail

from assay.dsse import sign
from registry.choices import Role
from registry.errors import NotAllowedError
from registry.models import Letter
from registry.services import keys, letters, organisations, rotation
from registry.tasks import send_letters
from tests import builders
from tests.builders import key_envelope, private_key
from tests.people import Person

pytestmark = pytest.mark.usefixtures("opened")


def test_alice_hears_of_a_new_key_of_a_rotation_and_of_a_revocation(alice: Person) -> None:
    old = builders.make_key(alice)
    first = key_envelope(private_key("new"), "alice", action="supersede", previous=old.fingerprint)
    new = rotation.rotate(
        alice.user,
        old.fingerprint,
        envelope=first,
        previous=sign(first.payload, old.private),
        name="desk",
    )
    envelope = key_envelope(private_key("new"), "alice", action="revoke")
    keys.revoke(alice.user, new.fingerprint, envelope, reason="the desk was stolen")
    send_letters()
    added, rotated, revoked = mail.outbox
    assert [one.to for one in mail.outbox] == [["alice@example.org"]] * 3
    assert added.subject == "A signing key was added for alice"
    assert old.fingerprint in added.body
    assert "If it was NOT you" in added.body
    assert "Revoke the key under" in added.body
    assert rotated.subject == "A signing key of alice was replaced"
    assert old.fingerprint in rotated.body
    assert new.fingerprint in rotated.body
    assert revoked.subject == "A signing key of alice was revoked"
    assert "Reason given: the desk was stolen" in revoked.body
    assert "Register a new key" in revoked.body
    send_letters()
    assert len(mail.outbox) == 3


def test_all_admins_of_an_organisation_hear_of_a_key_and_nobody_else(
    alice: Person, bob: Person, mallory: Person
) -> None:
    made = organisations.create(alice.user, name="acme")
    for person, role in ((bob, Role.ADMIN), (mallory, Role.WRITER)):
        organisations.invite(alice.user, made, name=person.name, role=role)
        organisations.accept(person.user, made)
    Letter.objects.all().delete()
    keys.register(bob.user, key_envelope(private_key("acme"), "acme"), name="build machine")
    letters.send_due()
    told = sorted(address for one in mail.outbox for address in one.to)
    assert told == ["alice@example.org", "bob@example.org"]
    assert all("By account:   bob" in one.body for one in mail.outbox)


def test_a_member_who_is_no_admin_registers_no_key_for_the_organisation(
    alice: Person, mallory: Person
) -> None:
    made = organisations.create(alice.user, name="acme")
    organisations.invite(alice.user, made, name="mallory", role=Role.PUBLISHER)
    organisations.accept(mallory.user, made)
    with pytest.raises(NotAllowedError, match="role 'admin' in acme"):
        keys.register(mallory.user, key_envelope(private_key("acme"), "acme"), name="mine")
    assert not Letter.objects.filter(subject__contains="signing key").exists()
