"""What changed between two revisions: files, lines, graph, card; bounded, and for readers only."""

from __future__ import annotations

import difflib
import secrets
import time
from typing import Any

import pytest

from registry.models import Model, Release, Revision
from registry.services import differences
from tests import builders
from tests.builders import CARD, ONNX, REPORT
from tests.people import Person
from tests.registry import calls
from tests.registry.calls import API

pytestmark = pytest.mark.usefixtures("opened")
NEW_CARD = CARD.replace(b"mit", b"apache-2.0").replace(b"itself", b"its own self")
NEW_REPORT: dict[str, Any] = {
    **REPORT,
    "facts": {
        **REPORT["facts"],
        "opsets": {"ai.onnx": 18},
        "outputs": [{"name": "y", "datatype": "FP32", "shape": ["n", 3]}],
        "inputs": [*REPORT["facts"]["inputs"], {"name": "w", "datatype": "INT8", "shape": []}],
        "operators": {"Add": 2, "Relu": 1},
        "nodes": 3,
        "parameters": 12,
    },
}


def two(person: Person) -> tuple[Release, Release]:
    """Publish 1.0.0, and 2.0.0 with other files, card and graph."""
    files = {"model.onnx": ONNX, "README.md": CARD, "old.txt": b"gone\n", "same.txt": b"same\n"}
    old = builders.publish_release(person, builders.make_revision(person, None, files))
    files = {
        "model.onnx": ONNX + b"\x00",
        "README.md": NEW_CARD,
        "new/weights.bin": b"\xff\x00",
        "same.txt": b"same\n",
    }
    revision = builders.make_revision(person, old.model, files, report=NEW_REPORT)
    return old, builders.publish_release(person, revision, version="2.0.0")


def ask(person: Person, **asked: str) -> Any:
    query = {name.rstrip("_"): value for name, value in asked.items()}
    return person.api().get(f"{API}/models/alice/double/differences", query)


def test_bob_sees_what_changed_between_two_releases(alice: Person, bob: Person) -> None:
    old, _ = two(alice)
    found = ask(bob, from_="1.0.0", to="latest").json()
    assert found["from"] == {
        "revision": old.revision_id,
        "manifest": old.revision.manifest,
        "version": "1.0.0",
    }
    assert found["to"]["version"] == "2.0.0"
    assert found["same_content"] is False
    files = found["files"]
    assert [item["path"] for item in files["added"]] == ["new/weights.bin"]
    assert [item["path"] for item in files["removed"]] == ["old.txt"]
    assert [item["path"] for item in files["changed"]] == ["README.md", "model.onnx"]
    assert files["unchanged"] == 1
    assert files["added"][0]["old"] is None
    assert files["added"][0]["new"]["size"] == 2
    assert files["changed"][1]["new"]["size"] == len(ONNX) + 1
    assert files["changed"][1]["old"]["sha256"] != files["changed"][1]["new"]["sha256"]
    assert found["card"] == [{"name": "license", "old": "mit", "new": "apache-2.0"}]
    assert found["graph"]["operators"] == [
        {"name": "Add", "old": 1, "new": 2},
        {"name": "Relu", "old": None, "new": 1},
    ]
    assert found["graph"]["inputs"] == [
        {"name": "w", "old": None, "new": {"datatype": "INT8", "shape": []}}
    ]
    assert found["graph"]["outputs"][0]["old"]["shape"] == ["n", 2]
    assert found["graph"]["outputs"][0]["new"]["shape"] == ["n", 3]
    assert found["graph"]["opsets"] == [{"name": "ai.onnx", "old": 17, "new": 18}]
    assert {item["name"] for item in found["graph"]["facts"]} == {"nodes", "parameters"}
    assert "texts" not in found


def test_text_files_are_compared_line_by_line(alice: Person, bob: Person) -> None:
    two(alice)
    texts = ask(bob, from_="1.0.0", to="2.0.0", text="1").json()["texts"]
    assert [text["path"] for text in texts] == ["README.md", "old.txt"]
    assert texts[0]["diff"].split("\n") == [
        *("--- README.md", "+++ README.md", "@@ -1,7 +1,7 @@", " ---"),
        *("-license: mit", "+license: apache-2.0", " tags: [tests]", " ---", " # Double", " "),
        *("-Adds a tensor to itself.", "+Adds a tensor to its own self."),
    ]
    assert texts[1]["diff"] == "--- old.txt\n+++ /dev/null\n@@ -1,1 +0,0 @@\n-gone"
    assert [text["cut"] for text in texts] == [False, False]


def test_the_way_back_is_the_way_there_turned_round(alice: Person) -> None:
    two(alice)
    there, back = ask(alice, from_="1.0.0", to="2.0.0"), ask(alice, from_="2.0.0", to="1.0.0")
    assert [i["path"] for i in there.json()["files"]["added"]] == [
        i["path"] for i in back.json()["files"]["removed"]
    ]


def test_a_revision_does_not_differ_from_itself(alice: Person) -> None:
    old, _ = two(alice)
    found = ask(alice, from_=old.revision_id, to="1.0.0", text="1").json()
    assert found["same_content"] is True
    assert found["files"] == {"added": [], "removed": [], "changed": [], "unchanged": 4}
    assert found["card"] == []
    assert all(changes == [] for changes in found["graph"].values())
    assert found["texts"] == []


def test_without_two_graphs_none_is_compared(alice: Person) -> None:
    old, _ = two(alice)
    revision = builders.make_revision(alice, old.model, {"README.md": CARD}, report=None)
    assert differences.compare(old.revision, revision).graph is None


def test_the_owner_compares_any_two_revisions_and_strangers_those_that_passed(
    alice: Person, bob: Person
) -> None:
    old, _ = two(alice)
    files = {"model.onnx": ONNX, "w.bin": b"\xff\x01", "README.md": CARD}
    revision = builders.make_revision(alice, old.model, files, report=None)
    Revision.objects.filter(pk=revision.pk).update(state="pending")
    mine = ask(alice, from_="1.0.0", to=revision.pk)
    assert (mine.status_code, mine.json()["to"]["version"]) == (200, None)
    assert calls.error(ask(bob, from_="1.0.0", to=revision.pk)) == (404, "unknown_revision")


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        ({"from_": "1.0.0"}, (400, "invalid_input")),
        ({"to": "1.0.0"}, (400, "invalid_input")),
        ({"from_": "1.0.0", "to": "9.9.9"}, (404, "unknown_revision")),
        ({"from_": "0" * 40, "to": "1.0.0"}, (404, "unknown_revision")),
        ({"from_": "\0", "to": "1.0.0"}, (404, "unknown_revision")),
    ],
)
def test_a_question_without_two_revisions_is_refused(
    alice: Person, asked: dict[str, str], refusal: tuple[int, str]
) -> None:
    two(alice)
    assert calls.error(ask(alice, **asked)) == refusal


def test_mallory_compares_nothing_of_a_private_model(alice: Person, mallory: Person) -> None:
    two(alice)
    Model.objects.update(visibility="private")
    refused = ask(mallory, from_="1.0.0", to="2.0.0", text="1")
    assert calls.error(refused) == (404, "unknown_model")


def test_who_may_not_have_the_files_of_a_gated_model_sees_no_line_of_them(
    alice: Person, bob: Person
) -> None:
    two(alice)
    Model.objects.update(visibility="gated")
    found = ask(bob, from_="1.0.0", to="2.0.0", text="1").json()
    assert found["texts"] == []
    assert found["files"]["unchanged"] == 1
    mine = ask(alice, from_="1.0.0", to="2.0.0", text="1").json()
    assert [text["path"] for text in mine["texts"]] == ["README.md", "old.txt"]


def test_revisions_of_two_models_are_not_compared(alice: Person, mallory: Person) -> None:
    two(alice)
    other = builders.make_revision(mallory)
    assert calls.error(ask(mallory, from_="1.0.0", to=other.pk)) == (404, "unknown_revision")


# ------------------------------------------------------------------ lines


def change(path: str = "a.txt") -> differences.FileChange:
    state = differences.FileState(sha256="0" * 64, size=1)
    return differences.FileChange(path=path, old=state, new=state)


def diff(old: str, new: str) -> list[str]:
    return list(differences.unified(change(), old, new).lines)


def patched(old: str, lines: list[str]) -> str:
    """Apply a unified diff, as `patch` would."""
    before, after, at = old.splitlines(keepends=True), [], 0
    for line in lines[2:]:
        if line.startswith("@@"):
            start, _, count = line.split(" ")[1][1:].partition(",")
            end = int(start) - 1 if int(count) else int(start)
            after += before[at:end]
            at = end
        elif line == differences.NO_END:
            after[-1:] = [one.removesuffix("\n") for one in after[-1:]]
        else:
            if line[0] in " -":
                assert before[at].removesuffix("\n") == line[1:]
                at += 1
            if line[0] in " +":
                after.append(line[1:] + "\n")
    return "".join(after + before[at:])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", "a\n"),
        ("a\n", ""),
        ("a\nb\nc\n", "a\nc\n"),
        ("a\nc\n", "a\nb\nc\n"),
        ("x\n" * 30, "x\n" * 31),
        ("".join(f"{n}\n" for n in range(60)), "".join(f"{n % 29 and n}\n" for n in range(60))),
        ("a\nb\na\nb\n", "b\na\nb\na\n"),
        ("one\ntwo\n", "three\nfour\nfive\n"),
    ],
)
def test_a_diff_leads_from_the_old_text_to_the_new(old: str, new: str) -> None:
    lines = diff(old, new)
    assert patched(old, lines) == new
    assert lines[:2] == ["--- a.txt", "+++ a.txt"]


def test_random_texts_are_led_over_with_no_more_lines_than_difflib_needs() -> None:
    for _ in range(40):
        sides = ["".join(f"{secrets.randbelow(4)}\n" for _ in range(24)) for _ in range(2)]
        lines = diff(*sides)
        assert patched(sides[0], lines) == sides[1]
        old, new = (side.splitlines() for side in sides)
        theirs = list(difflib.unified_diff(old, new, lineterm=""))

        def changed(found: list[str]) -> int:
            return sum(line[0] in "+-" for line in found[2:])

        assert changed(lines) <= changed(theirs)


def test_far_changes_stand_apart_and_near_ones_together() -> None:
    old = [f"{n}\n" for n in range(40)]
    far, near = [*old], [*old]
    far[5] = far[30] = near[5] = near[11] = "changed\n"
    assert [line for line in diff("".join(old), "".join(far)) if line.startswith("@@")] == [
        *("@@ -3,7 +3,7 @@", "@@ -28,7 +28,7 @@"),
    ]
    headers = [line for line in diff("".join(old), "".join(near)) if line.startswith("@@")]
    assert headers == ["@@ -3,13 +3,13 @@"]


def test_a_missing_last_line_feed_is_told() -> None:
    assert diff("a\n", "a")[2:] == ["@@ -1,1 +1,1 @@", "-a", "+a", differences.NO_END]
    assert diff("same", "same")[2:] == []


def test_a_long_stretch_is_taken_out_and_put_in_without_being_searched() -> None:
    old = "".join(f"old {n}\n" for n in range(600))
    new = "head\n" + "".join(f"new {n}\n" for n in range(600))
    found = differences.unified(change(), old, new)
    assert found.cut
    assert len(found.lines) == differences.MAX_LINES
    assert found.lines[2] == "@@ -1,600 +1,601 @@"


def test_a_long_line_is_cut() -> None:
    found = differences.unified(change(), "a\n", "b" * 10_000)
    assert found.cut
    assert max(len(line) for line in found.lines) == differences.MAX_LINE


def test_the_worst_texts_cost_little_time() -> None:
    """Lines that all occur everywhere, in two orders: difflib's worst case."""
    old = "".join(f"{n % 2}\n" for n in range(499))
    new = "".join(f"{(n // 2) % 2}\n" for n in range(499))
    start = time.process_time()
    differences.unified(change(), old, new)
    assert time.process_time() - start < 2


def test_only_small_text_files_are_read_and_only_so_many(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(differences, "MAX_TEXT_BYTES", 100)
    monkeypatch.setattr(differences, "MAX_TEXT_FILES", 3)
    small = {f"{n}.txt": b"text\n" for n in range(9)}
    old = builders.make_revision(alice, files={"README.md": CARD, **small})
    new = builders.make_revision(
        alice,
        old.model,
        {"README.md": CARD + b"x" * 100, "0.txt": b"new\n", "1.txt": b"\xff", "2.txt": b"a\0b"},
    )
    texts = differences.texts(differences.compare(old, new), alice.user)
    assert [text.path for text in texts] == ["0.txt"]  # of three that were read two are no text
