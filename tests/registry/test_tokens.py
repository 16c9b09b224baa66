"""Tokens: a scope, an end, and a command that makes them; sessions need their CSRF token."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from registry.choices import KeyRole, Visibility
from registry.errors import (
    InvalidInputError,
    TooLargeError,
    UnknownModelError,
    UnknownOwnerError,
)
from registry.models import ApiToken, AuditEvent, Key
from registry.services import tokens
from tests import builders
from tests.people import PASSWORD, Person
from tests.registry import calls
from tests.registry.calls import API
from tests.registry.houses import sent


def _client(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def test_an_expired_token_is_refused(alice: Person) -> None:
    token = alice.token()
    ApiToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    answer = calls.declare(_client(token), b"x")
    assert calls.error(answer) == (401, "not_authenticated")
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert "expired" in answer.json()["error"]["message"]


@pytest.mark.parametrize("token", ["assay_nonsense", "", "é"])
def test_a_wrong_token_is_refused(alice: Person, token: str) -> None:
    assert calls.declare(_client(token), b"x").status_code == 401


def test_nobody_uploads_without_an_account(db: None) -> None:
    assert calls.error(calls.declare(APIClient(), b"x")) == (401, "not_authenticated")
    answer = APIClient().post(f"{API}/models", {"name": "x"}, format="json")
    assert calls.error(answer) == (401, "not_authenticated")


def test_a_token_that_reads_may_not_write(alice: Person) -> None:
    reader = alice.api("read")
    upload = calls.declare(alice.api(), b"x").json()
    for answer in (
        calls.declare(reader, b"x"),
        calls.put_part(reader, upload["id"], 0, b"x"),
        reader.post(f"{API}/models", {"name": "double"}, format="json"),
    ):
        assert calls.error(answer) == (403, "not_allowed")
    assert reader.get(f"{API}/uploads/{upload['id']}").status_code == 200


def test_a_session_writes_with_its_csrf_token_only(alice: Person) -> None:
    client = APIClient(enforce_csrf_checks=True)
    assert client.login(username="alice", password=PASSWORD)
    body = {"name": "double"}
    assert client.post(f"{API}/models", body, format="json").status_code == 403
    client.get("/accounts/login/")
    client.cookies["csrftoken"] = "a" * 32
    made = client.post(f"{API}/models", body, format="json", headers={"X-CSRFToken": "a" * 32})
    assert made.status_code == 201
    upload = calls.declare(alice.api(), b"x").json()
    assert calls.put_part(client, upload["id"], 0, b"x").status_code == 403


def test_mallory_in_an_open_session_does_nothing_that_outlives_it(alice: Person) -> None:
    client = APIClient()
    assert client.login(username="alice", password=PASSWORD)
    for answer in (
        client.post(f"{API}/tokens", {"name": "more", "scope": "admin"}, format="json"),
        client.delete(f"{API}/account", {"name": "alice"}, format="json"),
    ):
        assert calls.error(answer) == (403, "not_allowed")
        assert "/accounts/reauthenticate/" in answer.json()["error"]["message"]
    assert not ApiToken.objects.filter(name="more").exists()
    client.post("/accounts/reauthenticate/", {"password": PASSWORD})
    assert client.post(f"{API}/tokens", {"name": "more"}, format="json").status_code == 201


def test_alice_makes_and_revokes_a_token(alice: Person, mallory: Person) -> None:
    row, token = tokens.create(alice.user, name=" laptop ", scope="write")
    assert (row.name, row.scope, token.startswith("assay_")) == ("laptop", "write", True)
    assert calls.declare(_client(token), b"x").status_code == 201
    row.refresh_from_db()
    assert row.last_used_at is not None
    assert not tokens.revoke(mallory.user, row.digest)
    assert tokens.revoke(alice.user, row.digest)
    assert calls.declare(_client(token), b"x").status_code == 401
    actions = AuditEvent.objects.filter(user=alice.user, action__startswith="token.")
    assert list(actions.order_by("pk").values_list("action", flat=True)) == [
        "token.create",
        "token.revoke",
    ]


@pytest.mark.parametrize(("name", "scope"), [("", "read"), ("x" * 81, "read"), ("x", "all")])
def test_a_token_has_a_name_and_a_scope(alice: Person, name: str, scope: str) -> None:
    with pytest.raises(InvalidInputError):
        tokens.create(alice.user, name=name, scope=scope)


def _command(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue().strip()


def test_the_command_prints_a_token_and_can_make_the_user(db: None) -> None:
    with pytest.raises(CommandError, match="--create"):
        call_command("token", "carol")
    token = _command("token", "carol", "--create", "--scope", "write", "--name", "ci")
    assert calls.declare(_client(token), b"x").status_code == 201
    assert not get_user_model().objects.get(username="carol").has_usable_password()
    reader = _command("token", "carol")
    assert calls.declare(_client(reader), b"x").status_code == 403
    with pytest.raises(CommandError, match="reserved"):
        call_command("token", "admin", "--create")
    assert not get_user_model().objects.filter(username="admin").exists()


@pytest.mark.usefixtures("opened")
def test_the_command_registers_the_registrys_own_key_once(settings: Settings) -> None:
    first = _command("register_keys")
    assert first.endswith(" registered")
    assert _command("register_keys").endswith(" is registered")
    key = Key.objects.get()
    assert (key.role, key.owner) == (KeyRole.REGISTRY, None)
    path = settings.REGISTRY_KEY
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    with pytest.raises(CommandError, match="chmod 600"):
        call_command("register_keys")
    path.chmod(0o600)
    path.write_text("nothing")
    with pytest.raises(CommandError, match="no private key"):
        call_command("register_keys")


def test_no_key_is_registered_before_the_log_is_open(db: None) -> None:
    with pytest.raises(CommandError, match="not open yet"):
        call_command("register_keys")
    assert builders.observed().tree_size == 0


# ------------------------------------------------------------------ scopes, limits, ends


@pytest.mark.parametrize("days", [0, -1, 367])
def test_a_token_lives_a_day_to_a_year(alice: Person, days: int) -> None:
    with pytest.raises(InvalidInputError):
        tokens.create(alice.user, name="ci", days=days)


def test_a_token_ends_when_it_was_said_to(alice: Person) -> None:
    row, token = tokens.create(alice.user, name="ci", days=7)
    assert row.expiry is not None
    assert timedelta(days=6) < row.expiry - timezone.now() <= timedelta(days=7)
    assert token.startswith(row.prefix)
    assert len(row.prefix) == 12


def test_a_token_is_limited_to_what_its_owner_has_a_part_in(alice: Person, mallory: Person) -> None:
    secret = builders.make_model(alice, "secret", Visibility.PRIVATE)
    row, _ = tokens.create(alice.user, name="ci", owners=["alice"], models=["alice/secret"])
    assert sorted(str(limit) for limit in row.limits.all()) == ["alice", "alice/secret"]
    assert row.limited
    with pytest.raises(UnknownOwnerError):
        tokens.create(mallory.user, name="ci", owners=["alice"])
    with pytest.raises(UnknownModelError):
        tokens.create(mallory.user, name="ci", models=[secret.full_name])


def test_numbers_have_limits(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "MAX_LIMITS", 0)
    with pytest.raises(InvalidInputError):
        tokens.create(alice.user, name="ci", owners=["alice"])
    monkeypatch.setattr(tokens, "MAX_TOKENS", 0)
    with pytest.raises(TooLargeError):
        tokens.create(alice.user, name="ci")


@pytest.mark.parametrize("scope", ["write", "publish"])
def test_a_token_makes_no_token_that_may_more(alice: Person, scope: str) -> None:
    body = {"name": "more", "scope": "admin"}
    for client in (alice.api(scope), _client(_limited(alice))):
        answer = client.post(f"{API}/tokens", body, format="json")
        assert calls.error(answer) == (403, "not_allowed")


def _limited(alice: Person) -> str:
    return tokens.create(alice.user, name="l", scope="admin", owners=["alice"])[1]


def test_a_token_outlives_no_token_that_made_it(alice: Person) -> None:
    made = alice.api().post(f"{API}/tokens", {"name": "more", "days": 366}, format="json")
    assert made.status_code == 201
    first, second = ApiToken.objects.order_by("created")
    assert first.expiry is not None
    assert second.expiry is not None
    assert abs(second.expiry - first.expiry) < timedelta(minutes=1)


def test_tokens_are_listed_without_their_text_and_deleted_over_rest(
    alice: Person, mallory: Person
) -> None:
    builders.make_model(alice)
    body = {"name": "ci", "scope": "write", "models": ["alice/double"]}
    made = alice.api().post(f"{API}/tokens", body, format="json").json()
    listed = alice.api().get(f"{API}/tokens").json()["items"]
    assert all("token" not in row for row in listed)
    found = next(row for row in listed if row["id"] == made["id"])
    assert found["limits"] == [{"model": "alice/double"}]
    assert made["token"].startswith(found["prefix"])
    address = f"{API}/tokens/{made['id']}"
    assert calls.error(mallory.api().delete(address)) == (404, "unknown_token")
    assert calls.error(alice.api("publish").delete(address)) == (403, "not_allowed")
    assert _client(made["token"]).delete(address).status_code == 204  # itself
    assert calls.error(alice.api().delete(address)) == (404, "unknown_token")


def test_a_limited_token_reaches_its_model_alone_on_every_surface(alice: Person) -> None:
    builders.make_revision(alice)
    builders.make_model(alice, "secret", Visibility.PRIVATE)
    _, token = tokens.create(alice.user, name="ci", scope="admin", models=["alice/double"])
    client = _client(token)
    assert [row["id"] for row in client.get(f"{API}/models").json()["items"]] == ["alice/double"]
    for address in (f"{API}/models/alice/secret", "/hf/api/models/alice/secret"):
        assert client.get(address).status_code == 404
    assert client.get("/v2/models/alice--secret").status_code == 404
    made = client.post(f"{API}/models", {"name": "new"}, format="json")
    assert calls.error(made) == (403, "not_allowed")
    assert client.get("/hf/api/models/alice/double/auth-check/write").status_code == 200


def test_a_write_token_commits_and_does_not_release_or_delete(alice: Person) -> None:
    release = builders.publish_release(alice)
    writer = alice.api("write")
    digest = builders.store_blob(b"text", alice.user).sha256
    done = calls.commit(writer, "alice/double", {"a.txt": digest}, release.revision_id)
    assert done.status_code == 201
    yank = writer.post(
        f"{API}/models/alice/double/releases/1.0.0/yank", {"reason": "x"}, format="json"
    )
    assert "scope 'publish'" in yank.json()["error"]["message"]
    gone = writer.delete(f"{API}/models/alice/double", {"name": "alice/double"}, format="json")
    assert "scope 'admin'" in gone.json()["error"]["message"]


def test_a_model_is_deleted_over_rest_by_its_name(alice: Person, mallory: Person) -> None:
    builders.make_model(alice)
    address, body = f"{API}/models/alice/double", {"name": "alice/double"}
    assert calls.error(mallory.api().delete(address, body, format="json")) == (403, "not_allowed")
    slip = alice.api().delete(address, {"name": "double"}, format="json")
    assert calls.error(slip) == (400, "invalid_input")
    assert alice.api().delete(address, body, format="json").status_code == 204
    again = alice.api().post(f"{API}/models", {"name": "Double"}, format="json")
    assert calls.error(again) == (409, "name_taken")


# ------------------------------------------------------------------ what somebody found


def test_whoever_finds_a_token_ends_it_and_its_owner_hears_of_it(
    alice: Person, bob: Person
) -> None:
    row, token = tokens.create(alice.user, name="laptop", scope="admin")
    other = bob.token()
    body = {"tokens": [token, "assay_nonsense", "é"]}
    finder = APIClient().post(f"{API}/tokens/revocation", body, format="json")
    assert finder.status_code == 204
    assert calls.declare(_client(token), b"x").status_code == 401
    assert calls.declare(_client(other), b"x").status_code == 201
    assert sent("'laptop' was found") == ["alice@example.org"]
    event = AuditEvent.objects.get(action="token.leaked")
    assert (event.user, event.owner, event.target) == (None, alice.owner, row.prefix)
    # It says no more the second time: who asks learns nothing.
    assert APIClient().post(f"{API}/tokens/revocation", body, format="json").status_code == 204


@pytest.mark.parametrize("body", [{}, {"tokens": []}, {"tokens": ["x"] * 21}, {"tokens": "x"}])
def test_a_bad_revocation_is_refused(db: None, body: dict[str, object]) -> None:
    answer = APIClient().post(f"{API}/tokens/revocation", body, format="json")
    assert calls.error(answer) == (400, "invalid_input")


def test_the_audit_log_names_the_token_that_did_it(alice: Person) -> None:
    row, token = tokens.create(alice.user, name="ci", scope="write")
    assert _client(token).post(f"{API}/models", {"name": "new"}, format="json").status_code == 201
    assert AuditEvent.objects.get(action="model.create").token == row.prefix
