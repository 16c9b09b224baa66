"""Rare days: accounts without a name, a broker that is away, rivals that were faster."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.files.storage import InMemoryStorage
from django.http import UnreadablePostError
from kombu.exceptions import OperationalError

from assay.digests import sha256_hex
from registry import models as rows, tasks
from registry.accounts import validate_username
from registry.errors import (
    InvalidInputError,
    NameTakenError,
    NotAllowedError,
    RefusedFileError,
    ReplayedSignatureError,
    UnknownRevisionError,
)
from registry.models import Holding, Model, ReservedName, Upload, UploadPart
from registry.paths import check_one, check_tree
from registry.services import keys, models, own_key, revisions, uploads
from registry.services.owners import create_person
from registry.storage import Blobs
from tests import builders
from tests.people import Person
from tests.registry import calls
from tests.registry.calls import API


@pytest.fixture
def nobody(db: None) -> User:
    """An account of the operator's making, without a name in addresses."""
    return get_user_model().objects.create_user("nobody")


def test_an_account_without_a_name_brings_nothing(nobody: User) -> None:
    with pytest.raises(NotAllowedError):
        uploads.declare(nobody, size=1, sha256="0" * 64)
    with pytest.raises(NotAllowedError):
        models.create(nobody, name="double")
    envelope = builders.key_envelope(builders.private_key("nobody"), "nobody")
    with pytest.raises(NotAllowedError):
        keys.register(nobody, envelope, name="laptop")


@pytest.mark.parametrize("name", ["alice", "ALICE", "admin", "a b"])
def test_a_user_name_is_a_free_name(alice: Person, name: str) -> None:
    with pytest.raises(ValidationError):
        validate_username(name)


def test_a_name_that_was_given_out_is_not_given_again(nobody: User) -> None:
    ReservedName.objects.create(name="Nobody", reason="deleted")
    with pytest.raises(NameTakenError):
        create_person(nobody)


def test_a_visibility_is_one_of_two(alice: Person) -> None:
    with pytest.raises(InvalidInputError):
        models.create(alice.user, name="double", visibility="secret")


@pytest.mark.parametrize(
    "values",
    [
        {"size": 1, "sha256": "x"},
        {"size": -1, "sha256": "0" * 64},
        {"size": 1, "sha256": "0" * 64, "part_size": 0},
    ],
)
def test_a_service_checks_what_the_edge_checks_too(alice: Person, values: Any) -> None:
    with pytest.raises(InvalidInputError):
        uploads.declare(alice.user, **values)


def test_reports_and_messages_have_their_form(alice: Person) -> None:
    revision = builders.make_revision(alice, report=None)
    with pytest.raises(InvalidInputError):
        revisions.record_inspection(revision.pk, {"verdict": "fine"})
    with pytest.raises(UnknownRevisionError):
        revisions.record_inspection("0" * 40, builders.REPORT)
    with pytest.raises(InvalidInputError):
        revisions.commit(alice.user, revision.model, files=[], parent=None, message="x" * 501)
    with pytest.raises(InvalidInputError):
        revisions.commit(alice.user, revision.model, files=[], parent=None)


def test_a_tree_has_an_end() -> None:
    with pytest.raises(RefusedFileError, match="10000"):
        check_tree(f"{number}.txt" for number in range(10_001))
    with pytest.raises(RefusedFileError):
        check_one("\ud800")


def test_without_a_broker_the_sweeper_finds_the_upload(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> None:
        raise OperationalError("no broker")

    monkeypatch.setattr("registry.tasks.complete_upload.delay", away)
    upload = uploads.declare(alice.user, size=0, sha256=sha256_hex(b"")).upload
    assert upload is not None
    tasks.announce(upload.pk)
    Upload.objects.update(state="joining")
    tasks.complete_upload(str(upload.pk))
    assert Upload.objects.get().state == "stored"


def test_a_connection_that_breaks_is_told_as_such(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = calls.declare(alice.api(), b"four", 4).json()

    def broken(*_: Any) -> bytes:
        raise UnreadablePostError("gone")

    monkeypatch.setattr("django.http.request.HttpRequest.read", broken)
    answer = calls.put_part(alice.api(), upload["id"], 0, b"four")
    assert calls.error(answer) == (400, "invalid_input")
    assert "send it again" in answer.json()["error"]["message"]
    assert Upload.objects.get().parts.count() == 0


def test_a_rival_that_stores_the_same_bytes_leaves_one_copy() -> None:
    class Racing(InMemoryStorage):
        """The other process writes between our question and our write."""

        asked = False

        def exists(self, name: str) -> bool:
            if not self.asked and name.count("/") == 2:
                Racing.asked = True
                InMemoryStorage.save(self, name, BytesIO(b"data"))
                return False
            return super().exists(name)

    storage = Racing()
    stored = Blobs(storage).put(b"data")
    name = f"{stored.sha256[:2]}/{stored.sha256[2:4]}"
    assert storage.listdir(name) == ([], [stored.sha256])


@pytest.mark.usefixtures("opened")
def test_of_two_first_starts_one_registers_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def faster(*_: Any, **__: Any) -> None:
        raise ReplayedSignatureError("This very statement was logged before.")

    monkeypatch.setattr(keys, "register_service_key", faster)
    fingerprint, new = own_key.ensure_registry_key()
    assert (len(fingerprint), new) == (64, False)


def test_every_row_has_a_name_for_the_admin(alice: Person) -> None:
    release = builders.publish_release(alice)
    builders.move_alias(alice, release)
    upload = uploads.declare(alice.user, size=1, sha256="0" * 64).upload
    assert upload is not None
    UploadPart.objects.create(upload=upload, number=0, size=1, sha256="0" * 64)
    keys.backup(
        alice.user,
        release.key_id,
        wrapped=b"w" * 20,
        salt=b"s" * 16,
        iterations=600_000,
        iv=b"i" * 12,
    )
    ReservedName.objects.create(name="gone", reason="deleted")
    alice.token()
    for name in rows.__all__:
        assert str(getattr(rows, name).objects.first())
    assert Holding.objects.count() == 2
    assert str(Model.objects.get()) == "alice/double"


def test_a_file_of_another_length_than_declared_fails(alice: Person) -> None:
    upload = calls.declare(alice.api(), b"four", 4).json()
    calls.put_part(alice.api(), upload["id"], 0, b"four")
    Upload.objects.update(size=3, part_size=3)
    done = alice.api().post(f"{API}/uploads/{upload['id']}/complete").json()
    assert (done["state"], done["error"]["code"]) == ("failed", "invalid_input")
