"""Every list has one form: `?limit=`, `?cursor=`, `next`, `Link`. Each line comes once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.test import APIClient

from registry.choices import RevisionState
from registry.models import Release, Revision
from registry.services import gates, organisations, tokens, transfers, trusted, uploads
from tests import builders
from tests.people import Person
from tests.registry import houses
from tests.registry.alias_calls import point
from tests.registry.calls import API, error

MODEL = f"{API}/models/alice/double"
LISTS = (
    f"{MODEL}/releases",
    f"{MODEL}/revisions",
    f"{MODEL}/aliases",
    f"{MODEL}/aliases/production/moves",
    f"{MODEL}/signers",
    f"{MODEL}/trusted",
    f"{MODEL}/transfers",
    f"{API}/models",
    f"{API}/keys",
    f"{API}/tokens",
    f"{API}/uploads",
    f"{API}/organisations",
    f"{API}/owners/acme/members",
    f"{API}/invitations",
    f"{API}/transfers",
    f"{API}/webhooks",
    f"{API}/schedules",
)


def walk(client: APIClient, url: str, limit: int) -> list[dict[str, Any]]:
    """Follow `Link` to the end; `next` says the same."""
    found: list[dict[str, Any]] = []
    following = f"{url}{'&' if '?' in url else '?'}limit={limit}"
    while following:
        answer = client.get(following)
        body = answer.json()
        assert answer.status_code == 200, body
        assert 0 < len(body["items"]) <= limit
        found += body["items"]
        link = answer.headers.get("Link", "")
        assert bool(link) == bool(body["next"])
        assert not link or link.endswith('; rel="next"')
        following = link.partition(">")[0][1:]
        assert not following or f"limit={limit}" in following
    return found


def several(alice: Person, bob: Person) -> dict[str, Callable[[], object]]:
    """Return how three of each thing are made."""
    acme = houses.make_house(alice)

    def invited() -> None:
        for name in ("x1", "x2", "x3"):
            organisations.invite(
                alice.user, houses.make_house(alice, name), name="bob", role="reader"
            )

    def offered() -> None:
        for name in ("one", "two", "three"):
            transfers.offer(alice.user, builders.make_model(alice, name), to="bob")

    return {
        "tokens": lambda: [tokens.create(alice.user, name=name) for name in "ab"],
        "uploads": lambda: [
            uploads.declare(alice.user, size=9, sha256=digit * 64) for digit in "123"
        ],
        "organisations": lambda: [houses.make_house(alice, name) for name in ("aa", "zz")],
        "owners/acme/members": lambda: houses.join(alice, acme, bob),
        "keys": lambda: [builders.make_key(alice), builders.make_key(bob)],
        "invitations": invited,
        "transfers": offered,
    }


@pytest.mark.parametrize(
    ("place", "who", "count"),
    [
        ("tokens", "alice", 3),  # and the one that asks
        ("uploads", "alice", 3),
        ("organisations", "alice", 3),
        ("owners/acme/members", "alice", 2),
        ("keys", "alice", 2),
        ("invitations", "bob", 3),
        ("transfers", "bob", 3),
    ],
)
def test_a_walk_finds_each_once(
    opened: None, alice: Person, bob: Person, place: str, who: str, count: int
) -> None:
    several(alice, bob)[place]()
    client = {"alice": alice, "bob": bob}[who].api()
    whole = client.get(f"{API}/{place}").json()
    assert (len(whole["items"]), whole["next"]) == (count, "")
    for limit in (1, 2):
        assert walk(client, f"{API}/{place}", limit) == whole["items"]


def test_the_lists_of_a_model_are_walked(alice: Person, first: Release, second: Release) -> None:
    assert point(alice, first).status_code == 201
    assert point(alice, second, first.revision_id).status_code == 201
    for name in ("a", "b", "c"):
        trusted.add(
            alice.user, first.model, repository="alice/x", workflow=f"{name}.yml", environment=""
        )
    for place, count in (
        ("releases", 2),
        ("revisions", 2),
        ("aliases", 2),
        ("aliases/production/moves", 2),
        ("signers", 1),
        ("trusted", 3),
    ):
        found = walk(alice.api(), f"{MODEL}/{place}", 1)
        assert len(found) == count, place
        assert found == alice.api().get(f"{MODEL}/{place}").json()["items"]
    assert walk(APIClient(), f"{MODEL}/aliases", 1)[0]["alias"] == "latest"


def test_what_comes_meanwhile_moves_no_line(alice: Person) -> None:
    api = alice.api()
    for name in "abc":
        tokens.create(alice.user, name=name)
    page = api.get(f"{API}/tokens?limit=2").json()
    tokens.create(alice.user, name="late")
    rest = api.get(f"{API}/tokens?cursor={page['next']}").json()["items"]
    names = [item["name"] for item in (*page["items"], *rest)]
    assert names == ["c", "b", "a", "test"]  # `test` is the token that asks


@pytest.mark.parametrize("url", LISTS)
@pytest.mark.parametrize("lie", ["limit=0", "limit=101", "limit=x", "limit=-1", "limit=%C2%B2"])
def test_a_limit_that_is_none_is_refused(alice: Person, first: Release, url: str, lie: str) -> None:
    point(alice, first)
    houses.make_house(alice)
    if url.endswith("/transfers") and MODEL in url:
        assert alice.api().get(f"{url}?{lie}").json() == {"items": [], "next": ""}
    else:
        assert error(alice.api().get(f"{url}?{lie}")) == (400, "invalid_input")


@pytest.mark.parametrize("url", LISTS)
def test_every_list_says_where_it_ends(alice: Person, first: Release, url: str) -> None:
    point(alice, first)
    houses.make_house(alice)
    answer = alice.api().get(url)
    assert set(answer.json()) >= {"items", "next"}
    assert "Link" not in answer


@pytest.mark.parametrize("cursor", ["x", "%00", "AAAA", "é", "Li4v", "MQ", "a" * 700, "LTEKLTE"])
@pytest.mark.parametrize("place", ["tokens", "organisations", "keys", "uploads"])
def test_mallorys_own_cursor_is_refused(mallory: Person, place: str, cursor: str) -> None:
    answer = mallory.api().get(f"{API}/{place}?cursor={cursor}")
    assert error(answer) == (400, "invalid_input")
    assert answer.json()["error"]["detail"] == {"field": "cursor"}


def test_a_number_that_no_row_has_is_no_cursor(alice: Person) -> None:
    houses.make_house(alice)
    url = f"{API}/owners/acme/members"
    huge = "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5"  # thirty times 9, or thereabouts
    assert error(alice.api().get(f"{url}?cursor={huge}")) == (400, "invalid_input")


def test_mallory_sees_neither_drafts_nor_who_asked(
    alice: Person, bob: Person, mallory: Person, first: Release
) -> None:
    draft = builders.make_revision(alice, first.model, {"a.txt": b"no"})
    Revision.objects.filter(pk=draft.pk).update(state=RevisionState.FAILED)
    gates.set_visibility(alice.user, first.model, visibility="gated")
    for client in (APIClient(), mallory.api()):
        listed = client.get(f"{MODEL}/revisions").json()["items"]
        assert [item["id"] for item in listed] == [first.revision_id]
    (newest, released) = alice.api().get(f"{MODEL}/revisions").json()["items"]
    assert (newest["id"], newest["state"], newest["release"]) == (draft.pk, "failed", None)
    assert released["release"] == "1.0.0"
    assert error(mallory.api().get(f"{MODEL}/transfers")) == (403, "not_allowed")
    assert error(mallory.api().get(f"{MODEL}/visibility")) == (403, "not_allowed")


def test_an_offer_is_seen_by_who_made_it(alice: Person, bob: Person) -> None:
    offer = transfers.offer(alice.user, builders.make_model(alice), to="bob")
    (listed,) = alice.api().get(f"{MODEL}/transfers").json()["items"]
    assert (listed["id"], listed["to"], listed["state"]) == (offer.pk, "bob", "waiting")
