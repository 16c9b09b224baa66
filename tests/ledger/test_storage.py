"""A file of the log is created once, durable when the call returns, and never changed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st
from pytest_django import Settings

from assay.errors import MissingError, MisuseError
from ledger.disk import Descriptor, Disk
from ledger.errors import LogDamagedError
from ledger.storage import FolderStorage, Location, log_storage, parse_location

METHODS = sorted(name for name in vars(Disk) if not name.startswith("_"))
FILES = [
    ("tile/entries/000.p/3", b"entries"),
    ("tile/0/000.p/3", b"hashes"),
    ("tile/0/x001/067", b"more hashes"),
]


class DiskFailedError(OSError):
    """The disk said no."""


class Recorder(Disk):
    """A real disk that writes down what it was asked, and may fail at one call."""

    def __init__(self, at: int = -1, *, stored: bool = False) -> None:
        self.calls: list[str] = []
        self.folders: list[tuple[str, int]] = []
        self.at = at
        self.stored = stored

    def _do(self, name: str, action: Callable[[], Any]) -> Any:
        self.calls.append(name)
        if len(self.calls) - 1 != self.at:
            return action()
        if self.stored:
            action()
        raise DiskFailedError(errno.EIO, name)

    def make_folder(self, parent: Descriptor, name: str) -> None:
        self._do("make_folder", lambda: Disk.make_folder(self, parent, name))

    def write_new(self, folder: Descriptor, name: str, data: bytes) -> Descriptor:
        file: Descriptor = self._do("write_new", lambda: Disk.write_new(self, folder, name, data))
        return file

    def sync_file(self, file: Descriptor) -> None:
        self._do("sync_file", lambda: Disk.sync_file(self, file))

    def link(self, source: Descriptor, temporary: str, folder: Descriptor, name: str) -> None:
        self.folders.append(("link", folder.number))
        self._do("link", lambda: Disk.link(self, source, temporary, folder, name))

    def rename(self, source: Descriptor, temporary: str, folder: Descriptor, name: str) -> None:
        self.folders.append(("link", folder.number))
        self._do("rename", lambda: Disk.rename(self, source, temporary, folder, name))

    def remove(self, folder: Descriptor, name: str) -> None:
        self._do("remove", lambda: Disk.remove(self, folder, name))

    def sync_folder(self, folder: Descriptor) -> None:
        self.folders.append(("sync", folder.number))
        self._do("sync_folder", lambda: Disk.sync_folder(self, folder))


def write_everything(storage: FolderStorage) -> None:
    storage.put_all(FILES)
    storage.replace("checkpoint", b"one")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "some" / "log"


@pytest.fixture
def storage(root: Path) -> FolderStorage:
    return FolderStorage(root)


def left_overs(root: Path) -> list[str]:
    return [path for path in FolderStorage(root).paths() if path.startswith(".new/")]


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (numbers, not paths)


def test_a_file_is_created_once_and_the_same_bytes_may_come_again(
    storage: FolderStorage, root: Path
) -> None:
    storage.put_new("tile/0/x001/067.p/3", b"bytes")
    storage.put_new("tile/0/x001/067.p/3", b"bytes")
    assert storage.get("tile/0/x001/067.p/3") == b"bytes"
    assert (root / "tile/0/x001/067.p/3").stat().st_mode & 0o777 == 0o644
    assert left_overs(root) == []


def test_other_bytes_under_a_name_stop_everything(storage: FolderStorage) -> None:
    storage.put_new("tile/0/000", b"bytes")
    with pytest.raises(LogDamagedError, match="tile/0/000 exists with other bytes"):
        storage.put_all([("tile/0/001", b"fine"), ("tile/0/000", b"other")])
    assert storage.get("tile/0/000") == b"bytes"


@pytest.mark.parametrize(("bytes_there", "refused"), [(b"bytes", False), (b"other", True)])
def test_a_name_that_appears_meanwhile_is_compared(
    root: Path, bytes_there: bytes, refused: bool
) -> None:
    class Overtaken(Disk):
        def link(self, source: Descriptor, temporary: str, folder: Descriptor, name: str) -> None:
            (root / "tile").write_bytes(bytes_there)
            super().link(source, temporary, folder, name)

    storage = FolderStorage(root, Overtaken())
    if refused:
        with pytest.raises(LogDamagedError):
            storage.put_new("tile", b"bytes")
    else:
        storage.put_new("tile", b"bytes")
    assert (root / "tile").read_bytes() == bytes_there
    assert left_overs(root) == []


def test_the_same_path_twice_in_one_call_is_compared(storage: FolderStorage) -> None:
    storage.put_all([("tile/0/000", b"bytes"), ("tile/0/000", b"bytes")])
    with pytest.raises(LogDamagedError):
        storage.put_all([("tile/0/001", b"bytes"), ("tile/0/001", b"other")])


def test_a_folder_in_the_place_of_a_file_is_damage_and_so_is_a_file_in_the_place_of_a_folder(
    storage: FolderStorage, root: Path
) -> None:
    (root / "tile/0/000").mkdir(parents=True)
    (root / "tile/1").write_bytes(b"")
    before = open_descriptors()
    with pytest.raises(LogDamagedError, match=r"tile/0/000 exists and is a folder"):
        storage.put_new("tile/0/000", b"bytes")
    with pytest.raises(LogDamagedError, match=r"tile/1 exists and is no folder"):
        storage.put_new("tile/1/000", b"bytes")
    assert open_descriptors() == before


def test_the_checkpoint_is_replaced_whole(storage: FolderStorage, root: Path) -> None:
    storage.replace("checkpoint", b"one")
    storage.replace("checkpoint", b"two")
    assert storage.get("checkpoint") == b"two"
    assert left_overs(root) == []


def test_what_is_not_there_is_missing(storage: FolderStorage) -> None:
    with pytest.raises(MissingError, match="tile/0/001"):
        storage.get("tile/0/001")
    storage.put_new("tile/0/000", b"")
    for path in ("tile/0/000/p", "tile/0"):
        with pytest.raises(MissingError):
            storage.get(path)


# ------------------------------------------------------------------ the order of writes


def test_everything_is_on_the_disk_before_anything_has_a_name(root: Path) -> None:
    disk = Recorder()
    FolderStorage(root, disk).put_all(FILES)
    order = list(dict.fromkeys(name for name in disk.calls if name != "make_folder"))
    assert order == ["write_new", "sync_file", "link", "remove", "sync_folder"]
    last_folder_of_a_file = disk.calls.index("write_new") - 1
    made = [at for at, name in enumerate(disk.calls) if name == "make_folder"]
    assert made[-1] <= last_folder_of_a_file
    assert disk.calls.count("sync_file") == len(FILES)


def test_each_touched_folder_is_synced_once_through_the_descriptor_of_the_write(
    root: Path,
) -> None:
    disk = Recorder()
    storage = FolderStorage(root, disk)
    storage.put_all(FILES)
    linked = [number for what, number in disk.folders if what == "link"]
    synced = [number for what, number in disk.folders if what == "sync"]
    assert set(linked) <= set(synced)
    assert len(synced) == len(set(synced))
    # tmp_path, some, log, tile, entries, 0, 000.p twice, x001
    assert len(synced) == 9
    disk.folders.clear()
    storage.put_all([("tile/0/x001/068", b"a"), ("tile/0/x001/069", b"b")])
    assert [what for what, _ in disk.folders] == ["link", "link", "sync"]
    assert {number for _, number in disk.folders} == {linked[2]}


def test_a_folder_that_a_killed_process_made_is_synced_into_its_parent(root: Path) -> None:
    (root / "tile/0").mkdir(parents=True)
    disk = Recorder()
    FolderStorage(root, disk).put_new("tile/0/000", b"bytes")
    assert disk.calls.count("sync_folder") == 4  # some, log, tile, 0


def test_a_file_that_a_killed_process_linked_is_synced_into_its_folder(root: Path) -> None:
    FolderStorage(root).put_new("tile/0/000", b"bytes")
    disk = Recorder()
    FolderStorage(root, disk).put_new("tile/0/000", b"bytes")
    assert set(disk.calls) == {"sync_folder"}


def test_every_call_of_the_disk_fails_once_and_a_fresh_start_finishes(tmp_path: Path) -> None:
    clean = Recorder()
    write_everything(FolderStorage(tmp_path / "clean", clean))
    assert sorted(set(clean.calls)) == METHODS
    wanted = {path: FolderStorage(tmp_path / "clean").get(path) for path, _ in FILES}
    for at, name in enumerate(clean.calls):
        for stored in (False, True):
            root = tmp_path / f"{at}{stored}"
            storage = FolderStorage(root, Recorder(at, stored=stored))
            with pytest.raises(DiskFailedError, match=name):
                write_everything(storage)
            if name != "remove":
                assert left_overs(root) == []
            fresh = FolderStorage(root)
            fresh.sweep()
            write_everything(fresh)
            assert {path: fresh.get(path) for path, _ in FILES} == wanted
            assert fresh.get("checkpoint") == b"one"
            assert sorted(fresh.paths()) == sorted([*wanted, "checkpoint"])


def test_a_disk_that_takes_a_file_in_pieces_gets_all_of_it(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, bytes(data[:3])))
    storage.put_new("tile/0/000", b"ten bytes.")
    storage.put_new("tile/0/001", b"")
    assert storage.get("tile/0/000") == b"ten bytes."
    assert storage.get("tile/0/001") == b""


def test_a_folder_that_was_moved_away_gets_no_file(storage: FolderStorage, root: Path) -> None:
    """Its descriptor is held; the write must not go where nobody will look."""
    storage.put_new("tile/0/000", b"bytes")
    (root / "tile/0/000").unlink()
    (root / "tile/0").rmdir()
    with pytest.raises(FileNotFoundError):
        storage.put_new("tile/0/001", b"bytes")
    storage.put_new("tile/0/001", b"bytes")  # what was held was let go
    assert storage.get("tile/0/001") == b"bytes"


# ------------------------------------------------------------------ descriptors


def test_descriptors_are_few_and_are_given_back(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FolderStorage, "held", 4)
    before = open_descriptors()
    for number in range(12):
        storage.put_new(f"tile/0/{number:03}.p/1", b"bytes")
        assert open_descriptors() - before <= 4
    storage.replace("checkpoint", b"one")
    with pytest.raises(LogDamagedError):
        storage.put_new("tile/0/001.p/1", b"other")
    assert open_descriptors() == before
    storage.put_new("tile/0/001.p/1", b"bytes")
    assert open_descriptors() > before
    storage.close()
    assert open_descriptors() == before


def test_a_storage_that_nobody_holds_holds_nothing(root: Path) -> None:
    before = open_descriptors()
    FolderStorage(root).put_all(FILES)
    assert open_descriptors() == before


def test_more_files_than_may_be_open_are_written_in_turns(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FolderStorage, "together", 2)
    disk = Recorder()
    FolderStorage(root, disk).put_all(FILES)
    writes = [name for name in disk.calls if name in ("write_new", "sync_file")]
    assert writes == ["write_new", "write_new", "sync_file", "sync_file", "write_new", "sync_file"]
    assert sorted(FolderStorage(root).paths()) == sorted(path for path, _ in FILES)


# ------------------------------------------------------------------ sweeping, listing, room


def test_what_a_killed_writer_left_is_swept_and_nothing_else(
    storage: FolderStorage, root: Path
) -> None:
    assert storage.sweep() == 0
    write_everything(storage)
    left = f".new/{'ab' * 16}"
    for path in (left, ".new/notes.txt", "other/.new/" + "cd" * 16):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")
    assert FolderStorage(root).sweep() == 1
    assert sorted(storage.paths()) == sorted(
        [*(path for path, _ in FILES), "checkpoint", ".new/notes.txt", "other/.new/" + "cd" * 16]
    )


def test_a_link_to_a_folder_is_listed_and_not_followed(storage: FolderStorage, root: Path) -> None:
    storage.put_new("tile/0/000", b"")
    (root / "tile/loop").symlink_to(root)
    assert sorted(storage.paths()) == ["tile/0/000", "tile/loop"]


def test_a_folder_that_cannot_be_read_is_an_error_and_does_not_count_as_empty(
    storage: FolderStorage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(storage.paths()) == []
    storage.put_new("tile/0/000", b"")
    real = os.scandir

    def scandir(path: str) -> Any:
        if str(path).endswith("/0"):
            raise OSError(errno.EIO, "the disk is gone", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(OSError, match="gone"):
        list(storage.paths())


def test_there_is_room_also_before_the_folder_is_there(storage: FolderStorage, root: Path) -> None:
    assert storage.room() > 0
    assert not root.exists()


def statvfs(**values: int) -> Callable[[Path], SimpleNamespace]:
    good = {"f_flag": 0, "f_files": 0, "f_favail": 0, "f_bavail": 7, "f_frsize": 4096}
    return lambda path: SimpleNamespace(**(good | values))


@pytest.mark.parametrize(
    ("values", "room"),
    [
        ({}, 7 * 4096),
        ({"f_bavail": 0}, 0),
        ({"f_files": 10**6, "f_favail": 10**5}, 7 * 4096),
        ({"f_files": 10**6, "f_favail": 3}, 0),
    ],
)
def test_a_full_disk_has_no_room_and_so_has_one_without_inodes(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch, values: dict[str, int], room: int
) -> None:
    monkeypatch.setattr(os, "statvfs", statvfs(**values))
    assert storage.room() == room


def test_a_disk_that_is_mounted_read_only_has_none(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", statvfs(f_flag=os.ST_RDONLY))
    with pytest.raises(OSError, match="cannot be written") as caught:
        storage.room()
    assert caught.value.errno == errno.EROFS


def test_a_folder_of_somebody_else_has_none(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OSError, match="cannot be written"):
        storage.room()


# ------------------------------------------------------------------ the setting


@pytest.mark.parametrize(
    ("text", "bucket", "prefix"),
    [
        ("s3://logs", "logs", ""),
        ("s3://my.logs-1/a", "my.logs-1", "a"),
        ("s3://logs/assay/log_1.x", "logs", "assay/log_1.x"),
    ],
)
def test_a_bucket_is_named_with_its_prefix(text: str, bucket: str, prefix: str) -> None:
    assert parse_location(text) == Location(bucket=bucket, prefix=prefix)
    assert parse_location("") is None


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "logs",
        "/srv/log",
        "file:///srv/log",
        "S3://logs",
        "s3:/logs",
        "s3://",
        "s3:///a",
        "s3://lo",
        "s3://Logs",
        "s3://-logs",
        "s3://logs/",
        "s3://logs//a",
        "s3://logs/a/",
        "s3://logs/../a",
        "s3://logs/./a",
        "s3://logs/a b",
        "s3://logs/a?x=1",
        "s3://logs/a\n",
        "s3://logs\n",
        "s3://logs/ä",
        "s3://user:pw@logs/a",
    ],
)
def test_a_place_with_a_second_spelling_is_refused(text: str) -> None:
    with pytest.raises(MisuseError, match="LEDGER_STORAGE"):
        parse_location(text)


def test_without_the_setting_the_log_lies_in_its_folder(settings: Settings) -> None:
    log_storage("second").put_new("tile/0/000", b"bytes")
    assert (settings.LEDGER_DIR / "second/tile/0/000").read_bytes() == b"bytes"


def test_a_setting_that_is_no_place_is_told(settings: Settings) -> None:
    settings.LEDGER_STORAGE = "s3://logs/"
    with pytest.raises(MisuseError, match="s3://logs/"):
        log_storage()


@pytest.mark.property
@hypothesis_settings(deadline=None, max_examples=50)
@given(st.text(alphabet="s3:/abc.-_ \n", max_size=16))
def test_a_place_is_what_it_prints(text: str) -> None:
    try:
        place = parse_location(text)
    except MisuseError:
        return
    if place is not None:
        assert text == f"s3://{place.bucket}" + (f"/{place.prefix}" if place.prefix else "")
