"""Where the published bytes of the log lie: tiles, entry bundles, and the newest checkpoint.

The rules of a backend:

1. `put_new` and `put_all` create. If a path exists, its bytes are compared; other bytes stop
   everything.
2. When `put_new`, `put_all` or `replace` returns, the bytes and their names last. If it raises,
   each may be there or not: the caller ends, and a fresh start writes the same bytes again.
3. After a failed fsync nothing that was read back is believed (the kernel may have dropped the
   page and still answer from memory): the error goes up, nothing is retried here.
4. `UnavailableError` means that the storage has answered and holds no such thing. A storage that
   does not answer, or refuses, is an `OSError` (an object store: `StoreError`): that is no damage,
   and passes.

Paths are those of `assay.tiles.Tile.path`, and `checkpoint`: the layout of C2SP tlog-tiles and of
Tessera's POSIX storage, the same in a folder and in a bucket, so any static file server can hand
it out. Beside them lie temporaries under `.new/`, which `sweep` removes.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from django.conf import settings

from assay.errors import MissingError, MisuseError
from ledger.disk import Descriptor, Disk
from ledger.errors import LogDamagedError

CHECKPOINT = "checkpoint"
NEW = ".new"
_TEMPORARY = re.compile(r"\.new/[0-9a-f]{32}")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,200}")


class LogStorage(Protocol):
    """The written contract of a backend; the module's rules hold for each."""

    def put_new(self, path: str, data: bytes) -> None:
        """Create `path`; `LogDamagedError` when it holds other bytes already."""

    def put_all(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Create all of `files`, path and bytes, as `put_new` does each; cheaper together."""

    def replace(self, path: str, data: bytes) -> None:
        """Put `data` in the place of what `path` held, in one step for readers."""

    def get(self, path: str) -> bytes:
        """Return the bytes of `path`; `MissingError` when there are none."""

    def room(self) -> int:
        """Return how many bytes can still be written; `OSError` when nothing can."""

    def paths(self) -> Iterator[str]:
        """Yield the path of everything that is stored, temporaries too, in no order."""

    def sweep(self) -> int:
        """Remove what a killed writer left behind; return how much that was.

        Only for the log's leader, before its first write: a writer that still lives loses its
        temporaries, and with them its next call fails.
        """


class StoreError(OSError):
    """An object store did not do what it was asked, which says nothing about the log.

    `strerror` says what happened and what to do, `filename` is the `s3://` address.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where an object store keeps the logs: the bucket, and a prefix that may be empty."""

    bucket: str
    prefix: str


def parse_location(text: str) -> Location | None:
    """Read the setting `LEDGER_STORAGE`; None for the empty text, which is the local folder.

    Raises:
        MisuseError: anything but `s3://bucket` or `s3://bucket/prefix`, in its one spelling.
    """
    if not text:
        return None
    scheme, _, rest = text.partition("://")
    bucket, *segments = rest.split("/")
    if scheme != "s3" or not _BUCKET.fullmatch(bucket):
        raise MisuseError(
            f"LEDGER_STORAGE {text!r} is not s3://bucket/prefix with the name of an S3 bucket; "
            "leave it empty for the local folder"
        )
    if not all(map(_SEGMENT.fullmatch, segments)):
        raise MisuseError(
            f"LEDGER_STORAGE {text!r}: the prefix is made of letters, digits, '.', '_' and '-' "
            "between single slashes, with none at the end"
        )
    return Location(bucket=bucket, prefix="/".join(segments))


def is_temporary(path: str) -> bool:
    """Tell whether `path` is of a file that its writer had no time to remove."""
    return _TEMPORARY.fullmatch(path) is not None


def log_storage(place: str = "") -> LogStorage:
    """Return the storage of the log whose files lie at `place` (`Log.place`)."""
    location = parse_location(settings.LEDGER_STORAGE)
    if location is None:
        return FolderStorage(settings.LEDGER_DIR / place)
    # Slow to import, and a folder needs none of it.
    from ledger.storage_s3 import open_bucket

    return open_bucket(location, place)


class FolderStorage:
    """A local folder. Names appear by link, which never overwrites; the checkpoint by rename.

    One `put_all` writes in this order: folders that are missing; every temporary; fsync of each;
    the links; the temporaries' names are removed; fsync of each touched folder, once. A crash
    before the last step may take any of the names back, and costs temporaries.

    Each folder is synced through a descriptor that was opened before the first write into it and
    is held on, so that no error can get lost between. A folder that this storage opens for the
    first time is synced into its parent as well: whoever made it may have been killed too early.

    One thread may write; any number may read.
    """

    held = 64  # descriptors of folders
    together = 128  # files that are open at once
    least_inodes = 256

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self._root = root
        self._disk = disk or Disk()
        self._folders: OrderedDict[Path, Descriptor] = OrderedDict()

    def put_new(self, path: str, data: bytes) -> None:
        self.put_all([(path, data)])

    def put_all(self, files: Sequence[tuple[str, bytes]]) -> None:
        rest = iter(files)
        while some := list(islice(rest, self.together)):
            self._put(some)

    def replace(self, path: str, data: bytes) -> None:
        with self._touching() as touched:
            folder = self._folder((self._root / path).parent, touched)
            new = self._new()
            with self._temporaries(new, [data]) as (temporary,):
                self._disk.rename(new, temporary, folder, Path(path).name)

    def get(self, path: str) -> bytes:
        try:
            return (self._root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise MissingError(f"the log holds no {path}") from error

    def room(self) -> int:
        """Return how many bytes the file system still takes, 0 when it is out of inodes.

        Raises:
            OSError: it is mounted read-only, or this process may not write to the folder.
        """
        folder = _existing(self._root)
        found = os.statvfs(folder)
        if found.f_flag & os.ST_RDONLY or not os.access(folder, os.W_OK | os.X_OK):
            raise OSError(errno.EROFS, "the log's folder cannot be written to", str(folder))
        if found.f_files and found.f_favail < self.least_inodes:
            return 0
        return found.f_bavail * found.f_frsize

    def paths(self) -> Iterator[str]:
        if not self._root.is_dir():
            return
        for folder, folders, names in os.walk(self._root, onerror=_raise):
            within = Path(folder)
            # A link to a folder is none of ours, and is not followed: it is told like a file.
            links = [name for name in folders if (within / name).is_symlink()]
            for name in (*names, *links):
                yield (within / name).relative_to(self._root).as_posix()

    def sweep(self) -> int:
        if not (self._root / NEW).is_dir():
            return 0
        with self._touching() as touched:
            new = self._folder(self._root / NEW, touched)
            found = sorted(path.name for path in (self._root / NEW).iterdir())
            names = [name for name in found if is_temporary(f"{NEW}/{name}")]
            for name in names:
                self._disk.remove(new, name)
        return len(names)

    def close(self) -> None:
        """Close the held descriptors; the storage may be used on."""
        for folder in self._folders.values():
            folder.close()
        self._folders.clear()

    # ---------------------------------------------------------------- writing

    def _put(self, files: Sequence[tuple[str, bytes]]) -> None:
        with self._touching() as touched:
            missing = []
            for path, data in files:
                folder = self._folder((self._root / path).parent, touched)
                if not _is_there(folder, path, data):
                    missing.append((folder, path, data))
            if missing:
                self._create(missing, self._new())

    def _create(self, files: list[tuple[Descriptor, str, bytes]], new: Descriptor) -> None:
        with self._temporaries(new, [data for _, _, data in files]) as temporaries:
            for (folder, path, data), temporary in zip(files, temporaries, strict=True):
                try:
                    self._disk.link(new, temporary, folder, Path(path).name)
                except FileExistsError:
                    _is_there(folder, path, data)

    @contextmanager
    def _temporaries(self, new: Descriptor, contents: list[bytes]) -> Iterator[list[str]]:
        """Write `contents` into the folder of temporaries, to the disk before they get a name."""
        names = [secrets.token_hex(16) for _ in contents]
        try:
            files = [
                self._disk.write_new(new, name, data)
                for name, data in zip(names, contents, strict=True)
            ]
            for file in files:
                self._disk.sync_file(file)
            yield names
        except BaseException:
            for name in names:
                with suppress(OSError):  # the first error is the one to tell
                    self._disk.remove(new, name)
            raise
        for name in names:
            self._disk.remove(new, name)

    # ---------------------------------------------------------------- folders

    def _new(self) -> Descriptor:
        """Return the folder of temporaries, which need not last, after another one was opened."""
        return self._folder(self._root / NEW, {})

    @contextmanager
    def _touching(self) -> Iterator[dict[Path, Descriptor]]:
        """Collect the folders that a write touches, and sync them at its end.

        After an error none is held on: what its descriptor would tell was told.
        """
        touched: dict[Path, Descriptor] = {}
        try:
            yield touched
            for folder in touched.values():
                self._disk.sync_folder(folder)
        except BaseException:
            self.close()
            raise
        while len(self._folders) > self.held:
            self._folders.popitem(last=False)[1].close()

    def _folder(self, path: Path, touched: dict[Path, Descriptor]) -> Descriptor:
        """Return the open folder `path`, made where it is missing, and note it as touched."""
        folder = self._folders.get(path)
        if folder is None:
            folder = self._folders[path] = self._open(path, touched)
        self._folders.move_to_end(path)
        touched[path] = folder
        return folder

    def _open(self, path: Path, touched: dict[Path, Descriptor]) -> Descriptor:
        try:
            if path == _existing(self._root.parent):
                return Descriptor(os.open(path, _FOLDER))
            parent = self._folder(path.parent, touched)
            with suppress(FileNotFoundError):
                return Descriptor(os.open(path.name, _FOLDER, dir_fd=parent.number))
            self._disk.make_folder(parent, path.name)
            return Descriptor(os.open(path.name, _FOLDER, dir_fd=parent.number))
        except NotADirectoryError as error:
            raise LogDamagedError(f"{path} exists and is no folder.") from error


def _raise(error: OSError) -> None:
    """Let a folder that cannot be read be an error: it would else count as empty."""
    raise error


def _existing(path: Path) -> Path:
    """Return the nearest folder that exists: `path`, or one above it."""
    while not path.is_dir():
        path = path.parent
    return path


def _is_there(folder: Descriptor, path: str, data: bytes) -> bool:
    """Tell whether `path` is in its `folder` already; `LogDamagedError` if with other bytes."""
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        file = Descriptor(os.open(Path(path).name, flags, dir_fd=folder.number))
        with os.fdopen(file.number, "rb", closefd=False) as opened:
            found = opened.read()
    except FileNotFoundError:
        return False
    except IsADirectoryError as error:
        raise LogDamagedError(f"{path} exists and is a folder.") from error
    if found != data:
        raise LogDamagedError(f"{path} exists with other bytes.")
    return True
