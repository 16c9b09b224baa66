"""Accounts, repositories, refs and lists as hub clients see them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.db import OperationalError
from django.http import UnreadablePostError
from pytest_django import Settings

from assay.errors import AssayError
from registry.choices import RevisionState
from registry.errors import RegistryError
from registry.models import AuditEvent, Model, Revision
from registry.services import revisions
from tests import builders
from tests.hf.hub import Hub, error
from tests.people import Person

pytestmark = pytest.mark.django_db


def test_a_token_says_whose_it_is(alices: Hub, alice: Person, nobodys: Hub) -> None:
    told = alices.get("/api/whoami-v2").json()
    assert (told["name"], told["type"], told["orgs"]) == ("alice", "user", [])
    assert told["auth"]["accessToken"]["role"] == "write"
    reader = Hub(token=alice.token("read")).get("/api/whoami-v2").json()
    assert reader["auth"]["accessToken"]["role"] == "read"
    for caller in (nobodys, Hub(token="assay_forged"), Hub(token="two words")):
        answer = caller.get("/api/whoami-v2")
        assert error(answer) == (401, "")
        assert answer["X-Error-Message"] == "Invalid credentials in Authorization header"


def test_a_new_repository_has_an_empty_first_commit(alices: Hub, nobodys: Hub) -> None:
    made = alices.create()
    assert made.status_code == 200
    assert made.json() == {
        "url": "http://testserver/hf/models/alice/double",
        "name": "alice/double",
        "id": "alice/double",
    }
    told = nobodys.get("/api/models/alice/double").json()
    first = Revision.objects.get()
    assert (told["id"], told["sha"], told["siblings"]) == ("alice/double", first.pk, [])
    assert (told["assay"]["signed"], told["assay"]["release"]) == (False, None)
    assert (first.parent_id, first.message) == (None, "initial commit")
    assert nobodys.get("/api/models/alice/double/tree/main").json() == []


def test_the_second_creation_is_told_where_the_first_is(alices: Hub) -> None:
    alices.create()
    again = alices.create(visibility="private")
    assert error(again) == (409, "")
    assert again.json()["url"] == "http://testserver/hf/models/alice/double"
    assert Model.objects.get().visibility == "public"


def test_mallory_may_not_create_under_alices_name(mallorys: Hub, alice: Person) -> None:
    answer = mallorys.post("/api/repos/create", {"name": "x", "organization": "alice"})
    assert error(answer) == (403, "")


@pytest.mark.parametrize("name", ["a--b", "-a", "a..b", "x.git", "a b", "", "a" * 97, "infer"])
def test_a_bad_name_is_refused(name: str, alices: Hub) -> None:
    assert error(alices.create(name)) == (400, "")


@pytest.mark.parametrize(
    "fields", [{"type": "dataset"}, {"visibility": "secret"}, {"name": 7}, {"name": "a\0b"}]
)
def test_a_bad_creation_is_refused(fields: dict[str, Any], alices: Hub) -> None:
    assert error(alices.create(**{"name": "double", **fields}))[0] == 400
    assert not Model.objects.exists()


def test_a_token_that_only_reads_creates_nothing(alice: Person, nobodys: Hub) -> None:
    assert error(Hub(token=alice.token("read")).create()) == (403, "")
    assert error(nobodys.create()) == (401, "")


def test_what_is_private_is_as_if_missing(alices: Hub, mallorys: Hub, nobodys: Hub) -> None:
    alices.create("secret", visibility="private")
    assert alices.get("/api/models/alice/secret").json()["private"] is True
    for path in ("", "/refs", "/revision/main", "/tree/main", "/commits/main", "/auth-check"):
        missing = mallorys.get(f"/api/models/alice/none{path}")
        hidden = mallorys.get(f"/api/models/alice/secret{path}")
        assert error(missing) == error(hidden) == (404, "RepoNotFound")
        assert hidden.json()["error"] == missing.json()["error"].replace("none", "secret")
    assert error(nobodys.get("/alice/secret/resolve/main/a.txt")) == (404, "RepoNotFound")


def test_a_deleted_repository_is_gone_for_everybody_and_its_name_is_taken(
    alices: Hub, alice: Person, mallorys: Hub
) -> None:
    alices.create()
    asked = {"name": "double", "organization": "alice"}
    assert error(mallorys.call("DELETE", "/api/repos/delete", asked)) == (403, "")
    gone = alices.call("DELETE", "/api/repos/delete", asked)
    assert (gone.status_code, gone.json()) == (200, {})
    assert error(alices.get("/api/models/alice/double")) == (404, "RepoNotFound")
    assert error(alices.call("DELETE", "/api/repos/delete", asked)) == (404, "RepoNotFound")
    assert error(alices.create("DOUBLE")) == (409, "")
    assert alices.get("/api/models").json() == []
    assert alice.api().get("/api/v1/models").json()["items"] == []
    assert Revision.objects.count() == 1, "history stays"
    assert AuditEvent.objects.filter(action="model.delete", target="alice/double").exists()


def test_what_was_released_cannot_be_deleted(alices: Hub, alice: Person, opened: None) -> None:
    builders.publish_release(alice)
    asked = {"name": "double", "organization": None}
    answer = alices.call("DELETE", "/api/repos/delete", asked)
    assert error(answer) == (409, "")
    assert "withdraw" in answer.json()["error"]


def test_the_right_to_write_can_be_asked_for(alices: Hub, bobs: Hub, alice: Person) -> None:
    alices.create()
    check = "/api/models/alice/double/auth-check"
    assert (alices.get(f"{check}/write").json(), bobs.get(check).json()) == ({}, {})
    assert error(bobs.get(f"{check}/write")) == (403, "")
    assert error(Hub(token=alice.token("read")).get(f"{check}/write")) == (403, "")


@pytest.mark.parametrize(
    ("card", "status"),
    [
        ("---\nlicense: mit\n---\n# Hi\n", 200),
        ("# No metadata\n", 200),
        ("---\nlicense: nonsense\n---\n", 400),
        ("---\na: [1\n---\n", 400),
        ("---\n- a\n---\n", 400),
    ],
)
def test_a_card_is_checked_before_it_is_sent(card: str, status: int, nobodys: Hub) -> None:
    asked = {"content": card, "repoType": "model"}
    answer = nobodys.post("/api/validate-yaml", asked, Accept="text/plain")
    assert answer.status_code == status
    told = answer.json()
    assert bool(told["errors"]) == (status == 400)
    assert all(set(item) == {"message"} for item in told["errors"] + told["warnings"])


RESULTS = b"""
- dataset: {id: alice/digits, task_id: accuracy}
  value: 0.97
- dataset: {id: alice/digits, task_id: f1}
  value: 0.9
"""


def test_results_are_given_to_who_asks_for_them(alice: Person, nobodys: Hub) -> None:
    """One result each, as clients read them; a file that is none says why."""
    files = {
        "model.onnx": builders.ONNX,
        ".eval_results/bad.yaml": b"- 3",
        ".eval_results/digits.yaml": RESULTS,
    }
    builders.make_revision(alice, files=files)
    assert "evalResults" not in nobodys.get("/api/models/alice/double").json()
    told = nobodys.get("/api/models/alice/double?expand=sha&expand=evalResults").json()
    bad, *good = told["evalResults"]
    assert bad == {"filename": ".eval_results/bad.yaml", "error": "result 1: not an object"}
    assert [one["data"]["dataset"]["task_id"] for one in good] == ["accuracy", "f1"]
    assert [one["data"]["value"] for one in good] == [0.97, 0.9]


# ------------------------------------------------------------------ refs


def test_tags_and_branches_name_revisions(alices: Hub, alice: Person, nobodys: Hub) -> None:
    revision = builders.make_revision(alice)
    at = "/api/models/alice/double"
    assert alices.post(f"{at}/tag/main", {"tag": "v1", "message": "first"}).json() == {}
    assert error(alices.post(f"{at}/tag/main", {"tag": "v1"})) == (409, "")
    assert alices.post(f"{at}/branch/a%2Fb", {"startingPoint": "v1"}).json() == {}
    assert error(alices.post(f"{at}/branch/a%2Fb")) == (409, "")
    told = nobodys.get(f"{at}/refs?include_prs=1").json()
    assert [(item["name"], item["targetCommit"]) for item in told["branches"]] == [
        ("main", revision.pk),
        ("a/b", revision.pk),
    ]
    assert [(item["name"], item["ref"]) for item in told["tags"]] == [("v1", "refs/tags/v1")]
    assert (told["converts"], told["pullRequests"]) == ([], [])
    for name in ("v1", "a%2Fb", "refs%2Fheads%2Fa%2Fb", "refs%2Ftags%2Fv1", "refs%2Fheads%2Fmain"):
        assert nobodys.get(f"{at}/revision/{name}").json()["sha"] == revision.pk
    for kind, name in (("tag", "v1"), ("branch", "a%2Fb")):
        assert alices.call("DELETE", f"{at}/{kind}/{name}").json() == {}
        assert error(alices.call("DELETE", f"{at}/{kind}/{name}")) == (404, "RevisionNotFound")
    assert nobodys.get(f"{at}/refs").json()["tags"] == []
    assert error(nobodys.get(f"{at}/revision/v1")) == (404, "RevisionNotFound")


@pytest.mark.parametrize(
    "name", ["a..b", "/a", "a/", "a b", ".a", "a.lock", "0" * 40, "refs/heads/x", "é", "x" * 251]
)
def test_a_bad_name_for_a_tag_is_refused(name: str, alices: Hub) -> None:
    alices.create()
    assert error(alices.post("/api/models/alice/double/tag/main", {"tag": name})) == (400, "")


def test_main_and_releases_stay(alices: Hub, alice: Person, opened: None) -> None:
    release = builders.publish_release(alice)
    at = "/api/models/alice/double"
    assert error(alices.call("DELETE", f"{at}/branch/main")) == (403, "")
    assert error(alices.call("DELETE", f"{at}/tag/1.0.0")) == (403, "")
    assert error(alices.post(f"{at}/tag/main", {"tag": "1.0.0"})) == (409, "")
    told = alices.get(f"{at}/refs").json()["tags"]
    assert told[0] == {
        "name": "1.0.0",
        "ref": "refs/tags/1.0.0",
        "targetCommit": release.revision_id,
    }
    info = alices.get(f"{at}/revision/1.0.0").json()
    assert (info["sha"], info["assay"]["release"]) == (release.revision_id, "1.0.0")


def test_mallory_moves_no_ref_of_alice(alices: Hub, mallorys: Hub) -> None:
    alices.create()
    at = "/api/models/alice/double"
    assert error(mallorys.post(f"{at}/tag/main", {"tag": "x"})) == (403, "")
    assert error(mallorys.post(f"{at}/branch/x")) == (403, "")
    assert error(mallorys.call("DELETE", f"{at}/branch/main")) == (403, "")


def test_strangers_see_the_newest_revision_that_passed(
    alices: Hub, alice: Person, nobodys: Hub, bobs: Hub
) -> None:
    first = builders.make_revision(alice)
    second = builders.make_revision(
        alice, first.model, {"model.onnx": builders.ONNX, "w.bin": b"\xff\1"}, report=None
    )
    # The same graph without external data needs no new inspection: take another graph.
    third = builders.make_revision(
        alice, first.model, {"model.onnx": builders.ONNX + b"\x12\0"}, report=None
    )
    assert third.state == RevisionState.PENDING
    at = "/api/models/alice/double"
    mine = alices.get(f"{at}/revision/main")
    assert mine.json()["sha"] == third.pk
    assert mine["X-HF-Warning"].startswith("validation; ")
    for caller in (nobodys, bobs):
        assert caller.get(f"{at}/revision/main").json()["sha"] == second.pk
        assert error(caller.get(f"{at}/revision/{third.pk}")) == (404, "RevisionNotFound")
        told = caller.get(f"{at}/refs").json()["branches"]
        assert [item["targetCommit"] for item in told] == [second.pk]
        listed = caller.get(f"{at}/commits/main").json()
        assert [item["id"] for item in listed] == [second.pk, first.pk]
    revisions.record_inspection(third.pk, builders.REPORT)
    assert nobodys.get(f"{at}/revision/main").json()["sha"] == third.pk


def test_nothing_passed_means_no_main_for_strangers(
    alice: Person, alices: Hub, nobodys: Hub
) -> None:
    builders.make_revision(alice, report=None)
    assert nobodys.get("/api/models/alice/double").json()["sha"] is None
    assert error(nobodys.get("/api/models/alice/double/tree/main")) == (404, "RevisionNotFound")
    assert nobodys.get("/api/models/alice/double/refs").json()["branches"] == []
    assert alices.get("/api/models/alice/double/tree/main").status_code == 200


# ------------------------------------------------------------------ lists


def _names(answer: Any) -> list[str]:
    return [item["id"] for item in answer.json()]


@pytest.fixture
def several(alice: Person, bob: Person) -> None:
    cards = {
        "cats": "license: mit\ntags: [vision, small]\npipeline_tag: image-classification\n",
        "dogs": "license: apache-2.0\ntags: vision\nlibrary_name: onnx\n",
        "talk": "language: [en, de]\ndatasets: squad\n",
    }
    for name, card in cards.items():
        files = {"model.onnx": builders.ONNX, "README.md": f"---\n{card}---\n# x\n".encode()}
        builders.make_revision(alice, builders.make_model(alice, name), files)
    builders.make_revision(bob)
    builders.make_revision(alice, builders.make_model(alice, "secret", "private"))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"alice/cats", "alice/dogs", "alice/talk", "bob/double"}),
        ("author=ALICE", {"alice/cats", "alice/dogs", "alice/talk"}),
        ("search=do", {"alice/dogs", "bob/double"}),
        ("search=alice/do", {"alice/dogs"}),
        ("search=Alice+DOG", {"alice/dogs"}),
        ("search=vision", set()),
        ("search=--", set()),
        ("author=ali", set()),
        ("filter=vision", {"alice/cats", "alice/dogs"}),
        ("filter=vision&filter=license:mit", {"alice/cats"}),
        ("filter=vision,small", {"alice/cats"}),
        ("filter=onnx", {"alice/dogs"}),
        ("filter=de", {"alice/talk"}),
        ("filter=dataset:squad", {"alice/talk"}),
        ("pipeline_tag=image-classification", {"alice/cats"}),
        ("num_parameters=min:1K", set()),
        ("num_parameters=max:1.5B", {"alice/cats", "alice/dogs", "alice/talk", "bob/double"}),
        ("gated=True", set()),
        (
            "author=alice&full=true&config=True&expand=xetEnabled&apps=x",
            {"alice/cats", "alice/dogs", "alice/talk"},
        ),
        ("search=%00", set()),
    ],
)
def test_models_are_found(several: None, nobodys: Hub, query: str, expected: set[str]) -> None:
    assert set(_names(nobodys.get(f"/api/models?{query}"))) == expected


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=x",
        "cursor=!",
        "cursor=AAAA",
        "num_parameters=6B",
        "sort=downloads&cursor=eCAx",
    ],
)
def test_a_bad_question_is_refused(nobodys: Hub, query: str) -> None:
    assert error(nobodys.get(f"/api/models?{query}")) == (400, "")


@pytest.mark.parametrize("sort", ["lastModified", "createdAt", "downloads", "trendingScore"])
def test_pages_repeat_nothing_and_miss_nothing(several: None, alices: Hub, sort: str) -> None:
    whole = _names(alices.get(f"/api/models?sort={sort}"))
    assert len(whole) == 5
    found, url = [], f"/api/models?sort={sort}&limit=2"
    for _ in range(3):
        answer = alices.get(url)
        found += _names(answer)
        link = answer.get("Link", "")
        url = link.removeprefix("<").partition(">")[0]
    assert (found, link) == (whole, "")


# ------------------------------------------------------------------ the rest


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/datasets/alice/x", "RepoNotFound"),
        ("/datasets/alice/x/resolve/main/a", "RepoNotFound"),
        ("/api/models/gpt2", "RepoNotFound"),
        ("/api/agent-harnesses", ""),
        ("/api/telemetry/x", ""),
        ("", ""),
        ("/", ""),
    ],
)
def test_what_is_not_here_is_a_quick_404(nobodys: Hub, path: str, code: str) -> None:
    assert error(nobodys.get(path)) == (404, code)


def test_telemetry_at_the_root_is_a_404_and_its_token_in_no_log(
    nobodys: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"Authorization": "Bearer xet-secret-token"}
    answer = nobodys.client.post("/v1/telemetry", headers=headers)
    assert answer.status_code == 404
    nobodys.get("/api/unknown", **headers)
    assert "xet-secret-token" not in caplog.text


def test_a_method_that_is_not_there_is_refused(alices: Hub) -> None:
    answer = alices.post("/api/whoami-v2")
    assert error(answer) == (405, "")
    assert "GET" in answer["Allow"]


def test_a_body_needs_its_length_and_its_form(alices: Hub, settings: Settings) -> None:
    for raw in (b"[1]", b"{", b'"x"', b"[" * 100_000, b'{"name": "\\ud800"}', b"\xff"):
        assert error(alices.post("/api/repos/create", raw)) == (400, "")
    answer = alices.client.generic(
        "POST",
        "/hf/api/repos/create",
        b"",
        headers={"Authorization": f"Bearer {alices.token}"},
    )
    assert answer.status_code in (400, 411)


def test_pages_of_other_origins_may_read(nobodys: Hub, alices: Hub) -> None:
    alices.create()
    answer = nobodys.get("/api/models/alice/double", Origin="https://example.org")
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert "X-Repo-Commit" in answer["Access-Control-Expose-Headers"]
    asked = nobodys.call("OPTIONS", "/api/models/alice/double")
    assert (asked.status_code, "Authorization" in asked["Access-Control-Allow-Headers"]) == (
        204,
        True,
    )
    assert "Access-Control-Allow-Origin" not in alices.create("other")


def test_more_calls_than_a_window_has_are_told_when_to_come_again(
    nobodys: Hub, alices: Hub, settings: Settings
) -> None:
    settings.HUB_CALLS = 2
    assert [nobodys.get("/api/models").status_code for _ in range(3)] == [200, 200, 429]
    answer = nobodys.get("/api/models")
    assert error(answer) == (429, "")
    wait = answer["Retry-After"]
    assert answer["RateLimit"] == f'"api";r=0;t={wait}'
    assert answer["RateLimit-Policy"] == '"fixed window";"api";q=2;w=300'
    assert alices.get("/api/models").status_code == 200, "another caller"


def test_a_browser_is_led_to_the_pages(alices: Hub, nobodys: Hub) -> None:
    alices.create()
    first = Revision.objects.get().pk
    for path, target in (
        ("/models/alice/double", "/models/alice/double/"),
        (f"/models/alice/double/commit/{first}", f"/models/alice/double/files/?revision={first}"),
        ("/models/alice/double/tree/main", "/models/alice/double/files/"),
        ("/alice", "/alice/"),
    ):
        answer = nobodys.get(path)
        assert (answer.status_code, answer["Location"]) == (302, target)
        assert nobodys.client.get(target).status_code == 200
    assert error(nobodys.get("/stranger")) == (404, "")


def test_json_of_an_answer_is_an_object_even_for_a_fault_of_ours(
    nobodys: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("registry.hf.lists.page", fail)
    answer = nobodys.get("/api/models")
    assert error(answer) == (500, "")
    assert "MemoryError" not in json.dumps(answer.json())


class _GatedError(RegistryError):
    code, status = "gated", 403


class _TakenDownError(RegistryError):
    code, status = "taken_down", 403


@pytest.mark.parametrize(
    ("fault", "status", "code", "words"),
    [
        (AssayError("not a list"), 400, "", "not a list"),
        (RequestDataTooBig(), 413, "", "longer"),
        (DisallowedHost("evil"), 400, "", "not well-formed"),
        (UnreadablePostError(), 400, "", "not well-formed"),
        (OperationalError(), 503, "", "database"),
        (_GatedError("Ask its owner."), 403, "GatedRepo", "Ask"),
        (_TakenDownError("It was\nhidden \N{EM DASH} by us."), 403, "", "Access to this"),
    ],
)
def test_every_fault_has_its_answer(
    fault: Exception, status: int, code: str, words: str, nobodys: Hub, monkeypatch: Any
) -> None:
    def fail(*_: Any) -> None:
        raise fault

    monkeypatch.setattr("registry.hf.lists.page", fail)
    answer = nobodys.get("/api/models")
    assert error(answer) == (status, code)
    assert words in answer["X-Error-Message"]


def test_callers_behind_a_proxy_are_told_apart(nobodys: Hub, settings: Settings) -> None:
    settings.HUB_CALLS, settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1, 1
    calls = [
        nobodys.get("/api/models", **{"X-Forwarded-For": f"6.6.6.6, 10.0.0.{n}"}).status_code
        for n in (1, 2, 1)
    ]
    assert calls == [200, 200, 429]
    settings.HUB_CALLS = 0
    assert nobodys.get("/api/models").status_code == 200
