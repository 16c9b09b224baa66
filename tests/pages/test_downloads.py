from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.http import StreamingHttpResponse
from django.test import Client

from assay.bundle import parse_bundle
from tests import builders
from tests.pages.conftest import Site

SIZE = len(builders.ONNX)


def body(response: Any) -> bytes:
    if isinstance(response, StreamingHttpResponse):
        return b"".join(bytes(chunk) for chunk in response)
    return bytes(response.content)


def address(site: Site, path: str = "model.onnx") -> str:
    return f"/models/{site.model}/files/{site.release.revision_id}/{path}"


def test_a_file_is_an_attachment_that_no_browser_runs(site: Site, reader: Client) -> None:
    response = reader.get(address(site))
    assert body(response) == builders.ONNX
    assert response["Content-Disposition"] == "attachment; filename*=UTF-8''model.onnx"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in response["Content-Security-Policy"]
    assert response["Content-Type"] == "application/octet-stream"
    assert "immutable" in response["Cache-Control"]
    assert response["ETag"] == f'"{hashlib.sha256(builders.ONNX).hexdigest()}"'


def test_what_the_reader_has_is_not_sent_again(site: Site, reader: Client) -> None:
    first = reader.get(address(site))
    assert body(first) == builders.ONNX
    etag = first["ETag"]
    assert reader.get(address(site), headers={"if-none-match": etag}).status_code == 304


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-3", 0, 3), ("bytes=5-", 5, SIZE - 1), ("bytes=-4", SIZE - 4, SIZE - 1)],
)
def test_a_range_is_sent_alone(
    asked: str, first: int, last: int, site: Site, reader: Client
) -> None:
    response = reader.get(address(site), headers={"range": asked})
    assert response.status_code == 206
    assert response["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert response["Content-Length"] == str(last - first + 1)
    assert body(response) == builders.ONNX[first : last + 1]


@pytest.mark.parametrize("asked", ["bytes=9-3", "bytes=0-1,3-4", "lines=1-2", "bytes=-"])
def test_what_is_no_range_gets_the_whole_file(asked: str, site: Site, reader: Client) -> None:
    response = reader.get(address(site), headers={"range": asked})
    assert response.status_code == 200
    assert body(response) == builders.ONNX


def test_a_range_of_these_very_bytes_is_sent_and_of_others_the_whole(
    site: Site, reader: Client
) -> None:
    etag = f'"{hashlib.sha256(builders.ONNX).hexdigest()}"'
    asked = {"range": "bytes=2-4"}
    same = reader.get(address(site), headers={**asked, "if-range": etag})
    assert (same.status_code, body(same)) == (206, builders.ONNX[2:5])
    for other in ('"another"', f"W/{etag}", "Thu, 01 Jan 2026 00:00:00 GMT"):
        whole = reader.get(address(site), headers={**asked, "if-range": other})
        assert (whole.status_code, body(whole)) == (200, builders.ONNX)


def test_head_has_what_a_whole_get_has_and_no_body(site: Site, reader: Client) -> None:
    got, told = reader.get(address(site)), reader.head(address(site), headers={"range": "bytes=1-"})
    assert (told.status_code, body(told)) == (200, b"")
    names = ("Accept-Ranges", "Cache-Control", "Content-Length", "ETag", "Repr-Digest")
    assert [told[name] for name in names] == [got[name] for name in names]
    assert body(got) == builders.ONNX


def test_who_asks_for_other_bytes_only_is_told_that_there_are_none(
    site: Site, reader: Client
) -> None:
    answer = reader.get(address(site), headers={"if-match": '"another"'})
    assert answer.status_code == 412
    assert "immutable" not in answer.get("Cache-Control", "")


def test_a_range_outside_the_file_is_refused(site: Site, reader: Client) -> None:
    response = reader.get(address(site), headers={"range": f"bytes={SIZE}-"})
    assert response.status_code == 416
    assert response["Content-Range"] == f"bytes */{SIZE}"


def test_a_private_file_is_for_alice_alone(site: Site, as_alice: Client, as_bob: Client) -> None:
    revision = site.secret.releases.get().revision_id
    path = f"/models/alice/secret/files/{revision}/model.onnx"
    response = as_alice.get(path)
    assert body(response) == builders.ONNX
    assert response["Cache-Control"] == "private, no-cache"
    assert as_bob.get(path).status_code == 404


def test_a_file_that_is_not_there_is_404(site: Site, reader: Client) -> None:
    assert reader.get(address(site, "../../settings.py")).status_code == 404
    assert reader.get(address(site, "nothing.onnx")).status_code == 404


@pytest.mark.parametrize("name", ["model.sig", "card.sigstore.json", "release.sigstore.json"])
def test_the_bundles_of_a_release_can_be_taken_away(name: str, site: Site, reader: Client) -> None:
    response = reader.get(f"/models/{site.model}/releases/1.0.0/{name}")
    assert parse_bundle(response.content).entry.index in (1, 2, 3)


def test_no_other_bundle_is_there(site: Site, reader: Client) -> None:
    assert reader.get(f"/models/{site.model}/releases/1.0.0/other.json").status_code == 404


def test_a_key_can_be_taken_away(site: Site, reader: Client) -> None:
    response = reader.get(f"/keys/{site.release.key_id}/key.pem")
    assert response.content.startswith(b"-----BEGIN PUBLIC KEY-----")
    assert reader.get(f"/keys/{'0' * 64}/").status_code == 404


def test_no_shared_cache_keeps_a_file_before_its_inspection(site: Site, as_alice: Client) -> None:
    path = f"/models/alice/waiting/files/{site.waiting.pk}/model.onnx"
    response = as_alice.get(path)
    assert body(response) == builders.ONNX
    assert response["Cache-Control"] == "private, no-cache"
    assert Client().get(path).status_code == 404
