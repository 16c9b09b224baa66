"""`/ledger/checkpoints/`: how the log grew, how long entries waited, and who watches it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from assay.note import VKey
from ledger.history import growth, waited
from ledger.models import Checkpoint, Entry, Log
from ledger.selectors import newest_published, published
from ledger.views import charts
from tests.flush import triggers_off
from tests.ledger.builders import append_many, claim, sequence
from tests.ledger.witness import Witness, trust, witness

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def written(opened: None, wanda: Witness) -> Log:
    """Checkpoints 0, 1, 2, …, 12, and one of 40."""
    for number in range(12):
        claim(number).append()
        sequence()
    append_many(range(100, 128))
    sequence()
    return Log.objects.get()


def shown(client: Client, path: str = "/ledger/checkpoints/") -> Any:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer


# ---------------------------------------------------------------- reads


def test_growth_is_told_by_sizes_spread_evenly(written: Log) -> None:
    assert [one.size for one in growth(written, 40, steps=4)] == [0, 10, 40]
    every = [one.size for one in growth(written, 40, steps=40)]
    assert every == [*range(13), 40]
    assert [one.at for one in growth(written, 40)] == sorted(one.at for one in growth(written, 40))


def test_growth_costs_one_query_and_looks_at_published_checkpoints_only(written: Log) -> None:
    Checkpoint.objects.create(log=written, size=50, root=bytes(32), note=b"", signed_at=NOON)
    with CaptureQueriesContext(connection) as queries:
        assert [one.size for one in growth(written, 50)][-1] == 40
    assert len(queries) == 1


def test_an_entry_waits_from_its_intake_to_the_publication(written: Log) -> None:
    with triggers_off():
        for index, at in ((11, NOON), (12, NOON + timedelta(seconds=3))):
            Entry.objects.filter(index=index).update(created_at=at)
        for size, at in ((12, NOON), (40, NOON + timedelta(seconds=5))):
            Checkpoint.objects.filter(size=size).update(published_at=at)
    rows = list(published(written)[:2])
    assert waited(written, rows, 11) == [timedelta(seconds=2), timedelta(0)]


def test_the_empty_log_made_nobody_wait(written: Log) -> None:
    (row,) = published(written).filter(size=0)
    assert waited(written, [row], None) == [None]


# ---------------------------------------------------------------- the page


def test_the_page_draws_growth_waiting_and_cosignatures(client: Client, written: Log) -> None:
    answer = shown(client)
    titles = [chart.title for chart in answer.context["charts"]]
    assert titles == ["Growth", "From signed to proven", "Cosignatures"]
    text = answer.content.decode()
    assert text.count('<svg viewBox="0 0 360 190" role="img" aria-label="') == 3
    assert "14 of 14 checkpoints have all the cosignatures that are needed." in text
    assert "style=" not in text


def test_what_is_drawn_stands_in_the_tables_too(client: Client, written: Log) -> None:
    found = shown(client).context
    assert [row.checkpoint.size for row in found["rows"]] == [40, *range(12, -1, -1)]
    assert [row.growth for row in found["rows"]] == [28, *[1] * 12, None]
    assert all(row.waited_s >= 0 for row in found["rows"][:-1])
    assert found["rows"][-1].waited_s is None
    (wanda,) = found["watching"]
    assert (wanda.name, wanda.count, wanda.size) == ("wanda", 14, 40)


def test_a_silent_witness_is_seen_to_be_silent(
    client: Client, written: Log, log_vkey: VKey, policy_path: Path, wanda: Witness
) -> None:
    with witness("walter", log_vkey) as walter:
        trust(policy_path, wanda, walter)
        found = shown(client).context
        text = shown(client).content.decode()
    names = {one.name: (one.count, one.size) for one in found["watching"]}
    assert names == {"wanda": (14, 40), "walter": (0, None)}
    assert "none of these" in text
    assert text.count('class="missing"') == 14


def test_without_witnesses_there_is_nobody_to_draw(client: Client, opened: None) -> None:
    claim(1).append()
    sequence()
    found = shown(client).context
    assert found["watching"] == []
    assert [chart.title for chart in found["charts"]] == ["Growth"]


def test_a_log_of_one_checkpoint_has_no_charts(client: Client, opened: None) -> None:
    assert shown(client).context["charts"] == []


def test_a_part_without_checkpoints_is_told_so(client: Client, written: Log) -> None:
    answer = shown(client, "/ledger/checkpoints/?after=99")
    assert (answer.context["rows"], answer.context["watching"]) == ([], [])
    assert "Nothing on this page" in answer.content.decode()


def test_the_page_costs_the_same_for_every_number_of_checkpoints(
    client: Client, written: Log
) -> None:
    with CaptureQueriesContext(connection) as few:
        shown(client)
    for number in range(200, 260):
        claim(number).append()
        sequence()
    with CaptureQueriesContext(connection) as many:
        shown(client)
    assert len(many) == len(few) <= 12
    assert newest_published(written).size == 100


# ---------------------------------------------------------------- an entry's life


def test_an_entry_tells_what_became_of_it(client: Client, written: Log) -> None:
    life = shown(client, "/ledger/3/").context["life"]
    assert [one["words"] for one in life] == [
        *("Taken in", "Given index 3", "Covered by checkpoint 4", "Cosigned by wanda"),
    ]
    assert {one["state"] for one in life} == {"done"}


def test_an_entry_tells_what_it_still_waits_for(
    client: Client, written: Log, log_vkey: VKey, policy_path: Path, wanda: Witness
) -> None:
    with witness("walter", log_vkey) as walter:
        trust(policy_path, walter)
        life = shown(client, "/ledger/3/").context["life"]
    assert (life[-1]["state"], life[-1]["words"]) == ("next", "Cosigned by 1 witness")
    Entry.objects.filter(pk=claim(900).append()).update(index=40)
    assert shown(client, "/ledger/40/").context["life"][-1] == {
        "state": "next",
        "words": "Covered by a checkpoint",
    }


# ---------------------------------------------------------------- drawing


def test_a_climb_keeps_its_height_until_the_next_point() -> None:
    points = [(NOON, 0), (NOON + timedelta(hours=1), 10), (NOON + timedelta(hours=2), 20)]
    drawn = charts.steps("Growth", "", points)
    assert drawn.path == "M52.0 160.0 L202.0 160.0 L202.0 86.0 L352.0 86.0 L352.0 12.0"
    assert [tick.word for tick in drawn.upward] == ["0", "10", "20"]
    assert [tick.word for tick in drawn.across] == ["12:00", "14:00"]


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(0), ["12:00:00", "12:00:00"]),
        (timedelta(seconds=30), ["12:00:00", "12:00:30"]),
        (timedelta(days=9), ["2026-01-01", "2026-01-10"]),
    ],
)
def test_instants_are_as_short_as_tells_them_apart(span: timedelta, words: list[str]) -> None:
    drawn = charts.steps("Growth", "", [(NOON, 0), (NOON + span, 3_000_000)])
    assert [tick.word for tick in drawn.across] == words
    assert [tick.word for tick in drawn.upward] == ["0", "2M", "4M"]


def test_delays_stand_between_the_ticks_around_them() -> None:
    drawn = charts.delays("Delay", "", [0.2, 4.0], ("1", "2"))
    assert [tick.word for tick in drawn.upward] == ["0.1 s", "1 s", "10 s"]
    assert 12 < drawn.dots[1].y < drawn.dots[0].y < 160


@pytest.mark.parametrize(
    ("seconds", "ticks"),
    [
        ([1.0, 1.0], ["1 s", "10 s"]),
        ([0.0, 0.0], ["10 ms", "0.1 s"]),
        ([1e12, 1e12], ["100 d", "1000 d"]),
    ],
)
def test_delays_that_are_all_alike_have_a_scale_too(seconds: list[float], ticks: list[str]) -> None:
    drawn = charts.delays("Delay", "", seconds, ("1", "2"))
    assert [tick.word for tick in drawn.upward] == ticks
    assert all(12 <= dot.y <= 160 for dot in drawn.dots)


def test_presence_has_a_box_for_each_answer() -> None:
    drawn = charts.presence("Presence", "", [("wilhelmina", [True, False])], ("1", "2"))
    assert [box.tone for box in drawn.boxes] == ["", "missing"]
    assert [tick.word for tick in drawn.upward] == ["wilhelm…"]


@pytest.mark.parametrize(
    ("value", "found"), [(0, 2), (1, 2), (3, 4), (19, 20), (21, 40), (10**19, 10**19)]
)
def test_an_axis_ends_at_a_round_number(value: int, found: int) -> None:
    assert charts.nice(value) == found


def test_large_counts_are_short() -> None:
    points = [(NOON, 0), (NOON + timedelta(hours=1), 2_000)]
    assert [tick.word for tick in charts.steps("", "", points).upward] == ["0", "1k", "2k"]
