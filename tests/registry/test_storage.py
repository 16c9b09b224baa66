"""The blob storage: streamed, content-addressed, and never half there."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import InMemoryStorage
from pytest_django import Settings

from registry.errors import DigestMismatchError, InvalidInputError, UnknownFileError
from registry.models import Blob, Holding
from registry.services import contents
from registry.storage import CHUNK, Blobs, blobs
from tests.people import Person

DATA = b"weights " * 1000
SHA256 = hashlib.sha256(DATA).hexdigest()
GIT_SHA1 = hashlib.sha1(b"blob 8000\0" + DATA, usedforsecurity=False).hexdigest()


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _chunks() -> Iterator[bytes]:
    for start in range(0, len(DATA), 999):
        yield DATA[start : start + 999]


@pytest.mark.parametrize(
    "source", [lambda: DATA, lambda: io.BytesIO(DATA), _chunks], ids=["bytes", "stream", "chunks"]
)
def test_a_blob_lies_under_its_digest(source: Callable[[], Any], settings: Settings) -> None:
    stored = blobs().put(source(), SHA256)
    assert (stored.sha256, stored.size, stored.git_sha1) == (SHA256, 8000, GIT_SHA1)
    assert _files(settings.BLOBS_DIR) == [f"{SHA256[:2]}/{SHA256[2:4]}/{SHA256}"]
    with blobs().open(SHA256) as stream:
        stream.seek(8)
        assert stream.read(8) == b"weights "


def test_no_file_is_ever_whole_in_memory() -> None:
    largest = 0

    class Endless(io.RawIOBase):
        """Ten MiB that are made while they are read."""

        left = 10 * 2**20

        def read(self, size: int = -1) -> bytes:
            nonlocal largest
            largest = max(largest, size)
            size = min(size, self.left)
            self.left -= size
            return bytes(size)

    stored = blobs().put(Endless())
    assert (stored.size, largest) == (10 * 2**20, CHUNK)


def test_another_digest_leaves_nothing(settings: Settings) -> None:
    with pytest.raises(DigestMismatchError) as caught:
        blobs().put(DATA, "0" * 64)
    assert caught.value.detail == {"expected": "0" * 64, "found": SHA256}
    with pytest.raises(InvalidInputError):
        blobs().put(_chunks(), size=7999)
    with pytest.raises(InvalidInputError):
        blobs().put(_chunks(), size=8001)
    assert _files(settings.BLOBS_DIR) == []


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "AB" * 32, "0" * 63])
def test_only_a_digest_is_an_address(name: str) -> None:
    with pytest.raises(UnknownFileError):
        blobs().open(name)
    with pytest.raises(UnknownFileError):
        blobs().open("0" * 64)


def test_a_damaged_file_is_healed_by_the_next_upload(settings: Settings) -> None:
    blobs().put(DATA)
    path = settings.BLOBS_DIR / SHA256[:2] / SHA256[2:4] / SHA256
    path.chmod(0o640)
    path.write_bytes(b"damaged")
    blobs().put(DATA)
    assert path.read_bytes() == DATA
    blobs().delete(SHA256)
    assert not blobs().exists(SHA256)


def test_another_storage_gets_the_same_calls(tmp_path: Path, settings: Settings) -> None:
    store = Blobs(InMemoryStorage())
    for _ in range(2):
        assert store.put(_chunks(), SHA256).git_sha1 == GIT_SHA1
    with store.open(SHA256) as stream:
        assert stream.read() == DATA
    assert _files(settings.UPLOADS_DIR) == []
    with pytest.raises(UnknownFileError):
        store.open("0" * 64)


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("done", [False, True], ids=["not-stored", "stored"])
@pytest.mark.parametrize("nth", [0, 1, 2, 3, 4, 5])
def test_a_write_that_fails_leaves_all_or_nothing(
    call: str, done: bool, nth: int, alice: Person, settings: Settings, monkeypatch: Any
) -> None:
    """Each system call fails once before and once after it happened; the next try succeeds."""
    real: Callable[..., Any] = getattr(os, call)
    calls = 0

    def failing(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls - 1 != nth:
            return real(*args)
        if done:
            real(*args)
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing)
        try:
            contents.store(alice.user, DATA)
        except OSError:
            assert not Blob.objects.exists()
            assert not Holding.objects.exists()
    for name in _files(settings.BLOBS_DIR):
        assert (settings.BLOBS_DIR / name).read_bytes() == DATA  # whole, or not there
    assert contents.store(alice.user, DATA).git_sha1 == GIT_SHA1
    assert len(_files(settings.BLOBS_DIR)) == 1


def test_a_stray_file_of_a_crash_is_swept(settings: Settings) -> None:
    folder = settings.BLOBS_DIR / "tmp"
    folder.mkdir(parents=True)
    (folder / ".old").write_bytes(b"half")
    (folder / ".young").write_bytes(b"half")
    os.utime(folder / ".old", (1, 1))
    assert blobs().sweep() == 1
    assert [path.name for path in folder.iterdir()] == [".young"]
