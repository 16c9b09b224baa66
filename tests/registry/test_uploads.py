"""Uploads: any order, resumable, checked twice; a digest is not a right to the bytes."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from registry.choices import UploadState
from registry.errors import InvalidInputError
from registry.models import Blob, Holding, Upload
from registry.services import uploads
from registry.storage import blobs
from registry.tasks import sweep_uploads
from tests import builders
from tests.people import Person
from tests.registry import calls
from tests.registry.calls import API

DATA = bytes(range(256)) * 3


def _parts(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def test_alice_sends_parts_in_any_order(alice: Person) -> None:
    digest = calls.upload(alice.api(), DATA, part_size=100)
    with blobs().open(digest) as stream:
        assert stream.read() == DATA
    blob = Blob.objects.get(pk=digest)
    assert blob.size == len(DATA)
    assert blob.git_sha1 == hashlib.sha1(b"blob 768\0" + DATA, usedforsecurity=False).hexdigest()
    assert Holding.objects.filter(user=alice.user, blob=blob).exists()


def test_alice_uploads_an_empty_file(alice: Person) -> None:
    answer = calls.declare(alice.api(), b"").json()
    assert (answer["parts"], answer["missing"]) == (0, [])
    done = alice.api().post(f"{API}/uploads/{answer['id']}/complete")
    assert done.json()["state"] == "stored"


def test_alice_resumes_on_another_device(alice: Person) -> None:
    first = calls.declare(alice.api(), DATA, 100).json()
    calls.put_part(alice.api(), first["id"], 3, _parts(DATA, 100)[3])
    again = calls.declare(alice.api(), DATA, 50).json()
    assert (again["id"], again["part_size"]) == (first["id"], 100)
    assert again["missing"] == [0, 1, 2, 4, 5, 6, 7]
    seen = alice.api("read").get(f"{API}/uploads/{first['id']}").json()
    assert (seen["state"], seen["missing"]) == ("open", again["missing"])


def test_a_part_may_come_twice(alice: Person) -> None:
    upload = calls.declare(alice.api(), DATA, 400).json()
    for number in (0, 1, 0):
        answer = calls.put_part(alice.api(), upload["id"], number, _parts(DATA, 400)[number])
        assert answer.json() == {"number": number, "received": True}
    done = alice.api().post(f"{API}/uploads/{upload['id']}/complete")
    assert done.json()["state"] == "stored"
    again = alice.api().post(f"{API}/uploads/{upload['id']}/complete")
    assert (again.status_code, again.json()["state"]) == (202, "stored")
    late = calls.put_part(alice.api(), upload["id"], 0, _parts(DATA, 400)[0])
    assert calls.error(late) == (409, "conflict")


def test_a_part_with_another_digest_is_refused_with_both(alice: Person) -> None:
    upload = calls.declare(alice.api(), DATA, 400).json()
    digest = calls.content_digest(b"other bytes")
    answer = calls.put_part(alice.api(), upload["id"], 0, DATA[:400], digest)
    assert calls.error(answer) == (400, "digest_mismatch")
    detail = answer.json()["error"]["detail"]
    assert detail["expected"] == hashlib.sha256(b"other bytes").hexdigest()
    assert detail["found"] == hashlib.sha256(DATA[:400]).hexdigest()
    assert calls.declare(alice.api(), DATA, 400).json()["missing"] == [0, 1]


def test_a_truncated_part_is_refused(alice: Person) -> None:
    upload = calls.declare(alice.api(), DATA, 400).json()
    answer = calls.put_part(alice.api(), upload["id"], 0, DATA[:399])
    assert calls.error(answer) == (400, "invalid_input")
    assert answer.json()["error"]["detail"] == {"number": 0, "expected": 400, "found": 399}


def test_a_connection_that_ends_inside_a_part_leaves_nothing(
    alice: Person, settings: Settings
) -> None:
    upload = uploads.declare(
        alice.user, size=400, sha256=hashlib.sha256(DATA[:400]).hexdigest(), part_size=400
    ).upload
    assert upload is not None
    digest = hashlib.sha256(DATA[:400]).hexdigest()
    for chunks in ([DATA[:100]], [DATA[:400], b"more"]):
        with pytest.raises(InvalidInputError):
            uploads.put_part(upload, 0, chunks, digest)
    assert uploads.missing(upload) == [0]
    assert list((settings.UPLOADS_DIR / str(upload.pk)).iterdir()) == []


def test_a_part_without_length_or_digest_is_refused(alice: Person) -> None:
    upload = calls.declare(alice.api(), DATA, 400).json()
    url = f"{API}/uploads/{upload['id']}/parts/0"
    plain = "application/octet-stream"
    no_digest = alice.api().put(url, DATA[:400], content_type=plain)
    assert calls.error(no_digest) == (400, "invalid_input")
    no_length = alice.api().generic("PUT", url, "", content_type=plain, CONTENT_LENGTH="")
    assert calls.error(no_length) == (411, "length_required")


def test_no_part_is_parsed_or_kept_in_memory(alice: Person, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 200
    assert calls.upload(alice.api(), DATA, part_size=700)
    large = alice.api().post(f"{API}/uploads", {"size": 1, "sha256": "0" * 200}, format="json")
    assert calls.error(large) == (413, "too_large")


@pytest.mark.parametrize("number", [2, 99])
def test_a_part_that_the_upload_has_not_is_refused(alice: Person, number: int) -> None:
    upload = calls.declare(alice.api(), DATA, 400).json()
    answer = calls.put_part(alice.api(), upload["id"], number, b"x")
    assert calls.error(answer) == (400, "invalid_input")


def test_an_upload_with_missing_parts_cannot_be_completed(alice: Person) -> None:
    upload = calls.declare(alice.api(), DATA, 400).json()
    calls.put_part(alice.api(), upload["id"], 1, DATA[400:])
    answer = alice.api().post(f"{API}/uploads/{upload['id']}/complete")
    assert calls.error(answer) == (409, "conflict")
    assert answer.json()["error"]["detail"]["missing"] == [0]


def test_the_whole_is_hashed_again_and_a_mismatch_keeps_both_digests(alice: Person) -> None:
    declared = hashlib.sha256(b"something else").hexdigest()
    body = {"size": len(DATA), "sha256": declared, "part_size": 400}
    upload = alice.api().post(f"{API}/uploads", body, format="json").json()
    for number, part in enumerate(_parts(DATA, 400)):
        calls.put_part(alice.api(), upload["id"], number, part)
    done = alice.api().post(f"{API}/uploads/{upload['id']}/complete")
    assert (done.status_code, done.json()["state"]) == (202, "failed")
    detail = done.json()["error"]["detail"]
    assert detail == {"expected": declared, "found": hashlib.sha256(DATA).hexdigest()}
    assert done.json()["error"]["code"] == "digest_mismatch"
    assert not Blob.objects.exists()
    assert not blobs().exists(hashlib.sha256(DATA).hexdigest())
    assert calls.declare(alice.api(), DATA).json()["id"] != upload["id"]


def test_mallory_may_not_touch_alices_upload(alice: Person, mallory: Person) -> None:
    upload = calls.declare(alice.api(), DATA, 400).json()
    client = mallory.api()
    part = calls.put_part(client, upload["id"], 0, DATA[:400])
    look = client.get(f"{API}/uploads/{upload['id']}")
    done = client.post(f"{API}/uploads/{upload['id']}/complete")
    assert {calls.error(answer) for answer in (part, look, done)} == {(404, "unknown_upload")}


def test_mallory_cannot_ask_which_private_content_exists(alice: Person, mallory: Person) -> None:
    model = builders.make_model(alice, visibility="private")
    builders.make_revision(alice, model)
    asked = calls.declare(mallory.api(), builders.ONNX)
    assert (asked.status_code, asked.json()["state"]) == (201, "open")
    assert calls.declare(alice.api(), builders.ONNX).json() == {
        "state": "stored",
        "sha256": hashlib.sha256(builders.ONNX).hexdigest(),
    }


def test_bob_need_not_send_what_he_may_read(alice: Person, bob: Person) -> None:
    builders.make_revision(alice)
    assert calls.declare(bob.api(), builders.ONNX).json()["state"] == "stored"


def test_what_waits_for_its_inspection_is_not_readable_yet(alice: Person, bob: Person) -> None:
    builders.make_revision(alice, report=None)
    assert calls.declare(bob.api(), builders.ONNX).json()["state"] == "open"


def test_a_quota_counts_what_is_held_and_what_is_coming(
    alice: Person, bob: Person, settings: Settings
) -> None:
    settings.QUOTA_BYTES = 1000
    calls.upload(alice.api(), DATA)
    assert calls.declare(alice.api(), b"a" * 200).status_code == 201
    answer = calls.declare(alice.api(), b"b" * 200)
    assert calls.error(answer) == (413, "too_large")
    told = answer.json()["error"]["detail"]
    assert (told["size"], told["used"], told["quota"]) == (200, 968, 1000)
    assert calls.declare(bob.api(), b"b" * 200).status_code == 201


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"size": 21 * 2**30, "sha256": "0" * 64}, (413, "too_large")),
        ({"size": -1, "sha256": "0" * 64}, (400, "invalid_input")),
        ({"size": 1, "sha256": "A" * 64}, (400, "invalid_input")),
        ({"size": 10**6, "sha256": "0" * 64, "part_size": 1}, (400, "invalid_input")),
        ({"size": 1, "sha256": "0" * 64, "part_size": 2**27}, (400, "invalid_input")),
        ({"sha256": "0" * 64}, (400, "invalid_input")),
    ],
)
def test_a_bad_declaration_is_refused(alice: Person, body: Any, expected: Any) -> None:
    assert calls.error(alice.api().post(f"{API}/uploads", body, format="json")) == expected


def test_a_large_upload_is_joined_by_a_worker(
    alice: Person, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    monkeypatch.setattr(uploads, "JOIN_AT_ONCE_BYTES", 10)
    announced: list[str] = []
    monkeypatch.setattr("registry.tasks.complete_upload.delay", announced.append)
    upload = calls.declare(alice.api(), DATA, 400).json()
    for number, part in enumerate(_parts(DATA, 400)):
        calls.put_part(alice.api(), upload["id"], number, part)
    with django_capture_on_commit_callbacks(execute=True):
        done = alice.api().post(f"{API}/uploads/{upload['id']}/complete")
    assert (done.json()["state"], announced) == ("joining", [upload["id"]])
    Upload.objects.update(touched_at=timezone.now() - timedelta(hours=1))
    sweep_uploads()  # the message was lost: the sweeper announces it again
    assert announced == [upload["id"]] * 2
    uploads.join(Upload.objects.get().pk)
    uploads.join(Upload.objects.get().pk)
    assert alice.api().get(f"{API}/uploads/{upload['id']}").json()["state"] == "stored"


def test_a_part_that_was_lost_here_ends_the_upload(alice: Person, settings: Settings) -> None:
    upload = calls.declare(alice.api(), DATA, 400).json()
    for number, part in enumerate(_parts(DATA, 400)):
        calls.put_part(alice.api(), upload["id"], number, part)
    (settings.UPLOADS_DIR / upload["id"] / "1").unlink()
    done = alice.api().post(f"{API}/uploads/{upload['id']}/complete").json()
    assert (done["state"], done["error"]["code"]) == ("failed", "conflict")


def test_the_sweeper_removes_what_nobody_waits_for(
    alice: Person, settings: Settings, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        calls.upload(alice.api(), DATA, 400)
    root: Path = settings.UPLOADS_DIR
    assert list(root.iterdir()) == []
    old = calls.declare(alice.api(), b"old", 1).json()
    calls.put_part(alice.api(), old["id"], 0, b"o")
    Upload.objects.filter(pk=old["id"]).update(touched_at=timezone.now() - timedelta(days=8))
    young = calls.declare(alice.api(), b"young", 1).json()
    calls.put_part(alice.api(), young["id"], 0, b"y")
    long_ago = (timezone.now() - timedelta(days=2)).timestamp()
    stray = root / young["id"] / ".stray"
    stray.write_bytes(b"half")
    for path in (stray, root / old["id"]):
        builders.set_mtime(path, long_ago)
    assert uploads.sweep() == []
    assert sorted(path.name for path in root.iterdir()) == [young["id"]]
    assert [path.name for path in (root / young["id"]).iterdir()] == ["0"]
    assert not Upload.objects.filter(pk=old["id"]).exists()
    assert Upload.objects.get(pk=young["id"]).state == UploadState.OPEN


def test_a_discarded_upload_frees_the_quota_and_its_parts(
    alice: Person, bob: Person, settings: Settings
) -> None:
    settings.QUOTA_BYTES = 1000
    first = calls.declare(alice.api(), DATA, 400).json()
    calls.put_part(alice.api(), first["id"], 0, DATA[:400])
    refused = calls.declare(alice.api(), DATA + b"x")
    assert calls.error(refused) == (413, "too_large")
    assert "/me/uploads/" in refused.json()["error"]["detail"]["remedy"]
    url = f"{API}/uploads/{first['id']}"
    assert calls.error(bob.api().delete(url)) == (404, "unknown_upload")
    assert calls.error(alice.api("read").delete(url)) == (403, "not_allowed")
    assert alice.api().delete(url).status_code == 204
    assert calls.declare(alice.api(), DATA + b"x").status_code == 201
    assert calls.error(calls.put_part(alice.api(), first["id"], 1, DATA[400:]))[0] == 404


def test_what_is_stored_cannot_be_discarded(alice: Person) -> None:
    calls.upload(alice.api(), DATA)
    url = f"{API}/uploads/{Upload.objects.get().pk}"
    assert calls.error(alice.api().delete(url)) == (409, "conflict")
