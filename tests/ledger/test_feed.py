"""`/ledger/` while it is open: what comes appears, in order and once, and looks get rarer."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from ledger.models import Entry
from ledger.views.feed import delay_s
from tests.ledger.builders import append_many, claim, sequence
from tests.ledger.shards import OLD, freeze_one_before
from tests.ledger.witness import Witness

HTMX = {"HX-Request": "true"}


def look(client: Client, url: str) -> Any:
    answer = client.get(url, headers=HTMX)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert "<html" not in answer.content.decode()
    return answer.context


def came(found: Any) -> list[int]:
    return [row["entry"].index for row in found["entries"]]


@pytest.fixture
def page(client: Client, opened: None, wanda: Witness) -> Any:
    """The page that somebody has open, with three entries on it."""
    for number in range(3):
        claim(number).append(model="alice/digits")
    sequence()
    return client.get("/ledger/").context


def test_nothing_new_is_nothing(client: Client, page: Any) -> None:
    found = look(client, page["live"]["url"])
    assert (came(found), found["waiting"]) == ([], [])
    assert found["live"]["url"] == "/ledger/?since=2&quiet=1"
    assert "live-news" not in client.get(page["live"]["url"], headers=HTMX).content.decode()


def test_what_came_appears_once(client: Client, page: Any) -> None:
    claim(3).append(model="alice/digits")
    waiting = look(client, page["live"]["url"])
    assert (came(waiting), len(waiting["waiting"])) == ([], 1)
    sequence()
    found = look(client, waiting["live"]["url"])
    assert (came(found), found["waiting"]) == ([3], [])
    text = client.get(waiting["live"]["url"], headers=HTMX).content.decode()
    assert "1 new entry; the newest is entry 3: moderation of alice/digits." in text
    assert 'Checkpoint <a href="/ledger/checkpoints/4/">4</a>' in text
    assert came(look(client, found["live"]["url"])) == []


def test_an_entry_that_no_checkpoint_covers_still_moves(client: Client, page: Any) -> None:
    Entry.objects.filter(pk=claim(3).append()).update(index=3)
    for path in ("/ledger/", page["live"]["url"]):
        found = client.get(path, headers=HTMX if "since" in path else {}).context
        assert [row["entry"].index for row in found["waiting"]] == [3]
        assert 3 not in came(found)


def test_it_keeps_to_the_filters(client: Client, page: Any) -> None:
    mine = client.get("/ledger/?owner=alice").context
    claim(3).append(model="bob/wine")
    claim(4).append(model="alice/digits")
    sequence()
    assert came(look(client, mine["live"]["url"])) == [4]
    by_digest = client.get("/ledger/", {"q": claim(0).key.fingerprint}).context
    claim(5).append()
    sequence()
    found = look(client, by_digest["live"]["url"])
    assert (came(found), found["by_digest"]) == ([5], True)


def test_what_comes_too_fast_leaves_a_way_to_it(client: Client, page: Any) -> None:
    append_many(range(100, 140))
    sequence()
    found = look(client, page["live"]["url"])
    assert came(found) == list(range(42, 17, -1))
    assert found["gap_url"] == "/ledger/?before=18"
    assert "More came in between" in client.get(page["live"]["url"], headers=HTMX).content.decode()
    assert client.get(found["gap_url"]).context["entries"][0]["entry"].index == 17


def test_looks_in_vain_get_rarer_and_news_make_them_frequent(client: Client, page: Any) -> None:
    url = page["live"]["url"]
    delays = []
    for _ in range(12):
        found = look(client, url)
        url = found["live"]["url"]
        delays.append(found["live"]["delay_s"])
    assert delays == [2, 2, 2, 2, 2, 4, 8, 16, 30, 30, 30, 30]
    claim(3).append()
    assert look(client, url)["live"]["delay_s"] == 2
    assert delay_s(99) == 30


@pytest.mark.parametrize(
    "query",
    ["since=", "since=x", "since=-5", "since=999999", "since=2&quiet=x", "since=2&quiet=9e9"],
)
def test_an_address_of_nobodys_making_does_no_harm(client: Client, page: Any, query: str) -> None:
    found = look(client, f"/ledger/?{query}")
    following = parse_qs(urlsplit(found["live"]["url"]).query)
    assert following["since"] == ["2"]


def test_whoever_follows_the_address_by_hand_gets_a_page(client: Client, page: Any) -> None:
    answer = client.get(page["live"]["url"])
    assert "<html" in answer.content.decode()
    assert came(answer.context) == [2, 1, 0]


def test_only_the_top_of_the_current_log_is_live(
    client: Client, db: None, settings: Settings, tmp_path: Path
) -> None:
    freeze_one_before(settings, tmp_path, range(3))
    assert client.get(f"/ledger/?log={OLD}").context["live"] is None
    claim(7).append()
    sequence()
    assert client.get("/ledger/").context["live"]
    assert client.get("/ledger/?before=1").context["live"] is None
    assert look(client, f"/ledger/?log={OLD}&since=0")["live"] is None


def test_a_log_with_a_first_entry_to_come_begins_at_the_beginning(
    client: Client, opened: None
) -> None:
    claim(1).append()
    url = client.get("/ledger/").context["live"]["url"]
    assert url == "/ledger/?since=&quiet=0"
    sequence()
    assert came(look(client, url)) == [0]


def test_a_look_asks_the_database_little(client: Client, page: Any) -> None:
    claim(3).append()
    sequence()
    with CaptureQueriesContext(connection) as queries:
        look(client, page["live"]["url"])
    assert len(queries) <= 8, [query["sql"][:90] for query in queries.captured_queries]


def test_the_page_says_how_it_lives(client: Client, page: Any) -> None:
    text = client.get("/ledger/").content.decode()
    assert 'role="status">New entries appear here by themselves' in text
    assert "data-live-switch hidden>Pause</button>" in text
    assert '<noscript><p class="small"><a href="">Look again</a></p></noscript>' in text
