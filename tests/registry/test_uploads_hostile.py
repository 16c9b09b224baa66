"""Hostile uploads: what each lie is answered, and that nothing is stored which was not verified."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from pytest_django import Settings

from registry.choices import UploadState
from registry.errors import (
    ConflictError,
    DigestMismatchError,
    InvalidInputError,
    UnknownUploadError,
)
from registry.models import Blob, Revision, Upload, UploadPart
from registry.services import contents, joining, uploads
from registry.storage import blobs
from tests import builders
from tests.people import Person
from tests.registry import calls
from tests.registry.calls import API
from tests.registry.test_quotas import at_once, refused

DATA = bytes(range(256)) * 4
SHA256 = hashlib.sha256(DATA).hexdigest()
PLAIN = "application/octet-stream"
BOMB = 4 * 2**20


def declared(person: Person, part_size: int = 512, data: bytes = DATA) -> Upload:
    found = uploads.declare(
        person.user, size=len(data), sha256=hashlib.sha256(data).hexdigest(), part_size=part_size
    ).upload
    assert found is not None
    return uploads.find(person.user, found.pk)


def nothing_stored(settings: Settings) -> None:
    """No row, no blob, and nothing beside the parts that their rows name."""
    assert not Blob.objects.exists()
    assert list(blobs().walk()) == []
    root: Path = settings.UPLOADS_DIR
    left = {path for path in root.rglob("*") if path.is_file()} if root.is_dir() else set()
    named = {root / str(part.upload_id) / str(part.number) for part in UploadPart.objects.all()}
    assert left == named


# ------------------------------------------------------------------ whole


def test_alice_sends_the_whole_in_one_stream(alice: Person) -> None:
    upload = calls.declare(alice.api(), DATA).json()
    url = f"{API}/uploads/{upload['id']}/content"
    answer = alice.api().put(url, DATA, content_type=PLAIN)
    assert (answer.status_code, answer.json()["state"]) == (200, "stored")
    blob = Blob.objects.get()
    git = hashlib.sha1(b"blob %d\0" % len(DATA) + DATA, usedforsecurity=False).hexdigest()
    assert (blob.sha256, blob.git_sha1) == (SHA256, git)
    assert calls.error(alice.api().put(url, DATA, content_type=PLAIN)) == (409, "conflict")


def test_a_whole_with_other_bytes_leaves_the_upload_open(alice: Person, settings: Settings) -> None:
    upload = calls.declare(alice.api(), DATA).json()
    url = f"{API}/uploads/{upload['id']}/content"
    forged = bytes(len(DATA))
    answer = alice.api().put(url, forged, content_type=PLAIN)
    assert calls.error(answer) == (400, "digest_mismatch")
    assert answer.json()["error"]["detail"] == {
        "expected": SHA256,
        "found": hashlib.sha256(forged).hexdigest(),
    }
    short = alice.api().put(url, DATA[:-1], content_type=PLAIN)
    assert calls.error(short) == (400, "invalid_input")
    assert short.json()["error"]["detail"] == {"expected": 1024, "found": 1023}
    nothing_stored(settings)
    assert Upload.objects.get().state == UploadState.OPEN


def test_a_whole_that_breaks_off_leaves_nothing(alice: Person, settings: Settings) -> None:
    upload = declared(alice)
    for chunks in ([DATA[:100]], [DATA, b"more"]):
        with pytest.raises(InvalidInputError):
            uploads.put_whole(upload, chunks)
    nothing_stored(settings)


def test_a_whole_after_some_parts_ends_the_same_upload(alice: Person) -> None:
    upload = declared(alice)
    uploads.put_part(upload, 0, [DATA[:512]])
    assert uploads.put_whole(upload, [DATA]).state == UploadState.STORED
    assert Blob.objects.get().pk == SHA256


@pytest.mark.parametrize("how", ["part", "whole"])
def test_what_was_discarded_meanwhile_is_not_stored(
    alice: Person, settings: Settings, how: str
) -> None:
    upload = declared(alice)

    def chunks(data: bytes) -> Iterator[bytes]:
        yield data[:10]
        uploads.discard(alice.user, upload.pk)
        yield data[10:]

    def take() -> object:
        if how == "part":
            return uploads.put_part(upload, 0, chunks(DATA[:512]))
        return uploads.put_whole(upload, chunks(DATA))

    with pytest.raises(UnknownUploadError):
        take()
    assert not Blob.objects.exists()
    with pytest.raises(UnknownUploadError):
        uploads.complete(upload)


def test_a_failed_upload_takes_nothing_any_more(alice: Person) -> None:
    upload = declared(alice)

    def chunks() -> Iterator[bytes]:
        Upload.objects.update(state=UploadState.FAILED)
        yield DATA

    with pytest.raises(ConflictError):
        uploads.put_whole(upload, chunks())
    assert not Blob.objects.exists()


# ------------------------------------------------------------------ parts


def test_parts_neither_overlap_nor_leave_gaps(alice: Person, settings: Settings) -> None:
    """A part's place follows from its number alone: one of another length is refused."""
    upload = calls.declare(alice.api(), DATA, 512).json()
    for number, size in ((0, 513), (0, 511), (1, 1024), (1, 1)):
        answer = calls.put_part(alice.api(), upload["id"], number, bytes(size))
        assert calls.error(answer) == (400, "invalid_input")
        detail = {"number": number, "expected": 512, "found": size}
        assert answer.json()["error"]["detail"] == detail
    assert calls.declare(alice.api(), DATA, 512).json()["missing"] == [0, 1]
    nothing_stored(settings)


@pytest.mark.parametrize(("number", "status"), [(2, 400), (10**18, 400), (-1, 404), ("x", 404)])
def test_a_part_out_of_range_is_refused(alice: Person, number: Any, status: int) -> None:
    upload = calls.declare(alice.api(), DATA, 512).json()
    answer = calls.put_part(alice.api(), upload["id"], number, bytes(512))
    assert answer.status_code == status


def test_a_completed_upload_is_not_changed_by_a_part_that_still_comes(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part began while the upload was open, and ends after it was completed."""
    monkeypatch.setattr(uploads, "JOIN_AT_ONCE_BYTES", 0)
    upload = declared(alice)
    for number in (0, 1):
        uploads.put_part(upload, number, [DATA[number * 512 : number * 512 + 512]])

    def chunks() -> Iterator[bytes]:
        yield bytes(100)
        assert uploads.complete(upload).state == UploadState.JOINING
        yield bytes(412)

    with pytest.raises(ConflictError) as caught:
        uploads.put_part(upload, 0, chunks())
    assert caught.value.detail == {"state": "joining"}
    joining.join(upload.pk)
    assert Blob.objects.get().pk == SHA256


def test_a_part_that_replaces_another_is_checked_with_the_whole(alice: Person) -> None:
    """Without an announced digest a second part 0 may lie; the whole does not become a blob."""
    upload = declared(alice)
    uploads.put_part(upload, 1, [DATA[512:]])
    uploads.put_part(upload, 0, [DATA[:512]])
    uploads.put_part(upload, 0, [bytes(512)])
    assert uploads.complete(upload).state == UploadState.FAILED
    assert not Blob.objects.exists()


def test_a_part_that_was_changed_on_disk_is_found(alice: Person, settings: Settings) -> None:
    upload = declared(alice)
    for number in (0, 1):
        part = DATA[number * 512 : number * 512 + 512]
        uploads.put_part(upload, number, [part], hashlib.sha256(part).hexdigest())
    (settings.UPLOADS_DIR / str(upload.pk) / "1").write_bytes(bytes(512))
    done = uploads.complete(upload)
    assert (done.state, (done.error or {})["code"]) == (UploadState.FAILED, "conflict")
    assert not Blob.objects.exists()


@pytest.mark.parametrize(
    "header", ["", "sha-256=:AAAA:", "md5=:AAAAAAAAAAAAAAAAAAAAAA==:", "sha-256=abc", "sha-256=::"]
)
def test_a_part_without_a_digest_that_is_one_is_refused(alice: Person, header: str) -> None:
    upload = calls.declare(alice.api(), DATA, 512).json()
    answer = calls.put_part(alice.api(), upload["id"], 0, DATA[:512], header)
    assert calls.error(answer) == (400, "invalid_input")


def test_bytes_that_are_collected_in_mid_join_are_stored_again(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, taken = contents.record, list[int]()

    def record(*arguments: Any, **named: Any) -> Any:
        if not taken:
            taken.append(1)
            blobs().delete(SHA256)
        return honest(*arguments, **named)

    monkeypatch.setattr(contents, "record", record)
    upload = declared(alice)
    for number in (0, 1):
        uploads.put_part(upload, number, [DATA[number * 512 : number * 512 + 512]])
    assert uploads.complete(upload).state == UploadState.STORED
    with blobs().open(SHA256) as stream:
        assert stream.read() == DATA


def test_bytes_that_are_collected_each_time_leave_the_upload_waiting(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> Any:
        raise ConflictError("gone")

    monkeypatch.setattr(contents, "record", gone)
    upload = declared(alice)
    for number in (0, 1):
        uploads.put_part(upload, number, [DATA[number * 512 : number * 512 + 512]])
    assert uploads.complete(upload).state == UploadState.JOINING


# ------------------------------------------------------------------ bombs, links, strange addresses


def sent(person: Person, data: bytes, **headers: str) -> Any:
    """Declare `data`, send it in one stream with these headers, return the answer."""
    upload = calls.declare(person.api(), data).json()
    url = f"{API}/uploads/{upload['id']}/content"
    return person.api().put(url, data, content_type=PLAIN, headers=headers)


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights.bin", bytes(BOMB))
    return packed.getvalue()


@pytest.mark.parametrize("path", ["model.onnx", "weights.bin", "README.md"])
@pytest.mark.parametrize(
    ("what", "pack"),
    [
        ("zip", zipped),
        ("gzip", lambda: gzip.compress(bytes(BOMB))),
        ("xz", lambda: lzma.compress(bytes(BOMB))),
        ("bzip2", lambda: bz2.compress(bytes(BOMB))),
    ],
)
def test_a_bomb_is_never_opened_and_no_revision_has_it(
    alice: Person, settings: Settings, what: str, pack: Callable[[], bytes], path: str
) -> None:
    builders.make_model(alice, "digits")
    data = pack()
    assert len(data) * 100 < BOMB
    assert sent(alice, data).json()["state"] == "stored"
    answer = calls.commit(alice.api(), "alice/digits", {path: hashlib.sha256(data).hexdigest()})
    assert calls.error(answer) == (400, "refused_file")
    detail = answer.json()["error"]["detail"]
    assert (detail["code"], detail["path"]) == ("kind", path)
    assert what in answer.json()["error"]["message"]
    assert not Revision.objects.exists()
    on_disk = [file for file in Path(settings.BLOBS_DIR).rglob("*") if file.is_file()]
    assert [file.stat().st_size for file in on_disk] == [len(data)]


def test_a_body_that_says_it_is_packed_is_taken_as_it_is(alice: Person, settings: Settings) -> None:
    """The digest is of the bytes that come (RFC 9530); they are never blown up."""
    data = gzip.compress(bytes(BOMB))
    assert sent(alice, data, **{"Content-Encoding": "gzip"}).json()["size"] == len(data)
    whole = calls.declare(alice.api(), bytes(BOMB)).json()
    url = f"{API}/uploads/{whole['id']}/content"
    answer = alice.api().put(url, data, content_type=PLAIN, headers={"Content-Encoding": "gzip"})
    assert calls.error(answer) == (400, "invalid_input")
    assert answer.json()["error"]["detail"] == {"expected": BOMB, "found": len(data)}
    assert Blob.objects.get().size == len(data)


def test_a_link_in_the_place_of_a_part_leads_nowhere(
    alice: Person, settings: Settings, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"k" * 512)
    upload = declared(alice)
    for number in (0, 1):
        uploads.put_part(upload, number, [DATA[number * 512 : number * 512 + 512]])
    part = settings.UPLOADS_DIR / str(upload.pk) / "1"
    part.unlink()
    part.symlink_to(secret)
    done = uploads.complete(upload)
    assert (done.state, (done.error or {})["code"]) == (UploadState.FAILED, "conflict")
    assert not Blob.objects.exists()
    assert list(blobs().walk()) == []


def test_a_link_is_replaced_and_not_written_through(
    alice: Person, settings: Settings, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"untouched")
    upload = declared(alice)
    places = (
        settings.UPLOADS_DIR / str(upload.pk) / "0",
        settings.BLOBS_DIR / SHA256[:2] / SHA256[2:4] / SHA256,
    )
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(outside)
    for number in (0, 1):
        uploads.put_part(upload, number, [DATA[number * 512 : number * 512 + 512]])
    assert uploads.complete(upload).state == UploadState.STORED
    assert outside.read_bytes() == b"untouched"
    assert not places[1].is_symlink()
    assert places[1].read_bytes() == DATA


def test_a_revision_has_no_links_whatever_a_commit_claims(alice: Person, client: Client) -> None:
    builders.make_model(alice, "digits")
    target = b"/etc/passwd"
    sha256 = calls.upload(alice.api(), target)
    line = {"path": "link.txt", "sha256": sha256, "mode": "120000", "type": "symlink"}
    body = {"files": [line], "parent": None, "message": ""}
    url = f"{API}/models/alice/digits/revisions"
    made = alice.api().post(url, body, format="json")
    assert made.status_code == 201
    client.force_login(alice.user)
    got = client.get(f"/models/alice/digits/files/{made.json()['id']}/link.txt")
    assert b"".join(got.streaming_content) == target  # type: ignore[attr-defined]  # a streamed answer
    assert got["Content-Disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "place",
    [
        "../../etc/passwd/parts/0",
        "..%2f..%2fetc%2fpasswd/parts/0",
        "%2fetc%2fpasswd/content",
        "{id}%00/content",
        "{id}/parts/..%2f..%2f0",
        "{id}/parts/0%00",
        "{id}/parts/\u0660",
        "{id}/parts/0x0",
    ],
)
def test_no_address_of_an_upload_leads_out_of_it(
    alice: Person, settings: Settings, place: str
) -> None:
    upload = calls.declare(alice.api(), DATA).json()
    url = f"{API}/uploads/{place.format(id=upload['id'])}"
    headers = {"Content-Digest": calls.content_digest(DATA)}
    answer = alice.api().put(url, DATA, content_type=PLAIN, headers=headers)
    assert answer.status_code == 404
    nothing_stored(settings)


# ------------------------------------------------------------------ at once


@pytest.mark.django_db(transaction=True)
def test_two_completions_at_once_make_one_blob(alice: Person) -> None:
    upload = declared(alice)
    for number in (0, 1):
        uploads.put_part(upload, number, [DATA[number * 512 : number * 512 + 512]])
    answers = at_once(*(lambda: uploads.complete(upload) for _ in range(3)))
    assert refused(answers) == 0
    upload.refresh_from_db()
    assert upload.state == UploadState.STORED
    assert Blob.objects.get().pk == SHA256


@pytest.mark.django_db(transaction=True)
def test_the_same_part_at_once_is_one_part(alice: Person) -> None:
    upload = declared(alice)
    works = [lambda: uploads.put_part(upload, 0, [DATA[:512]]) for _ in range(4)]
    assert refused(at_once(*works)) == 0
    assert UploadPart.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_completion_waits_for_a_part_that_takes_its_place(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = declared(alice)
    uploads.put_part(upload, 1, [DATA[512:]])
    placed, honest = threading.Event(), UploadPart.objects.update_or_create
    states: list[str] = []

    def complete() -> None:
        try:
            placed.wait(30)
            states.append(uploads.complete(upload).state)
        finally:
            connections.close_all()

    thread = threading.Thread(target=complete)

    def placing(*arguments: Any, **named: Any) -> Any:
        placed.set()
        thread.join(0.2)  # it waits for the transaction that this is in
        return honest(*arguments, **named)

    monkeypatch.setattr(UploadPart.objects, "update_or_create", placing)
    thread.start()
    uploads.put_part(upload, 0, [DATA[:512]])
    thread.join(30)
    assert states == [UploadState.STORED]


@pytest.mark.django_db(transaction=True)
def test_a_whole_and_its_parts_at_once_make_one_blob(alice: Person) -> None:
    upload = declared(alice)
    for number in (0, 1):
        uploads.put_part(upload, number, [DATA[number * 512 : number * 512 + 512]])
    answers = at_once(lambda: uploads.complete(upload), lambda: uploads.put_whole(upload, [DATA]))
    assert refused(answers) == 0
    assert Blob.objects.get().pk == SHA256


def test_a_lie_about_the_whole_is_not_hidden_by_true_parts(alice: Person) -> None:
    with pytest.raises(DigestMismatchError) as caught:
        blobs().put([DATA], "0" * 64, size=len(DATA))
    assert caught.value.detail == {"expected": "0" * 64, "found": SHA256}
