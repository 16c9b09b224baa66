"""Blobs in a bucket: parts go straight there, are hashed before they count, and come from there."""

from __future__ import annotations

import hashlib
import io
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from registry import storage_s3
from registry.choices import UploadState
from registry.errors import (
    DigestMismatchError,
    StoreAwayError,
    UnknownFileError,
)
from registry.models import Blob, Holding, Upload
from registry.services import collection, contents, direct, joining, uploads
from registry.storage import blobs, bucket
from tests import builders
from tests.people import Person
from tests.registry import calls
from tests.registry.bucket import DATA, PART, SHA256, call, complete, declare, keys, place, send
from tests.registry.calls import API

# ------------------------------------------------------------------ the storage


def test_a_blob_is_stored_read_and_removed(kept: Any) -> None:
    stored = blobs().put([DATA[:100], DATA[100:]], SHA256, size=len(DATA))
    git = hashlib.sha1(b"blob %d\0" % len(DATA) + DATA, usedforsecurity=False).hexdigest()
    assert (stored.sha256, stored.size, stored.git_sha1) == (SHA256, len(DATA), git)
    assert keys(*kept) == [place(SHA256)]
    with blobs().open(SHA256) as stream:
        stream.seek(PART)
        assert stream.read() == b"the last part"
        stream.seek(-4, io.SEEK_END)
        assert (stream.tell(), stream.read(100)) == (len(DATA) - 4, b"part")
        stream.seek(0)
        assert stream.read(10) == DATA[:10]
    assert [found.sha256 for found in blobs().walk()] == [SHA256]
    assert blobs().put(DATA).sha256 == SHA256  # it is there already
    blobs().delete(SHA256)
    assert not blobs().exists(SHA256)
    blobs().delete(SHA256)
    with pytest.raises(UnknownFileError):
        blobs().open(SHA256)


def test_wrong_bytes_never_reach_the_bucket(kept: Any) -> None:
    with pytest.raises(DigestMismatchError):
        blobs().put(DATA, "0" * 64)
    assert keys(*kept) == []


def test_a_store_that_is_away_says_so(
    kept: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BLOBS_STORAGE = "s3://no-such-bucket/files"
    with pytest.raises(StoreAwayError, match="NoSuchBucket"):
        list(blobs().walk())

    class Away:
        def head_object(self, **_: Any) -> Any:
            raise EndpointConnectionError(endpoint_url="http://127.0.0.1:1")

    monkeypatch.setattr(storage_s3, "_client", lambda *_: Away())
    with pytest.raises(StoreAwayError, match="does not answer"):
        blobs().exists(SHA256)


def test_a_large_blob_is_adopted_in_pieces(
    kept: Any, monkeypatch: pytest.MonkeyPatch, alice: Person
) -> None:
    monkeypatch.setattr(storage_s3, "MAX_COPY_BYTES", PART)
    monkeypatch.setattr(storage_s3, "COPY_PART_BYTES", PART)
    upload = declare(alice).json()
    send(alice, upload)
    assert complete(alice, upload).json()["state"] == "stored"
    with blobs().open(SHA256) as stream:
        assert stream.read() == DATA


# ------------------------------------------------------------------ straight to the store


def test_alice_sends_parts_straight_to_the_store(
    alice: Person, kept: Any, django_capture_on_commit_callbacks: Any
) -> None:
    upload = declare(alice).json()
    assert (upload["direct"], upload["missing"]) == (True, [0, 1])
    send(alice, upload, numbers=[1])
    assert alice.api().get(f"{API}/uploads/{upload['id']}").json()["missing"] == [0]
    assert declare(alice).json()["id"] == upload["id"]  # taken up again
    send(alice, upload, numbers=[0])
    with django_capture_on_commit_callbacks(execute=True):
        done = complete(alice, upload)
    assert (done.status_code, done.json()["state"]) == (202, "stored")
    assert keys(*kept) == [place(SHA256)]
    assert Blob.objects.get().size == len(DATA)
    assert Holding.objects.filter(user=alice.user, blob_id=SHA256).exists()
    assert declare(alice).json() == {"state": "stored", "sha256": SHA256}


def test_other_bytes_than_declared_are_not_kept(alice: Person, kept: Any) -> None:
    upload = declare(alice).json()
    forged = bytes(len(DATA))
    send(alice, upload, forged)
    done = complete(alice, upload).json()
    found = hashlib.sha256(forged).hexdigest()
    assert (done["state"], done["error"]["code"]) == ("failed", "digest_mismatch")
    assert done["error"]["detail"] == {"expected": SHA256, "found": found}
    assert not Blob.objects.exists()


def test_what_did_not_count_is_removed(
    alice: Person, kept: Any, django_capture_on_commit_callbacks: Any
) -> None:
    upload = declare(alice).json()
    send(alice, upload, bytes(len(DATA)))
    with django_capture_on_commit_callbacks(execute=True):
        complete(alice, upload)
    assert keys(*kept) == []
    other = declare(alice, DATA + b"!").json()
    send(alice, other, DATA + b"!", [0])
    with django_capture_on_commit_callbacks(execute=True):
        assert alice.api().delete(f"{API}/uploads/{other['id']}").status_code == 204
    client, name = kept
    assert client.list_multipart_uploads(Bucket=name).get("Uploads", []) == []


def test_a_part_of_another_length_is_missing(alice: Person, kept: Any) -> None:
    upload = declare(alice).json()
    row = Upload.objects.get()
    client, name = kept
    for number, body in ((1, DATA[:PART]), (2, b"short")):
        client.upload_part(
            Bucket=name,
            Key=f"files/incoming/{row.pk}",
            UploadId=row.multipart,
            PartNumber=number,
            Body=body,
        )
    answer = complete(alice, upload)
    assert calls.error(answer) == (409, "conflict")
    assert answer.json()["error"]["detail"]["missing"] == [1]


def test_no_address_leads_into_a_completed_upload(
    alice: Person, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was hashed cannot be changed by whoever still has an address."""
    monkeypatch.setattr(uploads, "JOIN_AT_ONCE_BYTES", 0)
    monkeypatch.setattr("registry.tasks.complete_upload.delay", lambda _: None)
    upload = declare(alice).json()
    send(alice, upload)
    asked = {"parts": [0]}
    url = f"{API}/uploads/{upload['id']}/addresses"
    late = alice.api().post(url, asked, format="json").json()["addresses"][0]["url"]
    assert complete(alice, upload).json()["state"] == "joining"
    assert calls.error(alice.api().post(url, asked, format="json")) == (409, "conflict")
    store = bucket()
    assert store is not None
    row = Upload.objects.get()
    store.join(str(row.pk), row.multipart)
    assert call("PUT", late, bytes(PART))[0] in (404, 500)  # S3 says 404, moto falls over
    joining.join(row.pk)
    joining.join(row.pk)
    row.refresh_from_db()
    assert row.state == UploadState.STORED
    with blobs().open(SHA256) as stream:
        assert hashlib.sha256(stream.read()).hexdigest() == SHA256


def test_what_is_gone_from_the_store_ends_the_upload(
    alice: Person, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "JOIN_AT_ONCE_BYTES", 0)
    monkeypatch.setattr("registry.tasks.complete_upload.delay", lambda _: None)
    upload = declare(alice).json()
    send(alice, upload)
    complete(alice, upload)
    direct.forget(Upload.objects.get())
    joining.join(Upload.objects.get().pk)
    assert alice.api().get(f"{API}/uploads/{upload['id']}").json()["state"] == "failed"


@pytest.mark.parametrize(
    ("size", "part_size", "field"), [(0, PART, "size"), (PART + 1, PART - 1, "part_size")]
)
def test_what_the_store_takes_not_is_refused(
    alice: Person, kept: Any, size: int, part_size: int, field: str
) -> None:
    body = {"size": size, "sha256": SHA256, "part_size": part_size, "direct": True}
    answer = alice.api().post(f"{API}/uploads", body, format="json")
    assert calls.error(answer) == (400, "invalid_input")
    assert answer.json()["error"]["detail"] == {"field": field}


def test_without_a_store_nothing_goes_there(alice: Person) -> None:
    assert calls.error(declare(alice)) == (400, "invalid_input")
    plain = calls.declare(alice.api(), b"some bytes").json()
    url = f"{API}/uploads/{plain['id']}/addresses"
    asked = alice.api().post(url, {"parts": [0]}, format="json")
    assert calls.error(asked) == (409, "conflict")
    assert direct.sweep() == 0


def test_addresses_are_for_parts_that_there_are(alice: Person, mallory: Person, kept: Any) -> None:
    upload = declare(alice).json()
    url = f"{API}/uploads/{upload['id']}/addresses"
    assert calls.error(alice.api().post(url, {"parts": [2]}, format="json")) == (
        400,
        "invalid_input",
    )
    assert calls.error(mallory.api().post(url, {"parts": [0]}, format="json")) == (
        404,
        "unknown_upload",
    )
    part = calls.put_part(alice.api(), upload["id"], 1, b"the last part")
    assert calls.error(part) == (409, "conflict")
    whole = alice.api().put(
        f"{API}/uploads/{upload['id']}/content", DATA, content_type="application/octet-stream"
    )
    assert calls.error(whole) == (409, "conflict")


def test_parts_may_come_here_and_the_blob_goes_to_the_store(alice: Person, kept: Any) -> None:
    data = b"proxied" * 20
    sha256 = calls.upload(alice.api(), data, 64)
    assert keys(*kept) == [place(sha256)]


def test_the_sweeper_removes_what_lies_there_for_no_upload(
    alice: Person, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = declare(alice).json()
    send(alice, upload, numbers=[0])
    client, name = kept
    client.put_object(Bucket=name, Key="files/incoming/lost", Body=b"x")
    assert direct.sweep() == 0  # young
    client.create_multipart_upload(Bucket=name, Key="files/incoming/begun")
    later = timezone.now() + timedelta(days=2)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert direct.sweep() == 2
    left = client.list_multipart_uploads(Bucket=name)["Uploads"]
    assert [item["Key"] for item in left] == [f"files/incoming/{upload['id']}"]
    assert keys(*kept) == []


def test_the_collector_takes_away_what_nobody_named(alice: Person, kept: Any) -> None:
    contents.store(alice.user, b"nobody names this")
    lost = blobs().put(b"without a row").sha256
    assert collection.collect().blobs == 0
    done = collection.collect(grace=timedelta(seconds=-60))
    assert (done.blobs, done.strays, done.put_back) == (1, 1, 0)
    assert not blobs().exists(lost)
    assert keys(*kept) == []


# ------------------------------------------------------------------ straight from the store


def release_file(person: Person, visibility: str = "public") -> str:
    model = builders.make_model(person, visibility=visibility)
    revision = builders.make_revision(person, model)
    return f"/models/{model.full_name}/files/{revision.pk}/model.onnx"


def test_a_download_is_led_to_the_store(alice: Person, kept: Any, client: Client) -> None:
    path = release_file(alice)
    answer = client.get(path)
    sha256 = hashlib.sha256(builders.ONNX).hexdigest()
    assert answer.status_code == 302
    assert answer["ETag"] == answer["X-Linked-Etag"] == f'"{sha256}"'
    assert answer["X-Linked-Size"] == str(len(builders.ONNX))
    assert answer["Repr-Digest"].startswith("sha-256=:")
    assert answer["Cache-Control"] == "public, max-age=1800"
    assert "X-Amz-Expires=3600" in answer["Location"]
    status, body, headers = call("GET", answer["Location"])
    assert (status, body) == (200, builders.ONNX)
    assert headers["content-disposition"].startswith("attachment")
    assert headers["content-type"] == "application/octet-stream"
    part = call("GET", answer["Location"], headers={"Range": "bytes=2-4"})
    assert (part[0], part[1]) == (206, builders.ONNX[2:5])
    assert client.get(path, headers={"if-none-match": answer["ETag"]}).status_code == 304


def test_a_private_address_is_short_lived_and_never_kept(
    alice: Person, kept: Any, client: Client
) -> None:
    path = release_file(alice, "private")
    assert client.get(path).status_code == 404
    client.force_login(alice.user)
    answer = client.get(path)
    assert (answer.status_code, answer["Cache-Control"]) == (302, "no-store")
    assert "X-Amz-Expires=60" in answer["Location"]


def test_head_and_a_pages_script_are_answered_here(
    alice: Person, kept: Any, client: Client, settings: Settings
) -> None:
    path = release_file(alice)
    head = client.head(path)
    assert (head.status_code, head["Content-Length"]) == (200, str(len(builders.ONNX)))
    script = client.get(path, headers={"sec-fetch-dest": "empty", "range": "bytes=1-3"})
    assert script.status_code == 206
    assert b"".join(script.streaming_content) == builders.ONNX[1:4]  # type: ignore[attr-defined]  # a streamed answer
    settings.BLOBS_S3_DIRECT = False
    assert client.get(path).status_code == 200


def test_clients_get_the_address_that_they_can_reach(
    alice: Person, kept: Any, client: Client, settings: Settings
) -> None:
    path = release_file(alice)
    settings.BLOBS_S3_PUBLIC = "https://files.example.org"
    assert client.get(path)["Location"].startswith("https://files.example.org/")
