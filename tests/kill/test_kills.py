"""The kill matrix: whoever dies, nothing is lost, doubled, or shown and then not there."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.kill.cells import CELLS, EXECUTOR, Cell
from tests.kill.check import check, rows_of
from tests.kill.faults import FAULTS, Fault, Promise
from tests.kill.load import Told, ask_all, mix, once, patiently, single
from tests.kill.mend import mending, wait_quiet
from tests.kill.site import Site
from tests.kill.table import Outcome, compare

pytestmark = pytest.mark.xdist_group("kill")
CAME = {0: "nothing", 200: "the answer", 202: "202"}


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_whoever_dies_at_a_point_loses_and_doubles_nothing(
    site: Site, cell: Cell, executions: int
) -> None:
    with mending(site, most=1):
        told = [_alone(site, cell)]
    with mending(site):
        if cell.loaded:
            site.arm(cell.program, cell.point, cell.mode)
            told += ask_all(site, mix(cell.name, executions))
            if "sweeper" not in cell.point:  # it may find nothing to do, and never come by
                hit = partial(site.fired, cell.program, cell.point)
                site.until(hit, "the load comes by")  # a 202 is told before a worker runs it
            site.disarm(cell.program, cell.point)
        _again(site, told)
        _wake_frozen(site, cell)
        wait_quiet(site)
    check(site, told)
    compare(cell, _outcome(site, cell, told[0]))


def _alone(site: Site, cell: Cell) -> Told:
    """Ask once, and let it happen to that one."""
    told = Told(ask=single(cell.asked))
    if cell.point == "model-mid-run":
        # A third death within ten minutes would quarantine the model: start to count anew.
        before = site.process(EXECUTOR)
        site.kill(EXECUTOR)
        site.until(lambda: site.process(EXECUTOR) is not before and site.whole(), "a fresh one")
    if cell.first is not None:
        site.arm(*cell.first, "kill")
    site.arm(cell.program, cell.point, cell.mode)
    with ThreadPoolExecutor(1) as caller:
        asking = caller.submit(once, site, told)
        site.until(lambda: site.fired(cell.program, cell.point), f"{cell.point} is reached")
        asking.result()
    if cell.asked != "queued" and told.ask.key is not None:
        patiently(site, told)
    site.until(lambda: all(_ended(site, told)), "it ended")
    _wake_frozen(site, cell)
    site.until(site.whole if cell.program == EXECUTOR else lambda: True, "the executor is back")
    return told


def _ended(site: Site, told: Told) -> list[bool]:
    (rows,) = rows_of(site, [told]).values()
    return [row.state not in ("queued", "running") for row in rows]


def _wake_frozen(site: Site, cell: Cell) -> None:
    """Let a frozen worker go on: its lease is over, and what it has to say comes too late."""
    if cell.mode == "stop":
        for name in ("worker-1", "worker-2"):
            site.kill(name, signal.SIGCONT)


def _again(site: Site, told: list[Told]) -> None:
    """Let everybody with a key ask once more."""
    for one in told:
        if one.ask.key is not None:
            patiently(site, one)


def _outcome(site: Site, cell: Cell, told: Told) -> Outcome:
    """Return what came of the one that was alone, in words."""
    came = CAME.get(told.statuses[0], str(told.statuses[0]))
    (rows,) = rows_of(site, [told]).values()
    if not rows:
        return came, "there is no row"
    (won,) = rows
    again = ", and is answered when the key comes again" if len(told.statuses) > 1 else ""
    # Whether a dead executor costs an attempt depends on the connection that a worker has kept.
    attempt = "" if cell.program == EXECUTOR else f" at attempt {won.attempts}"
    return came, f"{won.state}{attempt}{again}"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_in_the_middle_of_a_load_loses_and_doubles_nothing(
    site: Site, fault: Fault, executions: int
) -> None:
    with mending(site):
        with ThreadPoolExecutor(1) as callers:
            loading = callers.submit(ask_all, site, mix(fault.name, executions))
            fault.act(site, loading.result)
            told = loading.result()
        _again(site, told)
        wait_quiet(site)
    check(site, told)
    if fault.promise is not Promise.ERRORS:
        assert [one for one in told if not one.answered] == []
