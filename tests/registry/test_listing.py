"""Pages of models: their order, their cursors, what they cost."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from registry import listing
from registry.choices import Visibility
from registry.errors import InvalidInputError
from registry.finding import Filters
from registry.models import Model, ModelTotal
from tests import builders
from tests.people import Person
from tests.registry import calls
from tests.registry.calls import API
from tests.registry.searching import publish


def pages(sort: str, size: int, **filters: Any) -> list[str]:
    """Return the names on all pages, one after the other."""
    seen: list[str] = []
    cursor = ""
    while True:
        page = listing.listing(None, Filters(**filters), sort=sort, cursor=cursor, limit=size)
        seen += [item.model.full_name for item in page.items]
        cursor = page.next
        if not cursor:
            return seen


@pytest.fixture
def five(alice: Person, bob: Person) -> list[Model]:
    """Models a to e of alice and one of bob; c and a were run, b and d changed in one moment."""
    models = [builders.make_model(alice, name) for name in ("a", "b", "c", "d", "e")]
    models.append(builders.make_model(bob, "B-other"))
    now = timezone.now()
    for age, model in enumerate(models):
        at = now - timedelta(seconds=1 if model.name in ("b", "d") else age)
        Model.objects.filter(pk=model.pk).update(updated_at=at)
    ModelTotal.objects.filter(model__name="c").update(executions=7)
    ModelTotal.objects.filter(model__name="a").update(executions=3)
    return models


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_pages_follow_each_other_in_every_order(five: list[Model], size: int) -> None:
    names = [model.full_name for model in five]
    a, b, c, d, e, other = names
    assert pages("new", size) == [a, b, d, c, e, other]
    assert pages("name", size) == [a, b, c, d, e, other]
    assert pages("verified", size) == [c, a, b, d, e, other]
    assert pages("name", size, owner="ALICE") == [a, b, c, d, e]


def test_what_comes_meanwhile_repeats_nothing(five: list[Model], alice: Person) -> None:
    first = listing.listing(None, Filters(), limit=3)
    builders.make_model(alice, "newest")
    second = listing.listing(None, Filters(), cursor=first.next, limit=3)
    names = [item.model.name for item in (*first.items, *second.items)]
    assert sorted(names) == ["B-other", "a", "b", "c", "d", "e"]


@pytest.mark.parametrize("sort", ["new", "name", "verified", "relevance"])
def test_a_cursor_of_somewhere_else_is_refused(db: None, sort: str) -> None:
    def encoded(text: str) -> str:
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")

    other = "name" if sort == "new" else "new"
    for cursor in (
        *("x", "!!!!", "é", "AAAA", encoded(sort), encoded(f"{sort} 1"), encoded(f"{sort} 1 x")),
        *(encoded(f"{sort} 1 -1"), encoded(f"{sort} 1 {2**63}"), encoded(f"{other} 1 1")),
        *(encoded(f"{sort} \0 1"), encoded(f"{sort} 1 1 1")),
    ):
        with pytest.raises(InvalidInputError, match="not made here"):
            listing.listing(None, Filters(text="x"), sort=sort, cursor=cursor)
    for value in (2**63, 10**30, -1):
        if sort in ("new", "verified") and (value > 0 or sort == "verified"):
            with pytest.raises(InvalidInputError):
                listing.listing(None, Filters(), sort=sort, cursor=encoded(f"{sort} {value} 1"))


def test_a_list_takes_one_query_however_many_there_are(
    alice: Person, django_assert_num_queries: Any
) -> None:
    for name in ("a", "b", "c"):
        publish(alice, name, license="mit")
    for sort, queries in (("new", 1), ("name", 1), ("verified", 1), ("relevance", 2)):
        with django_assert_num_queries(queries):
            page = listing.listing(None, Filters(text="alice", released=True), sort=sort)
            shown = [(i.model.full_name, i.release, i.metadata["license"]) for i in page.items]
        assert sorted(shown) == [(f"alice/{name}", "1.0.0", "mit") for name in ("a", "b", "c")]


def test_orders_that_are_none_are_refused(db: None) -> None:
    for sort in ("stars", "relevance"):
        with pytest.raises(InvalidInputError):
            listing.sort_of(sort, Filters())
    assert listing.sort_of("", Filters()) == "new"
    assert listing.sort_of("", Filters(text="x")) == "relevance"


# ------------------------------------------------------------------ the REST API


def test_the_api_takes_the_same_filters(alice: Person, bob: Person) -> None:
    publish(alice, "one", license="mit", tags="[a, b]")
    publish(bob, "two", license="mit", tags="[a]")
    builders.make_model(bob, "draft")
    client = APIClient()
    for query, found in (
        ("", ["bob/draft", "bob/two", "alice/one"]),
        ("released=1", ["bob/two", "alice/one"]),
        ("license=MIT&tag=b", ["alice/one"]),
        ("tag=a&tag=b", ["alice/one"]),
        ("operator=Add&owner=Bob", ["bob/two"]),
        ("search=BOB%20tw", ["bob/two"]),
        ("q=two", ["bob/two"]),
        ("sort=name", ["alice/one", "bob/draft", "bob/two"]),
        ("limit=1", ["bob/draft"]),
        ("license=gpl-3.0", []),
    ):
        answer = client.get(f"{API}/models?{query}").json()
        assert [item["id"] for item in answer["items"]] == found, query
    item = client.get(f"{API}/models?q=one").json()["items"][0]
    assert (item["latest"], item["license"], item["verified_executions"]) == ("1.0.0", "mit", 0)


def test_the_api_counts_when_asked(alice: Person) -> None:
    publish(alice, "one", license="mit")
    publish(alice, "two", license="mit", pipeline_tag="translation")
    counts = APIClient().get(f"{API}/models?license=mit&facets=1&limit=1").json()["counts"]
    assert (counts["total"], counts["more"]) == (2, False)
    assert counts["facets"]["license"] == [{"value": "mit", "label": "mit", "count": 2}]
    assert counts["facets"]["signer"][0]["label"].startswith("alice ")
    assert counts["facets"]["size"][0]["label"] == "under 1 MB"
    assert "counts" not in APIClient().get(f"{API}/models").json()


def test_the_api_links_to_the_next_page_and_keeps_the_filters(alice: Person) -> None:
    for name in ("a", "b", "c"):
        publish(alice, name, license="mit")
    client, seen = APIClient(), []
    url = f"{API}/models?license=mit&sort=name&limit=2"
    while url:
        answer = client.get(url)
        seen += [item["name"] for item in answer.json()["items"]]
        link = answer.headers.get("Link", "")
        assert bool(link) == bool(answer.json()["next"])
        url = link.partition(">")[0][1:]
        assert not link or ("license=mit" in url and link.endswith('; rel="next"'))
    assert seen == ["a", "b", "c"]


def test_the_api_answers_an_etag_with_304(alice: Person) -> None:
    publish(alice, "one")
    client = APIClient()
    first = client.get(f"{API}/models")
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = client.get(f"{API}/models", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    publish(alice, "two")
    changed = client.get(f"{API}/models", headers={"If-None-Match": first.headers["ETag"]})
    assert (changed.status_code, len(changed.json()["items"])) == (200, 2)


@pytest.mark.parametrize(
    "query", ["sort=stars", "sort=relevance", "limit=0", "limit=101", "limit=²", "cursor=x"]
)
def test_the_api_refuses_what_it_does_not_understand(db: None, query: str) -> None:
    assert calls.error(APIClient().get(f"{API}/models?{query}")) == (400, "invalid_input")


def test_mallory_learns_nothing_private_from_the_api(alice: Person, mallory: Person) -> None:
    publish(alice, "hidden", "words", visibility=Visibility.PRIVATE, license="gpl-3.0")
    for client in (APIClient(), mallory.api()):
        for query in ("", "q=hidden", "q=words", "license=gpl-3.0", "owner=alice", "sort=verified"):
            answer = client.get(f"{API}/models?facets=1&{query}").json()
            counts = answer["counts"]
            assert (answer["items"], counts["total"]) == ([], 0), query
            assert not any(counts["facets"].values()), query
    assert len(alice.api().get(f"{API}/models?q=words").json()["items"]) == 1
