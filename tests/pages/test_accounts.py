from __future__ import annotations

import re

import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth import get_user_model
from django.core import mail
from django.test import Client
from django.urls import get_resolver

from inference.urls import urlpatterns as inference_urls
from registry.models import ApiToken, Owner
from registry.names import SITE_WORDS
from registry.services import keys
from registry.urls import urlpatterns as registry_urls
from tests import builders
from tests.pages.html import faults, parse
from tests.people import PASSWORD, Person

CAROL = {
    "username": "carol",
    "email": "carol@example.org",
    "password1": "a long enough phrase",
    "password2": "a long enough phrase",
}


def test_carol_signs_up_and_owns_her_name(db: None, reader: Client) -> None:
    response = reader.post("/accounts/signup/", CAROL)
    assert response.status_code == 302
    owner = Owner.objects.get(name="carol")
    assert owner.user == get_user_model().objects.get(username="carol")
    assert "carol" in reader.get("/").content.decode()


def test_the_list_of_keys_tells_which_have_a_copy_here(as_alice: Client, alice: Person) -> None:
    kept, other = builders.make_key(alice), builders.make_key(alice, "another")
    keys.backup(
        alice.user,
        kept.fingerprint,
        wrapped=b"w" * 154,
        salt=b"s" * 16,
        iv=b"i" * 12,
        iterations=600_000,
    )
    page = parse(as_alice.get("/settings/keys/").content.decode())
    told = {
        tag.attributes["data-fingerprint"]: "data-copy-kept" in tag.attributes
        for tag in page.all("li")
        if "data-fingerprint" in tag.attributes
    }
    assert told == {kept.fingerprint: True, other.fingerprint: False}


@pytest.mark.parametrize("name", ["admin", "ledger", "a--b", "..", "ALICE", "-x", "infer"])
def test_a_bad_name_is_refused_and_what_was_typed_stays(
    name: str, alice: Person, reader: Client
) -> None:
    response = reader.post("/accounts/signup/", {**CAROL, "username": name})
    assert response.status_code == 200
    page = parse(response.content.decode())
    assert faults(page) == []
    typed = {tag.attributes.get("name"): tag.attributes.get("value") for tag in page.all("input")}
    assert typed["username"] == name
    assert typed["email"] == CAROL["email"]
    (field,) = [tag for tag in page.all("input") if tag.attributes.get("name") == "username"]
    assert field.attributes["aria-invalid"] == "true"
    assert not Owner.objects.filter(name=name).exists()


def test_nobody_gets_a_name_that_the_site_begins_an_address_with() -> None:
    routes = [*get_resolver("config.urls").url_patterns, *registry_urls, *inference_urls]
    routes += get_resolver("config.urls_plain").url_patterns
    words = {str(route.pattern).strip("/").partition("/")[0] for route in routes}
    fixed = {word for word in words if word.isalnum()}
    assert {"search", "publish", "models", "v2"} <= fixed
    assert fixed - SITE_WORDS == set()


def test_alice_signs_in_and_out(alice: Person, reader: Client) -> None:
    response = reader.post("/accounts/login/", {"login": "alice", "password": PASSWORD})
    assert response.status_code == 302
    assert reader.get("/settings/tokens/").status_code == 200
    assert reader.post("/accounts/logout/").status_code == 302
    assert reader.get("/settings/tokens/").status_code == 302


def test_a_wrong_password_is_told_without_saying_which_half(alice: Person, reader: Client) -> None:
    response = reader.post("/accounts/login/", {"login": "alice", "password": "wrong"})
    page = parse(response.content.decode())
    assert faults(page) == []
    assert "callout bad" in response.content.decode()


def say_again(client: Client) -> None:
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})


def test_mallory_at_an_open_browser_makes_no_token(as_alice: Client) -> None:
    answer = as_alice.post("/settings/tokens/", {"name": "ci", "scope": "admin", "days": "90"})
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert not ApiToken.objects.exists()
    # Alice says who she is, and gets the token that was asked for.
    answer = as_alice.post(answer["Location"], {"password": PASSWORD})
    assert re.search(r"assay_[0-9a-f]{64}", answer.content.decode())


def test_a_token_is_shown_once(as_alice: Client, alice: Person) -> None:
    say_again(as_alice)
    response = as_alice.post("/settings/tokens/", {"name": "ci", "scope": "write", "days": "90"})
    token = ApiToken.objects.get(user=alice.user)
    text = response.content.decode()
    made = re.search(r"assay_[0-9a-f]{64}", text)
    assert made is not None
    assert "no-store" in response["Cache-Control"]
    assert faults(parse(text)) == []
    again = as_alice.get("/settings/tokens/").content.decode()
    assert made[0] not in again
    assert token.prefix in again
    assert "ci" in again
    assert as_alice.post(f"/settings/tokens/{token.digest}/delete/").status_code == 302
    assert not ApiToken.objects.exists()


def test_a_token_without_a_name_is_refused(as_alice: Client) -> None:
    say_again(as_alice)
    response = as_alice.post("/settings/tokens/", {"name": " ", "scope": "write", "days": "90"})
    assert response.status_code == 400
    assert not ApiToken.objects.exists()


def test_bob_may_not_delete_a_token_of_alice(as_bob: Client, alice: Person) -> None:
    alice.token()
    digest = ApiToken.objects.get().digest
    assert as_bob.post(f"/settings/tokens/{digest}/delete/").status_code == 302
    assert ApiToken.objects.filter(digest=digest).exists()


@pytest.mark.parametrize(("host", "told"), [("127.0.0.1:8000", True), ("localhost:8000", False)])
def test_who_came_by_number_is_told_where_passkeys_work(
    host: str, told: bool, as_alice: Client
) -> None:
    for path in ("/accounts/login/?next=/publish/", "/accounts/2fa/webauthn/"):
        if path.startswith("/accounts/login/"):
            text = Client().get(path, headers={"host": host}).content.decode()
        else:
            text = as_alice.get(path, headers={"host": host}).content.decode()
        assert (f'href="http://localhost:8000{path}"' in text) is told


def test_mail_names_the_site_that_sends_it(reader: Client, alice: Person) -> None:
    reader.post("/accounts/password/reset/", {"email": "alice@example.org"})
    (sent,) = mail.outbox
    assert "example.com" not in sent.subject + str(sent.body)


@pytest.mark.parametrize("path", ["/settings/keys/", "{revision}sign/"])
def test_a_passphrase_goes_nowhere_when_the_script_is_missing(
    path: str, as_alice: Client, alice: Person
) -> None:
    revision = builders.make_revision(alice)
    wizard = f"/publish/{revision.model.full_name}/{revision.pk}/"
    page = parse(as_alice.get(path.format(revision=wizard)).content.decode())
    forms = [tag for tag in page.all("form") if str(tag.attributes.get("id")).endswith("-key")]
    assert forms
    assert {tag.attributes.get("method") for tag in forms} == {"dialog"}


def test_alice_is_told_that_a_second_factor_needs_a_confirmed_address(
    as_alice: Client, alice: Person
) -> None:
    words = "Confirm your e-mail address first"
    assert words in as_alice.get("/accounts/2fa/").content.decode()
    EmailAddress.objects.create(user=alice.user, email=alice.user.email, verified=True)
    assert words not in as_alice.get("/accounts/2fa/").content.decode()


def test_mallory_at_an_open_browser_takes_no_account_over_by_its_address(
    as_alice: Client, alice: Person
) -> None:
    sent = {"email": "mallory@example.org", "action_add": ""}
    answer = as_alice.post("/accounts/email/", sent)
    assert answer["Location"].startswith("/accounts/reauthenticate/")
    assert not EmailAddress.objects.filter(email="mallory@example.org").exists()
    as_alice.post("/accounts/reauthenticate/", {"password": PASSWORD})  # alice herself
    as_alice.post("/accounts/email/", {"email": "alice@example.net", "action_add": ""})
    assert EmailAddress.objects.filter(user=alice.user, email="alice@example.net").exists()


def test_alice_hears_that_her_password_was_changed(as_alice: Client, alice: Person) -> None:
    other = "another horse battery staple"
    sent = {"oldpassword": PASSWORD, "password1": other, "password2": other}
    as_alice.post("/accounts/password/change/", sent)
    assert [letter.to for letter in mail.outbox] == [[alice.user.email]]
    assert "password" in mail.outbox[0].subject.lower()
