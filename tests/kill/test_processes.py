"""What the processes of the site have loaded, and what watches over the queue."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kill.check import check
from tests.kill.faults import frozen
from tests.kill.load import QUEUED, ask, call, single
from tests.kill.mend import mending, wait_quiet
from tests.kill.site import Site

pytestmark = pytest.mark.xdist_group("kill")


@pytest.mark.parametrize("program", ["web", "worker-1", "worker-2", "beat", "sequencer"])
def test_no_process_but_the_executors_has_loaded_a_runtime_of_models(
    site: Site, program: str
) -> None:
    members = site.members(program)
    assert members
    loaded = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in members)
    assert "psycopg" in loaded  # these are the right processes, and they have done their work
    assert [line for line in loaded.splitlines() if "onnx" in line] == []


def oldest(site: Site) -> float:
    """Return the number on which an operator is told to alert."""
    status, text = call(site, "GET", "/metrics")
    assert status == 200
    name = 'assay_queue_oldest_seconds{kind="portable"} '
    (line,) = [line for line in text.decode().splitlines() if line.startswith(name)]
    return float(line.removeprefix(name))


def test_an_operator_sees_that_every_consumer_is_frozen_and_nothing_is_lost(site: Site) -> None:
    with mending(site):
        wait_quiet(site)
        assert oldest(site) == 0
        with frozen(site):
            told = ask(site, single(QUEUED))
            site.until(lambda: oldest(site) > 1, "the row grows old")
        wait_quiet(site)
        assert oldest(site) == 0
    check(site, [told])
