"""Quotas: an owner's, an organisation's; and no two uploads pass one together."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from pytest_django import Settings

from registry.choices import MemberState, OwnerKind, Role
from registry.errors import RegistryError, TooLargeError, TooManyError
from registry.models import Charge, Holding, Membership, Owner, Quota, Upload
from registry.services import contents, models, quotas, revisions, uploads
from tests import builders
from tests.people import Person
from tests.registry import calls
from tests.registry.calls import API


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def house(*members: Person) -> Owner:
    owner = Owner.objects.create(name="house", kind=OwnerKind.ORGANISATION)
    for person in members:
        Membership.objects.create(
            owner=owner, user=person.user, role=Role.WRITER, state=MemberState.MEMBER
        )
    return owner


def usage(person: Person, owner: str = "alice") -> Any:
    return person.api("read").get(f"{API}/owners/{owner}/usage")


def test_alice_sees_what_she_has_and_may_have(alice: Person, settings: Settings) -> None:
    settings.QUOTA_BYTES, settings.QUOTA_MODELS, settings.QUOTA_UPLOADS = 1000, 3, 4
    calls.upload(alice.api(), b"a" * 100)
    calls.declare(alice.api(), b"b" * 50)
    builders.make_model(alice)
    assert usage(alice).json() == {
        "owner": "alice",
        "bytes": {"stored": 100, "coming": 50, "limit": 1000},
        "models": {"used": 1, "limit": 3},
        "uploads": {"used": 1, "limit": 4},
    }


def test_what_alice_has_is_her_business(alice: Person, mallory: Person) -> None:
    assert calls.error(usage(mallory)) == (403, "not_allowed")
    assert calls.error(usage(alice, "nobody")) == (404, "unknown_owner")


def test_a_moderators_word_goes_before_the_settings(alice: Person, settings: Settings) -> None:
    settings.QUOTA_BYTES = 10
    Quota.objects.create(owner=alice.owner, max_bytes=100, max_models=0)
    assert calls.declare(alice.api(), b"a" * 90).status_code == 201
    with pytest.raises(TooManyError):
        builders.make_model(alice)


def test_too_many_models_are_refused(alice: Person, settings: Settings) -> None:
    settings.QUOTA_MODELS = 1
    builders.make_model(alice)
    answer = alice.api().post(f"{API}/models", {"name": "second"}, format="json")
    assert calls.error(answer) == (409, "too_many")
    assert answer.json()["error"]["detail"] == {"owner": "alice", "limit": 1}


def test_too_many_uploads_at_a_time_are_refused(alice: Person, settings: Settings) -> None:
    settings.QUOTA_UPLOADS = 1
    first = calls.declare(alice.api(), b"one").json()
    assert calls.declare(alice.api(), b"one").json()["id"] == first["id"]
    assert calls.error(calls.declare(alice.api(), b"two")) == (409, "too_many")
    alice.api().delete(f"{API}/uploads/{first['id']}")
    assert calls.declare(alice.api(), b"two").status_code == 201


def test_the_same_content_counts_once(alice: Person) -> None:
    data = builders.ONNX
    builders.make_revision(alice, builders.make_model(alice, "one"), files={"model.onnx": data})
    builders.make_revision(alice, builders.make_model(alice, "two"), files={"model.onnx": data})
    assert quotas.usage_of(alice.owner).stored == len(data)


def test_an_organisation_pays_for_what_its_models_name(
    alice: Person, bob: Person, settings: Settings
) -> None:
    settings.QUOTA_BYTES = 1000
    owner = house(alice, bob)
    model = models.create(bob.user, name="shared", owner="house")
    body = {"size": 600, "sha256": digest(b"x" * 600), "model": "house/shared"}
    upload = bob.api().post(f"{API}/uploads", body, format="json").json()
    assert upload["owner"] == "house"
    again = {"size": 600, "sha256": digest(b"y" * 600), "model": "house/shared"}
    assert calls.error(alice.api().post(f"{API}/uploads", again, format="json")) == (
        413,
        "too_large",
    )
    bob.api().delete(f"{API}/uploads/{upload['id']}")
    text = b"# notes\n" * 20
    blob = contents.store(bob.user, text)
    revisions.commit(bob.user, model, files=[("notes.md", blob.sha256)], parent=None)
    assert quotas.usage_of(owner).stored == len(text)


def test_mallory_may_not_upload_at_alices_cost(alice: Person, mallory: Person) -> None:
    builders.make_model(alice, "digits")
    body = {"size": 1, "sha256": "0" * 64, "model": "alice/digits"}
    answer = mallory.api().post(f"{API}/uploads", body, format="json")
    assert calls.error(answer) == (403, "not_allowed")


def test_a_commit_of_what_others_brought_counts_too(
    alice: Person, bob: Person, settings: Settings
) -> None:
    files = {"model.onnx": builders.ONNX, "README.md": builders.CARD}
    builders.make_revision(alice, files=files)
    settings.QUOTA_BYTES = len(builders.ONNX) - 1
    model = builders.make_model(bob, "copy")
    answer = calls.commit(bob.api(), "bob/copy", {"model.onnx": digest(builders.ONNX)})
    assert calls.error(answer) == (413, "too_large")
    model.refresh_from_db()
    assert model.head is None
    assert not Charge.objects.filter(owner=bob.owner).exists()


def test_what_was_reserved_is_stored_although_the_quota_fell(
    alice: Person, settings: Settings
) -> None:
    upload = calls.declare(alice.api(), b"a" * 100, 100).json()
    settings.QUOTA_BYTES = 10
    calls.put_part(alice.api(), upload["id"], 0, b"a" * 100)
    done = alice.api().post(f"{API}/uploads/{upload['id']}/complete").json()
    assert done["state"] == "stored"
    with pytest.raises(TooLargeError):
        contents.store(alice.user, b"b" * 20)
    assert Holding.objects.count() == 1


def test_a_member_sees_both_accounts_on_the_page(
    alice: Person, client: Client, django_assert_max_num_queries: Any
) -> None:
    house(alice)
    client.force_login(alice.user)
    with django_assert_max_num_queries(12):
        page = client.get("/me/uploads/").content.decode()
    assert "Usage of alice" in page
    assert "Usage of house" in page


# ------------------------------------------------------------------ races


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Do all at the same time, each with a connection of its own; return answers or errors."""
    barrier, answers = threading.Barrier(len(works)), list[Any]([None] * len(works))

    def run(number: int, work: Callable[[], Any]) -> None:
        try:
            barrier.wait(30)
            answers[number] = work()
        except RegistryError as error:
            answers[number] = error
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=run, args=(number, work)) for number, work in enumerate(works)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def refused(answers: list[Any]) -> int:
    return sum(isinstance(answer, RegistryError) for answer in answers)


@pytest.mark.django_db(transaction=True)
def test_uploads_at_once_never_pass_the_quota_together(settings: Settings, alice: Person) -> None:
    settings.QUOTA_BYTES = 250

    def declare(number: int) -> Callable[[], Any]:
        name = digest(b"%d" % number)
        return lambda: uploads.declare(alice.user, size=100, sha256=name)

    answers = at_once(*(declare(number) for number in range(6)))
    assert refused(answers) == 4
    assert Upload.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_contents_at_once_never_pass_the_quota_together(settings: Settings, alice: Person) -> None:
    settings.QUOTA_BYTES = 250

    def store(number: int) -> Callable[[], Any]:
        return lambda: contents.store(alice.user, b"%d" % number * 100)

    assert refused(at_once(*(store(number) for number in range(6)))) == 4
    assert quotas.usage_of(alice.owner).stored == 200


@pytest.mark.django_db(transaction=True)
def test_members_at_once_never_pass_the_quota_of_their_house(
    settings: Settings, alice: Person, bob: Person
) -> None:
    settings.QUOTA_BYTES = 250
    owner = house(alice, bob)

    def declare(person: Person, number: int) -> Callable[[], Any]:
        name = digest(b"%d" % number)
        return lambda: uploads.declare(person.user, size=100, sha256=name, owner=owner)

    people = (alice, bob, alice, bob)
    answers = at_once(*(declare(person, number) for number, person in enumerate(people)))
    assert refused(answers) == 2
    usage = quotas.usage_of(owner)
    assert (usage.coming, usage.uploads) == (200, 2)


@pytest.mark.django_db(transaction=True)
def test_uploads_and_commits_at_once_never_pass_the_quota_together(
    settings: Settings, alice: Person, bob: Person
) -> None:
    """Bob commits what Alice brought, and announces as much again: one of the two fits."""
    builders.make_revision(alice, files={"model.onnx": builders.ONNX})
    size = len(builders.ONNX)
    settings.QUOTA_BYTES = size + size // 2
    model = builders.make_model(bob, "copy")
    files = [("model.onnx", digest(builders.ONNX))]
    answers = at_once(
        lambda: revisions.commit(bob.user, model, files=files, parent=None),
        lambda: uploads.declare(bob.user, size=size, sha256="0" * 64),
    )
    assert refused(answers) == 1
    assert [type(answer) for answer in answers if isinstance(answer, RegistryError)] == [
        TooLargeError
    ]
    assert quotas.usage_of(bob.owner).bytes == size


@pytest.mark.django_db(transaction=True)
def test_a_discarded_upload_frees_its_room_once(settings: Settings, alice: Person) -> None:
    settings.QUOTA_BYTES = 100
    first = uploads.declare(alice.user, size=100, sha256="0" * 64).upload
    assert first is not None
    answers = at_once(*(lambda: uploads.discard(alice.user, first.pk) for _ in range(3)))
    assert refused(answers) == 2
    uploads.declare(alice.user, size=100, sha256="1" * 64)
    with pytest.raises(TooLargeError):
        uploads.declare(alice.user, size=1, sha256="2" * 64)


@pytest.mark.django_db(transaction=True)
def test_models_at_once_never_pass_the_quota_together(settings: Settings, alice: Person) -> None:
    settings.QUOTA_MODELS = 2
    works = [lambda name=f"m{number}": models.create(alice.user, name=name) for number in range(5)]
    assert refused(at_once(*works)) == 3


@pytest.mark.django_db(transaction=True)
def test_the_same_declaration_at_once_is_one_upload(alice: Person) -> None:
    works = [lambda: uploads.declare(alice.user, size=9, sha256="0" * 64) for _ in range(4)]
    answers = at_once(*works)
    assert refused(answers) == 0
    assert len({answer.upload.pk for answer in answers}) == 1
