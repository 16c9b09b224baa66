"""What readers may see, what a hostile card can do, and where the search box leads."""

from __future__ import annotations

import hashlib
import json
import shlex

import pytest
from django.test import Client

from registry.models import Model
from registry.services.models import create
from registry.views import lines
from registry.views.shown import card_html
from tests import builders
from tests.pages.conftest import Site
from tests.pages.html import faults, parse
from tests.people import Person

EVIL = b"""---
license: mit
tags: ["<script>alert(1)</script>"]
pipeline_tag: text-classification
---
# Hello <script>alert(2)</script>

<img src=x onerror=alert(3)> <svg/onload=alert(4)>

[click](javascript:alert(5)) ![p](https://evil.example/pixel.png)

<a href="https://evil.example" style="position:fixed" onclick="alert(6)">x</a>
"""
TABS = ("", "files/", "graph/", "run/", "api/", "executions/", "releases/", "releases/1.0.0/")


@pytest.mark.parametrize("tab", TABS)
def test_a_private_model_is_not_there_for_bob(tab: str, site: Site, as_bob: Client) -> None:
    response = as_bob.get(f"/models/alice/secret/{tab}")
    assert response.status_code == 404
    assert faults(parse(response.content.decode())) == []


def test_lists_do_not_tell_bob_of_a_private_model(site: Site, as_bob: Client) -> None:
    for path in ("/", "/models/", "/models/?q=secret", "/alice/", f"/keys/{site.release.key_id}/"):
        assert "alice/secret" not in as_bob.get(path).content.decode(), path


def test_alice_sees_her_drafts_and_strangers_do_not(site: Site, as_alice: Client) -> None:
    assert "alice/waiting" in as_alice.get("/alice/").content.decode()
    assert "alice/waiting" in as_alice.get("/me/models/").content.decode()
    assert "alice/waiting" not in Client().get("/alice/").content.decode()
    assert "alice/waiting" not in Client().get("/models/").content.decode()


def test_a_hostile_card_runs_nothing(alice: Person, reader: Client) -> None:
    files = {"model.onnx": builders.ONNX, "README.md": EVIL}
    release = builders.publish_release(alice, builders.make_revision(alice, files=files))
    text = reader.get(f"/models/{release.model.full_name}/").content.decode()
    page = parse(text)
    assert faults(page) == []
    (article,) = page.all("article")
    inside = [tag for tag in page.tags if "article" in tag.around]
    assert {"script", "img", "svg", "style"}.isdisjoint(tag.name for tag in inside)
    addresses = [tag.attributes.get("href", "") for tag in inside if tag.name == "a"]
    assert not any(address.startswith("javascript") for address in addresses)
    assert "<script>alert" not in text
    assert article.attributes["aria-label"] == "Model card"


def test_the_headings_of_a_card_stand_below_the_pages_own() -> None:
    html = card_html("# One\n\n## Two\n\n###### Six\n")
    assert "<h2>One</h2>" in html
    assert "<h3>Two</h3>" in html
    assert "<h6>Six</h6>" in html


def test_models_are_found_by_name_task_and_licence(alice: Person, reader: Client) -> None:
    files = {"model.onnx": builders.ONNX, "README.md": EVIL}
    builders.publish_release(alice, builders.make_revision(alice, files=files))
    for typed in ("double", "ALICE", "text-classification", "mit double"):
        assert "alice/double" in reader.get("/models/", {"q": typed}).content.decode(), typed
    assert "No model matches" in reader.get("/models/", {"q": "apache"}).content.decode()


def test_pages_of_models_follow_each_other(alice: Person, reader: Client) -> None:
    pair = builders.make_key(alice)
    names = [f"m{number:02}" for number in range(32)]
    for name in names:
        model = create(alice.user, name=name)
        builders.publish_release(alice, builders.make_revision(alice, model), key=pair)
    for sort in ("new", "name"):
        seen: list[str] = []
        path = f"/models/?sort={sort}"
        while path:
            page = parse(reader.get(path).content.decode())
            links = page.all("a")
            seen += [tag.text for tag in links if tag.attributes.get("class") == "item-title"]
            following = [
                tag.attributes["href"] for tag in links if tag.attributes.get("rel") == "next"
            ]
            path = f"/models/{following[0]}" if following else ""
        assert sorted(seen) == [f"alice/{name}" for name in names], sort
    assert reader.get("/models/?cursor=nonsense").status_code == 400
    assert reader.get("/models/?sort=new&cursor=!!").status_code == 400


def test_the_search_box_recognises_what_was_typed(site: Site, reader: Client) -> None:
    key = site.release.key_id
    execution = "01890a5d-ac96-774b-bcce-b302099a8057"
    for typed, place in (
        (key, f"/keys/{key}/"),
        (f"sha256:{'ab' * 32}", f"/ledger/search?q={'ab' * 32}"),
        ("3", "/ledger/3/"),
        (execution.upper(), f"/executions/{execution}/"),
        ("Alice/Double", "/models/alice/double/"),
        ("alice--double", "/models/alice/double/"),
        ("nobody/nothing", "/models/?q=nobody%2Fnothing"),
        ("alice/secret", "/models/?q=alice%2Fsecret"),
        ("", "/models/"),
    ):
        assert reader.get("/search/", {"q": typed})["Location"] == place, typed


def test_a_list_names_the_version_and_the_licence(site: Site, reader: Client) -> None:
    text = reader.get("/models/").content.decode()
    assert "<span>1.0.0</span>" in text
    assert "<span>mit</span>" in text


def test_short_addresses_lead_to_the_model(site: Site, reader: Client) -> None:
    assert reader.get("/alice/double/")["Location"] == "/models/alice/double/"
    assert reader.get("/alice/secret/").status_code == 404


def test_a_model_without_files_says_so(alice: Person, reader: Client) -> None:
    builders.make_model(alice, "empty")
    for tab in TABS[:-1]:
        response = reader.get(f"/models/alice/empty/{tab}")
        assert response.status_code == 200, tab
        assert faults(parse(response.content.decode())) == [], tab


def test_a_withdrawn_release_says_so(site: Site, reader: Client) -> None:
    site.release.yanked_at = site.release.created_at
    site.release.yank_reason = "wrong labels"
    site.release.save(update_fields=("yanked_at", "yank_reason"))
    text = reader.get(f"/models/{site.model}/releases/1.0.0/").content.decode()
    assert "wrong labels" in text


def test_the_lines_of_the_files_page_name_the_right_digests(site: Site, reader: Client) -> None:
    text = reader.get(f"/models/{site.model}/files/").content.decode()
    for data in (builders.ONNX, builders.CARD):
        assert hashlib.sha256(data).hexdigest() in text
    assert Model.objects.filter(name="double").exists()


def test_no_name_of_a_publisher_edits_the_line_that_is_pasted(site: Site) -> None:
    name = "x'\x7f\x7f\x7f; touch owned #\u202e\x9b2J\U000e0041é"
    port = {"name": name, "datatype": "FP32", "shape": [1]}
    found = lines.snippets("http://localhost", site.release.model, site.release, {"inputs": [port]})
    for text in found.values():
        assert "".join(text.split("\n")).isprintable()
    *_, body = shlex.split(found["curl"].replace("\\\n", ""))
    assert json.loads(body)["inputs"][0]["name"] == name
