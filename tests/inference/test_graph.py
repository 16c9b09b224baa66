"""The skeleton behind the drawing of a graph, over the web, and the page around it."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from inference.services import sketches
from registry.choices import Visibility
from tests.inference.builders import publish, release, revise
from tests.inference.conftest import Site
from tests.inference.executor.models import add, model, node, value
from tests.people import Person

PAGE = "/models/alice/add/graph/"
PLACE = f"{PAGE}skeleton.json"


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    sketches._kept.clear()
    sketches._refused.clear()


def test_a_stranger_draws_a_public_graph(site: Site, alice: Person, client: Client) -> None:
    publish(alice, "add", add())
    page = client.get(PAGE).content.decode()
    assert f'data-skeleton="{PLACE}?revision=' in page
    assert "Draw the graph" in page
    answer = client.get(PLACE)
    assert answer["Content-Type"] == "application/json"
    assert "private" in answer["Cache-Control"]
    skeleton = answer.json()
    assert skeleton["format"] == "assay-graph-skeleton-v1"
    assert [item["op"] for item in skeleton["nodes"]] == ["Add"]
    again = client.get(PLACE, headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_what_was_drawn_once_needs_no_executor(
    site: Site, alice: Person, client: Client, settings: Settings
) -> None:
    publish(alice, "add", add())
    first = client.get(PLACE)
    settings.EXECUTOR_SOCKET = "/nowhere/at/all"
    assert client.get(PLACE).content == first.content
    sketches._kept.clear()
    away = client.get(PLACE)
    assert (away.status_code, away.json()["error"]["code"]) == (503, "executor_away")
    assert away["Retry-After"]


def test_only_the_newest_skeletons_are_remembered(
    site: Site, alice: Person, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sketches, "KEPT", 1)
    first = publish(alice, "add", add())
    client.get(PLACE)
    other = bytes(
        model([node("Neg", ["x"], ["y"])], [value("x")], [value("y")]).SerializeToString()
    )
    release(alice, revise(alice, first.revision.model, other), version="1.1.0")
    assert client.get(PLACE).json()["nodes"][0]["op"] == "Neg"
    assert len(sketches._kept) == 1
    old = client.get(f"{PLACE}?revision={first.revision_id}")
    assert old.json()["nodes"][0]["op"] == "Add"


def test_mallory_draws_no_private_and_no_gated_graph(
    site: Site, alice: Person, mallory: Person, client: Client
) -> None:
    made = publish(alice, "add", add(), visibility=Visibility.PRIVATE)
    client.force_login(mallory.user)
    assert client.get(PLACE).status_code == 404
    made.revision.model.visibility = Visibility.GATED
    made.revision.model.save(update_fields=["visibility"])
    assert client.get(PLACE).status_code == 403
    assert "for those who may have the files" in client.get(PAGE).content.decode()
    client.force_login(alice.user)
    assert client.get(PLACE).status_code == 200


def test_a_graph_that_is_too_large_says_which_limit(
    site: Site, alice: Person, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(alice, "add", add())
    monkeypatch.setattr(sketches, "MAX_GRAPH_BYTES", 10)
    answer = client.get(PLACE)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "not_drawn")
    assert "at most 10 are read" in answer.json()["error"]["message"]


def test_too_many_nodes_are_not_drawn(site: Site, alice: Person, client: Client) -> None:
    nodes = [node("Neg", [f"v{at}"], [f"v{at + 1}"]) for at in range(2_001)]
    large = model(nodes, [value("v0")], [value("v2001")]).SerializeToString()
    publish(alice, "add", bytes(large))
    answer = client.get(PLACE)
    assert answer.status_code == 422
    assert "at most 2000 nodes" in answer.json()["error"]["message"]


def test_what_is_not_drawn_does_not_keep_the_jail_from_others_at_each_look(
    site: Site, alice: Person, client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [node("Neg", [f"v{at}"], [f"v{at + 1}"]) for at in range(2_001)]
    large = model(nodes, [value("v0")], [value("v2001")]).SerializeToString()
    publish(alice, "add", bytes(large))
    first = client.get(PLACE)
    settings.EXECUTOR_SOCKET = "/nowhere/at/all"
    again = client.get(PLACE)
    assert (again.status_code, again.json()) == (422, first.json())
    monkeypatch.setattr(sketches, "REFUSED_S", 0)
    assert client.get(PLACE).status_code == 503, "it is asked again, later"
    monkeypatch.setattr(sketches, "MOST_REFUSED", 1)
    sketches._remember_refusal("ab" * 32, "no")
    assert list(sketches._refused) == ["ab" * 32]


def test_a_model_without_a_graph_has_no_skeleton(site: Site, alice: Person, client: Client) -> None:
    made = publish(alice, "add", add())
    type(made.revision).objects.filter(pk=made.revision_id).update(graph_path="")
    answer = client.get(PLACE)
    assert (answer.status_code, b"no_graph" in answer.content) == (409, True)


def test_the_run_tab_names_what_runs_in_the_browser(
    site: Site, alice: Person, client: Client, settings: Settings
) -> None:
    made = publish(alice, "add", add())
    page = client.get("/models/alice/add/run/").content.decode()
    assert "Run in this browser (not logged)" in page
    assert made.revision.manifest in page
    made.revision.model.visibility = Visibility.GATED
    made.revision.model.save(update_fields=["visibility"])
    client.force_login(alice.user)
    assert "Run in this browser" not in client.get("/models/alice/add/run/").content.decode()
    made.revision.model.visibility = Visibility.PUBLIC
    made.revision.model.save(update_fields=["visibility"])
    settings.PORTABLE_RUNTIME = "/nowhere/at/all"
    assert "Run in this browser" not in client.get("/models/alice/add/run/").content.decode()
