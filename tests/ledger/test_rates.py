"""One key asks as often as it may, and no more, whatever the clock does."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from ledger.errors import TooManyClaimsError
from ledger.models import Allowance
from ledger.services.rates import take

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def taken(name: str, per_minute: int, at: datetime, tries: int) -> int:
    """Return how many of `tries` are allowed."""
    allowed = 0
    for _ in range(tries):
        try:
            take(name, per_minute, at)
        except TooManyClaimsError:
            continue
        allowed += 1
    return allowed


@pytest.mark.django_db
def test_a_burst_of_a_minutes_worth_is_taken_and_then_one_at_a_time() -> None:
    assert taken("alice", 6, NOON, 10) == 6
    assert taken("alice", 6, after(9), 1) == 0
    assert taken("alice", 6, after(10), 3) == 1
    assert taken("alice", 6, after(30), 5) == 2


@pytest.mark.django_db
def test_a_long_rest_saves_no_more_than_a_minutes_worth() -> None:
    assert taken("alice", 6, NOON, 1) == 1
    assert taken("alice", 6, after(86_400), 20) == 6


@pytest.mark.django_db
def test_who_asks_too_fast_is_told_how_long_to_wait() -> None:
    assert taken("alice", 6, NOON, 6) == 6
    with pytest.raises(TooManyClaimsError, match=r"more than 6 in a minute.* in 10 s") as caught:
        take("alice", 6, NOON)
    assert (caught.value.status, caught.value.retry_after_s) == (429, 10)
    take("alice", 6, after(10))
    with pytest.raises(TooManyClaimsError) as caught:
        take("alice", 6, after(19.9))
    assert caught.value.retry_after_s == 1


@pytest.mark.django_db
def test_mallory_asking_fast_costs_alice_nothing() -> None:
    assert taken("mallory", 6, NOON, 100) == 6
    assert taken("alice", 6, NOON, 100) == 6


@pytest.mark.django_db
def test_a_clock_that_went_back_gives_nothing_and_takes_nothing() -> None:
    assert taken("alice", 6, NOON, 4) == 4
    assert taken("alice", 6, after(-3600), 5) == 2
    assert taken("alice", 6, after(-3590), 5) == 1


@pytest.mark.django_db
def test_a_rate_of_nothing_closes_the_door() -> None:
    with pytest.raises(TooManyClaimsError, match="takes nothing") as caught:
        take("alice", 0, NOON)
    assert caught.value.retry_after_s == 3600
    assert not Allowance.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_web_processes_share_one_allowance() -> None:
    allowed: list[int] = []

    def ask() -> None:
        allowed.append(taken("alice", 5, NOON, 5))
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(allowed) == 5
