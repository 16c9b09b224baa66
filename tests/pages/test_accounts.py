from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from registry.models import ApiToken, Owner
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


def test_a_token_is_shown_once(as_alice: Client, alice: Person) -> None:
    response = as_alice.post("/settings/tokens/", {"name": "ci", "scope": "write"})
    token = ApiToken.objects.get(user=alice.user)
    text = response.content.decode()
    assert "assay_" in text
    assert "no-store" in response["Cache-Control"]
    assert faults(parse(text)) == []
    again = as_alice.get("/settings/tokens/").content.decode()
    assert "assay_" not in again
    assert "ci" in again
    assert as_alice.post(f"/settings/tokens/{token.digest}/delete/").status_code == 302
    assert not ApiToken.objects.exists()


def test_a_token_without_a_name_is_refused(as_alice: Client) -> None:
    response = as_alice.post("/settings/tokens/", {"name": " ", "scope": "write"})
    assert response.status_code == 400
    assert not ApiToken.objects.exists()


def test_bob_may_not_delete_a_token_of_alice(as_bob: Client, alice: Person) -> None:
    alice.token()
    digest = ApiToken.objects.get().digest
    assert as_bob.post(f"/settings/tokens/{digest}/delete/").status_code == 302
    assert ApiToken.objects.filter(digest=digest).exists()
