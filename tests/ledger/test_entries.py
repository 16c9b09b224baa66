"""Whoever waits for an entry waits no longer than there is hope."""

from __future__ import annotations

import pytest

from ledger import services as ledger
from ledger.errors import NotIncludedError
from ledger.models import Leader
from tests.ledger.builders import append_all, claim, sequence
from tests.ledger.writing import Clock, led, use


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return use(Clock(), monkeypatch)


def test_bob_waits_until_a_published_checkpoint_covers_his_entry(
    opened: None, clock: Clock
) -> None:
    led()
    entry = claim(1).append()

    def each() -> None:
        if len(clock.slept) == 3:
            sequence()

    clock.each = each
    assert ledger.wait_included(entry, 20) is True
    assert len(clock.slept) == 3


def test_an_entry_says_where_it_stands(opened: None) -> None:
    entry = claim(1).append()
    assert ledger.entry_status(entry).included is False
    sequence()
    status = ledger.entry_status(entry)
    assert (status.index, status.included, status.checkpoint_size) == (0, True, 1)


def test_what_is_there_costs_no_wait(opened: None, clock: Clock) -> None:
    (entry,) = append_all(range(1))
    sequence()
    led("stopped")
    assert ledger.wait_included(entry, 0) is True
    assert clock.slept == []


def test_who_waits_long_asks_less_and_less_often_and_not_past_the_end(
    opened: None, clock: Clock
) -> None:
    led()
    entry = claim(1).append()
    assert ledger.wait_included(entry, 5) is False
    assert clock.now == pytest.approx(1005)
    assert clock.slept[0] == 0.05
    assert max(clock.slept) == 0.25
    assert clock.slept[:-1] == sorted(clock.slept[:-1])


@pytest.mark.parametrize("state", ["held", "stopped"])
def test_nobody_waits_for_a_sequencer_that_says_it_does_not_go_on(
    opened: None, clock: Clock, state: str
) -> None:
    led()
    entry = claim(1).append()
    clock.each = lambda: led(state)
    assert ledger.wait_included(entry, 20) is False
    assert len(clock.slept) == 1


def test_nobody_waits_for_a_dead_sequencer(opened: None, clock: Clock) -> None:
    led(silent_s=3600)
    entry = claim(1).append()
    assert ledger.wait_included(entry, 30) is False
    assert clock.slept == []


def test_a_log_that_is_just_being_opened_is_waited_for(opened: None, clock: Clock) -> None:
    entry = claim(1).append()
    Leader.objects.all().delete()
    clock.each = sequence
    assert ledger.wait_included(entry, 20) is True


def test_an_entry_that_is_not_there_is_not_waited_for(opened: None, clock: Clock) -> None:
    with pytest.raises(NotIncludedError, match="no such entry"):
        ledger.wait_included(12345, 20)
    assert clock.slept == []
