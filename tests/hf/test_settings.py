"""Private, gated, moved, shared: what the stock clients can set, and who may."""

from __future__ import annotations

from typing import Any

import pytest

from registry.choices import Role, TokenScope
from registry.hf import people, settings
from registry.models import Model, Owner, Quota
from registry.services import gates, organisations, quotas
from tests.hf.hub import WEIGHTS, Hub, error, lfs, regular, sha
from tests.hf.pieces import Bridge, File, chunk, name_of, shard
from tests.people import Person, make_person

DOUBLE = "/api/models/alice/double"


def put(hub: Hub, **fields: Any) -> Any:
    return hub.call("PUT", f"{DOUBLE}/settings", fields)


def shown(hub: Hub) -> tuple[bool, Any]:
    told = hub.get(DOUBLE).json()
    return told["private"], told["gated"]


@pytest.fixture
def club(alice: Person, bob: Person) -> str:
    """An organisation of alice's in which bob writes."""
    owner = organisations.create(alice.user, name="club", title="The club")
    organisations.invite(alice.user, owner, name="bob", role=Role.WRITER)
    organisations.accept(bob.user, owner)
    return owner.name


def test_alice_hides_and_shows_and_gates_her_model(head: str, alices: Hub, nobodys: Hub) -> None:
    assert shown(nobodys) == (False, False)
    for fields, then in (
        ({"gated": "auto"}, (False, "auto")),
        ({"visibility": "public"}, (False, "auto")),
        ({"gated": "manual"}, (False, "manual")),
        ({"visibility": "private"}, (True, False)),
        ({"gated": False}, (True, False)),
        ({"private": False}, (False, False)),
        ({"gated": "manual", "visibility": "public"}, (False, "manual")),
        ({"private": True, "gated": False}, (True, False)),
    ):
        answer = put(alices, **fields)
        assert answer.status_code == 200, answer.content
        assert answer.json()["gated"] == then[1]
        assert shown(alices) == then
    assert error(nobodys.get(DOUBLE)) == (404, "RepoNotFound")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"gated": "perhaps"},
        {"gated": True},
        {"gated": 1},
        {"visibility": "protected"},
        {"visibility": "gated"},
        {"visibility": "private", "gated": "auto"},
        {"visibility": ["public"]},
    ],
)
def test_a_bad_setting_is_refused(fields: dict[str, Any], head: str, alices: Hub) -> None:
    assert error(put(alices, **fields)) == (400, "")
    assert shown(alices) == (False, False)


def test_only_who_may_change_settings_does(
    head: str, alice: Person, mallorys: Hub, nobodys: Hub
) -> None:
    assert error(put(mallorys, visibility="private")) == (403, "")
    assert error(put(nobodys, visibility="private")) == (401, "")
    assert error(put(Hub(token=alice.token(TokenScope.WRITE)), gated="auto")) == (403, "")
    assert shown(nobodys) == (False, False)


def test_a_token_that_writes_deletes_no_repository(head: str, alice: Person, nobodys: Hub) -> None:
    writer = Hub(token=alice.token(TokenScope.WRITE))
    answer = writer.call("DELETE", "/api/repos/delete", {"name": "double", "organization": None})
    assert error(answer) == (403, "")
    assert "admin" in answer.json()["error"]
    assert nobodys.get(DOUBLE).status_code == 200


# ------------------------------------------------------------------ gated


def test_the_files_of_a_gated_model_are_for_who_was_approved(
    head: str, alices: Hub, bobs: Hub, nobodys: Hub, bob: Person
) -> None:
    put(alices, gated="manual")
    for hub in (bobs, nobodys):
        assert hub.get(DOUBLE).json()["gated"] == "manual", "the page is for everybody"
        assert error(hub.resolve("model.onnx")) == (403, "GatedRepo")
        assert error(hub.get(f"{DOUBLE}/auth-check")) == (403, "GatedRepo")
    gates.ask(bob.user, Model.objects.get(), reason="tests")
    pending = alices.get(f"{DOUBLE}/user-access-request/pending").json()
    assert [(row["user"]["user"], row["status"]) for row in pending] == [("bob", "pending")]
    assert pending[0]["fields"] == {"reason": "tests"}
    handle = f"{DOUBLE}/user-access-request/handle"
    assert error(bobs.post(handle, {"user": "bob", "status": "accepted"})) == (403, "")
    assert alices.post(handle, {"user": "bob", "status": "accepted"}).json() == {}
    assert bobs.resolve("model.onnx").status_code == 200
    assert bobs.get(f"{DOUBLE}/auth-check").json() == {}
    accepted = alices.get(f"{DOUBLE}/user-access-request/accepted").json()
    assert alices.post(handle, {"requestId": accepted[0]["requestId"], "status": "rejected"})
    assert error(bobs.resolve("model.onnx")) == (403, "GatedRepo")
    assert alices.post(f"{DOUBLE}/user-access-request/grant", {"user": "bob"}).json() == {}
    assert bobs.resolve("model.onnx").status_code == 200
    assert error(nobodys.resolve("model.onnx")) == (403, "GatedRepo")


def test_a_gated_model_is_asked_for_in_the_hubs_words(
    head: str, alices: Hub, mallorys: Hub, monkeypatch: pytest.MonkeyPatch, bob: Person
) -> None:
    requests = f"{DOUBLE}/user-access-request"
    assert error(alices.get(f"{requests}/pending")) == (400, ""), "it is not gated"
    put(alices, gated="manual")
    assert error(mallorys.get(f"{requests}/pending")) == (403, "")
    for fields, status in (
        ({"user": "bob", "status": "accepted"}, 404),
        ({"requestId": "4711", "status": "accepted"}, 404),
        ({"requestId": "x", "status": "accepted"}, 400),
        ({"status": "accepted"}, 400),
        ({"user": "bob", "status": "pending"}, 400),
    ):
        assert error(alices.post(f"{requests}/handle", fields)) == (status, "")
    assert error(alices.post(f"{requests}/grant", {"user": "bob"})) == (404, "")
    monkeypatch.setattr(settings, "PAGE", 1)
    for name in ("ann", "ben", "cem"):
        gates.ask(make_person(name).user, Model.objects.get(), reason="tests")
    found, path = [], f"{requests}/pending"
    while path:
        page = alices.get(path)
        found += [row["user"]["user"] for row in page.json()]
        path = page.get("Link", "").partition(">")[0].removeprefix("<")
    assert found == ["ann", "ben", "cem"]
    assert error(alices.get(f"{requests}/pending?cursor=AAAA")) == (400, "")


def test_gated_models_are_found_by_their_gate(head: str, alices: Hub, nobodys: Hub) -> None:
    def listed(query: str) -> int:
        return len(nobodys.get(f"/api/models?{query}").json())

    assert (listed("gated=true"), listed("gated=false")) == (0, 1)
    put(alices, gated="auto")
    assert (listed("gated=true"), listed("gated=false")) == (1, 0)
    assert (listed("gated=auto"), listed("gated=manual")) == (1, 0)


# ------------------------------------------------------------------ organisations, moves


def test_a_token_says_where_its_account_belongs(club: str, alices: Hub, bobs: Hub) -> None:
    def orgs(hub: Hub) -> list[tuple[str, str, str]]:
        told = hub.get("/api/whoami-v2").json()["orgs"]
        return [(one["name"], one["fullname"], one["roleInOrg"]) for one in told]

    assert orgs(alices) == [("club", "The club", "admin")]
    assert orgs(bobs) == [("club", "The club", "write")]


def test_members_publish_for_their_organisation(club: str, bobs: Hub, mallorys: Hub) -> None:
    made = bobs.create("triple", organization="club")
    assert made.json()["id"] == "club/triple"
    assert bobs.committed(regular("a.txt", b"a"), model="club/triple")
    for hub, status in ((mallorys, 403), (bobs, 200)):
        assert hub.commit(regular("b.txt", b"b"), model="club/triple").status_code == status
    answer = bobs.call("DELETE", "/api/repos/delete", {"name": "triple", "organization": "club"})
    assert error(answer) == (403, ""), "a writer does not delete"
    assert error(mallorys.create("other", organization="club")) == (403, "")


def test_a_moved_model_answers_to_its_old_name(
    head: str, club: str, alices: Hub, bobs: Hub, nobodys: Hub
) -> None:
    there = {"fromRepo": "alice/double", "toRepo": "club/double", "type": "model"}
    assert error(bobs.post("/api/repos/move", there)) == (403, "")
    assert error(alices.post("/api/repos/move", there | {"toRepo": "club/other"})) == (400, "")
    assert error(alices.post("/api/repos/move", there | {"toRepo": "nobody/double"})) == (404, "")
    assert error(alices.post("/api/repos/move", there | {"type": "space"})) == (400, "")
    moved = alices.post("/api/repos/move", there)
    assert (moved.status_code, moved.json()["state"]) == (200, "accepted")
    assert "X-HF-Warning" not in moved
    for name in ("alice/double", "club/double"):
        assert nobodys.get(f"/api/models/{name}").json()["id"] == "club/double"
        assert nobodys.resolve("model.onnx", model=name).status_code == 200
    assert error(alices.create("double")) == (409, ""), "the old name stays taken"


def test_a_model_is_offered_where_somebody_else_decides(
    head: str, alices: Hub, nobodys: Hub, bob: Person
) -> None:
    there = {"fromRepo": "alice/double", "toRepo": "bob/double", "type": "model"}
    offered = alices.post("/api/repos/move", there)
    assert (offered.status_code, offered.json()["state"]) == (200, "waiting")
    assert "when bob accepts" in offered["X-HF-Warning"]
    assert nobodys.get(DOUBLE).json()["id"] == "alice/double"
    assert error(alices.post("/api/repos/move", there)) == (409, "")


def test_people_and_organisations_are_told(
    club: str, head: str, alices: Hub, bobs: Hub, mallorys: Hub, nobodys: Hub
) -> None:
    alice = nobodys.get("/api/users/alice/overview").json()
    assert (alice["user"], alice["numModels"], alice["orgs"][0]["name"]) == ("alice", 1, "club")
    there = nobodys.get("/api/organizations/club/overview").json()
    assert (there["fullname"], there["numUsers"], there["numModels"]) == ("The club", 2, 0)
    members = bobs.get("/api/organizations/club/members").json()
    assert [one["user"] for one in members] == ["alice", "bob"]
    assert error(mallorys.get("/api/organizations/club/members")) == (403, "")
    assert error(nobodys.get("/api/organizations/club/members")) == (401, "")
    for path in ("users/club", "users/zoe", "organizations/alice", "organizations/zoe"):
        assert error(nobodys.get(f"/api/{path}/overview")) == (404, "")


def test_what_is_stored_is_listed_for_its_owner(
    club: str, head: str, alices: Hub, bobs: Hub, mallorys: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    alices.create("empty", visibility="private")
    listed = alices.get("/api/settings/repositories").json()
    assert [(one["id"], one["visibility"]) for one in listed] == [
        ("alice/double", "public"),
        ("alice/empty", "private"),
    ]
    assert listed[0]["storage"] > len(WEIGHTS)
    assert (listed[0]["storagePercent"], listed[1]["storage"]) == (100, 0)
    bobs.create("triple", organization="club")
    for hub in (alices, bobs):
        found = hub.get("/api/organizations/club/settings/repositories").json()
        assert [one["id"] for one in found] == ["club/triple"]
    assert error(mallorys.get("/api/organizations/club/settings/repositories")) == (403, "")
    monkeypatch.setattr(people, "PAGE", 1)
    first = alices.get("/api/settings/repositories")
    second = alices.get(first["Link"].partition(">")[0].removeprefix("<"))
    assert [one["id"] for one in first.json() + second.json()] == ["alice/double", "alice/empty"]
    assert "Link" not in second
    one = alices.get("/api/organizations/club/members")
    two = alices.get(one["Link"].partition(">")[0].removeprefix("<"))
    assert [item["user"] for item in one.json() + two.json()] == ["alice", "bob"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("rest", ["", "/1", "/1/comment"])
def test_discussions_are_refused_in_words_that_clients_know(
    method: str, rest: str, head: str, alices: Hub, mallorys: Hub
) -> None:
    answer = alices.call(method, f"{DOUBLE}/discussions{rest}")
    assert error(answer) == (403, "")
    assert answer["X-Error-Message"] == "Discussions are disabled for this repo."
    put(alices, visibility="private")
    hidden = mallorys.call(method, f"{DOUBLE}/discussions{rest}")
    assert error(hidden) == (404, "RepoNotFound")


def test_what_members_send_is_on_the_organisations_account(
    club: str, bobs: Hub, alices: Hub, bob: Person
) -> None:
    """By each of the three ways; and when the account is full, all three say so."""
    owner = Owner.objects.get(name=club)
    bobs.create("triple", organization="club")
    bridge = Bridge.of(bobs, "club/triple")
    xet, regular_, large = b"x" * 1000, b"r" * 200, b"\xfe" * 3000

    def by_xet(data: bytes) -> str:
        bridge.xorb(name_of(data), chunk(data))
        segments = [(name_of(data), len(data), 0, 1)]
        return str(bridge.shard(shard([File(sha256=sha(data), segments=segments)]))[-1]["type"])

    assert by_xet(xet) == "result"
    bobs.upload(large, model="club/triple")
    bobs.committed(regular("r.txt", regular_), lfs("l.bin", large), model="club/triple")
    assert quotas.usage_of(owner).bytes == 4200
    assert quotas.usage_of(Owner.objects.get(name="bob")).bytes == 0
    Quota.objects.create(owner=owner, max_bytes=4200)
    full = bobs.commit(regular("s.txt", b"s"), model="club/triple")
    assert error(full) == (413, "")
    told = bobs.batch({"oid": sha(b"y"), "size": 1}, model="club/triple").json()["objects"][0]
    assert told["error"]["code"] == 413
    assert error(bridge.xorb(name_of(b"z"), chunk(b"z"))) == (413, "")
    assert quotas.usage_of(owner).bytes == 4200
