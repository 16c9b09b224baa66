"""The scan report: which graph runs, which were looked into, what it is called, who may appeal."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from inference.executor import limits
from inference.executor.inspect import constants
from inference.executor.protocol import MAX_BLOB_BYTES
from registry.choices import AppealState, RevisionState
from registry.errors import ConflictError, InvalidInputError, NotAllowedError
from registry.inspection_rules import LIMITS, RULES
from registry.models import Appeal, AuditEvent, Revision
from registry.services import appeals, contents, reports, revisions
from tests import builders
from tests.builders import CARD, ONNX
from tests.people import Person
from tests.registry import calls
from tests.registry.calls import API

ROOT = Path(__file__).parent.parent.parent
FAILED: dict[str, Any] = {
    "verdict": "failed",
    "findings": [{"code": "sparse", "place": "w", "remedy": "make it dense", "level": "failed"}],
    "facts": None,
    "trial": None,
}


def revision_of(person: Person, report: dict[str, Any] | None = FAILED, **files: Any) -> Revision:
    return builders.make_revision(person, report=report, **files)


def commit(person: Person, revision: Revision, files: dict[str, bytes]) -> Revision:
    listed = [(path, contents.store(person.user, data).sha256) for path, data in files.items()]
    return revisions.commit(person.user, revision.model, files=sorted(listed), parent=revision.pk)


# ------------------------------------------------------------------ which graph


@pytest.mark.parametrize(
    ("names", "graphs"),
    [
        (["b.onnx", "a.onnx"], ["a.onnx", "b.onnx"]),
        (["z.onnx", "onnx/model.onnx", "model.onnx"], ["model.onnx", "onnx/model.onnx", "z.onnx"]),
        (["onnx/model_q4.onnx", "onnx/model.onnx"], ["onnx/model.onnx", "onnx/model_q4.onnx"]),
        (["deep/er/x.ONNX", "deep/y.onnx"], ["deep/y.onnx", "deep/er/x.ONNX"]),
        (["README.md"], []),
    ],
)
def test_the_graph_that_runs_comes_first(names: list[str], graphs: list[str]) -> None:
    assert reports.graphs_of(names) == graphs
    assert reports.main_graph(names) == (graphs[0] if graphs else "")


def test_every_graph_that_was_looked_into_needs_no_flag(alice: Person) -> None:
    files = {"model.onnx": ONNX, "model_q4.onnx": ONNX, "README.md": CARD}
    graphs = {"model.onnx": "passed", "model_q4.onnx": "passed"}
    report = {**builders.REPORT, "graphs": graphs, "external": []}
    first = revision_of(alice, report, files=files)
    assert first.state == RevisionState.PASSED
    same = commit(alice, first, {**files, "README.md": b"# New\n"})
    assert same.state == RevisionState.PASSED  # the report is taken over
    third = commit(alice, same, {**files, "model_int8.onnx": ONNX})
    assert third.state == RevisionState.PENDING


def test_what_was_found_in_a_graph_goes_with_it(alice: Person) -> None:
    found = {"code": "random", "place": "q4.onnx: n", "remedy": "set a seed", "level": "flag"}
    report = {
        **builders.REPORT,
        "verdict": "flagged",
        "findings": [found],
        "graphs": {"model.onnx": "passed", "q4.onnx": "flagged"},
        "external": [],
    }
    first = revision_of(alice, report, files={"model.onnx": ONNX, "q4.onnx": ONNX})
    assert first.state == RevisionState.FLAGGED
    second = commit(alice, first, {"model.onnx": ONNX})
    assert (second.state, second.report["findings"]) == (RevisionState.PASSED, [])


def test_a_folder_with_tokenizer_config_and_card_passes(alice: Person) -> None:
    files = {
        "model.onnx": ONNX,
        "README.md": CARD,
        "config.json": b"{}",
        "tokenizer.json": b"{}",
        "spiece.model": b"\x0a\x0e\x0a\x05<unk>\xff\x00",
    }
    revision = revision_of(alice, builders.REPORT, files=files)
    assert revision.state == RevisionState.PASSED
    noted = [(item["code"], item["place"]) for item in revision.report["findings"]]
    assert noted == [("unnamed_data", "spiece.model")]


# ------------------------------------------------------------------ rules


def codes_in_the_code() -> set[str]:
    found: set[str] = set()
    for folder in ("inference/executor/inspect", "inference/executor", "inference/services"):
        for path in (ROOT / folder).glob("*.py"):
            text = path.read_text(encoding="utf-8")
            found.update(re.findall(r'(?:RejectedError|_flag)\(\s*"([a-z_]+)"', text))
            found.update(re.findall(r'"code": "([a-z_]+)", "place"', text))
            if path.name == "inspection.py":
                found.update(re.findall(r'_refused\("([a-z_]+)"', text))
                found.update(re.findall(r'"((?:load|run)_[a-z]+)"', text) or ())
    text = (ROOT / "registry/services/reports.py").read_text(encoding="utf-8")
    found.update(re.findall(r'_flag\(\s*"([a-z_]+)"', text))
    return found - {"run_ms", "load_ms"}


def test_every_code_has_its_rule_on_the_page_and_in_the_documents() -> None:
    page = (ROOT / "docs/reference/inspection.md").read_text(encoding="utf-8")
    assert codes_in_the_code() - set(RULES) == set()
    assert [code for code in RULES if f"| `{code}` |" not in page] == []


def test_the_limits_that_are_told_are_those_that_hold() -> None:
    told = {(code, what): limit for code, what, limit in LIMITS}
    named = {code: limit for (code, _), limit in told.items()}
    assert named["nodes"] == constants.MAX_NODES
    assert named["initializers"] == constants.MAX_INITIALIZERS
    assert named["arity"] == constants.MAX_NODE_ARITY
    assert named["functions"] == constants.MAX_FUNCTIONS
    assert named["function_depth"] == constants.MAX_FUNCTION_DEPTH
    assert named["function_work"] == constants.MAX_FUNCTION_WORK
    assert named["depth"] == constants.MAX_SUBGRAPH_DEPTH
    assert named["rank"] == constants.MAX_RANK
    assert told["text", "bytes of a name"] == constants.MAX_NAME_BYTES
    assert told["text", "bytes of metadata"] == constants.MAX_METADATA_BYTES
    assert named["external"] == constants.MAX_EXTERNAL_GAP
    assert named["too_large"] == MAX_BLOB_BYTES
    assert named["load_time"] == limits.Limits().load_s
    assert named["run_time"] == limits.Limits().trial_s
    assert named["load_memory"] == limits.LOAD_MEMORY
    assert named["other_graph"] == reports.MAX_GRAPHS
    assert {code for code, _ in told} <= set(RULES)


def test_the_report_names_rules_limits_and_state(alice: Person) -> None:
    revision = revision_of(alice)
    url = f"{API}/models/{revision.model.full_name}/revisions/{revision.pk}/inspection"
    told = alice.api("read").get(url).json()
    assert (told["state"], told["word"]) == ("failed", "failed")
    finding = told["findings"][0]
    assert finding["meaning"] == RULES["sparse"].meaning
    assert finding["help"].endswith("/docs/inspection/#sparse")
    assert {"rule": "nodes", "what": "nodes of a graph, subgraphs included", "limit": 50_000} in (
        told["limits"]
    )
    assert told["appeal"] is None


def test_what_failed_is_its_owners_business(alice: Person, mallory: Person) -> None:
    revision = revision_of(alice)
    base = f"{API}/models/{revision.model.full_name}/revisions/{revision.pk}"
    for path in ("inspection", "appeal"):
        assert calls.error(mallory.api().get(f"{base}/{path}")) == (404, "unknown_revision")
    asked = mallory.api().post(f"{base}/appeal", {"text": "please"}, format="json")
    assert calls.error(asked) == (404, "unknown_revision")


def test_the_page_of_the_rules_has_each(db: None, client: Client) -> None:
    page = client.get("/docs/inspection/").content.decode()
    assert [code for code in RULES if f'id="{code}"' not in page] == []


# ------------------------------------------------------------------ appeals


@pytest.fixture
def moderator(db: None) -> User:
    return User.objects.create_user("moderator", is_staff=True)


def test_alice_appeals_and_is_answered(alice: Person, moderator: User) -> None:
    revision = revision_of(alice)
    base = f"{API}/models/{revision.model.full_name}/revisions/{revision.pk}"
    assert calls.error(alice.api().get(f"{base}/appeal")) == (404, "unknown_appeal")
    asked = alice.api().post(f"{base}/appeal", {"text": "It is dense."}, format="json")
    assert (asked.status_code, asked.json()["state"]) == (201, "waiting")
    again = alice.api().post(f"{base}/appeal", {"text": "Hurry!"}, format="json")
    assert calls.error(again) == (409, "conflict")
    row = Appeal.objects.get()
    appeals.answer(moderator, row, AppealState.UPHELD, "It is sparse: see w.")
    told = alice.api("read").get(f"{base}/appeal").json()
    assert (told["state"], told["answer"]) == ("upheld", "It is sparse: see w.")
    seen = alice.api("read").get(f"{base}/inspection").json()
    assert (seen["state"], seen["appeal"]["state"]) == ("failed", "upheld")
    with pytest.raises(ConflictError):
        appeals.answer(moderator, row, AppealState.AGAIN, "after all")
    actions = list(AuditEvent.objects.filter(action__contains="appeal").values_list("action"))
    assert actions == [("revision.appeal",), ("revision.appeal_answered",)]


def test_what_is_inspected_again_waits_and_may_pass(alice: Person, moderator: User) -> None:
    revision = revision_of(alice)
    appeal = appeals.ask(alice.user, revision, "The rule was wrong.")
    appeals.answer(moderator, appeal, AppealState.AGAIN, "The rule was mended.")
    revision.refresh_from_db()
    assert (revision.state, revision.report) == (RevisionState.PENDING, {})
    assert Appeal.objects.get().findings == FAILED["findings"]
    passed = revisions.record_inspection(revision.pk, builders.REPORT)
    assert passed.state == RevisionState.PASSED


def test_nobody_but_a_moderator_answers(alice: Person) -> None:
    appeal = appeals.ask(alice.user, revision_of(alice), "please")
    with pytest.raises(NotAllowedError):
        appeals.answer(alice.user, appeal, AppealState.AGAIN, "yes")


def test_bad_appeals_and_answers_are_refused(alice: Person, moderator: User) -> None:
    passed = revision_of(alice, builders.REPORT)
    with pytest.raises(ConflictError, match="Only a failed"):
        appeals.ask(alice.user, passed, "why not")
    failed = commit(alice, passed, {"model.onnx": b"\x08\x0aother"})
    revisions.record_inspection(failed.pk, FAILED)
    failed.refresh_from_db()
    for text in ("", " \0 ", "x" * 2001):
        with pytest.raises(InvalidInputError):
            appeals.ask(alice.user, failed, text)
    appeal = appeals.ask(alice.user, failed, "please")
    for state, text in (("waiting", "words"), (AppealState.UPHELD, "")):
        with pytest.raises(InvalidInputError):
            appeals.answer(moderator, appeal, state, text)
    for _ in range(4):
        appeals.answer(moderator, appeal, AppealState.UPHELD, "no")
        appeal = appeals.ask(alice.user, failed, "but please")
    appeals.answer(moderator, appeal, AppealState.UPHELD, "no")
    with pytest.raises(ConflictError, match="5 times"):
        appeals.ask(alice.user, failed, "once more")


def test_the_publisher_appeals_on_the_page(alice: Person, client: Client, moderator: User) -> None:
    revision = revision_of(alice)
    page = f"/publish/{revision.model.full_name}/{revision.pk}/"
    client.force_login(alice.user)
    assert "Ask a moderator to look" in client.get(page).content.decode()
    client.post(f"{page}appeal/", {"text": ""})
    assert not Appeal.objects.exists()
    answer = client.post(f"{page}appeal/", {"text": "It is <b>dense</b>."}, follow=True)
    assert "It is &lt;b&gt;dense&lt;/b&gt;." in answer.content.decode()
    appeals.answer(moderator, Appeal.objects.get(), AppealState.UPHELD, "No.")
    shown = client.get(page).content.decode()
    assert "The answer: No." in shown
    assert "/docs/inspection/#sparse" in shown


def test_a_moderator_answers_in_the_admin(alice: Person, admin_client: Client) -> None:
    appeal = appeals.ask(alice.user, revision_of(alice), "please look")
    page = f"/admin/registry/appeal/{appeal.pk}/change/"
    assert "please look" in admin_client.get(page).content.decode()
    admin_client.post(page, {"decision": "again", "answer": "Mended."})
    appeal.refresh_from_db()
    assert (appeal.state, appeal.answer) == (AppealState.AGAIN, "Mended.")
    assert Revision.objects.get().state == RevisionState.PENDING
    assert admin_client.get(page).status_code == 200
    assert admin_client.post(page, {"decision": "upheld", "answer": "x"}).status_code == 403


def test_a_moderator_sets_a_quota_in_the_admin(alice: Person, admin_client: Client) -> None:
    fields = {"owner": alice.owner.pk, "max_bytes": 5, "max_models": "", "max_uploads": ""}
    assert admin_client.post("/admin/registry/quota/add/", fields).status_code == 302
    refused = calls.declare(alice.api(), b"123456")
    assert calls.error(refused) == (413, "too_large")
    assert AuditEvent.objects.filter(action="quota.set").exists()
