"""Files out, trees, and what travels how; each refusal with its exact answer."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import pytest

from registry.models import DownloadCount
from registry.services import downloads, revisions
from tests import builders
from tests.builders import CARD, ONNX
from tests.hf.hub import WEIGHTS, Hub, body, error, git_sha1, header, regular, sha
from tests.people import Person

pytestmark = pytest.mark.django_db
AT = "/api/models/alice/double"


# ------------------------------------------------------------------ resolve


def test_a_text_is_named_by_gits_sha1_and_a_model_by_its_sha256(head: str, nobodys: Hub) -> None:
    card = nobodys.resolve("README.md")
    assert body(card) == CARD
    assert card["ETag"] == f'"{git_sha1(CARD)}"'
    assert not card.has_header("X-Linked-Etag")
    weights = nobodys.resolve("data/weights.bin")
    assert body(weights) == WEIGHTS
    assert weights["ETag"] == weights["X-Linked-Etag"] == f'"{sha(WEIGHTS)}"'
    assert weights["X-Linked-Size"] == str(len(WEIGHTS))
    for answer in (card, weights):
        assert answer["X-Repo-Commit"] == head
        assert answer["Accept-Ranges"] == "bytes"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer["Content-Security-Policy"]
        assert answer["Content-Disposition"].startswith('attachment; filename="')
        assert not [name for name in answer.headers if "xet" in name.lower()]
        assert not answer.has_header("Content-Encoding")
        assert answer["X-HF-Warning"].startswith("unsigned; ")
    assert weights["Cache-Control"] == "private, no-cache"
    assert "immutable" in nobodys.resolve("README.md", head)["Cache-Control"]
    assert "xet" not in nobodys.get(f"{AT}/tree/main?recursive=true").content.decode().lower()


def test_odd_names_are_found(head: str, nobodys: Hub) -> None:
    path = "data/deep/er/a b#%é.txt"
    answer = nobodys.resolve(path)
    assert body(answer) == b"words"
    assert answer["Content-Disposition"].isascii()
    assert body(nobodys.resolve("empty")) == b""


def test_head_has_every_header_of_get(head: str, nobodys: Hub) -> None:
    for path in ("README.md", "data/weights.bin", "empty"):
        got = nobodys.resolve(path)
        told = nobodys.call("HEAD", f"/alice/double/resolve/main/{path}")
        drop = {"X-Request-Id"}
        assert {k: v for k, v in got.items() if k not in drop} == {
            k: v for k, v in told.items() if k not in drop
        }
        assert told.content == b""


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-", 0, len(WEIGHTS) - 1),
        ("bytes=100-199", 100, 199),
        ("bytes=10239-", 10239, 10239),
        ("bytes=-5", len(WEIGHTS) - 5, len(WEIGHTS) - 1),
        ("bytes=-99999", 0, len(WEIGHTS) - 1),
        ("bytes=0-99999", 0, len(WEIGHTS) - 1),
    ],
)
def test_a_range_is_206_with_its_place(
    head: str, nobodys: Hub, asked: str, first: int, last: int
) -> None:
    answer = nobodys.resolve("data/weights.bin", Range=asked)
    assert answer.status_code == 206
    assert answer["Content-Range"] == f"bytes {first}-{last}/{len(WEIGHTS)}"
    assert body(answer) == WEIGHTS[first : last + 1]


def test_a_range_beyond_the_end_is_416(head: str, nobodys: Hub) -> None:
    answer = nobodys.resolve("data/weights.bin", Range=f"bytes={len(WEIGHTS)}-")
    assert answer.status_code == 416
    assert answer["Content-Range"] == f"bytes */{len(WEIGHTS)}"
    assert answer["X-Repo-Commit"] == head


def test_what_is_known_is_not_sent_again(head: str, nobodys: Hub) -> None:
    etag = nobodys.resolve("README.md")["ETag"]
    answer = nobodys.resolve("README.md", **{"If-None-Match": etag})
    assert (answer.status_code, answer["X-Repo-Commit"]) == (304, head)


def test_each_absence_has_its_own_code(head: str, nobodys: Hub) -> None:
    absent = nobodys.resolve("none.txt")
    assert error(absent) == (404, "EntryNotFound")
    assert absent["X-Repo-Commit"] == head
    assert error(nobodys.resolve("README.md", "none")) == (404, "RevisionNotFound")
    assert error(nobodys.resolve("README.md", "refs/pr/1")) == (404, "RevisionNotFound")
    assert error(nobodys.resolve("README.md", "0" * 40)) == (404, "RevisionNotFound")
    assert error(nobodys.resolve("README.md", model="alice/none")) == (404, "RepoNotFound")
    assert error(nobodys.get("/alice/double/resolve/main")) == (404, "RevisionNotFound")


def test_a_branch_with_a_slash_is_told_from_a_path(head: str, alices: Hub, nobodys: Hub) -> None:
    alices.post(f"{AT}/branch/data%2Fdeep")
    alices.committed(regular("only.txt", b"here"), at="data/deep")
    assert body(nobodys.get("/alice/double/resolve/data/deep/only.txt")) == b"here"
    assert body(nobodys.resolve("only.txt", "data/deep")) == b"here"
    assert error(nobodys.resolve("only.txt")) == (404, "EntryNotFound")


def test_a_waiting_revision_is_its_writers_alone(alice: Person, alices: Hub, nobodys: Hub) -> None:
    waiting = builders.make_revision(alice, report=None)
    mine = alices.resolve("README.md", waiting.pk)
    assert body(mine) == CARD
    assert mine["X-HF-Warning"].startswith("validation; ")
    assert mine["Cache-Control"] == "private, no-cache"
    assert error(nobodys.resolve("README.md", waiting.pk)) == (404, "RevisionNotFound")
    revisions.record_inspection(waiting.pk, builders.REPORT)
    assert body(nobodys.resolve("README.md", waiting.pk)) == CARD


def test_a_failed_revision_tells_its_writer_so(alice: Person, alices: Hub) -> None:
    builders.make_revision(alice, report={**builders.REPORT, "verdict": "failed"})
    assert "failed its inspection" in alices.resolve("README.md")["X-HF-Warning"]


def test_a_release_carries_no_warning(alice: Person, nobodys: Hub, opened: None) -> None:
    builders.publish_release(alice)
    assert not nobodys.resolve("README.md").has_header("X-HF-Warning")
    assert nobodys.get(AT).json()["assay"]["release"] == "1.0.0"


def test_a_download_counts_once_a_day_and_address(head: str, nobodys: Hub, alices: Hub) -> None:
    mark = {"X-HF-Download-Counter": "1"}
    for _ in range(3):
        body(nobodys.resolve("README.md", **mark))
    body(nobodys.resolve("README.md"))
    body(nobodys.resolve("data/weights.bin", **mark))
    body(nobodys.resolve("data/weights.bin", Range="bytes=5-", **mark))
    told = nobodys.get(AT).json()
    assert (told["downloads"], told["downloadsAllTime"]) == (2, 2)
    assert DownloadCount.objects.get().count == 2
    assert downloads.sweep() == 0


# ------------------------------------------------------------------ trees


def test_the_tree_lists_files_and_folders(head: str, nobodys: Hub) -> None:
    flat = nobodys.get(f"{AT}/tree/main").json()
    assert [(item["type"], item["path"]) for item in flat] == [
        ("file", "README.md"),
        ("directory", "data"),
        ("file", "empty"),
        ("file", "model.onnx"),
    ]
    assert "lfs" not in flat[0]
    assert flat[3]["lfs"] == {"oid": sha(ONNX), "size": len(ONNX), "pointerSize": 134}
    inside = nobodys.get(f"{AT}/tree/main/data%2Fdeep?recursive=True").json()
    assert [item["path"] for item in inside] == ["data/deep/er/a b#%é.txt"]
    assert inside[0]["oid"] == git_sha1(b"words")
    assert error(nobodys.get(f"{AT}/tree/main/none")) == (404, "EntryNotFound")


def test_expanded_entries_say_who_brought_them_and_how_they_stand(
    head: str, nobodys: Hub, alices: Hub
) -> None:
    newer = alices.committed(regular("notes.txt", b"new"), first=header("Notes\nmore"))
    told = {
        item["path"]: item
        for item in nobodys.get(f"{AT}/tree/main?recursive=true&expand=true").json()
    }
    assert told["notes.txt"]["lastCommit"]["id"] == newer
    assert told["notes.txt"]["lastCommit"]["title"] == "Notes"
    assert told["README.md"]["lastCommit"]["id"] == head
    assert told["README.md"]["securityFileStatus"] == {
        "status": "safe",
        "avScan": None,
        "pickleImportScan": None,
    }


def test_a_long_tree_comes_in_pages(
    head: str, nobodys: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.hf.repos.TREE_PAGE", 2)
    found, url = [], f"{AT}/tree/main?recursive=true"
    while url:
        answer = nobodys.get(url)
        found += [item["path"] for item in answer.json()]
        url = answer.get("Link", "").removeprefix("<").partition(">")[0]
    assert found == sorted(found)
    assert len(found) == len(set(found)) == 5


def test_some_paths_are_told_and_unknown_ones_left_out(head: str, nobodys: Hub) -> None:
    form = urlencode({"paths": ["README.md", "none", "data"], "expand": "True"}, doseq=True)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    told = nobodys.post(f"{AT}/paths-info/main", form.encode(), **kind).json()
    assert [item["path"] for item in told] == ["README.md", "data"]
    again = nobodys.post(f"{AT}/paths-info/main", {"paths": "README.md"}).json()
    assert [item["path"] for item in again] == ["README.md"]
    assert error(nobodys.post(f"{AT}/paths-info/main", {"paths": [1]})) == (400, "")


def test_the_history_comes_in_pages(
    alice: Person, alices: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.hf.repos.COMMITS_PAGE", 2)
    alices.create()
    made = [alices.committed(regular("a.txt", b"%d" % n), first=header(f"<{n}>")) for n in range(4)]
    found, url = [], f"{AT}/commits/main?expand[]=formatted"
    while url:
        answer = alices.get(url)
        found += answer.json()
        url = answer.get("Link", "").removeprefix("<").partition(">")[0]
    assert [item["id"] for item in found[:4]] == made[::-1]
    assert found[-1]["title"] == "initial commit"
    assert found[0]["formatted"]["title"] == "&lt;3&gt;"
    assert found[0]["authors"] == [{"user": "alice"}]


def test_a_model_is_told_with_sizes_and_scan(head: str, nobodys: Hub) -> None:
    told = nobodys.get(f"{AT}?blobs=true&securityStatus=True").json()
    by_path = {item["rfilename"]: item for item in told["siblings"]}
    assert by_path["README.md"]["blobId"] == git_sha1(CARD)
    assert by_path["model.onnx"]["lfs"]["sha256"] == sha(ONNX)
    assert told["securityRepoStatus"]["status"] == "safe"
    assert told["tags"] == ["tests", "license:mit"]
    assert told["cardData"] == {"license": "mit", "tags": ["tests"]}


# ------------------------------------------------------------------ preupload


def _asked(path: str, data: bytes) -> dict[str, Any]:
    return {"path": path, "size": len(data), "sample": base64.b64encode(data[:512]).decode()}


def test_small_texts_go_as_they_are_and_the_rest_by_lfs(head: str, alices: Hub) -> None:
    files = [
        _asked("README.md", CARD),
        _asked("new.json", b"{}"),
        _asked("LICENSE-MIT", b"words"),
        _asked("model.onnx", ONNX),
        _asked("binary.txt", b"\0\xff"),
        _asked("large.txt", b"x" * (2**20 + 1)),
        _asked("nothing.bin", b""),
        _asked("cut.md", b"x" * 511 + "é".encode()[:1]),
    ]
    told = alices.post(f"{AT}/preupload/main", {"files": files}).json()["files"]
    modes = {item["path"]: item["uploadMode"] for item in told}
    assert [path for path, mode in modes.items() if mode == "lfs"] == [
        "model.onnx",
        "binary.txt",
        "large.txt",
    ]
    oids = {item["path"]: item["oid"] for item in told}
    assert (oids["README.md"], oids["model.onnx"]) == (git_sha1(CARD), sha(ONNX))
    assert oids["new.json"] is None


def test_the_callers_or_the_stored_rules_leave_files_out(alices: Hub) -> None:
    alices.create()
    rules = "# words\n*.log\n!keep.log\nbuild/\n/top.txt\ndocs/**/x?.md\n[ab].bin\n\\#odd\n"
    names = {
        "a.log": True,
        "deep/a.log": True,
        "keep.log": False,
        "build/a.txt": True,
        "build": False,
        "top.txt": True,
        "deep/top.txt": False,
        "docs/one/two/x1.md": True,
        "docs/x12.md": False,
        "a.bin": True,
        "c.bin": False,
        "#odd": True,
    }
    asked = {"files": [_asked(name, b"x") for name in names]}
    given = alices.post(f"{AT}/preupload/main", {**asked, "gitIgnore": rules}).json()["files"]
    assert {item["path"]: item["shouldIgnore"] for item in given} == names
    alices.committed(regular(".gitignore", b"*.log\n"), regular("a.txt", b"x"))
    stored = alices.post(f"{AT}/preupload/main", asked).json()["files"]
    assert {item["path"] for item in stored if item["shouldIgnore"]} == {
        "a.log",
        "deep/a.log",
        "keep.log",
    }


def test_a_preupload_is_for_writers_and_branches(head: str, alices: Hub, mallorys: Hub) -> None:
    asked = {"files": [_asked("a.txt", b"x")]}
    assert error(mallorys.post(f"{AT}/preupload/main", asked)) == (403, "")
    assert error(alices.post(f"{AT}/preupload/none", asked)) == (404, "RevisionNotFound")
    for bad in ({}, {"files": [1]}, {"files": [{"path": "a", "size": -1, "sample": ""}]}):
        assert error(alices.post(f"{AT}/preupload/main", bad)) == (400, "")
    many = {"files": [_asked("a.txt", b"x")] * 257}
    assert error(alices.post(f"{AT}/preupload/main", many)) == (400, "")
