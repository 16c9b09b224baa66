"""Where the published bytes of the log lie: tiles, entry bundles, and the newest checkpoint.

The rules of a backend:

1. `put_new` creates. If the path exists, its bytes are compared; other bytes stop everything.
2. When `put_new` or `replace` returns, the bytes and their name are on the disk. If it raises, both
   may be or not be there: the caller ends, and a fresh start writes the same bytes again.
3. After a failed fsync nothing that was read back is believed (the kernel may have dropped the
   page and still answer from memory): the error goes up, nothing is retried here.

Paths are those of `assay.tiles.Tile.path`, and `checkpoint`. The layout of the folder is that of
C2SP tlog-tiles, so any static file server can hand it out.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from django.conf import settings

from assay.errors import UnavailableError
from ledger.errors import LogDamagedError

CHECKPOINT = "checkpoint"


class LogStorage(Protocol):
    """The written contract of a backend; the module's rules hold for each."""

    def put_new(self, path: str, data: bytes) -> None:
        """Create `path`; `LogDamagedError` when it holds other bytes already."""

    def put_all(self, files: Sequence[tuple[str, bytes]]) -> None:
        """Create all of `files`, path and bytes, as `put_new` does each; cheaper together."""

    def replace(self, path: str, data: bytes) -> None:
        """Put `data` in the place of what `path` held, in one step for readers."""

    def get(self, path: str) -> bytes:
        """Return the bytes of `path`; `UnavailableError` when there are none."""

    def room(self) -> int:
        """Return how many bytes can still be written; `OSError` when nothing can."""

    def paths(self) -> Iterator[str]:
        """Yield the path of everything that is stored, in no order."""


def log_storage(place: str = "") -> LogStorage:
    """Return the storage of the log whose files lie at `place` (`Log.place`)."""
    return FolderStorage(settings.LEDGER_DIR / place)


class FolderStorage:
    """A local folder. Names appear by link, which never overwrites; the checkpoint by rename."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put_new(self, path: str, data: bytes) -> None:
        target = self._root / path
        self._make_folder(target.parent)
        # The descriptor is opened before the first write: it keeps the folder's inode, and with it
        # a write error that the kernel would else forget.
        with _folder(target.parent) as folder:
            if not target.exists():
                self._create(target, data)
            elif target.read_bytes() != data:
                raise LogDamagedError(f"{path} exists with other bytes.")
            os.fsync(folder)

    def put_all(self, files: Sequence[tuple[str, bytes]]) -> None:
        for path, data in files:
            self.put_new(path, data)

    def replace(self, path: str, data: bytes) -> None:
        target = self._root / path
        self._make_folder(target.parent)
        with _folder(target.parent) as folder, self._temporary(target, data) as temporary:
            temporary.replace(target)
            os.fsync(folder)

    def get(self, path: str) -> bytes:
        try:
            return (self._root / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise UnavailableError(f"the log holds no {path}") from error

    def room(self) -> int:
        self._make_folder(self._root)
        return shutil.disk_usage(self._root).free

    def paths(self) -> Iterator[str]:
        for path in self._root.rglob("*"):
            if path.is_file():
                yield path.relative_to(self._root).as_posix()

    def _create(self, target: Path, data: bytes) -> None:
        with self._temporary(target, data) as temporary:
            try:
                target.hardlink_to(temporary)
            except FileExistsError:
                if target.read_bytes() != data:
                    raise LogDamagedError(f"{target} exists with other bytes.") from None

    @contextmanager
    def _temporary(self, target: Path, data: bytes) -> Iterator[Path]:
        """Write `data` beside `target`; on the disk before its name can be."""
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    def _make_folder(self, folder: Path) -> None:
        """Make `folder` and those above it, each durable in its parent."""
        if folder.is_dir():
            return
        self._make_folder(folder.parent)
        with _folder(folder.parent) as parent:
            folder.mkdir(exist_ok=True)
            os.fsync(parent)


@contextmanager
def _folder(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
