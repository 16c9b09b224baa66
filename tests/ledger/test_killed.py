"""SIGKILL: a real sequencer process dies at any moment, and the next one loses and forks nothing.

The moments are those that the disk shows from outside: a file appears, and the process dies while
it stands there. No failpoint is in the product, and no clock decides.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from assay.checkpoint import parse_checkpoint
from assay.note import parse_note
from config.env import environment
from ledger import services as ledger
from ledger.models import Entry, Log
from ledger.storage import log_storage
from tests.ledger.builders import append_all, append_many, sequence, verified, whole

pytestmark = pytest.mark.django_db(transaction=True)

# From 250 to 262 entries, in the order in which they are written.
START, MORE = 250, 12
FILES = (
    "tile/entries/000",
    "tile/entries/001.p/6",
    "tile/0/000",
    "tile/0/001.p/6",
    "tile/1/000.p/1",
)
PATIENCE_S = 60.0
SLOW = 4  # how much slower than it ought to be a busy machine may be


@contextmanager
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Run `manage.py sequencer` on this test's database, log and key; end it if it lives."""
    database = settings.DATABASE_URL.rpartition("/")[0]
    child = subprocess.Popen(
        [sys.executable, "manage.py", "sequencer"],
        cwd=settings.BASE_DIR,
        env=environment(
            DATA=str(settings.LEDGER_DIR.parent),
            DATABASE_URL=f"{database}/{connection.settings_dict['NAME']}",
            DATABASE_POOL="0",
        ),
        stderr=subprocess.DEVNULL,
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def kill_when(child: subprocess.Popen[bytes], path: Path) -> None:
    """Kill the process the moment that `path` is there."""
    until = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert child.poll() is None, "the sequencer ended by itself"
        assert time.monotonic() < until, f"{path.name} never appeared"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()


def published_size() -> int:
    return parse_checkpoint(parse_note(log_storage().get("checkpoint")).text).size


@pytest.fixture
def grown() -> list[int]:
    """A log just below a full tile, and entries that will make it full."""
    ledger.ensure_log()
    append_many(range(START))
    sequence()
    return append_all(range(START, START + MORE))


@pytest.mark.parametrize("name", FILES)
def test_a_sequencer_killed_as_a_file_appears_is_followed_by_one_that_finishes(
    grown: list[int], name: str
) -> None:
    with process() as child:
        kill_when(child, settings.LEDGER_DIR / name)
    assert Log.objects.get().size == START + MORE  # the commit point was before every file
    assert published_size() in (START, START + MORE)
    indices = list(Entry.objects.order_by("pk").values_list("index", flat=True))
    with process() as child:
        until(lambda: included(grown[-1]), "included")
        assert child.poll() is None
    assert whole() == published_size() == START + MORE
    assert list(Entry.objects.order_by("pk").values_list("index", flat=True)) == indices
    for number, entry in enumerate(grown, START):
        assert verified(entry, number).index == number


def until(true: Callable[[], object], what: str) -> float:
    """Wait for what another process does; return how many seconds that took."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() < begun + PATIENCE_S, f"{what}: that never was"
        time.sleep(0.02)
    return time.monotonic() - begun


def waits(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether a second sequencer asks, again and again, whether the first one still beats."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND query LIKE '%%beat_at%%' AND query LIKE 'SELECT%%' AND pid <> pg_backend_pid()"
        )
        return bool(cursor.fetchone()[0]) and process.poll() is None


def leads(process: subprocess.Popen[bytes]) -> bool:
    return ledger.log_state().leader.endswith(f"process {process.pid}")


@contextmanager
def pair() -> Iterator[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """Run two: the first one leads, the second one waits."""
    with process() as first:
        until(lambda: leads(first), "the first one leads")
        with process() as second:
            until(lambda: waits(second), "the second one waits")
            yield first, second


def included(entry: int) -> bool:
    return ledger.entry_status(entry).included


def test_a_second_process_takes_over_when_the_leader_is_killed(grown: list[int]) -> None:
    """The lock dies with its session: nobody has to take it away."""
    with pair() as (first, second):
        until(lambda: included(grown[-1]), "included")
        first.kill()
        first.wait()
        last = append_all(range(START + MORE, START + MORE + 1))[0]
        assert until(lambda: included(last), "included again") < SLOW * 1
        assert leads(second)
    assert whole() == START + MORE + 1


def test_a_second_process_takes_over_when_the_leader_is_frozen(grown: list[int]) -> None:
    """Its session would live as long as it: the second one ends it, and what wakes up ends too."""
    with pair() as (first, second):
        until(lambda: included(grown[-1]), "included")
        os.kill(first.pid, signal.SIGSTOP)
        last = append_all(range(START + MORE, START + MORE + 1))[0]
        assert until(lambda: included(last), "included again") < SLOW * 5
        assert leads(second)
        newest = log_storage().get("checkpoint")
        os.kill(first.pid, signal.SIGCONT)
        assert first.wait(PATIENCE_S) == 1
        assert log_storage().get("checkpoint") == newest
        more = append_all(range(START + MORE + 1, START + MORE + 3))[-1]
        until(lambda: included(more), "the second one goes on")
        assert second.poll() is None
    assert whole() == START + MORE + 3
    indices = Entry.objects.order_by("pk").values_list("index", flat=True)
    assert list(indices) == list(range(START + MORE + 3))
