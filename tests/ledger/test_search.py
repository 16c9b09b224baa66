"""Finding entries: by each filter and all together, in pages both ways, out of an index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from assay.digests import sha256_hex
from ledger import search
from ledger.models import Entry, Log
from ledger.search import Filter
from tests.ledger.builders import claim
from tests.ledger.shards import digest, fill, freeze_one_before, sequence_here

LONG = 1600


def log() -> Log:
    return Log.objects.get(origin="localhost")


def found(wanted: Filter, **page: int) -> list[int | None]:
    """Return the indices of a page of at most 100."""
    return [row.index for row in search.page(log(), wanted, **{"limit": 100, **page}).rows]


def key(number: int) -> str:
    return sha256_hex(f"key {number}".encode())


# ---------------------------------------------------------------- filters


def test_each_filter_finds_its_entries_and_all_together_fewer(opened: None) -> None:
    fill(400)
    kind = Entry.objects.get(index=7).kind
    assert found(Filter(model="owner-7/model-7")) == [307, 207, 107, 7]
    assert found(Filter(owner="owner-7"))[:4] == [382, 357, 332, 307]
    assert found(Filter(signer=key(7)))[:3] == [367, 327, 287]
    assert found(Filter(kind=kind))[:3] == [399, 391, 383]
    every = Filter(kind=kind, model="owner-7/model-7", owner="owner-7", signer=key(7))
    assert found(every) == [207, 7]
    assert found(Filter(kind=kind, model="owner-8/model-8")) == []
    assert search.count(log(), every, 10) == 2
    assert search.count(log(), Filter(owner="owner-7"), 10) == 10


def test_a_digest_finds_subject_envelope_key_and_leaf(opened: None) -> None:
    fill(200)
    entry = Entry.objects.get(index=9)
    for value, role in (
        (digest(9), search.SUBJECT),
        (bytes(entry.payload_id).hex(), search.ENVELOPE),
        (bytes(entry.leaf_hash).hex(), search.LEAF),
    ):
        assert found(Filter(digest=value)) == [9]
        assert search.roles([entry], value) == {entry.pk: [role]}
    assert found(Filter(digest=key(9))) == [169, 129, 89, 49, 9]
    assert search.roles([entry], key(9)) == {entry.pk: [search.KEY]}
    assert search.count(log(), Filter(digest=key(9)), 3) == 3
    assert found(Filter(digest=key(9), model="owner-19/model-69")) == [169]
    assert found(Filter(digest="0" * 64)) == []


def test_what_a_digest_is_to_an_entry_twice_is_listed_once(opened: None) -> None:
    """A key's registration is about the key, and signed with it."""
    fill(50)
    entry = Entry.objects.get(index=3)
    entry.subjects.create(name="key", sha256=entry.fingerprint)
    entry.subjects.create(name="key, again", sha256=entry.fingerprint)
    assert found(Filter(digest=entry.fingerprint)) == [43, 3]
    roles = search.roles(Entry.objects.filter(index__in=[3, 43]), entry.fingerprint)
    assert roles[entry.pk] == [search.SUBJECT, search.KEY]
    assert sorted(map(len, roles.values())) == [1, 2]


def test_a_name_that_no_row_can_hold_is_nobodys(opened: None) -> None:
    fill(10, waiting=1)
    for wanted in (Filter(model="alice/\0"), Filter(owner="\0", digest=digest(1))):
        assert found(wanted) == []
        assert search.waiting(log(), wanted, 5) == []
        assert search.count(log(), wanted, 5) == 0


def test_what_waits_is_found_too_the_newest_first(opened: None) -> None:
    fill(20, waiting=3)

    def waiting(wanted: Filter, limit: int = 5) -> list[str]:
        rows = search.waiting(log(), wanted, limit)
        assert all(row.index is None for row in rows)
        return [row.subjects.get().name for row in rows]

    assert waiting(Filter()) == ["thing 22", "thing 21", "thing 20"]
    assert waiting(Filter(), limit=2) == ["thing 22", "thing 21"]
    assert waiting(Filter(model="owner-21/model-21")) == ["thing 21"]
    assert waiting(Filter(digest=digest(20))) == ["thing 20"]
    assert waiting(Filter(digest=digest(19))) == []
    assert search.count(log(), Filter(), 100) == 23


# ---------------------------------------------------------------- pages


@pytest.mark.parametrize("wanted", [Filter(), Filter(digest=key(1)), Filter(owner="owner-1")])
def test_pages_lead_down_to_the_first_entry_and_back_up(opened: None, wanted: Filter) -> None:
    fill(160)
    every = [row.index for row in search.page(log(), wanted, limit=300).rows]
    down = search.page(log(), wanted, limit=3)
    assert down.newer is None
    seen, steps = [row.index for row in down.rows], 0
    while down.older is not None:
        down = search.page(log(), wanted, limit=3, before=down.older)
        seen += [row.index for row in down.rows]
        steps += 1
    assert seen == every
    up = down
    while up.newer is not None:
        up = search.page(log(), wanted, limit=3, after=up.newer)
        assert up.older is not None
        steps -= 1
    assert up.rows[0].index == every[0]
    assert steps in (0, 1)  # upward, the pages are cut at other places


def test_a_page_tells_where_it_ends(opened: None) -> None:
    fill(10)

    def edges(**window: int) -> tuple[list[int | None], int | None, int | None]:
        page = search.page(log(), Filter(), limit=4, **window)
        return [row.index for row in page.rows], page.newer, page.older

    assert edges() == ([9, 8, 7, 6], None, 6)
    assert edges(before=4) == ([3, 2, 1, 0], 3, None)
    assert edges(before=100) == ([9, 8, 7, 6], None, 6)
    assert edges(before=0) == ([], -1, None)
    assert edges(after=-1) == ([3, 2, 1, 0], 3, None)
    assert edges(after=5) == ([9, 8, 7, 6], None, 6)
    assert edges(after=9) == ([], None, 10)
    assert edges(after=3, before=6) == ([5, 4], 5, None)


def test_an_empty_log_has_one_empty_page(opened: None) -> None:
    page = search.page(log(), Filter(), limit=4)
    assert (page.rows, page.newer, page.older) == ((), None, None)


def test_a_search_stays_in_its_log(db: None, settings: Settings, tmp_path: Path) -> None:
    old = freeze_one_before(settings, tmp_path, range(3))
    entry = claim(0, by="bob").append()
    sequence_here()
    alice = Filter(digest=claim(0).key.fingerprint)
    assert [row.index for row in search.page(old, alice, limit=9).rows] == [2, 1, 0]
    assert found(alice) == []
    thing = Filter(digest=claim(0).statement.subjects[0].sha256)
    assert [row.pk for row in search.page(log(), thing, limit=9).rows] == [entry]


# ---------------------------------------------------------------- indexes


class Plans:
    """The plans of the queries about entries and subjects that are made while it is installed."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.asked.append((sql, params))
        return execute(sql, params, many, context)

    def nodes(self) -> Iterator[dict[str, Any]]:
        with connection.cursor() as cursor:
            for sql, params in self.asked:
                if "ledger_entry" in sql or "ledger_subject" in sql:
                    cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
                    yield from _walk(cursor.fetchone()[0][0]["Plan"])


def _walk(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _walk(below)


@pytest.fixture
def long(opened: None) -> None:
    """A log that is long enough for PostgreSQL to prefer an index."""
    fill(LONG, waiting=60)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        # What the planner knows must not depend on whether autovacuum came by.
        cursor.execute("ANALYZE ledger_entry, ledger_subject")


def conditions(nodes: list[dict[str, Any]]) -> str:
    return " ".join(str(node.get("Index Cond", "")) for node in nodes)


SINGLE = (
    (Filter(), "log_id"),
    (Filter(kind="release"), "kind"),
    (Filter(model="owner-7/model-7"), "model"),
    (Filter(owner="owner-7"), "owner"),
    (Filter(signer=key(7)), "fingerprint"),
)


def test_a_page_by_one_filter_is_read_in_the_order_of_an_index(long: None) -> None:
    with connection.cursor() as cursor:
        # Asked is whether an index gives the order, not what a short log makes cheapest.
        cursor.execute("SET LOCAL enable_sort = off")
    for wanted, column in SINGLE:
        for window in ({}, {"before": LONG // 2}, {"after": LONG // 2}):
            plans = Plans()
            with connection.execute_wrapper(plans):
                assert search.page(log(), wanted, limit=10, **window).rows
            nodes = list(plans.nodes())
            kinds = {node["Node Type"] for node in nodes}
            assert kinds.isdisjoint({"Seq Scan", "Sort"}), (wanted, window, kinds)
            assert column in conditions(nodes), (wanted, window)
            assert "index" in conditions(nodes), (wanted, window)
            # No condition is an afterthought on rows that were read for nothing.
            later = [node["Filter"] for node in nodes if "Filter" in node]
            assert later == [], (wanted, window)


def test_counting_and_waiting_entries_use_an_index_too(long: None) -> None:
    for wanted, column in SINGLE[1:]:
        plans = Plans()
        with connection.execute_wrapper(plans):
            assert search.count(log(), wanted, 10) == 10
            search.waiting(log(), wanted, 10)
        nodes = list(plans.nodes())
        assert "Seq Scan" not in {node["Node Type"] for node in nodes}, wanted
        assert column in conditions(nodes), wanted


def test_a_digest_is_looked_up_in_four_indexes_and_never_by_reading_the_log(long: None) -> None:
    for value in (digest(7), key(7)):
        for window in ({}, {"before": LONG // 2}):
            plans = Plans()
            with connection.execute_wrapper(plans):
                assert search.page(log(), Filter(digest=value), limit=10, **window).rows
                search.waiting(log(), Filter(digest=value), 10)
                assert search.count(log(), Filter(digest=value), 10)
            nodes = list(plans.nodes())
            assert "Seq Scan" not in {node["Node Type"] for node in nodes}, window
            used = conditions(nodes)
            for column in ("sha256", "payload_id", "fingerprint", "leaf_hash"):
                assert column in used, (window, column)
            scans = [node for node in nodes if node.get("Relation Name") == "ledger_entry"]
            assert max(node["Plan Rows"] for node in scans) < LONG / 10, window
