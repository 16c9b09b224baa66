"""Commits: the whole tree, checked before any row; one of two rivals wins."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from assay.canonical import canonical_json
from assay.digests import sha256_hex
from assay.manifest import Manifest
from assay.statements import timestamp
from registry import selectors
from registry.choices import RevisionState
from registry.errors import ConflictError, RefusedFileError, UnknownFileError
from registry.models import Model, Revision, RevisionFile
from registry.services import revisions
from registry.signals import revision_committed
from tests import builders
from tests.builders import CARD, ONNX, REPORT
from tests.people import Person
from tests.registry import calls
from tests.registry.calls import API


def _tree(person: Person, files: dict[str, bytes]) -> list[tuple[str, str]]:
    return [(path, builders.store_blob(data, person.user).sha256) for path, data in files.items()]


def _commit(person: Person, model: Model, files: dict[str, bytes], parent: str | None) -> Revision:
    return revisions.commit(
        person.user, model, files=_tree(person, files), parent=parent, message="test"
    )


def test_a_revision_is_named_by_its_record(alice: Person) -> None:
    revision = builders.make_revision(alice, report=None)
    record = {
        "parent": None,
        "author": "alice",
        "time": timestamp(revision.created_at),
        "message": "A test",
        "files": [
            {
                "path": file.path,
                "sha256": file.blob.sha256,
                "git_sha1": file.blob.git_sha1,
                "size": file.blob.size,
                "mode": "100644",
            }
            for file in selectors.files(revision)
        ],
    }
    assert revision.pk == sha256_hex(canonical_json(record))[:40]
    pairs = [("README.md", sha256_hex(CARD)), ("model.onnx", sha256_hex(ONNX))]
    assert revision.manifest == Manifest.from_pairs(pairs).digest
    assert selectors.resources(revision) == pairs
    assert (revision.state, revision.graph_path) == ("pending", "model.onnx")
    assert revision.card_metadata == {"license": "mit", "tags": ["tests"]}


def test_what_git_keeps_beside_a_model_is_no_part_of_the_manifest(alice: Person) -> None:
    files = {"model.onnx": ONNX, "README.md": CARD, ".gitattributes": b"* -text\n"}
    revision = builders.make_revision(alice, files=files)
    assert [name for name, _ in selectors.resources(revision)] == ["README.md", "model.onnx"]
    assert selectors.file_of(revision, ".gitattributes").blob.size == 8


def test_the_same_tree_again_makes_nothing(alice: Person) -> None:
    first = builders.make_revision(alice)
    files = {"model.onnx": ONNX, "README.md": CARD}
    for parent in (None, first.pk):
        assert _commit(alice, first.model, files, parent).pk == first.pk
    assert Revision.objects.count() == 1


def test_a_commit_on_an_older_parent_is_a_conflict(alice: Person) -> None:
    first = builders.make_revision(alice)
    second = _commit(alice, first.model, {"model.onnx": ONNX}, first.pk)
    answer = calls.commit(
        alice.api(),
        "alice/double",
        {"model.onnx": sha256_hex(ONNX), "a.txt": builders.store_blob(b"a", alice.user).sha256},
        first.pk,
    )
    assert calls.error(answer) == (409, "conflict")
    assert answer.json()["error"]["detail"] == {"head": second.pk, "parent": first.pk}


@pytest.mark.django_db(transaction=True)
def test_of_two_commits_on_one_parent_exactly_one_wins(alice: Person) -> None:
    parent = builders.make_revision(alice)
    trees = [_tree(alice, {"model.onnx": ONNX, "n.txt": b"%d" % n}) for n in range(4)]
    barrier = threading.Barrier(len(trees))
    made: list[str] = []
    refused: list[dict[str, Any]] = []

    def commit(files: list[tuple[str, str]]) -> None:
        try:
            barrier.wait(10)
            revision = revisions.commit(
                alice.user, parent.model, files=files, parent=parent.pk, message="race"
            )
            made.append(revision.pk)
        except ConflictError as error:
            refused.append(error.detail)
        finally:
            connection.close()

    threads = [threading.Thread(target=commit, args=(files,)) for files in trees]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(made) == 1
    assert refused == [{"head": made[0], "parent": parent.pk}] * 3
    assert Model.objects.get(pk=parent.model_id).head_id == made[0]
    assert Revision.objects.count() == 2
    assert RevisionFile.objects.count() == 4


def test_mallory_may_not_commit_to_alices_model(alice: Person, mallory: Person) -> None:
    head = builders.make_revision(alice)
    digest = builders.store_blob(b"evil", mallory.user).sha256
    answer = calls.commit(mallory.api(), "alice/double", {"a.txt": digest}, head.pk)
    assert calls.error(answer) == (403, "not_allowed")


def test_mallory_may_not_use_a_digest_of_alices_private_content(
    alice: Person, mallory: Person
) -> None:
    secret = builders.make_model(alice, "secret", "private")
    builders.make_revision(alice, secret)
    builders.make_model(mallory)
    existing = calls.commit(mallory.api(), "mallory/double", {"m.onnx": sha256_hex(ONNX)})
    absent = calls.commit(mallory.api(), "mallory/double", {"m.onnx": "0" * 64})
    assert calls.error(existing) == calls.error(absent) == (404, "unknown_file")
    assert not Revision.objects.filter(model__name="double").exists()


def test_bob_may_build_on_what_alice_published(alice: Person, bob: Person) -> None:
    builders.make_revision(alice)
    model = builders.make_model(bob)
    revision = revisions.commit(
        bob.user, model, files=[("m.onnx", sha256_hex(ONNX))], parent=None, message=""
    )
    assert (revision.message, revision.graph_path) == ("Upload files", "m.onnx")


def test_two_models_with_one_record_get_two_ids(alice: Person, monkeypatch: Any) -> None:
    first = builders.make_revision(alice, report=None)
    monkeypatch.setattr("registry.services.revisions.timezone.now", lambda: first.created_at)
    second = builders.make_revision(alice, builders.make_model(alice, "twin"), report=None)
    assert second.pk != first.pk
    assert (second.created_at - first.created_at).total_seconds() == 0.001


@pytest.mark.parametrize(
    "path",
    [
        "../model.onnx",
        "/model.onnx",
        "a//b.onnx",
        "a\\b.onnx",
        "a/./b.onnx",
        "a\nb.onnx",
        ".git/config",
        "a/.GIT/config",
        "cafe\u0301.onnx",
        "exe\u202exnno.onnx",
        "zero\u200bwidth.onnx",
        "model.sig",
        *(
            "soft\u00adhyphen",
            "a/.g\u200cit/config",
            "GIT~1/config",
            ".git /config",
            ".git./config",
        ),
        *("con", "a/NUL", "aux.txt", "Aux .tar.gz", "com1.onnx", "LPT\u00b9", "com0", "conin$"),
        *("C:/x", "model.onnx:stream", "a?.bin", "a*", 'say "x"', "a|b", "<a>"),
        *("model.onnx ", "model.onnx.", "folder /a", "folder./a", " a", "a\u00a0", "..."),
        "x" * 256,
        "/".join("a" * 40),
    ],
)
def test_a_bad_path_is_refused_with_a_remedy(alice: Person, path: str) -> None:
    builders.make_model(alice)
    digest = builders.store_blob(ONNX, alice.user).sha256
    answer = calls.commit(alice.api(), "alice/double", {path: digest})
    assert calls.error(answer) == (400, "refused_file")
    detail = answer.json()["error"]["detail"]
    assert detail["code"] == "path"
    assert detail["remedy"]


def test_names_that_only_resemble_a_device_are_taken(alice: Person) -> None:
    paths = (
        "con_v2.bin",
        "console",
        "aux-1/x",
        "a.con",
        "com10",
        "lpt",
        ".hidden",
        "null",
        "a b.c",
    )
    model = builders.make_model(alice)
    revision = _commit(alice, model, dict.fromkeys(paths, b"text"), None)
    assert {file.path for file in revision.files.all()} == set(paths)


@pytest.mark.parametrize(
    "paths",
    [("model.onnx", "MODEL.onnx"), ("straße", "STRASSE"), ("a", "a/b.txt"), ("A", "a/b.txt")],
)
def test_two_paths_that_some_system_takes_for_one_are_refused(
    alice: Person, paths: tuple[str, str]
) -> None:
    model = builders.make_model(alice)
    with pytest.raises(RefusedFileError, match=r"."):
        _commit(alice, model, dict.fromkeys(paths, b"text"), None)


def test_a_path_may_not_come_twice(alice: Person) -> None:
    model = builders.make_model(alice)
    digest = builders.store_blob(b"text", alice.user).sha256
    with pytest.raises(RefusedFileError):
        revisions.commit(
            alice.user, model, files=[("a", digest), ("a", digest)], parent=None, message=""
        )


def test_a_tree_has_files(alice: Person) -> None:
    builders.make_model(alice)
    answer = alice.api().post(
        f"{API}/models/alice/double/revisions", {"files": [], "parent": None}, format="json"
    )
    assert calls.error(answer) == (400, "invalid_input")
    ignored = builders.store_blob(b"text", alice.user).sha256
    answer = calls.commit(alice.api(), "alice/double", {".gitignore": ignored})
    assert calls.error(answer) == (400, "invalid_input")


def test_nothing_is_written_of_a_refused_commit(alice: Person) -> None:
    model = builders.make_model(alice)
    for files in ({"a.txt": b"a", "b.zip": b"PK\x03\x04"}, {"README.md": b"---\na: &x 1\n---\n"}):
        with pytest.raises(RefusedFileError):
            _commit(alice, model, files, None)
    with pytest.raises(UnknownFileError):
        revisions.commit(alice.user, model, files=[("a", "0" * 64)], parent=None, message="")
    model.refresh_from_db()
    assert model.head_id is None
    assert not Revision.objects.exists()


# ------------------------------------------------------------------ inspection


def test_the_inspection_is_told_in_the_transaction_of_the_commit(alice: Person) -> None:
    told: list[str] = []

    def listen(revision_id: str, **_: Any) -> None:
        assert connection.in_atomic_block
        told.append(revision_id)

    revision_committed.connect(listen)
    try:
        revision = builders.make_revision(alice, report=None)
    finally:
        revision_committed.disconnect(listen)
    assert told == [revision.pk]


@pytest.mark.parametrize("verdict", ["passed", "flagged", "failed"])
def test_the_first_report_stands(alice: Person, verdict: str) -> None:
    level = {"passed": "note", "flagged": "flag", "failed": "failed"}[verdict]
    finding = {"code": "x", "place": "y", "remedy": "z", "level": level}
    revision = builders.make_revision(
        alice, report={**REPORT, "verdict": verdict, "findings": [finding]}
    )
    assert revision.state == verdict
    again = revisions.record_inspection(revision.pk, REPORT)
    assert (again.state, again.report["findings"]) == (verdict, [finding])


def test_a_new_card_needs_no_new_inspection(alice: Person) -> None:
    first = builders.make_revision(alice)
    files = {"model.onnx": ONNX, "README.md": b"# New words\n"}
    second = _commit(alice, first.model, files, first.pk)
    assert (second.state, second.report) == (first.state, first.report)
    assert second.inspected_at is not None


def test_changed_external_data_need_a_new_inspection(alice: Person) -> None:
    report = {**REPORT, "facts": {**REPORT["facts"], "external": ["w.bin"]}}
    files = {"model.onnx": ONNX, "w.bin": b"\x01\xff" * 8, "README.md": CARD}
    first = builders.make_revision(alice, files=files, report=report)
    same = _commit(alice, first.model, {**files, "README.md": b"# New\n"}, first.pk)
    assert same.state == RevisionState.PASSED
    other = _commit(alice, first.model, {**files, "w.bin": b"\x02\xff" * 8}, same.pk)
    assert other.state == RevisionState.PENDING


def test_a_model_without_a_graph_is_kept_and_not_run(alice: Person) -> None:
    told: list[str] = []
    revision_committed.connect(told.append)
    model = builders.make_model(alice)
    revision = _commit(alice, model, {"README.md": CARD, "notes.txt": b"soon"}, None)
    assert (revision.state, revision.graph_path) == ("flagged", "")
    assert [item["code"] for item in revision.report["findings"]] == ["no_graph"]
    assert (selectors.facts(revision), told) == ({}, [])


def test_a_second_graph_is_flagged_as_not_inspected(alice: Person) -> None:
    files = {"onnx/model.onnx": ONNX, "extra.onnx": ONNX, "README.md": CARD}
    revision = builders.make_revision(alice, files=files)
    assert (revision.state, revision.graph_path) == ("flagged", "onnx/model.onnx")
    assert [(item["code"], item["place"]) for item in revision.report["findings"]] == [
        ("other_graph", "extra.onnx")
    ]
    del files["extra.onnx"]
    assert _commit(alice, revision.model, files, revision.pk).state == "passed"
