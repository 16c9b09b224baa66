"""What moderators stopped, on every surface: 451 with the statement, and proofs that stay."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from assay.dsse import parse_envelope, verify_envelope
from inference import selectors as executions
from inference.services.plan import find_target
from ledger import services as ledger
from registry import listing, selectors
from registry.choices import Act, Standing, Target
from registry.errors import HiddenError, SuspendedError, TakenDownError
from registry.finding import Filters
from registry.models import Key, Model, Release
from registry.services import exports, models
from tests import builders
from tests.hf.hub import Hub
from tests.ledger.builders import sequence
from tests.people import Person
from tests.registry.alias_calls import another
from tests.registry.houses import house_model, make_house
from tests.registry.moderating import Things, make_moderator, things_of

HTML = {"accept": "text/html"}
DISABLED = "Access to this resource is disabled."


@pytest.fixture(autouse=True)
def _limits(settings: Settings) -> None:
    settings.HUB_CALLS = 0


@pytest.fixture
def carol(db: None) -> User:
    return make_moderator()


@pytest.fixture
def things(first: Release) -> Things:
    sequence()
    return things_of(first)


def asked(client: Client, path: str) -> int:
    answer: Any = client.get(path)
    answer.getvalue()  # which ends a stream
    return int(answer.status_code)


def addresses(release: Release) -> dict[str, str]:
    model, revision = release.model.full_name, release.revision_id
    return {
        "page": f"/models/{model}/",
        "release": f"/models/{model}/releases/{release.version}/",
        "download": f"/models/{model}/files/{revision}/model.onnx",
        "rest": f"/api/v1/models/{model}",
        "rest release": f"/api/v1/models/{model}/releases/{release.version}",
        "rest revision": f"/api/v1/models/{model}/revisions/{revision}",
        "hf": f"/hf/api/models/{model}",
        "hf file": f"/hf/{model}/resolve/{revision}/model.onnx",
        "v2": f"/v2/models/{model}/versions/{release.version}",
        "content": f"/sha256/{release.revision.files.get(path='model.onnx').blob_id}",
    }


# What stays 200 of what was taken down: a file is one part of a model.
OPEN = {
    Target.MODEL: (),
    Target.RELEASE: ("page", "rest", "hf"),
    Target.FILE: ("page", "release", "rest", "rest release", "rest revision", "hf"),
}


@pytest.mark.parametrize("kind", list(OPEN))
def test_what_is_taken_down_is_answered_with_451_and_the_signed_statement(
    kind: Target, carol: User, things: Things, first: Release, client: Client
) -> None:
    places = addresses(first)
    assert {asked(client, path) for path in places.values()} == {200}
    done = things.do(carol, Act.TAKEDOWN, kind)
    for name, path in places.items():
        if name in OPEN[kind]:
            assert asked(client, path) == 200, name
            continue
        answer = client.get(path)
        assert answer.status_code == 451, name
        assert 'rel="blocked-by"' in answer["Link"], name
        assert f"/moderation/{done.number}/" in answer["Link"], name
        body = json.loads(answer.content)
        if name.startswith("hf"):
            assert answer["X-Error-Message"] == DISABLED
        elif name == "v2":
            assert body["code"] == "taken_down"
        else:
            check_problem(answer, done)
    things.do(carol, Act.RESTORE, kind)
    assert {asked(client, path) for path in places.values()} == {200}


def check_problem(answer: Any, done: Any) -> None:
    assert answer["Content-Type"] == "application/problem+json"
    body = json.loads(answer.content)
    assert (body["status"], body["code"], body["error"]["code"]) == (451, *["taken_down"] * 2)
    detail = body["error"]["detail"]
    assert (detail["action"], detail["reason"]) == (done.number, done.reason)
    row = Key.objects.get(role="registry")
    statement = parse_envelope(detail["statement"])
    verify_envelope(statement, selectors.public_key(row))


@pytest.mark.parametrize("kind", [Target.MODEL, Target.RELEASE])
def test_what_is_taken_down_has_no_export_either(
    kind: Target, carol: User, things: Things, first: Release, client: Client
) -> None:
    """Nobody who has an earlier export is told that it is still the same."""
    page = f"/models/{first.model.full_name}/releases/{first.version}"
    names = [form.name for form in exports.FORMATS]
    places = [f"{base}/{name}" for base in (page, f"/api/v1{page}/exports") for name in names]
    before = {path: client.get(path) for path in places}
    done = things.do(carol, Act.TAKEDOWN, kind)
    for path in (*places, f"/api/v1{page}/exports"):
        check_problem(client.get(path), done)
    for path, answer in before.items():
        assert client.get(path, headers={"If-None-Match": answer["ETag"]}).status_code == 451
    things.do(carol, Act.RESTORE, kind)
    assert {path: client.get(path).content for path in places} == {
        path: answer.content for path, answer in before.items()
    }


def test_a_reader_of_pages_is_told_why(
    carol: User, things: Things, first: Release, client: Client
) -> None:
    done = things.do(carol, Act.TAKEDOWN, Target.MODEL)
    for path in (f"/models/{first.model.full_name}/", f"/models/{first.model.full_name}/run/"):
        answer = client.get(path, headers=HTML)
        assert answer.status_code == 451
        text = answer.content.decode()
        assert "Moderators took this down" in text
        assert done.reason in text
        assert f'href="/moderation/{done.number}/"' in text


def test_a_private_model_that_was_taken_down_is_unknown_to_strangers(
    carol: User, alice: Person, client: Client, first: Release
) -> None:
    models.create(alice.user, name="secret", visibility="private")
    things = Things(names={Target.MODEL: "alice/secret"})
    things.do(carol, Act.TAKEDOWN, Target.MODEL)
    assert client.get("/api/v1/models/alice/secret").status_code == 404
    assert alice.api().get("/api/v1/models/alice/secret").status_code == 451


@pytest.mark.parametrize("kind", [Target.MODEL, Target.RELEASE, Target.FILE])
def test_what_is_hidden_is_neither_downloaded_nor_run_and_its_page_stays(
    kind: Target, carol: User, things: Things, first: Release, client: Client
) -> None:
    places = addresses(first)
    things.do(carol, Act.HIDE, kind)
    got = {name: client.get(path) for name, path in places.items()}
    for name in ("download", "hf file", "v2", "content"):
        assert got[name].status_code == 403, name
    assert got["download"].json()["error"]["code"] == "hidden"
    for name in ("page", "release", "rest", "rest release", "rest revision", "hf"):
        assert got[name].status_code == 200, name
    run = client.post(f"{places['v2']}/infer", "{}", content_type="application/json")
    assert (run.status_code, run.json()["code"]) == (403, "hidden")
    text = client.get(places["release"], headers=HTML).content.decode()
    if kind != Target.FILE:
        assert "Moderators hid this" in text


def test_what_is_hidden_is_in_no_list_but_its_owners(
    carol: User, things: Things, first: Release, alice: Person, bob: Person
) -> None:
    things.do(carol, Act.HIDE, Target.MODEL)
    for user in (None, bob.user):
        assert listing.listing(user, Filters()).items == []
        assert list(selectors.released_models(user)) == []
        assert listing.newest_releases(user, 5) == []
    assert [item.model.pk for item in listing.listing(alice.user, Filters()).items] == [
        first.model_id
    ]


def test_the_newest_release_that_stands_is_what_runs(
    carol: User, things: Things, first: Release, second: Release, client: Client
) -> None:
    model = first.model
    assert selectors.find_version(model, None).version == "2.0.0"
    newer = things_of(second)
    newer.do(carol, Act.HIDE, Target.RELEASE)
    assert selectors.find_version(model, None).version == "1.0.0"
    (item,) = listing.listing(None, Filters()).items
    assert item.release == "1.0.0"
    assert selectors.find_version(model, "2.0.0").standing == Standing.HIDDEN
    newer.do(carol, Act.TAKEDOWN, Target.RELEASE)
    with pytest.raises(TakenDownError):
        selectors.find_version(model, "2.0.0")
    newer.do(carol, Act.RESTORE, Target.RELEASE)
    (item,) = listing.listing(None, Filters()).items
    assert item.release == "2.0.0"


@pytest.mark.parametrize("act", [Act.HIDE, Act.TAKEDOWN])
def test_a_model_whose_only_release_was_stopped_shows_nothing_of_it(
    act: Act, carol: User, things: Things, first: Release, client: Client
) -> None:
    things.do(carol, act, Target.RELEASE)
    page = client.get(f"/models/{first.model.full_name}/", headers=HTML)
    assert page.status_code == 200
    text = page.content.decode()
    assert "Nothing is released yet" not in text
    assert ("Adds a tensor to itself" in text) == (act == Act.HIDE)


def test_the_card_goes_with_the_file_that_it_is_in(
    carol: User, first: Release, client: Client
) -> None:
    digest = first.revision.files.get(path="README.md").blob_id
    Things(names={Target.FILE: digest}).do(carol, Act.TAKEDOWN, Target.FILE)
    place = f"/models/{first.model.full_name}/"
    assert "Adds a tensor" not in client.get(place, headers=HTML).content.decode()
    assert client.get(f"/api/v1{place}card").status_code == 451


# ------------------------------------------------------------------ executions


@pytest.mark.parametrize(("act", "status"), [(Act.HIDE, 403), (Act.TAKEDOWN, 451)])
def test_tensors_that_were_stopped_are_gone_and_the_receipt_stays(
    act: Act, status: int, carol: User, things: Things, client: Client
) -> None:
    place = f"/executions/{things.names[Target.EXECUTION]}"
    sequence()
    before = client.get(f"{place}/receipt").content
    assert asked(client, f"{place}/output.tensors") == 200
    things.do(carol, act, Target.EXECUTION)
    for name in ("output.tensors", "input.tensors"):
        assert client.get(f"{place}/{name}").status_code == status
    assert client.get(f"{place}/receipt").content == before
    told = client.get(f"/api/v1{place}").json()
    assert told["outputs"] is None
    text = client.get(f"{place}/", headers=HTML).content.decode()
    assert "Moderators stopped these tensors" in text
    things.do(carol, Act.RESTORE, Target.EXECUTION)
    assert asked(client, f"{place}/output.tensors") == 200


@pytest.mark.parametrize("kind", [Target.MODEL, Target.RELEASE, Target.FILE])
def test_proofs_of_what_was_taken_down_stay_valid(
    kind: Target, carol: User, things: Things, first: Release, client: Client
) -> None:
    entries = [claim.entry_id for claim in first.claims.all()]
    run = things.names[Target.EXECUTION]
    things.do(carol, Act.TAKEDOWN, kind)
    sequence()
    for entry in entries:
        assert ledger.receipt(entry)
    assert client.get(f"/executions/{run}/receipt").status_code == 200
    assert client.get(f"/executions/{run}/", headers=HTML).status_code == 200
    assert executions.find(run, None).entry_id is not None


# ------------------------------------------------------------------ who is suspended


def test_alice_who_is_suspended_reads_and_changes_nothing(
    carol: User, things: Things, first: Release, alice: Person, client: Client
) -> None:
    things.do(carol, Act.SUSPEND, Target.OWNER)
    api = alice.api()
    assert api.get("/api/v1/models/alice/double").status_code == 200
    for method, path, body in (
        ("post", "/api/v1/models", {"name": "another"}),
        ("post", "/api/v1/executions", {"model": "alice/double", "inputs": []}),
        ("post", "/api/v1/uploads", {"size": 1, "sha256": "00" * 32}),
        ("post", "/api/v1/tokens", {"name": "more"}),
        ("post", "/api/v1/models/alice/double/releases/1.0.0/yank", {"reason": "So."}),
    ):
        answer = getattr(api, method)(path, body, format="json")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "suspended"), path
    hub = Hub(token=alice.token())
    assert hub.post("/api/repos/create", {"name": "another"}).status_code == 403
    with pytest.raises(SuspendedError):
        models.create(alice.user, name="another")
    with pytest.raises(SuspendedError):
        another(alice, first, "3.0.0")
    with pytest.raises(SuspendedError):
        find_target("alice/double", None, alice.user)
    client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    page = client.post("/publish/", {"name": "x", "visibility": "public"}, headers=HTML)
    assert page.status_code == 403
    assert client.get("/settings/keys/").status_code == 200
    assert client.get("/models/alice/double/").status_code == 200
    things.do(carol, Act.REINSTATE, Target.OWNER)
    assert api.post("/api/v1/models", {"name": "another"}, format="json").status_code == 201


def test_a_suspended_person_reads_in_an_organisation_and_it_goes_on_without_them(
    carol: User, alice: Person, bob: Person, opened: None
) -> None:
    acme = make_house(alice, writer=bob)
    house_model(alice, acme, "shared")
    Things(names={Target.OWNER: "bob"}).do(carol, Act.SUSPEND, Target.OWNER)
    with pytest.raises(SuspendedError):
        house_model(bob, acme, "more")
    house_model(alice, acme, "more")
    Things(names={Target.OWNER: "acme"}).do(carol, Act.SUSPEND, Target.OWNER)
    with pytest.raises(SuspendedError):
        house_model(alice, acme, "again")
    assert Model.objects.filter(owner=acme).count() == 2
    models.create(alice.user, name="own")


# ------------------------------------------------------------------ content that comes back


def test_what_was_taken_down_is_in_no_new_revision(
    carol: User, things: Things, alice: Person, bob: Person, first: Release
) -> None:
    things.do(carol, Act.TAKEDOWN, Target.FILE)
    with pytest.raises(TakenDownError):
        builders.make_revision(bob, builders.make_model(bob, "copy"))
    with pytest.raises(TakenDownError):
        selectors.public_blob(things.names[Target.FILE])


def test_a_file_of_a_hidden_model_that_another_one_has_too_is_given_out(
    carol: User, things: Things, bob: Person, client: Client
) -> None:
    builders.publish_release(bob, builders.make_revision(bob, builders.make_model(bob, "copy")))
    things.do(carol, Act.HIDE, Target.MODEL)
    digest = things.names[Target.FILE]
    assert asked(client, f"/sha256/{digest}") == 200
    Things(names={Target.MODEL: "bob/copy"}).do(carol, Act.HIDE, Target.MODEL)
    with pytest.raises(HiddenError):
        selectors.public_blob(digest)
