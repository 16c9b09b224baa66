"""Blobs in a bucket: the collector never races an upload, and a store that fails loses nothing."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django import Settings

from registry import storage_s3
from registry.choices import UploadState
from registry.errors import ConflictError
from registry.models import Blob, Charge, Holding, Upload
from registry.services import collection, contents, joining
from registry.storage import BlobStore, blobs, bucket
from tests.ledger.s3 import line_to
from tests.people import Person
from tests.registry import calls
from tests.registry.bucket import DATA, PART, SHA256, complete, declare, keys, place, send
from tests.registry.calls import API
from tests.registry.test_collection import STEPS, Meanwhile

NOBODYS = hashlib.sha256(b"nobody names this").hexdigest()


# ------------------------------------------------------------------ the collector


def grow_old() -> None:
    """Let every row that names a content be a month old."""
    then = timezone.now() - timedelta(days=30)
    Blob.objects.update(created_at=then)
    Holding.objects.update(touched_at=then)
    Charge.objects.update(touched_at=then)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", STEPS)
def test_what_is_stored_while_the_collector_works_is_there(
    alice: Person, kept: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    contents.store(alice.user, b"nobody names this")
    grow_old()
    other = Meanwhile(lambda person: contents.store(person.user, b"nobody names this"), alice)

    def reached(now: str) -> None:
        if now == step and not other.pid:
            other.begin()

    monkeypatch.setattr(collection, "reached", reached)
    collection.collect()
    other.end()
    stored = Blob.objects.filter(pk=NOBODYS).exists()
    assert keys(*kept) == ([place(NOBODYS)] if stored else [])
    assert stored == (other.error is None)
    assert other.error is None or isinstance(other.error, ConflictError)
    monkeypatch.undo()


@pytest.mark.django_db(transaction=True)
def test_an_object_comes_back_when_the_lock_is_lost_with_the_connection(
    alice: Person, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents.store(alice.user, b"nobody names this")
    grow_old()

    def reached(now: str) -> None:
        if now == "aside":
            assert keys(*kept) == [f"files/aside/{NOBODYS}"]
            connection.close()
            raise OperationalError("the connection was cut")

    monkeypatch.setattr(collection, "reached", reached)
    with pytest.raises(OperationalError):
        collection.collect()
    assert keys(*kept) == [place(NOBODYS)]


def test_what_a_collector_left_aside_is_put_back_where_a_row_names_it(
    alice: Person, kept: Any
) -> None:
    contents.store(alice.user, b"nobody names this")
    anew = contents.store(alice.user, b"stored anew").pk
    client, name = kept
    for sha256 in (NOBODYS, anew, blobs().put(b"of no row").sha256, "0" * 64):
        blobs().set_aside(sha256)  # the last one is not there
    client.put_object(Bucket=name, Key=place(anew), Body=b"stored anew")
    client.put_object(Bucket=name, Key="files/aside/notes.txt", Body=b"not ours")
    assert sorted(blobs().walk_aside()) == sorted(
        (NOBODYS, anew, hashlib.sha256(b"of no row").hexdigest())
    )
    assert collection.collect().put_back == 2
    assert keys(*kept) == sorted(("files/aside/notes.txt", place(NOBODYS), place(anew)))
    blobs().put_back("0" * 64)
    with blobs().open(NOBODYS) as stream:
        assert stream.read() == b"nobody names this"


# ------------------------------------------------------------------ a store that fails


@pytest.mark.parametrize("way", ["whole", "parts"])
def test_a_store_that_refuses_costs_nothing_but_another_try(
    alice: Person, kept: Any, store: str, settings: Settings, way: str
) -> None:
    data = b"proxied" * 20
    with line_to(store) as line:
        settings.BLOBS_S3_ENDPOINT = line.endpoint
        line.tamper = lambda request: (403, "AccessDenied") if request.method == "PUT" else None
        upload = calls.declare(alice.api(), data, 100).json()
        url = f"{API}/uploads/{upload['id']}"
        for number in (0, 1) if way == "parts" else ():
            calls.put_part(alice.api(), upload["id"], number, data[number * 100 :][:100])

        def send() -> Any:
            if way == "parts":
                return alice.api().post(f"{url}/complete")
            return alice.api().put(f"{url}/content", data, content_type="application/octet-stream")

        assert calls.error(send()) == (503, "store_away")
        assert not Blob.objects.exists()
        line.clear()
        assert send().json()["state"] == "stored"
    sha256 = hashlib.sha256(data).hexdigest()
    assert keys(*kept) == [place(sha256)]
    with blobs_at(settings, store).open(sha256) as stream:
        assert stream.read() == data


def blobs_at(settings: Settings, endpoint: str) -> BlobStore:
    settings.BLOBS_S3_ENDPOINT = endpoint
    return blobs()


def test_an_object_of_another_length_is_not_adopted(alice: Person, kept: Any) -> None:
    """Whoever can write to the bucket cannot make a row that says what is not so."""
    upload = declare(alice, size=len(DATA) - 1).json()
    send(alice, upload)
    row = Upload.objects.get()
    client, name = kept
    for number, body in ((1, DATA[:PART]), (2, DATA[PART:])):
        client.upload_part(
            Bucket=name,
            Key=f"files/incoming/{row.pk}",
            UploadId=row.multipart,
            PartNumber=number,
            Body=body,
        )
    Upload.objects.update(state=UploadState.JOINING)
    joining.join(row.pk)
    told = alice.api().get(f"{API}/uploads/{upload['id']}").json()
    assert (told["state"], told["error"]["code"]) == ("failed", "invalid_input")
    assert told["error"]["detail"] == {"expected": len(DATA) - 1, "found": len(DATA)}
    assert not Blob.objects.exists()
    assert place(SHA256) not in keys(*kept)


def test_every_page_of_objects_and_parts_is_read(
    alice: Person, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_s3, "PAGE", 1)
    stored = {blobs().put(b"%d" % number).sha256 for number in range(3)}
    assert {found.sha256 for found in blobs().walk()} == stored
    upload = declare(alice).json()
    send(alice, upload)
    assert complete(alice, upload).json()["state"] == "stored"


def test_the_sweeper_sees_every_page_of_what_began(
    kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, name = kept
    for number in range(3):
        client.create_multipart_upload(Bucket=name, Key=f"files/incoming/{number}")

    class Pages:
        """The store, which tells one upload at a time."""

        def list_multipart_uploads(self, **asked: Any) -> Any:
            found = client.list_multipart_uploads(Bucket=name)["Uploads"]
            after = asked.get("KeyMarker", "")
            left = sorted((one for one in found if one["Key"] > after), key=lambda one: one["Key"])
            return {
                "Uploads": left[:1],
                "IsTruncated": len(left) > 1,
                "NextKeyMarker": left[0]["Key"],
                "NextUploadIdMarker": left[0]["UploadId"],
            }

        def __getattr__(self, other: str) -> Any:
            return getattr(client, other)

    monkeypatch.setattr(storage_s3, "_client", lambda *_: Pages())
    found = bucket()
    assert found is not None
    assert [one.name for one in found.walk_incoming()] == ["0", "1", "2"]
