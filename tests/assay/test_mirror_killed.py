"""Each write of a mirror fails, stored and not stored; a killed mirror goes on where it was."""

from __future__ import annotations

import errno
import inspect
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assay.cli.mirror_files import DamagedCopyError, Disk, LostCopyError, MirrorFiles, locked
from assay.cli.source import FolderSource
from assay.logdata import read_entries
from assay.policy import verify_checkpoint
from tests.assay.logbook import Logbook, pages, put
from tests.assay.mirroring import Mirror, copy_of, files_of, mirroring, signed_again, size_of
from tests.assay.stand import Answer
from tests.assay.views import LOG, ORIGIN

CALLS = [name for name, _ in inspect.getmembers(Disk, inspect.isfunction) if name[0] != "_"]


class DeadDiskError(OSError):
    """What every call answers after the one that failed."""


def failing(fail: Callable[[int], str | None]) -> tuple[Disk, list[str]]:
    """Return a disk whose calls are listed; `fail(number)` says whether a call fails, and how.

    `before`: nothing was stored. `after`: it was stored, and told as failed. From then on nothing
    works any more, as for a process that was killed there.
    """
    calls: list[str] = []
    dead: list[str] = []

    def wrap(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if dead:
                raise DeadDiskError
            calls.append(name)
            how = fail(len(calls) - 1)
            if how == "before":
                dead.append(name)
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            result = real(*arguments)
            if how == "after":
                dead.append(name)
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return result

        return call

    disk = Disk()
    for name in CALLS:
        setattr(disk, name, wrap(name, getattr(disk, name)))
    return disk, calls


@dataclass(frozen=True)
class Growth:
    """A copy of a log, the log as it is now, and what its copy is to hold in the end."""

    copy: Path
    log: Path
    expected: dict[str, bytes]


@pytest.fixture
def growth(tmp_path: Path) -> Growth:
    """A log that grew by new claims, and by a second signature over an old one."""
    book = Logbook().fill(2)
    copy_of(put(tmp_path / "before", book.files()), tmp_path / "copy")
    grown = book.copy()
    name, both = signed_again(grown, 1)
    files = {**grown.fill(4).files(), name: both.to_json()}
    log = put(tmp_path / "log", files)
    return Growth(tmp_path / "copy", log, {**book.files(), **files})


def attempt(growth: Growth, folder: Path, fail: Callable[[int], str | None]) -> list[str]:
    """Copy into a fresh copy of the copy, on a disk that fails; return the calls."""
    shutil.copytree(growth.copy, folder)
    disk, calls = failing(fail)
    with suppress(LostCopyError):
        copy_of(growth.log, folder, disk)
    return calls


def whole(folder: Path) -> bool:
    """Say whether the copy verifies by itself, up to its checkpoint."""
    source = FolderSource(folder)
    note = source.checkpoint()
    tree = verify_checkpoint(note, origin=ORIGIN, log=LOG, policy=None).checkpoint
    return len(list(read_entries(source, 0, tree))) == tree.size


def test_each_write_fails_stored_and_not_stored_and_the_next_run_ends_it(
    growth: Growth, tmp_path: Path
) -> None:
    calls = attempt(growth, tmp_path / "none", lambda _: None)
    assert set(calls) == set(CALLS)
    assert files_of(tmp_path / "none") == growth.expected
    for number, name in enumerate(calls):
        for how in ("before", "after"):
            folder = tmp_path / f"{number}-{how}"
            attempt(growth, folder, {number: how}.get)
            assert size_of(folder) in (2, 4), (number, name, how)
            assert whole(folder), (number, name, how)
            copy_of(growth.log, folder)
            assert files_of(folder) == growth.expected, (number, name, how)
            assert list((folder / ".new").iterdir()) == []
            shutil.rmtree(folder)


def test_the_checkpoint_is_replaced_after_everything_else(growth: Growth, tmp_path: Path) -> None:
    """Only the last rename publishes: whatever fails before it leaves the old tree."""
    calls = attempt(growth, tmp_path / "none", lambda _: None)
    last = max(number for number, name in enumerate(calls) if name == "rename")
    assert "link" not in calls[last:]
    for number, size in ((last - 1, 2), (last, 4)):
        folder = tmp_path / str(number)
        attempt(growth, folder, {number: "after"}.get)
        assert size_of(folder) == size


def test_a_full_disk_is_told_in_words(growth: Growth) -> None:
    class Full(Disk):
        def write_new(self, path: Path, data: bytes) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(LostCopyError, match="No space left on device; the copy stays at its last"):
        copy_of(growth.log, growth.copy, Full())
    assert whole(growth.copy)
    assert size_of(growth.copy) == 2


def test_a_file_that_somebody_else_made_meanwhile_is_compared(tmp_path: Path) -> None:
    class Raced(Disk):
        theirs = b"ours"

        def link(self, temporary: Path, path: Path) -> None:
            path.write_bytes(self.theirs)
            super().link(temporary, path)

    disk = Raced()
    with MirrorFiles(tmp_path, disk) as files:
        files.put("a", b"ours")
        disk.theirs = b"theirs"
        with pytest.raises(DamagedCopyError, match="other bytes"):
            files.put("b", b"ours")
    assert list((tmp_path / ".new").iterdir()) == []


def test_a_folder_that_is_no_longer_held_was_synced(tmp_path: Path) -> None:
    synced: list[str] = []

    class Watched(Disk):
        def sync_folder(self, descriptor: int) -> None:
            synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
            super().sync_folder(descriptor)

    with MirrorFiles(tmp_path, Watched()) as files:
        files.held = 3
        for name in "abcd":
            files.put(f"{name}/file", b"")
        assert {"a", "b"} <= set(synced)
        assert "d" not in synced
        files.sync()
    assert {"a", "b", "c", "d"} <= set(synced)


def test_a_folder_that_cannot_be_locked_is_told(tmp_path: Path) -> None:
    with pytest.raises(LostCopyError, match="cannot write"), locked(tmp_path / "absent"):
        pytest.fail("it was locked")


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    with mirroring(tmp_path, monkeypatch) as somebody:
        yield somebody


class Killer(dict[str, Answer]):
    """Pages of a server that kills who asks, at the question with this number."""

    def __init__(self, pages: dict[str, Answer], at: int) -> None:
        super().__init__(pages)
        self.left = at
        self.process: subprocess.Popen[bytes] | None = None
        self.started = threading.Event()

    def get(self, key: str, default: object = None) -> Any:
        self.left -= 1
        if not self.left:
            self.started.wait(20)
            assert self.process is not None
            self.process.send_signal(signal.SIGKILL)
        return super().get(key, default)


def test_a_mirror_that_is_killed_anywhere_goes_on_where_it_was(mirror: Mirror) -> None:
    book = Logbook().fill(40)
    before: set[str] = set()
    for at in (2, 12, 30):
        pages_of = Killer({**pages(book.files())}, at)
        mirror.place.pages = pages_of
        program = (sys.executable, "-m", "assay.cli", *mirror.arguments("--jobs", 1))
        with subprocess.Popen(program, stdout=subprocess.DEVNULL) as process:
            pages_of.process = process
            pages_of.started.set()
            assert process.wait(60) == -signal.SIGKILL
        assert size_of(mirror.folder) == -1
        found = set(mirror.files())
        assert before <= found
        before = found
    assert any(name.startswith("envelopes/") for name in before)
    mirror.shows(book)
    assert mirror.copy().exit_code == 0
    again = {path.removeprefix("/log/") for path in mirror.place.asked}
    assert {name for name in before if name.startswith("envelopes/")} & again == set()
    assert mirror.files() == book.files()
    assert mirror.check("--strict").exit_code == 0
