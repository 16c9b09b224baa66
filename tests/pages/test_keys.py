"""Keys' pages: a history, an import, who signed a model, which builds may publish it."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from assay.dsse import public_key_of, sign
from ledger import services as ledger
from registry import proofs
from registry.choices import Role
from registry.models import Key, Model, TrustedPublisher
from registry.services import keys, organisations, rotation
from tests import builders
from tests.builders import KeyPair, key_envelope, private_key
from tests.ledger.builders import sequence
from tests.pages.conftest import Site
from tests.pages.html import faults, parse
from tests.people import Person

IMPORT = "/settings/keys/import/"


def text(client: Client, path: str, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status
    page = response.content.decode()
    assert faults(parse(page)) == [], path
    return unescape(page)


def rotated(person: Person, pair: KeyPair, name: str = "new") -> KeyPair:
    """Replace a key by the one called `name`."""
    private = private_key(name)
    first = key_envelope(private, person.name, action="supersede", previous=pair.fingerprint)
    row = rotation.rotate(
        person.user,
        pair.fingerprint,
        envelope=first,
        previous=sign(first.payload, pair.private),
        name="new laptop",
    )
    return KeyPair(private=private, public=public_key_of(private.public_key()), row=row)


# ------------------------------------------------------------------ one key


def test_a_key_shows_its_whole_history(site: Site, reader: Client) -> None:
    old = builders.known_key(Key.objects.get(), site.alice)
    new = rotated(site.alice, old)
    sequence()
    page = text(reader, f"/keys/{old.fingerprint}/")
    assert "Another key took its place" in page
    assert "superseded by" in page
    assert f"/keys/{new.fingerprint}/" in page
    heir = text(reader, f"/keys/{new.fingerprint}/")
    assert "registered, and took the place of" in heir
    envelope = key_envelope(old.private, "alice", signer=new.private, action="revoke")
    keys.revoke(site.alice.user, old.fingerprint, envelope, reason="found in a public bucket")
    page = text(reader, f"/keys/{old.fingerprint}/")
    assert "alice says: found in a public bucket." in page
    assert "waiting for a checkpoint" in page
    sequence()
    assert "waiting" not in text(reader, f"/keys/{old.fingerprint}/")
    assert f"/ledger/?signer={old.fingerprint}" in page


def test_alice_names_a_key_on_her_page_and_mallory_does_not(
    site: Site, as_alice: Client, mallory: Person
) -> None:
    key = Key.objects.get()
    url = f"/keys/{key.fingerprint}/rename/"
    assert as_alice.post(url, {"name": "attic"})["Location"] == "/settings/keys/"
    assert "attic" in text(as_alice, "/settings/keys/")
    as_alice.post(url, {"name": ""})
    assert "1 to 80 printable characters" in text(as_alice, "/settings/keys/")
    other = Client()
    assert other.post(url, {"name": "mine"})["Location"].startswith("/accounts/login/")
    other.force_login(mallory.user, backend="django.contrib.auth.backends.ModelBackend")
    other.post(url, {"name": "mine"})
    assert Key.objects.get().name == "attic"


# ------------------------------------------------------------------ a key made elsewhere


def paste(client: Client, pem: str, **more: str) -> Any:
    body = {"owner": "alice", "name": "build machine", "public_key": pem, **more}
    return client.post(IMPORT, body)


def test_alice_imports_a_key_that_was_made_elsewhere(site: Site, as_alice: Client) -> None:
    private = private_key("cosign")
    public = public_key_of(private.public_key())
    shown = paste(as_alice, public.pem)
    assert shown.status_code == 200
    page = unescape(shown.content.decode())
    assert "cosign attest-blob" in page
    assert public.fingerprint in page.replace("<span>", "").replace("</span>", "")
    statement = proofs.registration(public, "alice", ledger.observed())
    assert statement.decode() in page
    proof = sign(statement, private).to_json().decode()
    done = paste(as_alice, public.pem, proof=proof)
    assert done["Location"] == f"/keys/{public.fingerprint}/"
    assert Key.objects.get(pk=public.fingerprint).name == "build machine"


def test_who_does_not_hold_the_key_does_not_import_it(site: Site, as_alice: Client) -> None:
    public = public_key_of(private_key("cosign").public_key())
    statement = proofs.registration(public, "alice", ledger.observed())
    other = public_key_of(private_key("other").public_key())
    about_other = proofs.registration(other, "alice", ledger.observed())
    for proof, words in (
        (sign(statement, private_key("mallory")).to_json().decode(), "is not one of key"),
        (sign(about_other, private_key("other")).to_json().decode(), "about another key"),
        ("{}", "no signed statement"),
        ("[]", "is a JSON object"),
        ("not json", "is not JSON"),
    ):
        refused = paste(as_alice, public.pem, proof=proof)
        assert refused.status_code == 400
        assert words in unescape(refused.content.decode())
    assert Key.objects.count() == 1


def test_a_key_is_imported_for_an_organisation_by_its_admin(
    site: Site, as_alice: Client, as_bob: Client
) -> None:
    made = organisations.create(site.alice.user, name="acme")
    organisations.invite(site.alice.user, made, name="bob", role=Role.PUBLISHER)
    organisations.accept(site.bob.user, made)
    private = private_key("acme")
    public = public_key_of(private.public_key())
    assert ">acme<" in text(as_alice, IMPORT)
    assert ">acme<" not in text(as_bob, IMPORT)
    proof = sign(proofs.registration(public, "acme", ledger.observed()), private)
    body = proof.to_json().decode()
    assert paste(as_bob, public.pem, owner="acme", proof=body).status_code == 400
    assert paste(as_alice, public.pem, owner="acme", proof=body).status_code == 302
    assert "of acme" in text(as_alice, "/settings/keys/")


# ------------------------------------------------------------------ who signed


def test_a_change_of_signer_is_marked_where_it_matters(site: Site, reader: Client) -> None:
    model = Model.objects.get(name="double")
    other = builders.make_key(site.alice, "unannounced")
    revision = builders.make_revision(
        site.alice, model, {"model.onnx": builders.ONNX, "README.md": builders.CARD + b"\n2\n"}
    )
    builders.publish_release(site.alice, revision, version="2.0.0", key=other)
    sequence()
    for path in ("/models/alice/double/", "/models/alice/double/releases/2.0.0/"):
        assert "Signed by another key than the release before" in text(reader, path)
    assert "another key than" not in text(reader, "/models/alice/double/releases/1.0.0/")
    page = text(reader, "/models/alice/double/signers/")
    assert "the first signer, pinned" in page
    assert "look twice" in page


def test_an_announced_change_is_told_without_alarm(site: Site, reader: Client) -> None:
    model = Model.objects.get(name="double")
    new = rotated(site.alice, builders.known_key(Key.objects.get(), site.alice))
    revision = builders.make_revision(
        site.alice, model, {"model.onnx": builders.ONNX, "README.md": builders.CARD + b"\n2\n"}
    )
    builders.publish_release(site.alice, revision, version="2.0.0", key=new)
    sequence()
    page = text(reader, "/models/alice/double/")
    assert "The signing key changed" in page
    assert "named by the key before" in page
    assert "look twice" not in text(reader, "/models/alice/double/signers/")


def test_a_model_without_a_release_was_signed_by_nobody(site: Site, as_alice: Client) -> None:
    assert "This model has no release." in text(as_alice, "/models/alice/waiting/signers/")


# ------------------------------------------------------------------ trusted publishers

TRUSTED = "/models/alice/double/trusted/"


def test_alice_trusts_a_workflow_on_a_page_and_no_more(site: Site, as_alice: Client) -> None:
    form = {"repository": "alice/digits", "workflow": "release.yml", "environment": ""}
    assert "No build is trusted" in text(as_alice, TRUSTED)
    assert as_alice.post(TRUSTED, form)["Location"] == TRUSTED
    assert "alice/digits" in text(as_alice, TRUSTED)
    again = as_alice.post(TRUSTED, form)
    assert (again.status_code, "trusted already" in again.content.decode()) == (400, True)
    wrong = as_alice.post(TRUSTED, {**form, "workflow": "release"})
    assert (wrong.status_code, "release.yml" in wrong.content.decode()) == (400, True)
    remove = f"{TRUSTED}{TrustedPublisher.objects.get().pk}/remove/"
    assert as_alice.post(remove)["Location"] == TRUSTED
    as_alice.post(remove)
    page = text(as_alice, TRUSTED)
    assert "trusted no more" in page
    assert "has no such trusted publisher" in page


def test_the_owner_chooses_among_the_issuers_of_the_site(
    site: Site, as_alice: Client, settings: Settings
) -> None:
    settings.TRUSTED_ISSUERS = ["https://one.example.org", "https://two.example.org"]
    assert "https://two.example.org" in text(as_alice, TRUSTED)
    form = {"repository": "alice/digits", "workflow": "release.yml"}
    as_alice.post(TRUSTED, {**form, "issuer": "https://two.example.org"})
    assert TrustedPublisher.objects.get().issuer == "https://two.example.org"
    settings.TRUSTED_ISSUERS = []
    assert "This site trusts no build service" in text(as_alice, TRUSTED)


def test_mallory_may_neither_see_nor_change_whom_alice_trusts(
    site: Site, as_bob: Client, reader: Client
) -> None:
    assert as_bob.get(TRUSTED).status_code == 403
    form = {"repository": "bob/own", "workflow": "release.yml"}
    assert as_bob.post(TRUSTED, form).status_code == 403
    assert not TrustedPublisher.objects.exists()


@pytest.mark.parametrize("path", [IMPORT, TRUSTED])
def test_a_stranger_signs_in_first(site: Site, reader: Client, path: str) -> None:
    assert reader.get(path)["Location"] == f"/accounts/login/?next={path}"
