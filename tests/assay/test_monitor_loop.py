"""A monitor that goes on: what it asks again, what it says again, how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assay.cli.monitor import go_on, look_patiently
from assay.cli.remember import LostStateError
from assay.cli.rounds import CHUNK, RollbackError, Start, StoppedError
from assay.errors import MissingError, UnavailableError
from assay.monitor import ForkError
from tests.assay.logbook import (
    Logbook,
)
from tests.assay.views import view
from tests.assay.watching import (
    Pause,
    Reader,
    events,
    follower,
    forked,
    lines_of,
    monitor_of,
    reading,
)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    with reading(tmp_path, monkeypatch) as somebody:
        yield somebody


@pytest.fixture
def book() -> Logbook:
    return Logbook().fill(5)


def test_what_is_late_is_asked_for_again(reader: Reader, book: Logbook) -> None:
    """A cache that remembers an absence, a rollback or a silence for a moment is no liar."""
    reader.shows(book)
    assert reader.look().exit_code == 0
    grown = book.copy().fill(8)

    def stale() -> None:
        reader.shows(grown)
        reader.place.pages["/log/checkpoint"] = book.note(3)

    def absent() -> None:
        reader.shows(grown)
        del reader.place.pages[f"/log/envelopes/{list(grown.envelopes)[6]}"]

    reader.place.pages["/log/checkpoint"] = (502, {}, b"")
    pause = Pause(stale, absent, lambda: reader.shows(grown))
    assert look_patiently(follower(reader), pause, 3) == []
    assert pause.waited == [1.0, 2.0, 4.0]
    assert reader.size() == 8


def test_what_stays_absent_is_a_lie_after_the_last_question(reader: Reader, book: Logbook) -> None:
    reader.shows(book)
    del reader.place.pages["/log/tile/0/000.p/5"]
    pause = Pause()
    with pytest.raises(MissingError):
        look_patiently(follower(reader), pause, 2)
    assert pause.waited == [1.0, 2.0]


def test_a_rollback_that_stays_is_a_lie(reader: Reader, book: Logbook) -> None:
    reader.shows(book)
    assert reader.look().exit_code == 0
    reader.place.pages["/log/checkpoint"] = book.note(2)
    pause = Pause()
    with pytest.raises(RollbackError):
        look_patiently(follower(reader), pause, 1)
    assert pause.waited == [1.0]


def test_a_fork_is_not_asked_for_again(reader: Reader, book: Logbook) -> None:
    reader.shows(book)
    assert reader.look().exit_code == 0
    reader.shows(forked(book, 0, 5))
    pause = Pause()
    with pytest.raises(ForkError):
        look_patiently(follower(reader), pause, 3)
    assert pause.waited == []


def test_a_silent_tile_is_not_taken_for_an_absent_one(reader: Reader, book: Logbook) -> None:
    """The full tile, asked for in its place, is answered to be absent: that means nothing."""
    for size in (5, 8):
        reader.shows(book.fill(size))
        whole = reader.place.pages
        reader.place.pages = {**whole, f"/log/tile/0/000.p/{size}": (500, {}, b"")}
        with pytest.raises(UnavailableError) as caught:
            follower(reader).look()
        assert not isinstance(caught.value, MissingError)
        reader.place.pages = whole
        assert follower(reader).look() == []


def test_a_partial_tile_may_be_gone_once_it_is_full(reader: Reader, book: Logbook) -> None:
    grown = book.copy().fill(256)
    reader.shows(grown)
    reader.place.pages["/log/checkpoint"] = book.note()
    assert follower(reader).look() == []
    assert reader.size() == 5


def test_a_monitor_that_is_told_to_end_goes_on_where_it_was(reader: Reader, book: Logbook) -> None:
    reader.shows(book.fill(10))
    asked = iter([False, False, False, True])
    with pytest.raises(StoppedError):
        follower(reader, stopped=lambda: next(asked), chunk=2).look()
    memory = reader.remembered()
    assert (memory.checked, memory.next) == (None, 4)
    assert follower(reader).look() == []
    assert reader.size() == 10


def test_a_monitor_that_is_told_to_end_does_not_ask_again(reader: Reader) -> None:
    with pytest.raises(StoppedError):
        look_patiently(follower(reader), Pause(told=True), 3)


def test_two_monitors_in_one_folder_end_in_one_history(reader: Reader, book: Logbook) -> None:
    """While one checks, the other goes ahead: the slower one reads again and agrees."""
    reader.shows(book)
    assert reader.look().exit_code == 0
    reader.shows(book.fill(8))
    ahead = book.copy().fill(12)
    turns = iter([True])

    def overtaken() -> bool:
        if next(turns, False):
            reader.shows(ahead)
            assert reader.look().exit_code == 0
        return False

    assert follower(reader, stopped=overtaken).look() == []
    assert reader.size() == 12


def test_a_memory_that_is_lost_on_the_way_ends_everything(reader: Reader, book: Logbook) -> None:
    reader.shows(book)
    (reader.folder / "state").write_bytes(b"no folder")
    pause = Pause()
    with pytest.raises(LostStateError):
        look_patiently(follower(reader), pause, 3)
    assert pause.waited == []
    assert reader.look().exit_code == 3


def test_a_chunk_is_remembered_before_the_tree_is(reader: Reader, book: Logbook) -> None:
    reader.shows(book)
    assert CHUNK % 256 == 0
    sizes = []

    def watch() -> bool:
        sizes.append(reader.remembered().next)
        return False

    assert follower(reader, stopped=watch, chunk=2, start=Start.BEGINNING).look() == []
    assert sizes == [0, 2, 2, 4, 4]
    assert reader.remembered().known == (view(book.leaves),)


def test_what_stays_wrong_is_said_once_and_again_after_a_clean_round(
    reader: Reader, book: Logbook, capsys: pytest.CaptureFixture[str]
) -> None:
    def silence() -> None:
        reader.place.pages = {}

    def whole() -> None:
        reader.shows(book)

    whole()
    reader.place.pages["/log/tile/entries/000.p/5"] = (503, {}, b"later")
    pause = Pause(whole, silence, silence, whole, silence, told=True)
    assert go_on(*monitor_of(reader), pause, 0, 60.0) == 3
    assert pause.waited == [60.0] * 6
    said = ["first contact", "unchecked", "checked", "unchecked", "unchecked"]
    assert events(capsys.readouterr().out) == said


def test_a_lie_stays_in_the_exit_code(
    reader: Reader, book: Logbook, capsys: pytest.CaptureFixture[str]
) -> None:
    def lie() -> None:
        reader.shows(forked(book, 1, 5))

    reader.shows(book)
    pause = Pause(lie, lie, lambda: reader.shows(book), told=True)
    assert go_on(*monitor_of(reader), pause, 0, 60.0) == 1
    assert events(capsys.readouterr().out) == ["first contact", "checked", "alarm"]


def test_a_round_that_is_cut_short_is_no_verdict(reader: Reader, book: Logbook) -> None:
    reader.shows(book)
    for interval, code in ((None, 3), (60.0, 0)):
        cut = monitor_of(reader, stopped=lambda: True)
        assert go_on(*cut, Pause(told=True), 0, interval) == code
    assert reader.size() == -1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_goes_on_until_it_is_told_to_end(
    reader: Reader, book: Logbook, number: signal.Signals
) -> None:
    reader.shows(book)
    arguments = reader.arguments("--interval", 0.1, "--retries", 0, "--json")
    program = (sys.executable, "-m", "assay.cli", *arguments)
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = lines_of(process)
            assert [next(lines)["event"] for _ in range(2)] == ["first contact", "checked"]
            reader.shows(book.fill(7))
            assert next(lines)["size"] == 7
            reader.place.pages["/log/checkpoint"] = (500, {}, b"")
            assert next(lines)["event"] == "unchecked"
            reader.shows(book.fill(9))
            assert next(lines)["size"] == 9
            process.send_signal(number)
            assert process.wait(timeout=20) == 0
        finally:
            process.kill()


def test_a_lie_is_said_once_and_is_in_the_exit_code(reader: Reader, book: Logbook) -> None:
    reader.shows(book)
    assert reader.look().exit_code == 0
    reader.shows(forked(book, 1, 5))
    arguments = reader.arguments("--interval", 0.1, "--retries", 0, "--json")
    program = (sys.executable, "-m", "assay.cli", *arguments)
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = lines_of(process)
            assert next(lines)["kind"] == "split view"
            reader.shows(book.fill(7))
            assert next(lines)["size"] == 7
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 1
        finally:
            process.kill()
