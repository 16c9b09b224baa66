"""A member's key: made in their browser, registered by an admin of the organisation."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client

from assay.canonical import canonical_json
from assay.dsse import public_key_of
from registry.models import Key
from tests import builders
from tests.builders import key_envelope, private_key
from tests.people import Person, make_person
from tests.registry import calls
from tests.registry.calls import API
from tests.registry.houses import house_model, make_house

pytestmark = pytest.mark.usefixtures("opened")
PAGE = "/settings/keys/member/"
BOBS = public_key_of(private_key("bob's browser").public_key())


def request_of(owner: str = "acme", **changes: Any) -> str:
    """Return what bob's browser makes."""
    envelope = key_envelope(private_key("bob's browser"), owner, **changes).to_dict()
    return canonical_json({"envelope": envelope, "name": "bob's laptop"}).decode()


def send(client: Client, asked: str, **more: str) -> tuple[int, str]:
    answer = client.post(PAGE, {"asked": asked, **more})
    return answer.status_code, unescape(answer.content.decode())


def signed_in(person: Person) -> Client:
    client = Client()
    client.force_login(person.user)
    return client


def test_an_admin_looks_at_bobs_request_and_registers_his_key(alice: Person, bob: Person) -> None:
    acme = make_house(alice, publisher=bob)
    revision = builders.make_revision(alice, house_model(alice, acme))
    admin, asked = signed_in(alice), request_of()
    assert "Register a member's key" in unescape(admin.get("/settings/keys/").content.decode())
    status, page = send(admin, asked)
    assert (status, Key.objects.count()) == (200, 0)
    assert BOBS.fingerprint in page
    assert "Register it for acme" in page
    done = admin.post(PAGE, {"asked": asked, "do": "register"})
    assert done["Location"] == f"/keys/{BOBS.fingerprint}/"
    row = Key.objects.get()
    assert (row.owner, row.name, row.role) == (acme, "bob's laptop", "publisher")
    pair = builders.KeyPair(private=private_key("bob's browser"), public=BOBS, row=row)
    assert builders.publish_release(bob, revision, key=pair).version == "1.0.0"


def test_bob_and_mallory_cannot_register_it_and_are_told_why(
    alice: Person, bob: Person, mallory: Person
) -> None:
    make_house(alice, publisher=bob)
    for person, words in (
        (bob, "This needs the role 'admin' in acme."),
        (mallory, "predicate.owner"),  # to a stranger acme is only another name than theirs
    ):
        status, page = send(signed_in(person), request_of(), do="register")
        assert (status, words in page) == (400, True), page
    body = {"envelope": key_envelope(private_key("bob's browser"), "acme").to_dict(), "name": "x"}
    refused = bob.api().post(f"{API}/keys", body, format="json")
    assert calls.error(refused) == (403, "not_allowed")
    assert not Key.objects.exists()
    assert "member's key" not in unescape(signed_in(bob).get("/settings/keys/").content.decode())


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("", "required"),
        ("no JSON", "no request for a key"),
        ("[]", "no request for a key"),
        ('{"envelope": {}}', "no request for a key"),
        ('{"envelope": {}, "name": "x"}', "no request for a key"),
        ('{"envelope": {}, "name": "x", "admin": true}', "no request for a key"),
    ],
)
def test_what_is_no_request_is_refused_in_words(alice: Person, asked: str, words: str) -> None:
    status, page = send(signed_in(alice), asked)
    assert (status, words in page) == (400, True), page


def test_mallory_cannot_pass_off_a_key_that_she_does_not_hold(
    alice: Person, mallory: Person
) -> None:
    make_house(alice, publisher=mallory)
    forged = key_envelope(private_key("bob's browser"), "acme", signer=private_key("mallory"))
    asked = canonical_json({"envelope": forged.to_dict(), "name": "bob's laptop"}).decode()
    status, page = send(signed_in(alice), asked)
    assert (status, "signature" in page) == (400, True), page
    nameless = asked.replace("bob's laptop", " ")
    assert send(signed_in(alice), nameless)[0] == 400
    assert not Key.objects.exists()


def test_the_page_where_bob_signs_tells_his_browser_that_an_admin_registers(
    alice: Person, bob: Person
) -> None:
    carol = make_person("carol")
    acme = make_house(alice, publisher=bob, admin=carol)
    revision = builders.make_revision(alice, house_model(alice, acme))
    address = f"/publish/acme/double/{revision.pk}/sign/"
    for person, word, button in (
        (bob, "no", "Make the key<"),
        (carol, "yes", "Make the key and register it<"),
    ):
        page = signed_in(person).get(address).content.decode()
        assert f'data-may-register="{word}"' in page
        assert button in page
