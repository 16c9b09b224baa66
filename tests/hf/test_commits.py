"""Commits through the hub surface: changes to a branch, once, or refused with every reason."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from registry.models import Blob, Model, Revision
from tests.builders import CARD
from tests.hf.hub import (
    WEIGHTS,
    Hub,
    body,
    error,
    gone,
    header,
    lfs,
    lines as written,
    regular,
    sha,
)

pytestmark = pytest.mark.django_db
AT = "/api/models/alice/double"


def test_a_commit_is_answered_with_its_address(alices: Hub, nobodys: Hub) -> None:
    alices.create()
    answer = alices.commit(regular("README.md", CARD), regular("empty", b""))
    told = answer.json()
    assert told["success"] is True
    assert (
        told["commitUrl"] == f"http://testserver/hf/models/alice/double/commit/{told['commitOid']}"
    )
    assert answer["X-HF-Warning"].startswith("unsigned; ")
    assert body(nobodys.resolve("README.md")) == CARD
    assert (
        nobodys.client.get(told["commitUrl"].removeprefix("http://testserver")).status_code == 302
    )
    assert Revision.objects.get(pk=told["commitOid"]).author.get_username() == "alice"


def test_changes_apply_in_their_order(head: str, alices: Hub, nobodys: Hub) -> None:
    alices.committed(
        regular("data/new.txt", b"first"),
        regular("data/new.txt", b"second"),
        lfs("copy.bin", WEIGHTS, size=None),
        gone("empty"),
        gone("data/deep/", folder=True),
    )
    paths = [item["path"] for item in nobodys.get(f"{AT}/tree/main?recursive=1").json()]
    assert paths == ["README.md", "copy.bin", "data/new.txt", "data/weights.bin", "model.onnx"]
    assert body(nobodys.resolve("data/new.txt")) == b"second"


def test_the_same_commit_again_makes_nothing(head: str, alices: Hub) -> None:
    changes = [regular("a.txt", b"x"), gone("empty")]
    first = alices.committed(*changes, first=header(parentCommit=head))
    for again in (header(parentCommit=head), header(), header(parentCommit=head[:7])):
        assert alices.committed(*changes, first=again) == first
    assert alices.committed(regular("a.txt", b"x"), first=header(parentCommit=first)) == first
    assert Revision.objects.count() == 2


def test_a_commit_on_a_stale_parent_is_412_and_makes_nothing(head: str, alices: Hub) -> None:
    alices.committed(regular("a.txt", b"x"))
    stale = alices.commit(regular("b.txt", b"y"), first=header(parentCommit=head))
    assert error(stale) == (412, "")
    assert error(alices.commit(regular("b.txt", b"y"), first=header(parentCommit="xyz"))) == (
        400,
        "",
    )
    assert Revision.objects.count() == 2


def test_everything_can_be_deleted_and_begun_anew(alices: Hub, nobodys: Hub) -> None:
    alices.create()
    alices.committed(regular("a.txt", b"x"))
    alices.committed(gone("a.txt"))
    assert nobodys.get(f"{AT}/tree/main").json() == []
    alices.committed(regular(".gitattributes", b"* -text\n"))
    assert [item["path"] for item in nobodys.get(f"{AT}/tree/main").json()] == [".gitattributes"]
    revision = Model.objects.get().head_id
    rest = nobodys.client.get(f"/api/v1/models/alice/double/revisions/{revision}").json()
    assert rest["subject_digest"] is None
    assert nobodys.client.get("/models/alice/double/").status_code == 200


def test_what_is_not_there_cannot_be_deleted(head: str, alices: Hub) -> None:
    for change in (gone("none"), gone("data"), gone("README.md", folder=True)):
        answer = alices.commit(change)
        assert error(answer) == (404, "EntryNotFound")
        assert "A file with this name doesn't exist" in answer.json()["error"]
    assert Revision.objects.count() == 1


def test_every_bad_path_and_every_missing_content_is_told_at_once(head: str, alices: Hub) -> None:
    answer = alices.commit(
        regular("../a", b"x"),
        regular("b\\c", b"x"),
        lfs("model.bin", b"never sent"),
        lfs("w.bin", WEIGHTS, size=3),
        lfs("x.bin", b"x", oid="XYZ"),
    )
    assert error(answer) == (400, "")
    told = answer.json()["error"]
    for words in ("../a", "b\\c", "model.bin", "w.bin", "x.bin"):
        assert words in told
    assert Revision.objects.count() == 1


@pytest.mark.parametrize(
    "given",
    [
        [regular("a.txt", b"x")],
        [header(), header()],
        [header(), {"key": "rename", "value": {}}],
        [header(), {"key": "file", "value": "x"}],
        [header(), {"key": "file", "value": {"path": "a", "content": "!", "encoding": "base64"}}],
        [header(), {"key": "file", "value": {"path": "a", "content": "", "encoding": "utf-8"}}],
        [header(), {"key": "lfsFile", "value": {"path": "a", "algo": "md5", "oid": "0"}}],
        [header(), {"key": "file", "value": {"path": 7, "content": ""}}],
        [header(), {"key": "file", "value": {"path": "a\0", "content": ""}}],
    ],
)
def test_a_malformed_commit_is_refused(given: list[dict[str, Any]], head: str, alices: Hub) -> None:
    kind = {"Content-Type": "application/x-ndjson"}
    assert error(alices.post(f"{AT}/commit/main", written(given), **kind)) == (400, "")
    assert error(alices.post(f"{AT}/commit/main", b"{\n", **kind)) == (400, "")
    assert Revision.objects.count() == 1


def test_a_dangerous_file_is_refused_with_its_reason(head: str, alices: Hub) -> None:
    answer = alices.commit(regular("a.json", b"PK\x03\x04"))
    assert error(answer) == (400, "")
    assert "zip archive" in answer.json()["error"]
    answer = alices.commit(regular("README.md", b"---\na: &x 1\n---\n"))
    assert "anchor" in answer.json()["error"]


def test_a_commit_has_limits(head: str, alices: Hub, settings: Settings) -> None:
    settings.COMMIT_MAX_LINES = 2
    assert error(alices.commit(regular("a", b"x"), regular("b", b"x")))[0] == 413
    settings.COMMIT_MAX_LINE_BYTES = 100
    assert error(alices.commit(regular("a", b"x" * 200)))[0] == 413
    settings.COMMIT_MAX_BYTES = 10
    assert error(alices.commit(regular("a", b"x")))[0] == 413


def test_a_commit_is_within_the_quota(head: str, alices: Hub, settings: Settings) -> None:
    settings.QUOTA_BYTES = 1
    assert error(alices.commit(regular("a.txt", b"new words")))[0] == 413
    assert alices.commit(regular("again.md", CARD)).status_code == 200, "content that is here"


@pytest.mark.parametrize(
    ("at", "query", "expected"),
    [
        ("none", "", (404, "RevisionNotFound")),
        ("v1", "", (400, "")),
        ("0" * 40, "", (400, "")),
        ("main", "?create_pr=1", (400, "")),
    ],
)
def test_a_commit_goes_to_a_branch(
    head: str, alices: Hub, at: str, query: str, expected: Any
) -> None:
    alices.post(f"{AT}/tag/main", {"tag": "v1"})
    assert error(alices.commit(regular("a.txt", b"x"), at=at, query=query)) == expected


def test_mallory_commits_nothing_to_alices_model(head: str, mallorys: Hub, nobodys: Hub) -> None:
    assert error(mallorys.commit(regular("a.txt", b"x"))) == (403, "")
    assert error(nobodys.commit(regular("a.txt", b"x"))) == (401, "")
    assert not Blob.objects.filter(pk=sha(b"x")).exists()


def test_a_commit_to_a_branch_leaves_main_alone(head: str, alices: Hub, nobodys: Hub) -> None:
    alices.post(f"{AT}/branch/dev")
    made = alices.committed(regular("a.txt", b"x"), at="dev")
    assert Model.objects.get().head_id == head
    assert nobodys.get(f"{AT}/revision/dev").json()["sha"] == made
    assert alices.committed(regular("a.txt", b"x"), at="refs/heads/dev") == made
    stale = alices.commit(regular("b", b"x"), at="dev", first=header(parentCommit=head))
    assert error(stale) == (412, "")
