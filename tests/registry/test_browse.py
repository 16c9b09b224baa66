"""The page of models: filters as links, chips that can be taken away, a box that knows forms."""

from __future__ import annotations

from functools import partial
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from registry import finding
from registry.choices import Visibility
from registry.listing import listing
from registry.models import FormerName, Model, ModelTotal
from tests.pages.html import Page, parse
from tests.people import Person
from tests.registry.searching import publish

MAX_QUERIES = 8


@pytest.fixture
def reader() -> Client:
    return Client(headers={"accept": "text/html"})


def show(reader: Client, path: str) -> Page:
    return parse(text_of(reader, path))


def text_of(reader: Client, path: str) -> str:
    answer = reader.get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


def titles(page: Page) -> list[str]:
    return [t.text for t in page.all("a") if t.attributes.get("class") == "item-title"]


def chips(page: Page) -> dict[str, str]:
    """Return what the chips say, with where they lead."""
    hrefs = [t.attributes["href"] for t in page.all("a") if t.attributes.get("class") == "chip"]
    words = [t.text for t in page.all("span") if t.attributes.get("class") == "chip-words"]
    return dict(zip(words, hrefs, strict=True))


def facets(page: Page) -> dict[str, str]:
    """Return what the filters that can be added say, with where they lead."""
    return {tag.text: tag.attributes["href"] for tag in page.all("a") if "details" in tag.around}


def test_a_filter_is_a_link_and_a_chip_takes_it_away(alice: Person, reader: Client) -> None:
    publish(alice, "one", license="mit", pipeline_tag="translation")
    publish(alice, "two", license="apache-2.0", pipeline_tag="translation")
    start = show(reader, "/models/?q=alice&sort=name")
    assert titles(start) == ["alice/one", "alice/two"]
    chosen = show(reader, "/models/" + facets(start)["mit"])
    assert titles(chosen) == ["alice/one"]
    assert "mit" not in facets(chosen)
    chip = chips(chosen)["Licence: mit"]
    assert titles(show(reader, "/models/" + chip)) == ["alice/one", "alice/two"]
    kept = {
        tag.attributes["name"]: tag.attributes["value"]
        for tag in chosen.all("input")
        if tag.attributes.get("type") == "hidden"
    }
    assert kept == {"license": "mit"}
    assert dict(parse_qsl(urlsplit(chip).query)) == {"q": "alice", "sort": "name"}


def test_no_match_shows_the_filters_and_a_way_out(alice: Person, reader: Client) -> None:
    publish(alice, "one", license="mit")
    key = Model.objects.get().releases.get().key_id
    path = f"/models/?q=zebra&license=mit&owner=alice&operator=Add&size=9&signer={key}&tag=a"
    page = show(reader, path)
    assert titles(page) == []
    assert set(chips(page)) == {
        *("Words: zebra", "Licence: mit", "Owner: alice", "Operator: add", "Tag: a"),
        *("Size of the files: 9", f"Signed by: alice {key[:8]}…"),
    }
    clear = [tag.attributes["href"] for tag in page.all("a") if tag.text == "Clear all"]
    assert clear == ["/models/", "/models/"]
    assert "No model matches" in text_of(reader, path)


def test_an_empty_registry_invites_the_first(db: None, reader: Client) -> None:
    assert "Publish the first" in text_of(reader, "/models/")
    assert chips(show(reader, "/models/")) == {}


def test_the_state_of_the_list_is_its_address(
    alice: Person, reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.views.browsing.listing", partial(listing, limit=1))
    for name in ("one", "two"):
        publish(alice, name, license="mit")
    page = show(reader, "/models/?license=mit&sort=name")
    following = [t.attributes["href"] for t in page.all("a") if t.attributes.get("rel") == "next"]
    query = dict(parse_qsl(urlsplit(following[0]).query))
    assert (query["license"], query["sort"]) == ("mit", "name")
    second = show(reader, "/models/" + following[0])
    assert titles(second) == ["alice/two"]
    back = next(tag.attributes["href"] for tag in second.all("a") if tag.text == "First page")
    assert titles(show(reader, "/models/" + back)) == ["alice/one"]


def test_what_is_not_understood_is_left_alone(alice: Person, reader: Client) -> None:
    publish(alice, "one")
    for query in (
        "sort=stars",
        "sort=relevance",
        "stars=5",
        "tag=",
        "q=%00",
        "tag=%00",
    ):
        assert titles(show(reader, f"/models/?{query}")) == ["alice/one"], query
    assert reader.get("/models/?cursor=x").status_code == 400


def test_very_many_matches_say_that_they_were_not_all_counted(
    alice: Person, reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        publish(alice, name, license="mit")
    monkeypatch.setattr(finding, "COUNTED", 1)
    text = text_of(reader, "/models/?q=alice")
    assert "More than 1 models." in text
    assert "there are at least so many" in text
    assert "1+" in text


def test_a_list_by_relevance_says_where_it_ends(
    alice: Person, reader: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two", "three"):
        publish(alice, name)
    monkeypatch.setattr(finding, "CANDIDATES", {"exact": 1, "named": 1, "newest": 1})
    page = show(reader, "/models/?q=alice")
    assert "only the best few hundred are ranked" in text_of(reader, "/models/?q=alice")
    all_of_them = next(t.attributes["href"] for t in page.all("a") if t.text == "Sort by newest")
    assert len(titles(show(reader, "/models/" + all_of_them))) == 3


def test_counters_are_shown_with_their_meaning(alice: Person, reader: Client) -> None:
    model = publish(alice, "one")
    ModelTotal.objects.filter(model=model).update(executions=1234, downloads=1)
    text = text_of(reader, "/models/")
    assert "1,234 verified executions" in text
    assert "1 download" in text
    assert "is an entry of the ledger" in text


def test_the_page_takes_as_many_queries_for_one_model_as_for_many(
    alice: Person, bob: Person, reader: Client
) -> None:
    reader.force_login(bob.user, backend="django.contrib.auth.backends.ModelBackend")
    paths = ("/models/", "/models/?q=one&license=mit", "/models/?q=none", "/", "/alice/")
    publish(alice, "one", license="mit")
    taken: list[list[int]] = []
    for _ in range(2):
        taken.append([])
        for path in paths:
            with CaptureQueriesContext(connection) as queries:
                show(reader, path)
            taken[-1].append(len(queries))
        for name in ("onea", "oneb", "onec"):
            if len(taken) == 1:
                publish(alice, name, license="mit", tags=f"[{name}]")
    assert taken[0] == taken[1]
    assert max(taken[0]) <= MAX_QUERIES


def test_mallory_sees_no_private_name_on_any_list(
    alice: Person, mallory: Person, reader: Client
) -> None:
    publish(
        alice, "hidden", "words", visibility=Visibility.PRIVATE, license="gpl-3.0", tags="[covert]"
    )
    publish(alice, "open")
    mallorys = Client(headers={"accept": "text/html"})
    mallorys.force_login(mallory.user, backend="django.contrib.auth.backends.ModelBackend")
    for client in (reader, mallorys):
        for path in ("/", "/models/", "/models/?q=words", "/models/?sort=verified", "/alice/"):
            answer = client.get(path).content.decode()
            assert "hidden" not in answer.replace("visually-hidden", "").replace(
                'type="hidden"', ""
            ).replace('aria-hidden="true"', ""), path
            assert "covert" not in answer, path
        assert client.get("/search/?q=alice/hidden")["Location"] == "/models/?q=alice%2Fhidden"


def test_the_box_follows_a_model_to_its_new_owner(
    alice: Person, bob: Person, mallory: Person, reader: Client
) -> None:
    model = publish(alice, "moved")
    Model.objects.filter(pk=model.pk).update(owner=bob.owner)
    FormerName.objects.create(name="alice/moved", model=model)
    assert reader.get("/search/?q=alice/moved")["Location"] == "/models/bob/moved/"


@pytest.mark.parametrize(
    "typed", ["\0", "' OR 1=1", "a" * 5_000, "%", "!!!", "é\u0301/x", "\ud83e"]
)
def test_mallory_types_anything_into_the_box(db: None, reader: Client, typed: str) -> None:
    sent = typed.encode("utf-8", "surrogatepass")
    answer = reader.get("/search/", {"q": sent}, follow=True)
    assert answer.status_code == 200
