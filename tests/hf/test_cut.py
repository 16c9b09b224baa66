"""Bodies that end before their announced end: refused, and nothing of them is kept."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpRequest, UnreadablePostError
from django.test import RequestFactory
from pytest_django import Settings

from registry.errors import InvalidInputError
from registry.hf import calls
from registry.models import Blob, Model, Revision, UploadPart, Xorb
from tests.hf.hub import Hub, error, gone, header, lines, regular, sha
from tests.hf.pieces import Bridge, File, chunk, name_of, shard, text_of

pytestmark = pytest.mark.django_db
COMMIT = "/api/models/alice/double/commit/main"
NAME = name_of(b"first")


def kept(folder: Path) -> list[Path]:
    """Return every file below a folder of the data."""
    return [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []


def told(answer: Any, missing: int) -> None:
    assert error(answer) == (400, "")
    words = f"The connection ended {missing} bytes before the end of the body: send it again."
    assert answer.json()["error"] == words


def test_half_of_a_commit_is_no_commit(head: str, alices: Hub) -> None:
    """Cut just behind a line, half of it would read like a whole one."""
    half = lines([header(), regular("new.txt", b"new")])
    whole = half + lines([gone("data", folder=True)])
    told(alices.cut("POST", COMMIT, half, len(whole)), len(whole) - len(half))
    assert (Model.objects.get().head_id, Revision.objects.count()) == (head, 1)
    told(alices.cut("POST", COMMIT, b"", len(whole)), len(whole))
    assert alices.post(COMMIT, whole).status_code == 200


def test_half_of_a_piece_takes_no_name(alices: Hub, settings: Settings) -> None:
    """Cut just behind a chunk; the first body under a name would stay."""
    alices.create()
    bridge, parts = Bridge.of(alices), [b"a" * 500, b"b" * 500]
    body, client = b"".join(map(chunk, parts)), Hub(token="", client=alices.client)
    where = f"{bridge.cas}/v1/xorbs/default/{text_of(NAME)}"
    access = {"Authorization": f"Bearer {bridge.token}"}
    told(client.cut("POST", where, body[:508], len(body), **access), 508)
    assert (Xorb.objects.count(), kept(settings.XET_DIR)) == (0, [])
    assert bridge.xorb(NAME, body).status_code == 200
    told(client.cut("POST", where, body[:508], len(body), **access), 508)
    whole = File(sha256=sha(b"".join(parts)), segments=[(NAME, 1000, 0, 2)])
    sent = shard([whole])
    for path in ("/v2/shards", "/v1/shards"):
        told(client.cut("POST", bridge.cas + path, sent[:-48], len(sent), **access), 48)
    assert (Blob.objects.count(), kept(settings.BLOBS_DIR)) == (0, [])
    assert bridge.shard(sent)[-1] == {"type": "result"}


def test_half_of_a_file_is_not_stored(head: str, alices: Hub, settings: Settings) -> None:
    data, nobody = b"\xfe" * 5000, Hub(client=alices.client)
    before = kept(settings.BLOBS_DIR)
    whole = alices.batch({"oid": sha(data), "size": 5000}).json()["objects"][0]
    told(nobody.cut("PUT", whole["actions"]["upload"]["href"], data[:4000], 5000), 1000)
    settings.LFS_PART_BYTES = 1000
    other = b"\xfd" * 2500
    parts = alices.batch({"oid": sha(other), "size": 2500}).json()["objects"][0]
    for number, size in (("1", 1000), ("3", 500)):
        href = parts["actions"]["upload"]["header"][number]
        told(nobody.cut("PUT", href, other[: size - 1], size), 1)
    assert not UploadPart.objects.exists()
    assert not Blob.objects.filter(pk__in=[sha(data), sha(other)]).exists()
    assert kept(settings.BLOBS_DIR) == before
    assert kept(settings.UPLOADS_DIR) == []


def test_a_question_that_was_cut_is_not_answered(alices: Hub) -> None:
    told_ = alices.cut("POST", "/api/repos/create", b'{"name": "double"', 40)
    assert (error(told_), told_.json()["error"]) == ((400, ""), "The body is no JSON.")
    assert not Model.objects.exists()


class _Broken(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise UnreadablePostError("connection reset")


@pytest.mark.parametrize("make", [io.BytesIO, _Broken])
def test_a_broken_connection_is_told_the_same(make: Callable[[], io.BytesIO]) -> None:
    request: HttpRequest = RequestFactory().post("/hf")
    request.META["CONTENT_LENGTH"] = request.environ["CONTENT_LENGTH"] = "5"  # type: ignore[attr-defined]  # WSGI's own
    request._stream = make()  # where Django keeps the body
    with pytest.raises(InvalidInputError, match="ended 5 bytes before"):
        calls.reader(request)(10)
