"""What mallory tries through the hub surface: the exact answer, and nothing that is stored."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from registry.models import Blob, Holding, Model, Revision, RevisionFile, UploadPart, Xorb
from registry.services import repos
from tests.hf.hub import WEIGHTS, Hub, body, error, gone, header, lfs, regular, sha
from tests.hf.pieces import Bridge, File, chunk, name_of, shard
from tests.people import Person

VERIFY = "/alice/double.git/info/lfs/objects/verify"


def whole(hub: Hub, data: bytes, **more: Any) -> str:
    """Announce `data`; return the address for all of it."""
    told = hub.batch({"oid": sha(data), "size": len(data)}, **more).json()
    return str(told["objects"][0]["actions"]["upload"]["href"])


# ------------------------------------------------------------------ commits


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("named", [True, False])
def test_of_two_commits_at_once_none_is_lost_and_none_is_wrong(alice: Person, named: bool) -> None:
    """Who names the parent loses the race; who does not is applied to the new head."""
    model = repos.create(alice.user, name="double")
    parent = {"parentCommit": str(model.head_id)} if named else {}
    token, barrier = alice.token(), threading.Barrier(2)
    answers: list[int] = []

    def commit(name: str) -> None:
        try:
            barrier.wait(10)
            done = Hub(token=token).commit(regular(name, name.encode()), first=header(**parent))
            answers.append(done.status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=commit, args=(name,)) for name in ("a.txt", "b.txt")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    model.refresh_from_db()
    files = RevisionFile.objects.filter(revision_id=model.head_id).count()
    expected = ([200, 412], 1) if named else ([200, 200], 2)
    assert (sorted(answers), files) == expected
    assert Revision.objects.count() == 1 + expected[1]


@pytest.mark.parametrize(
    "path",
    [
        *("../secret", "/etc/passwd", "a/../b", "a//b", "./a", "a/.", "a/", "", ".", ".."),
        *("a\\b", "a\x1b[2J", "a\nb", ".git/config", "a/.git/hooks/x", "e\u0301.txt"),
        *("a\u202eb", "x" * 300),
    ],
)
def test_a_path_that_is_not_the_same_everywhere_is_refused(
    path: str, head: str, alices: Hub
) -> None:
    for line in (regular(path, b"x"), lfs(path, WEIGHTS)):
        assert error(alices.commit(line)) == (400, "")
    assert Model.objects.get().head_id == head
    assert Revision.objects.count() == 1


@pytest.mark.parametrize(
    "paths",
    [("A.txt", "a.TXT"), ("data", "data/x"), ("ﬁ.txt", "fi.txt")],
    ids=["case", "folder", "form"],
)
def test_two_paths_that_are_one_on_some_systems_are_refused(
    paths: tuple[str, str], head: str, alices: Hub
) -> None:
    lines = [regular(path, path.encode()) for path in paths]
    assert error(alices.commit(*lines)) == (400, "")
    assert Revision.objects.count() == 1


@pytest.mark.parametrize(
    "extra", [{"mode": "120000"}, {"type": "symlink"}, {"target": "/etc/passwd"}]
)
def test_a_link_is_a_file_with_words_and_leads_nowhere(
    extra: dict[str, str], head: str, alices: Hub, nobodys: Hub
) -> None:
    """There are no links here: whatever a line claims, its content is what is served."""
    line = regular("link.txt", b"/etc/passwd")
    line["value"] |= extra
    alices.committed(line)
    got = nobodys.resolve("link.txt")
    assert b"".join(got.streaming_content) == b"/etc/passwd"
    entry = nobodys.get("/api/models/alice/double/tree/main").json()
    assert next(one for one in entry if one["path"] == "link.txt")["type"] == "file"


def test_deletions_cannot_reach_out_of_the_tree(head: str, alices: Hub) -> None:
    for path in ("../double", "", "/", "data/../model.onnx", "DATA/weights.bin", "model.onn"):
        for folder in (True, False):
            assert error(alices.commit(gone(path, folder=folder))) == (404, "EntryNotFound")
    assert Revision.objects.count() == 1


# ------------------------------------------------------------------ LFS


def test_verify_believes_nobody(head: str, alices: Hub, bobs: Hub, nobodys: Hub) -> None:
    data = b"\xfe" * 500
    whole(alices, data)
    lie = {"oid": sha(data), "size": len(data)}
    assert error(alices.post(VERIFY, lie)) == (404, "EntryNotFound"), "it was never sent"
    assert error(alices.commit(lfs("new.bin", data))) == (400, "")
    alices.upload(data)
    assert alices.post(VERIFY, lie).status_code == 200
    assert error(alices.post(VERIFY, lie | {"size": 499})) == (400, "")
    assert error(alices.post(VERIFY, lie | {"oid": "0" * 64})) == (404, "EntryNotFound")
    assert error(alices.post(VERIFY, lie | {"size": -1})) == (400, "")
    assert error(bobs.post(VERIFY, lie)) == (403, "")
    assert error(nobodys.post(VERIFY, lie)) == (401, "")


@pytest.mark.parametrize(
    "numbers",
    [
        *([1, 2, 3], [1, 2, 3, 4, 5], [1, 1, 2, 3], [0, 1, 2, 3], [2, 1, 3, 3], []),
        *([1, 2, 3, -4], [1, 2, 3, 10**12]),
    ],
    ids=["short", "long", "twice", "zero", "last-twice", "none", "negative", "huge"],
)
def test_parts_that_overlap_or_are_missing_make_nothing(
    numbers: list[int], head: str, alices: Hub, settings: Any
) -> None:
    settings.LFS_PART_BYTES = 1000
    data = bytes(range(256)) * 13
    told = alices.batch({"oid": sha(data), "size": len(data)}).json()["objects"][0]
    upload, nobody = told["actions"]["upload"], Hub(client=alices.client)
    etags = {}
    for number in range(1, 5):
        part = data[1000 * (number - 1) : 1000 * number]
        etags[number] = nobody.call("PUT", upload["header"][str(number)], part)["ETag"]
    parts = [{"partNumber": n, "etag": etags.get(n, etags[1])} for n in numbers]
    answer = nobody.post(upload["href"], {"oid": sha(data), "parts": parts})
    assert error(answer) == (400, "")
    assert not Blob.objects.filter(pk=sha(data)).exists()


def test_a_part_is_as_long_as_it_has_to_be(head: str, alices: Hub, settings: Any) -> None:
    settings.LFS_PART_BYTES = 1000
    data = bytes(range(256)) * 13
    told = alices.batch({"oid": sha(data), "size": len(data)}).json()["objects"][0]
    header_, nobody = told["actions"]["upload"]["header"], Hub(client=alices.client)
    for part in (b"", data[:999], data[:1001], data):
        assert error(nobody.call("PUT", header_["1"], part)) == (400 if part else 411, "")
    assert error(nobody.call("PUT", header_["4"], data[:1000])) == (400, ""), "the last is shorter"
    assert not UploadPart.objects.exists()


def test_the_address_of_one_part_is_no_other_part(head: str, alices: Hub, settings: Any) -> None:
    settings.LFS_PART_BYTES = 1000
    data = bytes(range(256)) * 13
    told = alices.batch({"oid": sha(data), "size": len(data)}).json()["objects"][0]
    href, nobody = told["actions"]["upload"]["header"]["2"], Hub(client=alices.client)
    assert error(nobody.post(href.replace("/part?", "/complete?"), {"parts": []})) == (400, "")
    for tampered in (
        href[:-3] + "abc",
        href + "x",
        href.replace("pass=", "pass=x"),
        href + "&pass",
    ):
        assert error(nobody.call("PUT", tampered, data[1000:2000])) == (403, "")
    assert not UploadPart.objects.exists()


def test_what_arrives_is_not_what_was_announced(head: str, alices: Hub) -> None:
    """Mallory's digest of other bytes: refused each time, and the true bytes are still welcome."""
    data = b"\xfe" * 700
    href, nobody = whole(alices, data), Hub(client=alices.client)
    for wrong in (b"\xfd" * 700, data[:-1], data + b"x", b""):
        assert error(nobody.call("PUT", href, wrong)) == (400 if wrong else 411, "")
        assert not Blob.objects.filter(pk=sha(data)).exists()
        assert not Blob.objects.filter(pk=sha(wrong), size__gt=0).exists()
    assert nobody.call("PUT", href, data).status_code == 200
    assert alices.commit(lfs("new.bin", data)).status_code == 200


# ------------------------------------------------------------------ Xet

NAME = name_of(b"first")
HONEST = [b"a" * 700, b"b" * 300]
RESULT = {"type": "result"}


def honest(bridge: Bridge) -> Any:
    """Send the honest pieces and their shard; return the last line."""
    assert bridge.xorb(NAME, b"".join(map(chunk, HONEST))).status_code == 200
    file = File(sha256=sha(b"".join(HONEST)), segments=[(NAME, 1000, 0, 2)])
    return bridge.shard(shard([file]))[-1]


@pytest.mark.parametrize(
    ("forged", "words"),
    [
        ([b"x" * 700, b"y" * 300], "The bytes are not those that were declared."),
        ([b"x" * 1000], "has 1 chunks, and no range 0-2."),
        ([b"x" * 701, b"y" * 300], "claims 1000 bytes where its chunks have 1001."),
    ],
    ids=["content", "fewer", "longer"],
)
@pytest.mark.parametrize("claimed", [True, False])
def test_a_forged_piece_keeps_no_honest_client_out(
    claimed: bool, forged: list[bytes], words: str, head: str, alices: Hub, nobodys: Hub
) -> None:
    """The first body under a name stays, until it makes another file than its shard says."""
    liar = Bridge.of(alices)
    assert liar.xorb(NAME, b"".join(map(chunk, forged))).status_code == 200
    whole = b"".join(forged)
    if claimed:  # a true file of the forged piece: the piece is in a stored file now
        file = File(sha256=sha(whole), segments=[(NAME, len(whole), 0, len(forged))])
        assert liar.shard(shard([file]))[-1] == RESULT
    last = honest(Bridge.of(alices))
    assert (last["type"], last["retryable"]) == ("error", False)
    assert last["message"].endswith(words)
    assert not Blob.objects.filter(pk=sha(b"".join(HONEST))).exists()
    assert Xorb.objects.count() == 0, "what was lied about is forgotten"
    fresh = Bridge.of(alices)
    assert fresh.cas == liar.cas[:-1] + "2", "another address: clients send all again"
    assert honest(fresh) == RESULT
    alices.committed(lfs("w.bin", b"".join(HONEST)))
    assert body(nobodys.resolve("w.bin")) == b"".join(HONEST)
    assert Blob.objects.filter(pk=sha(whole)).exists() == claimed, "stored files stay"


def test_a_shard_that_names_alices_secret_gives_mallory_nothing(
    alices: Hub, mallorys: Hub, mallory: Person
) -> None:
    secret = b"\xfdsecret weights" * 9
    alices.create("secret", visibility="private")
    alices.upload(secret, model="alice/secret")
    mallorys.create()
    answers = []
    for wanted in (sha(secret), sha(b"what nobody has")):
        bridge = Bridge.of(mallorys, "mallory/double")
        bridge.xorb(NAME, chunk(b"a guess"))
        answers.append(bridge.shard(shard([File(sha256=wanted, segments=[(NAME, 7, 0, 1)])])))
        assert error(mallorys.commit(lfs("w.bin", b"", oid=wanted), model="mallory/double")) == (
            400,
            "",
        )
    assert answers[0] == answers[1], "nor does the answer say that it is here"
    assert answers[0][-1] == {
        "type": "error",
        "message": "The bytes are not those that were declared.",
        "retryable": False,
    }
    assert not Holding.objects.filter(user_id=mallory.user.pk).exists()
