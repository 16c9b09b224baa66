"""Blobs: bytes under their SHA-256, behind four methods over Django's storage named `blobs`.

The rules:

1. A blob's address is its content: `ab/cd/<sha256>`. What a client calls a file touches no path.
2. Bytes are hashed while they stream to a temporary file (SHA-256, and Git's SHA-1 over
   `"blob " + size + NUL + content`); no file is ever whole in memory.
3. A declared digest is compared before anything is visible. A mismatch leaves nothing behind.

Order of writes on a local folder, and what a crash costs after each:

    a. temporary file written            a stray file in `tmp/`, removed by `sweep`
    b. fsync of the file                 the same
    c. rename to the address             COMMIT POINT: whole, or not there at all
    d. fsync of the folder               the rename may be lost with the machine: as after b

Only after (d) does `put` return, and only then is a row written that names the blob. Recovery is
the normal path: put the same bytes again. The rename replaces an older file of the same digest, so
a damaged one is healed by the next upload. On another storage the temporary file is local, and the
commit point is the storage's own `save`; a bucket has `registry.storage_s3`.

Nothing is taken away but by the collector (`registry.services.collection`), which moves a file to
`aside/` first: what turns out to be named after all is moved back.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

from django.conf import settings
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage, storages

from registry.errors import DigestMismatchError, InvalidInputError, UnknownFileError
from registry.hashing import Hashing

if TYPE_CHECKING:
    from registry.storage_s3 import S3Blobs

CHUNK = 2**20
WRITE_BACK = 16 * 2**20
_STRAY_S = 24 * 3600
_HEX = re.compile(r"[0-9a-f]{64}")
Source = bytes | BinaryIO | Iterable[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBlob:
    """What is stored: hex SHA-256, size in bytes, and Git's hex SHA-1 of the same bytes."""

    sha256: str
    size: int
    git_sha1: str


def read_chunks(stream: BinaryIO) -> Iterator[bytes]:
    """Yield what is left of `stream` in pieces of at most 1 MiB."""
    while chunk := stream.read(CHUNK):
        yield chunk


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make `folder` and its missing parents durably."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


class TemporaryFile:
    """A new file that is renamed into place or removed: `with TemporaryFile(folder) as file`."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self.path = folder / f".{secrets.token_hex(12)}"

    def __enter__(self) -> TemporaryFile:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        self.file = os.fdopen(os.open(self.path, flags, 0o600), "wb")
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.path.unlink(missing_ok=True)

    def rename(self, target: Path, mode: int | None = None, *, durable: bool = True) -> None:
        """Make the bytes durable, then visible as `target` in the same file system.

        Without `durable` they are visible to all, and may be lost with the machine.
        """
        self.file.flush()
        if durable:
            os.fsync(self.file.fileno())
        if mode is not None:
            os.fchmod(self.file.fileno(), mode)
        make_folder(target.parent)
        self.path.replace(target)
        if durable:
            sync_folder(target.parent)


def blob_path(sha256: str) -> str:
    """Return the address of a blob; UnknownFileError for what is no digest."""
    if _HEX.fullmatch(sha256) is None:
        raise UnknownFileError("A digest is 64 lower-case hex digits.", sha256=sha256[:80])
    return f"{sha256[:2]}/{sha256[2:4]}/{sha256}"


def as_chunks(source: Source) -> tuple[Iterable[bytes], int | None]:
    """Return the pieces of `source` and its size where that can be known beforehand."""
    if isinstance(source, bytes):
        return (source,), len(source)
    if not hasattr(source, "read"):
        return source, None
    stream = cast(BinaryIO, source)
    size = None
    if stream.seekable():
        here = stream.tell()
        size = stream.seek(0, os.SEEK_END) - here
        stream.seek(here)
    return read_chunks(stream), size


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What lies in the storage: hex SHA-256, and when it was written (POSIX seconds)."""

    sha256: str
    written_at: float


class BlobStore(Protocol):
    """What the services ask of a storage of blobs."""

    def put(
        self, source: Source, expected_sha256: str | None = None, *, size: int | None = None
    ) -> StoredBlob: ...

    def open(self, sha256: str) -> BinaryIO: ...

    def exists(self, sha256: str) -> bool: ...

    def delete(self, sha256: str) -> None: ...

    def sweep(self) -> int: ...

    def walk(self) -> Iterator[Found]: ...

    def set_aside(self, sha256: str) -> None: ...

    def put_back(self, sha256: str) -> None: ...

    def drop_aside(self, sha256: str) -> None: ...

    def walk_aside(self) -> Iterator[str]: ...


class Blobs:
    """The blob storage. `put` is durable when it returns; `open` gives a seekable stream.

    `place`, such as `tensors/`, leads to blobs that are kept apart from all others.
    """

    def __init__(self, storage: Storage, place: str = "") -> None:
        self._storage = storage
        self._place = place
        # Anything but a plain folder decides itself what a finished write is.
        self._folder = Path(storage.location) if isinstance(storage, FileSystemStorage) else None

    def put(
        self, source: Source, expected_sha256: str | None = None, *, size: int | None = None
    ) -> StoredBlob:
        """Store `source` (bytes, a binary stream, or chunks) under its SHA-256.

        `size` may be given for chunks whose total is known; without it Git's SHA-1, which starts
        with the size, costs a second reading of the temporary file.

        Raises:
            DigestMismatchError: the bytes do not hash to `expected_sha256`; nothing is stored.
            InvalidInputError: there are more or fewer bytes than `size`; nothing is stored.
        """
        chunks, known = as_chunks(source)
        size = known if size is None else size
        with TemporaryFile(self._temporary()) as temporary:
            stored = write_hashed(chunks, temporary, size)
            check_digest(stored, expected_sha256)
            self._publish(temporary, stored.sha256)
        return stored

    def open(self, sha256: str) -> BinaryIO:
        """Return a binary stream of the blob.

        Raises:
            UnknownFileError: there is none.
        """
        try:
            file = self._storage.open(self._place + blob_path(sha256), "rb")
        except FileNotFoundError:
            raise UnknownFileError("No content has this digest.", sha256=sha256) from None
        return cast(BinaryIO, file)

    def exists(self, sha256: str) -> bool:
        """Tell whether the blob is stored."""
        return self._storage.exists(self._place + blob_path(sha256))

    def delete(self, sha256: str) -> None:
        """Remove the blob; nothing happens when there is none."""
        self._storage.delete(self._place + blob_path(sha256))

    def sweep(self) -> int:
        """Remove temporary files that a crash left more than a day ago; return how many."""
        return sweep_strays(self._temporary())

    # -------------------------------------------------------------- for the collector alone

    def walk(self) -> Iterator[Found]:
        """Yield every blob that is stored, in no order; on a storage that is no folder, nothing."""
        if self._folder is None:
            return
        for path in (self._folder / self._place).glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*"):
            with contextlib.suppress(FileNotFoundError):  # collected, or replaced, just now
                if _HEX.fullmatch(path.name):
                    yield Found(sha256=path.name, written_at=path.stat().st_mtime)

    def set_aside(self, sha256: str) -> None:
        """Take a blob out of sight; nothing happens when there is none."""
        if self._folder is None:
            self.delete(sha256)
            return
        target = self._aside(sha256)
        make_folder(target.parent)
        with contextlib.suppress(FileNotFoundError):
            (self._folder / self._place / blob_path(sha256)).replace(target)

    def put_back(self, sha256: str) -> None:
        """Bring a blob back that was set aside, unless it has been stored anew."""
        if self._folder is None:
            return
        place = self._folder / self._place / blob_path(sha256)
        make_folder(place.parent)
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            place.hardlink_to(self._aside(sha256))
            sync_folder(place.parent)
        self.drop_aside(sha256)

    def drop_aside(self, sha256: str) -> None:
        """Remove a blob that was set aside, for good."""
        if self._folder is not None:
            self._aside(sha256).unlink(missing_ok=True)

    def walk_aside(self) -> Iterator[str]:
        """Yield what was set aside and neither removed nor put back: a collector ended there."""
        if self._folder is not None:
            for path in (self._folder / self._place / "aside").glob("*"):
                if _HEX.fullmatch(path.name):
                    yield path.name

    def _aside(self, sha256: str) -> Path:
        blob_path(sha256)  # a digest and nothing else
        return Path(self._folder or "") / self._place / "aside" / sha256

    def _temporary(self) -> Path:
        if self._folder is not None:
            return self._folder / "tmp"
        return Path(settings.UPLOADS_DIR) / "tmp"

    def _publish(self, temporary: TemporaryFile, sha256: str) -> None:
        name = self._place + blob_path(sha256)
        if self._folder is not None:
            mode = getattr(self._storage, "file_permissions_mode", None)
            temporary.rename(self._folder / name, mode)
            return
        if self._storage.exists(name):
            return
        temporary.file.flush()
        with temporary.path.open("rb") as stream:
            saved = self._storage.save(name, File(stream))
        if saved != name:  # somebody stored the same bytes meanwhile, and this is a second copy
            self._storage.delete(saved)


def sweep_strays(folder: Path) -> int:
    """Remove hidden files in `folder` that are older than a day; return how many."""
    removed = 0
    for path in folder.glob(".*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > _STRAY_S:
                path.unlink()
                removed += 1
    return removed


def write_hashed(chunks: Iterable[bytes], temporary: TemporaryFile, size: int | None) -> StoredBlob:
    """Write `chunks`, `size` bytes where that is known, and hash them on the way.

    Raises:
        InvalidInputError: there are more or fewer bytes than `size`.
    """
    sha256, git, written, begun = hashlib.sha256(), git_state(size or 0), 0, 0
    with Hashing(sha256) if size is None else Hashing(sha256, git) as hashing:
        for chunk in chunks:
            hashing.update(chunk)
            temporary.file.write(chunk)
            written += len(chunk)
            if written - begun >= WRITE_BACK:
                _write_back(temporary, begun, written - begun)
                begun = written
            if size is not None and written > size:
                break
    if size is not None and written != size:
        raise InvalidInputError(
            "The content has another length than it should.", expected=size, found=written
        )
    if size is None and written:
        temporary.file.flush()
        git = git_state(written)
        with temporary.path.open("rb") as stream:
            for chunk in read_chunks(stream):
                git.update(chunk)
    return StoredBlob(sha256=sha256.hexdigest(), size=written, git_sha1=git.hexdigest())


def _write_back(temporary: TemporaryFile, first: int, count: int) -> None:
    """Let the disk begin with these bytes now, so that less is left for the `fsync` at the end."""
    temporary.file.flush()
    os.posix_fadvise(temporary.file.fileno(), first, count, os.POSIX_FADV_DONTNEED)


def check_digest(stored: StoredBlob, expected: str | None) -> None:
    """Raise DigestMismatchError, with both, when another digest was declared."""
    if expected is not None and stored.sha256 != expected:
        raise DigestMismatchError(
            "The bytes are not those that were declared.", expected=expected, found=stored.sha256
        )


def git_state(size: int) -> hashlib._Hash:
    """Return the SHA-1 of a Git blob of `size` bytes, before its first byte."""
    # Git's name for the file, which stock clients recompute; nothing here relies on its strength.
    return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)


def blobs(place: str = "") -> BlobStore:
    """Return the blob storage that the settings name, or the part of it that is `place`."""
    store = bucket(place)
    return Blobs(storages["blobs"], place) if store is None else store


def bucket(place: str = "") -> S3Blobs | None:
    """Return the blob storage when it is a bucket, else None."""
    if not settings.BLOBS_STORAGE:
        return None
    from registry.storage_s3 import open_bucket  # boto3 takes a second, and few need it

    return open_bucket(place)
