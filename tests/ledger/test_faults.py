"""The fault table: whatever fails, and wherever, nothing is lost, nothing forks, all is verifiable.

For each place where the sequencer touches the world (`tests.ledger.failpoints`), in each of three
phases, each of five failures happens; then a fresh sequencer recovers. Afterwards the log is whole,
and every acknowledged entry is in it exactly once, with a receipt that a stranger can verify. What
readers see in the meantime is written down in `docs/explanation/faults.md`, which is compared here.
"""

from __future__ import annotations

import ast
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from django.db import Error, OperationalError, connection

from assay.checkpoint import parse_checkpoint
from assay.dsse import load_public_key, verify_envelope
from assay.note import VKey, parse_note
from assay.policy import PolicyKey
from assay.statements import parse_statement
from assay.witness import Answer
from ledger import services as ledger
from ledger.keys import load_log_key
from ledger.leadership import end_holder, leadership
from ledger.models import Checkpoint, Entry, Log
from ledger.policy import witness_policy
from ledger.sequencer import Sequencer
from ledger.services import check
from ledger.storage import FolderStorage, log_storage
from tests.flush import triggers_off
from tests.ledger import fault_table
from tests.ledger.builders import append_all, append_many, sequence, sequencer, verified, whole
from tests.ledger.failpoints import (
    ENDED,
    Failpoints,
    Mode,
    Point,
    disk_calls,
    fork,
    wait_frozen,
    wait_killed,
    wake,
)
from tests.ledger.witness import Witness, witness, write_policy

committing = pytest.mark.django_db(transaction=True)

# From 254 to 257 entries: a bundle and a tile become full, others begin, level 1 appears.
START, MORE = 254, 3
END = START + MORE


class World:
    """A log of 254 entries, three acknowledged claims that wait, a witness; and the way back."""

    def __init__(self, wanda: Witness, kept: Path) -> None:
        self.wanda = wanda
        self.kept = kept
        append_many(range(START))
        sequence()
        self.ids = append_all(range(START, END))
        self.tables = [model._meta.db_table for model in apps.get_app_config("ledger").get_models()]
        self.keep()

    def keep(self) -> None:
        """Remember rows, files and what the witness knows."""
        shutil.rmtree(self.kept, ignore_errors=True)
        shutil.copytree(settings.LEDGER_DIR, self.kept)
        self.states = dict(self.wanda.store.states)
        with connection.cursor() as cursor:
            for table in self.tables:
                cursor.execute(f"DROP TABLE IF EXISTS kept_{table}")
                cursor.execute(f"CREATE TABLE kept_{table} AS TABLE {table}")

    def restore(self) -> None:
        """Go back there."""
        shutil.rmtree(settings.LEDGER_DIR)
        shutil.copytree(self.kept, settings.LEDGER_DIR)
        self.wanda.store.states = dict(self.states)
        self.wanda.lie = None
        with triggers_off(), connection.cursor() as cursor:
            for table in self.tables:
                cursor.execute(f"DELETE FROM {table}")  # noqa: S608 (our own names)
                cursor.execute(f"INSERT INTO {table} TABLE kept_{table}")

    def forget(self) -> None:
        with connection.cursor() as cursor:
            for table in self.tables:
                cursor.execute(f"DROP TABLE kept_{table}")


@pytest.fixture
def world(policy_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    # The same 254 entries are looked at hundreds of times: equal bytes are verified once.
    for function in (load_public_key, verify_envelope, parse_statement):
        monkeypatch.setattr(check, function.__name__, lru_cache(maxsize=None)(function))
    ledger.ensure_log()
    with witness("wanda", VKey.parse(ledger.log_vkey())) as wanda:
        write_policy(
            policy_path, {"wanda": PolicyKey(vkey=wanda.vkey, url=wanda.url)}, quorum="wanda"
        )
        made = World(wanda, tmp_path / "kept")
        yield made
        made.forget()


# ---------------------------------------------------------------- phases


def writer(points: Failpoints) -> Sequencer:
    return Sequencer(
        settings.LEDGER_ORIGIN,
        storage=FolderStorage(settings.LEDGER_DIR, points.disk()),
        key=load_log_key(settings.LEDGER_KEY),
    )


def cycle(points: Failpoints) -> None:
    """Three entries wait, and get their places."""
    leader = writer(Failpoints())
    leader.recover()
    leader._storage = FolderStorage(settings.LEDGER_DIR, points.disk())
    with points.armed():
        assert leader.cycle() == MORE


def recovery(points: Failpoints) -> None:
    """A leader died right after the commit point; the next one begins."""
    leader = writer(points)
    with points.armed():
        leader.recover()


def idle(points: Failpoints) -> None:
    """Nothing waits, but the newest checkpoint lacks the line of a witness that is back."""
    leader = writer(Failpoints())
    policy = witness_policy()
    assert policy is not None
    leader._asking._not_before[policy.witnesses["wanda"].vkey] = math.inf  # she is not back yet
    leader.recover()
    leader._asking._not_before.clear()
    leader._storage = FolderStorage(settings.LEDGER_DIR, points.disk())
    with points.armed():
        assert leader.cycle() == 0


def after_the_commit_point(world: World) -> None:
    dry = Failpoints()
    cycle(dry)
    world.restore()
    number = dry.points.index(Point(step="4", name="COMMIT"))
    with pytest.raises(OperationalError):
        cycle(Failpoints(number, Mode.LOST))
    assert (Log.objects.get().size, Checkpoint.objects.latest().size) == (END, START)
    world.keep()


def without_a_line(world: World) -> None:
    world.wanda.lie = Answer(status=500, body=b"")
    sequence()
    assert ledger.newest_checkpoint().witnesses == 0
    world.keep()


def as_it_is(world: World) -> None:
    """Three entries wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What a sequencer does: where that begins, and the doing."""

    prepare: Callable[[World], None]
    run: Callable[[Failpoints], None]


PHASES = {
    fault_table.CYCLE: Phase(prepare=as_it_is, run=cycle),
    fault_table.RECOVERY: Phase(prepare=after_the_commit_point, run=recovery),
    fault_table.IDLE: Phase(prepare=without_a_line, run=idle),
}


# ---------------------------------------------------------------- failures


def fails(phase: Phase, points: Failpoints) -> None:
    with suppress(OSError, Error):
        phase.run(points)
    connection.close()


def dies(phase: Phase, points: Failpoints) -> None:
    def run() -> None:
        phase.run(points)
        points.end()

    wait_killed(fork(run))


def led(phase: Phase, points: Failpoints) -> None:
    with leadership(settings.LEDGER_ORIGIN) as leads:
        assert leads
        phase.run(points)


def is_frozen(world: World, phase: Phase, points: Failpoints) -> str:
    """Freeze a leader, let another one take over and grow, wake the first; return what it did."""
    pid = fork(lambda: led(phase, points))
    wait_frozen(pid)
    assert end_holder(settings.LEDGER_ORIGIN) == 1
    with leadership(settings.LEDGER_ORIGIN) as leads:
        assert leads
        leader = sequencer()
        while leader.cycle():
            pass
        world.ids += append_all(range(END, END + 1))
        leader.cycle()
        newest = page()
        assert wake(pid) in (0, ENDED)
        spoiled = page() != newest
        leader._look_at = 0
        leader.cycle()
        assert page() == newest
    return fault_table.SPOILED if spoiled else fault_table.HARMLESS


def page() -> bytes:
    return log_storage().get("checkpoint")


def seen() -> str:
    """Return what readers see before anybody has recovered."""
    head, newest = Log.objects.get().size, Checkpoint.objects.latest()
    note = parse_note(page())
    if parse_checkpoint(note.text).size == END:
        return fault_table.SHOWN if len(note.lines) == 2 else fault_table.NOT_WITNESSED
    if newest.size == END:
        return fault_table.COSIGNED if newest.cosignatures.exists() else fault_table.SIGNED
    return fault_table.PLACED if head == END else fault_table.NOTHING


def check_all(world: World) -> None:
    """Check what must hold whatever happened."""
    assert whole() == START + len(world.ids)
    for number, entry in enumerate(world.ids, START):
        receipt = verified(entry, number)
        assert receipt.index == Entry.objects.get(pk=entry).index
        assert [name for name, _ in receipt.checkpoint.witnesses] == ["wanda"]
    indices = Entry.objects.filter(pk__in=world.ids).values_list("index", flat=True)
    assert set(indices) == set(range(START, START + len(world.ids)))


def happens(world: World, phase: Phase, points: Failpoints) -> str:
    """Let one failure happen, and the recovery; return what was seen in between."""
    world.restore()
    world.ids = world.ids[:MORE]
    if points.mode is Mode.FROZEN:
        outcome = is_frozen(world, phase, points)
    else:
        (dies if points.mode is Mode.KILLED else fails)(phase, points)
        outcome = seen()
        sequence()
    check_all(world)
    return outcome


# ---------------------------------------------------------------- the table


@committing
@pytest.mark.parametrize("mode", Mode, ids=lambda mode: mode.name.lower())
@pytest.mark.parametrize("name", PHASES)
def test_whatever_fails_wherever_it_fails_nothing_is_lost_and_nothing_forks(
    world: World, name: str, mode: Mode
) -> None:
    phase = PHASES[name]
    phase.prepare(world)
    dry = Failpoints()
    world.restore()
    phase.run(dry)
    check_all(world)
    column = []
    for number in range(len(dry.points) + (mode is Mode.KILLED)):
        try:
            column.append(happens(world, phase, Failpoints(number, mode)))
        except BaseException as error:
            error.add_note(f"{name}: {mode.value}: {[*dry.points, 'the end'][number]}")
            raise
    fault_table.compare(name, mode, dry.points, column)


@committing
@pytest.mark.alone
def test_a_disk_is_changed_by_calls_of_the_table_only(world: World) -> None:
    """The interpreter tells of every file that is opened to be written, made, named or removed.

    In a process of its own: where such a hook stays, another thread may come in while a trace
    function is being installed, and Python then refuses that thread, under coverage for good.
    """
    points = Failpoints()
    outside: list[str] = []
    watching = False

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        writes = event in MAKES or (event == "open" and is_written(arguments))
        if watching and writes and not points.inside:
            outside.append(f"{event} {arguments}")

    sys.addaudithook(watch)  # there is no way to take it off again
    for phase in PHASES.values():
        world.restore()
        phase.prepare(world)
        world.restore()
        try:
            watching = True
            phase.run(points)
        finally:
            watching = False
    assert outside == []
    assert {point.name.split()[0] for point in points.points} >= set(disk_calls())


MAKES = {f"os.{name}" for name in ("mkdir", "rename", "link", "symlink", "remove", "truncate")}


def is_written(arguments: tuple[object, ...]) -> bool:
    flags = arguments[2]
    assert isinstance(flags, int)
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


# On the sequencer's way, but of another kind: the key is made once, before there is a log.
ELSEWHERE = {"disk.py", "keys.py", "storage_s3.py"}
CHANGING = {
    *("mkdir", "makedirs", "mkdtemp", "mkstemp", "write_bytes", "write_text", "touch", "truncate"),
    *("rename", "renames", "link", "hardlink_to", "symlink", "symlink_to", "unlink", "rmdir"),
    *("rmtree", "copytree", "copyfile", "copy2", "move", "fsync", "fdatasync", "chmod", "pwrite"),
    *("O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND", "O_TMPFILE"),
}


def test_no_module_but_the_disk_names_a_call_that_changes_files() -> None:
    """What no run has met yet counts as well."""
    found = [
        f"{path.name}:{node.lineno} {node.attr}"
        for path in (fault_table.ROOT / "ledger").glob("*.py")
        if path.name not in ELSEWHERE
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in CHANGING
        if ast.unparse(node.value) != "self._disk"
    ]
    assert found == []


def test_the_page_is_what_its_generator_writes() -> None:
    text = fault_table.PAGE.read_text(encoding="utf-8")
    assert fault_table.render(fault_table.parse(text)) == text


@pytest.mark.parametrize("place", [row[-1] for row in fault_table.OTHERS])
def test_the_tests_that_the_page_names_exist(place: str) -> None:
    path, _, name = place.strip("`").partition("::")
    source = (fault_table.ROOT / path).read_text(encoding="utf-8")
    assert f"\ndef {name}(" in source
