"""A mirror that goes on: what it asks again, when it stops, how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from assay.cli.known import task_for
from assay.cli.mirror import Run
from assay.cli.mirror_copy import Copier
from assay.cli.mirror_files import Disk, LostCopyError, MirrorFiles
from assay.cli.output import Output
from assay.cli.source import CHECKPOINT
from assay.cli.telling import Voice
from assay.cli.trust import Named
from tests.assay.logbook import Logbook
from tests.assay.mirroring import Mirror, mirroring
from tests.assay.views import LOG, ORIGIN
from tests.assay.watching import Pause, forked


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    with mirroring(tmp_path, monkeypatch) as somebody:
        yield somebody


@pytest.fixture
def book() -> Logbook:
    return Logbook().fill(5)


def go_on(
    mirror: Mirror,
    pause: Pause,
    interval: float | None = 60.0,
    *,
    retries: int = 3,
    stopped: Callable[[], bool] = lambda: False,
    disk: Disk | None = None,
) -> int:
    """Follow the log in this process; it prints JSON, and `pause` is where the world changes."""
    task = task_for(mirror.place.url, ORIGIN, str(LOG), Named())
    output = Output(as_json=True)
    mirror.folder.mkdir(exist_ok=True)
    with MirrorFiles(mirror.folder, disk) as files:
        copier = Copier(
            task,
            files,
            pins={},
            jobs=1,
            quiet=True,
            require_quorum=False,
            stopped=stopped,
        )
        voice = Voice(output, task, mirror.folder.parent / "evidence")
        return Run(task, copier, voice, output, pause, retries).go_on(interval)


def events(text: str) -> list[str]:
    return [json.loads(line)["event"] for line in text.splitlines()]


def test_a_mirror_follows_until_it_is_told_to_end(
    mirror: Mirror, book: Logbook, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror.shows(book)
    grown = book.copy().fill(9)
    pause = Pause(lambda: mirror.shows(grown), told=True)
    assert go_on(mirror, pause) == 0
    assert pause.waited == [60.0, 60.0]
    assert events(capsys.readouterr().out) == ["copied", "copied"]
    assert mirror.files() == grown.files(5)


def test_what_is_late_is_asked_for_again(mirror: Mirror, book: Logbook) -> None:
    """A cache that remembers an absence, a rollback or a silence for a moment is no liar."""
    mirror.shows(book)
    assert mirror.copy().exit_code == 0
    grown = book.copy().fill(8)

    def stale() -> None:
        mirror.shows(grown)
        mirror.place.pages["/log/checkpoint"] = book.note(3)

    def absent() -> None:
        mirror.shows(grown)
        del mirror.place.pages[f"/log/envelopes/{list(grown.envelopes)[6]}"]

    mirror.place.pages["/log/checkpoint"] = (502, {}, b"")
    pause = Pause(stale, absent, lambda: mirror.shows(grown))
    assert go_on(mirror, pause, None) == 0
    assert pause.waited == [1.0, 2.0, 4.0]
    assert mirror.size() == 8


def test_a_lie_ends_it_and_silence_does_not(
    mirror: Mirror, book: Logbook, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror.shows(book)

    def silent() -> None:
        mirror.place.pages["/log/checkpoint"] = (502, {}, b"")

    pause = Pause(silent, lambda: mirror.shows(forked(book, 2, 9)))
    assert go_on(mirror, pause, retries=0) == 1
    assert pause.waited == [60.0, 60.0]
    assert events(capsys.readouterr().out) == ["copied", "unchecked", "alarm"]
    assert mirror.size() == 5


def test_a_disk_that_fails_ends_it_at_once(mirror: Mirror, book: Logbook) -> None:
    class Broken(Disk):
        def link(self, temporary: Path, path: Path) -> None:
            raise OSError(5, "Input/output error")

    mirror.shows(book)
    pause = Pause()
    with pytest.raises(LostCopyError, match="Input/output error"):
        go_on(mirror, pause, disk=Broken())
    assert pause.waited == []


@pytest.mark.parametrize(("interval", "code"), [(None, 3), (60.0, 0)])
def test_what_is_told_to_end_while_it_copies_goes_on_next_time(
    mirror: Mirror, book: Logbook, interval: float | None, code: int
) -> None:
    mirror.shows(book)
    assert go_on(mirror, Pause(), interval, stopped=lambda: True) == code
    assert mirror.size() == -1
    assert go_on(mirror, Pause(), None) == 0
    assert mirror.files() == book.files()


def test_a_pause_before_asking_again_can_be_ended(mirror: Mirror, book: Logbook) -> None:
    pause = Pause(told=True)
    assert go_on(mirror, pause, None) == 3
    assert pause.waited == [1.0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_follows_ends_in_order(
    mirror: Mirror, book: Logbook, number: signal.Signals
) -> None:
    mirror.shows(book)
    program = (sys.executable, "-m", "assay.cli", *mirror.arguments("--follow", "--json"))
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert (first["event"], first["size"]) == ("copied", 5)
        process.send_signal(number)
        assert process.wait(30) == 0
    assert (mirror.folder / CHECKPOINT).exists()
