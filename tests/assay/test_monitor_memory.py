"""What a monitor remembers survives, never goes back, and is not believed when it is damaged."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from assay.cli.remember import FileMemory, LostStateError, Memory, keep_evidence
from assay.digests import sha256_hex
from tests.assay.views import LOG, ORIGIN, note_over, numbered, view

NAME = sha256_hex(ORIGIN.encode())
FIVE, SEVEN, NINE = (view(numbered(size)) for size in (5, 7, 9))


@pytest.fixture
def memory(tmp_path: Path) -> FileMemory:
    return FileMemory(tmp_path / "a" / "b", ORIGIN, LOG)


def test_nothing_is_remembered_at_first_and_reading_makes_no_file(
    memory: FileMemory, tmp_path: Path
) -> None:
    assert memory.load() == Memory()
    assert memory.load().known == ()
    assert memory.load().next == 0
    assert list(tmp_path.iterdir()) == []


def test_what_was_seen_and_what_was_checked_come_back(memory: FileMemory, tmp_path: Path) -> None:
    first = Memory(seen=FIVE, seen_to=2)
    assert memory.swap(Memory(), first)
    assert memory.load() == first
    assert memory.load().next == 2
    assert memory.swap(first, Memory(checked=FIVE))
    assert memory.load() == Memory(checked=FIVE)
    assert memory.load().next == 5
    assert (tmp_path / "a" / "b" / NAME).read_bytes() == FIVE.note
    growing = Memory(checked=FIVE, seen=SEVEN, seen_to=6)
    assert memory.swap(Memory(checked=FIVE), growing)
    assert memory.load() == growing
    assert memory.load().known == (FIVE, SEVEN)


def test_of_two_monitors_the_slower_one_changes_nothing(memory: FileMemory) -> None:
    before = Memory(checked=FIVE)
    assert memory.swap(Memory(), before)
    faster = Memory(checked=FIVE, seen=NINE, seen_to=9)
    assert memory.swap(before, faster)
    assert memory.swap(faster, Memory(checked=NINE))
    for slower in (Memory(checked=FIVE, seen=SEVEN, seen_to=5), Memory(checked=SEVEN)):
        assert not memory.swap(before, slower)
        assert not memory.swap(faster, slower)
    assert not memory.swap(Memory(), Memory(checked=SEVEN))
    assert memory.load() == Memory(checked=NINE)


def test_many_monitors_at_once_end_in_one_history(memory: FileMemory) -> None:
    views = [view(numbered(size)) for size in range(1, 13)]

    def advance() -> None:
        for new in views:
            while True:
                old = memory.load()
                if old.checked and old.checked.checkpoint.size >= new.checkpoint.size:
                    break
                if memory.swap(old, Memory(checked=new)):
                    break

    threads = [threading.Thread(target=advance) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert memory.load() == Memory(checked=views[-1])


def test_a_crash_before_the_rename_costs_a_temporary_file(
    memory: FileMemory, tmp_path: Path
) -> None:
    assert memory.swap(Memory(), Memory(checked=FIVE))
    folder = tmp_path / "a" / "b"
    (folder / f".{NAME}.new").write_bytes(b"half a no")
    assert memory.load() == Memory(checked=FIVE)
    assert memory.swap(Memory(checked=FIVE), Memory(checked=SEVEN))
    assert memory.load() == Memory(checked=SEVEN)
    assert sorted(path.name for path in folder.iterdir()) == [".lock", NAME]


def test_a_monitor_that_dies_lets_go_of_the_folder(memory: FileMemory, tmp_path: Path) -> None:
    program = (
        "import fcntl, os, sys\n"
        "from pathlib import Path\n"
        "folder = Path(sys.argv[1])\n"
        "folder.mkdir(parents=True)\n"
        "fcntl.flock(os.open(folder / '.lock', os.O_WRONLY | os.O_CREAT), fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path / "a" / "b"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        waiting = threading.Thread(target=memory.swap, args=(Memory(), Memory(checked=FIVE)))
        waiting.start()
        assert memory.load() == Memory()
        process.kill()
        waiting.join()
    assert memory.load() == Memory(checked=FIVE)


@pytest.mark.parametrize(
    "files",
    [
        {NAME: b"garbage"},
        {NAME: FIVE.note.replace(b"\n5\n", b"\n4\n")},
        {NAME: note_over(numbered(5), origin="other.example.org")},
        {f"{NAME}.seen": b"{}"},
        {f"{NAME}.seen": json.dumps({"checkpoint": "garbage", "checked": 1}).encode()},
        {
            f"{NAME}.seen": json.dumps(
                {"checkpoint": SEVEN.note.decode(), "checked": "many"}
            ).encode()
        },
    ],
    ids=["garbage", "another size", "another log", "no fields", "no note", "no number"],
)
def test_a_damaged_memory_stops_the_monitor_instead_of_resetting_it(
    memory: FileMemory, tmp_path: Path, files: dict[str, bytes]
) -> None:
    keep_evidence(tmp_path / "a" / "b", files)
    with pytest.raises(LostStateError, match="cannot be used"):
        memory.load()
    with pytest.raises(LostStateError, match="put it aside"):
        memory.swap(Memory(), Memory(checked=NINE))


def test_progress_beyond_the_tree_is_taken_for_the_whole_tree(
    memory: FileMemory, tmp_path: Path
) -> None:
    value = {"checkpoint": FIVE.note.decode(), "checked": 900}
    keep_evidence(tmp_path / "a" / "b", {f"{NAME}.seen": json.dumps(value).encode()})
    assert memory.load().next == 5


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        store = FileMemory(folder, ORIGIN, LOG)
        with pytest.raises(LostStateError):
            store.swap(Memory(), Memory(checked=FIVE))
        with pytest.raises(LostStateError):
            keep_evidence(folder, {"a": b"b"})


def test_a_failed_write_is_not_taken_for_a_memory(memory: FileMemory, tmp_path: Path) -> None:
    assert memory.swap(Memory(), Memory(checked=FIVE))
    (tmp_path / "a" / "b" / f".{NAME}.new").mkdir()
    with pytest.raises(LostStateError):
        memory.swap(Memory(checked=FIVE), Memory(checked=SEVEN))
    assert memory.load() == Memory(checked=FIVE)


def test_the_memory_is_for_its_owner_only(memory: FileMemory, tmp_path: Path) -> None:
    assert memory.swap(Memory(), Memory(checked=FIVE, seen=SEVEN, seen_to=6))
    assert memory.load() == Memory(checked=FIVE, seen=SEVEN, seen_to=6)
    for path in (tmp_path / "a" / "b").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600


def test_the_state_tells_notes_apart_that_are_signed_alike(memory: FileMemory) -> None:
    assert memory.swap(Memory(), Memory(checked=FIVE))
    other = replace(FIVE, note=note_over(numbered(5), extensions=("more",)))
    assert not memory.swap(Memory(checked=other), Memory(checked=SEVEN))
