"""Models: names, who sees them, and what a version leads to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from assay.digests import sha256_hex
from registry import selectors
from registry.errors import (
    NoGraphError,
    NotReleasedError,
    UnknownFileError,
    UnknownModelError,
    UnknownRevisionError,
)
from registry.keyfile import load_or_create_key
from registry.models import AuditEvent, Model, ReservedName
from tests import builders
from tests.builders import CARD, ONNX
from tests.people import PASSWORD, Person
from tests.registry import calls
from tests.registry.calls import API


def _create(person: Person, **body: Any) -> Any:
    return person.api().post(f"{API}/models", body, format="json")


def test_alice_makes_a_model(alice: Person) -> None:
    answer = _create(alice, name="digits", visibility="private")
    assert answer.status_code == 201
    body = answer.json()
    assert (body["id"], body["owner"], body["head"], body["latest"]) == (
        "alice/digits",
        "alice",
        None,
        None,
    )
    assert AuditEvent.objects.filter(action="model.create", target="alice/digits").exists()


def test_mallory_may_not_make_models_for_alice_or_nobody(alice: Person, mallory: Person) -> None:
    for owner in ("alice", "nobody"):
        assert calls.error(_create(mallory, owner=owner, name="x")) == (403, "not_allowed")
    assert _create(alice, owner="ALICE", name="x").json()["id"] == "alice/x"


@pytest.mark.parametrize(
    "name", ["", "a--b", "a..b", ".a", "a.", "a/b", "infer", "Versions", "a.git", "x" * 97, "é"]
)
def test_a_name_that_no_client_can_carry_is_refused(alice: Person, name: str) -> None:
    assert calls.error(_create(alice, name=name)) == (400, "invalid_input")


def test_a_name_is_given_once(alice: Person, bob: Person) -> None:
    assert _create(alice, name="Digits").status_code == 201
    assert calls.error(_create(alice, name="digits")) == (409, "name_taken")
    assert _create(bob, name="digits").status_code == 201
    ReservedName.objects.create(name="bob/gone", reason="deleted")
    assert calls.error(_create(bob, name="Gone")) == (409, "name_taken")


def test_a_private_model_is_unknown_to_others(alice: Person, mallory: Person) -> None:
    model = builders.make_model(alice, "secret", "private")
    revision = builders.make_revision(alice, model)
    builders.publish_release(alice, revision)
    base = f"{API}/models/alice/secret"
    for person in (mallory.api(), APIClient()):
        for url in ("", f"/revisions/{revision.pk}", "/releases", "/releases/1.0.0"):
            assert calls.error(person.get(base + url)) == (404, "unknown_model")
        assert person.get(f"{API}/models").json()["items"] == []
    assert calls.error(mallory.api().get(f"{API}/models/alice/nothing")) == (404, "unknown_model")
    assert alice.api().get(base).json()["visibility"] == "private"
    assert [m.pk for m in selectors.released_models(alice.user)] == [model.pk]
    assert list(selectors.released_models()) == []
    with pytest.raises(UnknownFileError):
        selectors.public_blob(sha256_hex(ONNX))


def test_what_waits_is_known_to_its_owner_only(alice: Person, bob: Person) -> None:
    revision = builders.make_revision(alice, report=None)
    url = f"{API}/models/alice/double/revisions/{revision.pk}"
    assert alice.api("read").get(url).json()["state"] == "pending"
    assert calls.error(bob.api().get(url)) == (404, "unknown_revision")
    assert calls.error(alice.api().get(f"{API}/models/alice/double/revisions/x")) == (
        404,
        "unknown_revision",
    )


@pytest.mark.parametrize("name", ["alice/double", "alice--double", "ALICE/Double"])
def test_a_model_is_found_by_both_spellings(alice: Person, name: str) -> None:
    made = builders.make_model(alice)
    assert selectors.find_model(name) == made


@pytest.mark.parametrize("name", ["", "alice", "alice/", "/", "--", "alice/double/x"])
def test_what_names_no_model_is_unknown(alice: Person, name: str) -> None:
    builders.make_model(alice)
    with pytest.raises(UnknownModelError):
        selectors.find_model(name)


def test_a_list_of_releases_takes_as_many_queries_as_one(
    alice: Person, django_assert_num_queries: Any
) -> None:
    release = builders.publish_release(alice)
    for number in (1, 2):
        files = {"model.onnx": ONNX, "README.md": CARD + b"%d" % number}
        revision = builders.make_revision(alice, release.model, files, report=None)
        builders.publish_release(alice, revision, version=f"1.0.{number}")
    with django_assert_num_queries(3):
        rows = list(selectors.releases(release.model))
        assert [claim.entry.index for row in rows for claim in row.claims.all()] == [None] * 9
        assert [(row.key.pk, row.author.get_username()) for row in rows]


# ------------------------------------------------------------------ versions


def test_a_version_leads_to_a_release(alice: Person) -> None:
    release = builders.publish_release(alice)
    model, revision = release.model, release.revision
    builders.move_alias(alice, release)
    for version in (None, "", "latest", "1.0.0", "production", "Production", revision.pk):
        found = selectors.resolve(model, version)
        assert (found.revision, found.release, found.version) == (revision, release, "1.0.0")
    for version in ("2.0.0", "0" * 40):
        with pytest.raises(UnknownRevisionError):
            selectors.resolve(model, version)


def test_only_a_release_runs(alice: Person, bob: Person) -> None:
    revision = builders.make_revision(alice)
    for version in (None, revision.pk):
        with pytest.raises(NotReleasedError):
            selectors.resolve(revision.model, version, user=bob.user)
    waiting = builders.make_revision(
        alice, revision.model, {"model.onnx": ONNX, "w.bin": b"\xff\x01"}, report=None
    )
    if waiting.state == "pending":
        with pytest.raises(UnknownRevisionError):
            selectors.resolve(revision.model, waiting.pk, user=bob.user)


def test_a_release_without_a_graph_does_not_run(alice: Person) -> None:
    revision = builders.make_revision(alice, files={"README.md": CARD}, report=None)
    release = builders.publish_release(alice, revision)
    with pytest.raises(NoGraphError):
        selectors.resolve(release.model, None)


def test_released_content_is_public(alice: Person) -> None:
    digest = sha256_hex(ONNX)
    revision = builders.make_revision(alice)
    with pytest.raises(UnknownFileError):
        selectors.public_blob(digest)
    release = builders.publish_release(alice, revision)
    assert selectors.public_blob(digest).size == len(ONNX)
    assert selectors.file_of(revision, "model.onnx").blob_id == digest
    with pytest.raises(UnknownFileError):
        selectors.file_of(revision, "other")
    assert selectors.facts(revision)["opsets"] == {"ai.onnx": 17}
    assert list(selectors.releases_of_key(release.key)) == [release]


@pytest.mark.parametrize(
    "url",
    [
        "models/a%00b/c",
        "models?owner=%00&search=%00x",
        "models/alice/double/revisions/%00",
        "models/alice/double/releases/%00",
        "keys/%00",
        "keys?owner=%00",
    ],
)
def test_a_nul_in_an_address_finds_nothing(alice: Person, url: str) -> None:
    builders.make_revision(alice)
    assert alice.api().get(f"{API}/{url}").status_code in {200, 404}


# ------------------------------------------------------------------ the house


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("UPLOAD_PART_BYTES", 0, "registry.E001"),
        ("UPLOAD_MAX_BYTES", 2**50, "registry.E002"),
        ("QUOTA_BYTES", 1, "registry.W001"),
        ("SITE_URL", "https://models.example.org", "registry.E003"),
        ("SITE_URL", "http://[::2]:8000", "registry.E003"),
    ],
)
def test_settings_that_contradict_each_other_are_told(
    settings: Settings, name: str, value: Any, code: str
) -> None:
    assert not [m for m in run_checks() if (m.id or "").startswith("registry.")]
    setattr(settings, name, value)
    settings.QUOTA_BYTES = max(settings.QUOTA_BYTES, settings.UPLOAD_MAX_BYTES)
    if name == "QUOTA_BYTES":
        settings.QUOTA_BYTES = value
    assert [m.id for m in run_checks() if (m.id or "").startswith("registry.")] == [code]


def test_the_admin_shows_and_changes_nothing(alice: Person, admin_client: Client) -> None:
    builders.publish_release(alice)
    for name in (
        *("owner", "reservedname", "model", "revision", "release", "claim", "alias", "key"),
        *("apitoken", "upload", "auditevent"),
    ):
        assert admin_client.get(f"/admin/registry/{name}/").status_code == 200
    model = Model.objects.get()
    url = f"/admin/registry/model/{model.pk}/change/"
    assert admin_client.get(url).status_code == 200
    assert admin_client.post(url, {"name": "other"}).status_code == 403
    assert admin_client.get("/admin/registry/reservedname/add/").status_code == 200
    assert admin_client.get("/admin/registry/model/add/").status_code == 403


def test_the_migrations_describe_the_models(db: None) -> None:
    call_command("makemigrations", "registry", check=True, dry_run=True, verbosity=0)


def test_sign_up_makes_the_owner(client: Client, db: None) -> None:
    answer = client.post(
        "/accounts/signup/",
        {
            "username": "dora",
            "email": "dora@example.org",
            "password1": PASSWORD,
            "password2": PASSWORD,
        },
    )
    assert answer.status_code == 302
    assert AuditEvent.objects.filter(action="owner.create", target="dora").exists()


def test_the_key_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "own.pem"
    first, second = load_or_create_key(path), load_or_create_key(path)
    assert first.private_numbers() == second.private_numbers()
    assert [item.name for item in path.parent.iterdir()] == ["own.pem"]
