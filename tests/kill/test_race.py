"""Fifty at once with one Idempotency-Key, over HTTP: one execution, one statement, one answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.kill.check import check, rows_of
from tests.kill.faults import (
    Wait,
    messages_delayed,
    messages_tripled_and_reversed,
    redis_flushed,
)
from tests.kill.load import KEYED, Ask, Told, once, patiently, single
from tests.kill.mend import mending, wait_quiet
from tests.kill.site import Site

pytestmark = pytest.mark.xdist_group("kill")
MANY = 50
Act = Callable[[Site, Wait], None]


def race(site: Site, asks: list[Ask]) -> list[Told]:
    """Send all of `asks` in the same moment; each asks until it is answered."""
    start = threading.Barrier(len(asks))

    def run(one: Ask) -> Told:
        told = Told(ask=one)
        start.wait()
        patiently(site, told)
        return told

    with ThreadPoolExecutor(len(asks)) as callers:
        return list(callers.map(run, asks))


def one_execution(site: Site, told: list[Told]) -> None:
    """Check that all were told of one execution, which ran once."""
    check(site, told)
    (rows,) = rows_of(site, told[:1]).values()
    assert [(row.state, row.attempts) for row in rows] == [("succeeded", 1)]
    assert {execution for one in told for execution in one.executions} == {rows[0].id}


def test_fifty_synchronous_calls_with_one_key_get_the_same_bytes(site: Site) -> None:
    told = race(site, [single(KEYED)] * MANY)
    wait_quiet(site)
    one_execution(site, told)
    assert len({told.bodies[-1] for told in told}) == 1


@pytest.mark.parametrize("act", [redis_flushed, messages_tripled_and_reversed, messages_delayed])
def test_fifty_queued_with_one_key_are_one_whatever_the_broker_does(site: Site, act: Act) -> None:
    asked = single(KEYED)
    queued = Ask(value=asked.value, queued=True, key=asked.key, model=asked.model)
    with mending(site):
        with ThreadPoolExecutor(1) as callers:
            racing = callers.submit(race, site, [queued] * MANY)
            act(site, racing.result)
            told = racing.result()
        wait_quiet(site)
    one_execution(site, told)


def test_mallory_may_not_use_a_key_for_something_else_in_the_same_moment(site: Site) -> None:
    asked, other = single(KEYED), single(KEYED)
    wrong = Ask(value=other.value, queued=False, key=asked.key, model=asked.model)
    tolds = [Told(ask=one) for one in (asked, wrong) * (MANY // 2)]
    with ThreadPoolExecutor(MANY) as callers:
        list(callers.map(lambda told: once(site, told), tolds))
    wait_quiet(site)
    statuses = {told.ask.value: set(told.statuses) for told in tolds}
    for told in tolds:
        statuses[told.ask.value] |= set(told.statuses)
    assert sorted(map(sorted, statuses.values())) == [[200], [422]]
    winners = [told for told in tolds if told.statuses == [200]]
    one_execution(site, winners)
