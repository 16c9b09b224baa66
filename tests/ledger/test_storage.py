"""A file of the log is created once, durable when the call returns, and never changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from assay.errors import UnavailableError
from ledger.errors import LogDamagedError
from ledger.storage import FolderStorage


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "log")


def left_overs(root: Path) -> list[Path]:
    return [path for path in root.rglob(".*") if path.is_file()]


def test_a_file_is_created_once_and_the_same_bytes_may_come_again(
    storage: FolderStorage, tmp_path: Path
) -> None:
    storage.put_new("tile/0/x001/067.p/3", b"bytes")
    storage.put_new("tile/0/x001/067.p/3", b"bytes")
    assert storage.get("tile/0/x001/067.p/3") == b"bytes"
    assert left_overs(tmp_path) == []


def test_other_bytes_under_a_name_stop_everything(storage: FolderStorage) -> None:
    storage.put_new("tile/0/000", b"bytes")
    with pytest.raises(LogDamagedError, match="tile/0/000"):
        storage.put_new("tile/0/000", b"other")
    assert storage.get("tile/0/000") == b"bytes"


@pytest.mark.parametrize(("bytes_there", "refused"), [(b"bytes", False), (b"other", True)])
def test_a_name_that_appears_meanwhile_is_compared(
    storage: FolderStorage, tmp_path: Path, bytes_there: bytes, refused: bool
) -> None:
    target = tmp_path / "log" / "tile"
    storage.put_new("first", b"")
    target.write_bytes(bytes_there)
    if refused:
        with pytest.raises(LogDamagedError):
            storage._create(target, b"bytes")
    else:
        storage._create(target, b"bytes")
    assert target.read_bytes() == bytes_there
    assert left_overs(tmp_path) == []


def test_the_checkpoint_is_replaced_whole(storage: FolderStorage, tmp_path: Path) -> None:
    storage.replace("checkpoint", b"one")
    storage.replace("checkpoint", b"two")
    assert storage.get("checkpoint") == b"two"
    assert left_overs(tmp_path) == []


def test_what_is_not_there_is_unavailable(storage: FolderStorage) -> None:
    with pytest.raises(UnavailableError, match="tile/0/001"):
        storage.get("tile/0/001")
    storage.put_new("tile/0/000", b"")
    with pytest.raises(UnavailableError):
        storage.get("tile/0/000/p")


def test_there_is_room(storage: FolderStorage) -> None:
    assert storage.room() > 0


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_failed_fsync_goes_up_and_leaves_no_temporary_file(
    storage: FolderStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    storage.put_new("tile/0/000", b"")
    real, calls = os.fsync, []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == failing + 1:
            raise OSError(5, "the disk is gone")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="gone"):
        storage.put_new("tile/1/001", b"bytes")
    assert left_overs(tmp_path) == []
    monkeypatch.undo()
    storage.put_new("tile/1/001", b"bytes")
    assert storage.get("tile/1/001") == b"bytes"
