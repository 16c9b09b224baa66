"""Tokens: a scope, an end, and a command that makes them; sessions need their CSRF token."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.utils import timezone
from rest_framework.test import APIClient

from registry.choices import KeyRole
from registry.errors import InvalidInputError
from registry.models import ApiToken, AuditEvent, Key
from registry.services import tokens
from tests import builders
from tests.people import PASSWORD, Person
from tests.registry import calls
from tests.registry.calls import API


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
def test_the_command_registers_the_registrys_own_key_once(settings: object) -> None:
    first = _command("register_keys")
    assert first.endswith(" registered")
    assert _command("register_keys").endswith(" is registered")
    key = Key.objects.get()
    assert (key.role, key.owner) == (KeyRole.REGISTRY, None)
    path = settings.REGISTRY_KEY  # type: ignore[attr-defined]  # pytest-django's fixture
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
