"""Git LFS: whole, in parts, and every lie about bytes, sizes, addresses and rights."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as site
from pytest_django import Settings

from registry.models import Blob, Holding, Upload
from registry.services import contents, uploads
from tests.hf.hub import Hub, body, error, lfs, sha
from tests.people import Person

pytestmark = pytest.mark.django_db
AT = "/api/models/alice/double"


def test_content_comes_by_lfs_and_once(head: str, alices: Hub, nobodys: Hub) -> None:
    data = b"\xfe" * 5000
    alices.upload(data)
    again = alices.batch({"oid": sha(data), "size": len(data)}).json()
    assert again["objects"] == [{"oid": sha(data), "size": len(data)}]
    alices.committed(lfs("new.bin", data))
    assert body(nobodys.resolve("new.bin")) == data
    verify = "/alice/double.git/info/lfs/objects/verify"
    asked = {"oid": sha(data), "size": len(data)}
    assert alices.post(verify, asked).status_code == 200
    assert error(alices.post(verify, {**asked, "size": 1})) == (400, "")
    assert error(alices.post(verify, {**asked, "oid": "0" * 64}))[0] == 404
    wrong = alices.batch({"oid": sha(data), "size": 7}).json()["objects"][0]
    assert wrong["error"]["code"] == 400
    download = {"operation": "download", "objects": []}
    assert error(alices.post("/alice/double.git/info/lfs/objects/batch", download)) == (400, "")


def test_a_digest_is_no_right_to_the_content(
    alice: Person, alices: Hub, mallorys: Hub, mallory: Person
) -> None:
    alices.create("secret", visibility="private")
    data = b"\xfdsecret weights" * 9
    alices.upload(data, model="alice/secret")
    alices.committed(lfs("w.bin", data), model="alice/secret")
    mallorys.create()
    told = mallorys.batch({"oid": sha(data), "size": len(data)}, model="mallory/double").json()
    assert "upload" in told["objects"][0]["actions"], "the upload is demanded"
    answer = mallorys.commit(lfs("w.bin", data), model="mallory/double")
    assert error(answer) == (400, "")
    made_up = mallorys.commit(lfs("w.bin", data, oid="0" * 64), model="mallory/double")
    assert made_up.json()["error"] == answer.json()["error"].replace(sha(data), "0" * 64)
    assert not Holding.objects.filter(user_id=mallory.user.pk).exists()


def _parts(hub: Hub, data: bytes) -> tuple[dict[str, Any], list[bytes]]:
    told = hub.batch({"oid": sha(data), "size": len(data)}).json()
    upload = told["objects"][0]["actions"]["upload"]
    size = int(upload["header"]["chunk_size"])
    return upload, [data[at : at + size] for at in range(0, len(data), size)]


def _complete(hub: Hub, upload: dict[str, Any], etags: list[str], oid: str) -> Any:
    parts = [{"partNumber": n, "etag": etag} for n, etag in enumerate(etags, 1)]
    return Hub(client=hub.client).post(upload["href"], {"oid": oid, "parts": parts})


def test_large_content_comes_in_parts(head: str, alices: Hub, settings: Settings) -> None:
    settings.LFS_PART_BYTES = 1000
    data = bytes(range(256)) * 13
    upload, parts = _parts(alices, data)
    assert set(upload["header"]) == {"chunk_size", "1", "2", "3", "4"}
    nobody = Hub(client=alices.client)
    early = _complete(alices, upload, ['"x"'] * 4, sha(data))
    assert error(early) == (400, "")
    etags = [
        nobody.call("PUT", upload["header"][str(n)], part)["ETag"]
        for n, part in enumerate(parts, 1)
    ]
    assert etags[1] == f'"{sha(parts[1])}"'
    assert error(_complete(alices, upload, etags[::-1], sha(data))) == (400, "")
    assert error(_complete(alices, upload, etags, "0" * 64)) == (400, "")
    assert _complete(alices, upload, etags, sha(data)).status_code == 200
    assert _complete(alices, upload, etags, sha(data)).status_code == 200, "again"
    assert alices.commit(lfs("new.bin", data)).status_code == 200


def test_a_client_without_parts_sends_one_stream(
    head: str, alices: Hub, settings: Settings
) -> None:
    settings.LFS_PART_BYTES = 1000
    data = b"\xfe\xff" * 1700
    told = alices.batch({"oid": sha(data), "size": len(data)}, transfers=["basic"]).json()
    assert told["transfer"] == "basic"
    href = told["objects"][0]["actions"]["upload"]["href"]
    for _ in range(2):
        assert Hub(client=alices.client).call("PUT", href, data).status_code == 200
    assert contents.read_small(sha(data), 9999) == data


def test_wrong_bytes_are_refused_and_nothing_is_stored(
    head: str, alices: Hub, settings: Settings
) -> None:
    data, nobody = b"\xfe" * 3000, Hub(client=alices.client)
    told = alices.batch({"oid": sha(data), "size": len(data)}).json()
    href = told["objects"][0]["actions"]["upload"]["href"]
    assert error(nobody.call("PUT", href, data[:-1] + b"x")) == (400, "")
    assert error(nobody.call("PUT", href, data[:-1])) == (400, "")
    settings.LFS_PART_BYTES = 1000
    other = b"\xfd" * 3000
    upload, parts = _parts(alices, other)
    forged = [parts[0], parts[1], b"x" * 1000]
    etags = [
        nobody.call("PUT", upload["header"][str(n)], part)["ETag"]
        for n, part in enumerate(forged, 1)
    ]
    answer = _complete(alices, upload, etags, sha(other))
    assert error(answer) == (400, "")
    assert not Blob.objects.filter(pk__in=[sha(data), sha(other)]).exists()
    assert error(_complete(alices, upload, etags, sha(other))) == (400, "")
    assert (
        "upload" in alices.batch({"oid": sha(other), "size": 3000}).json()["objects"][0]["actions"]
    )


def test_a_signed_address_is_one_objects_and_expires(
    head: str, alices: Hub, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, nobody = b"\xfe" * 100, Hub(client=alices.client)
    told = alices.batch({"oid": sha(data), "size": len(data)}).json()
    href = told["objects"][0]["actions"]["upload"]["href"]
    forged = href.replace("pass=", "pass=x")
    assert error(nobody.call("PUT", forged, data)) == (403, "")
    assert error(nobody.call("PUT", href.partition("?")[0], data)) == (403, "")
    with monkeypatch.context() as patch:
        patch.setattr("registry.services.lfs.LIFETIME", -1)
        assert error(nobody.call("PUT", href, data)) == (403, "")
    Upload.objects.all().delete()
    assert error(nobody.call("PUT", href, data))[0] == 404
    told = alices.batch({"oid": sha(data), "size": len(data)}).json()
    href = told["objects"][0]["actions"]["upload"]["href"]
    alices.call("DELETE", "/api/repos/delete", {"name": "double", "organization": "alice"})
    assert error(nobody.call("PUT", href, data)) == (404, "RepoNotFound")


def test_bad_objects_are_answered_each(head: str, alices: Hub, mallorys: Hub) -> None:
    told = alices.batch(
        {"oid": "XYZ", "size": 1}, {"oid": "0" * 64, "size": site.UPLOAD_MAX_BYTES + 1}
    ).json()
    assert [item["error"]["code"] for item in told["objects"]] == [400, 413]
    assert error(mallorys.batch({"oid": "0" * 64, "size": 1})) == (403, "")
    for bad in ({"hash_algo": "md5"}, {"objects": None}, {"objects": [{"oid": 1, "size": 1}]}):
        assert error(alices.batch(**bad)) == (400, "")


def test_an_upload_that_is_being_joined_is_ended_first(
    head: str, alices: Hub, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"\xfe" * 200
    declared = uploads.declare(alice.user, size=200, sha256=sha(data), part_size=200)
    assert declared.upload is not None
    uploads.put_part(declared.upload, 0, [data])
    monkeypatch.setattr(uploads, "JOIN_AT_ONCE_BYTES", 1)
    uploads.complete(declared.upload)
    told = alices.batch({"oid": sha(data), "size": 200}).json()
    assert told["objects"] == [{"oid": sha(data), "size": 200}]
