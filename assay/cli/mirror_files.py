"""The folder of a copy: files that are created once, and a checkpoint that is replaced.

The rules:

1. `put` creates. A file is written under a temporary name, synced, and linked to its own name, so
   it is there whole or not at all. If the name is taken its bytes are compared; other bytes are
   `DamagedCopyError`, and nothing is written over them.
2. `replace` is for the three things that may change: the checkpoint, pins, and an envelope that
   gains a signature. The new file takes the old one's place in one step.
3. A name lasts when its folder was synced. `sync` does that for every folder that was touched, and
   `publish` calls it before it replaces the checkpoint: **that rename is the commit point.**
4. After an error of the disk nothing that it says is believed: `LostCopyError` ends the run. A
   fresh one finds each file there or not, and does what is missing.

A crash costs temporaries under `.new/`, swept at the next start, and files above the checkpoint,
which the next run finds and checks instead of loading them again.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from assay.cli.fsck_folder import LOCK, NEW
from assay.cli.source import CHECKPOINT, FolderSource
from assay.errors import FormatError, MissingError, UnavailableError, VerificationError
from assay.limits import LIMITS

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class LostCopyError(UnavailableError):
    """The folder cannot be written; what it holds is still its last checkpoint's log."""


class DamagedCopyError(VerificationError):
    """A file of the folder is not what it was when it was written."""


class Disk:
    """The calls that change the folder, one method each. Each may fail, and may have happened."""

    def make_folder(self, path: Path) -> None:
        """Make a folder, or find it there; lasts when the folder above was synced."""
        path.mkdir(exist_ok=True)

    def write_new(self, path: Path, data: bytes) -> None:
        """Create a file; its content lasts when this returns, its name does not."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def link(self, temporary: Path, path: Path) -> None:
        """Give a file a second name; `FileExistsError` when it is taken."""
        os.link(temporary, path)

    def rename(self, temporary: Path, path: Path) -> None:
        """Put a file in the place of another."""
        temporary.rename(path)

    def remove(self, path: Path) -> None:
        """Remove a temporary name, if it is there."""
        path.unlink(missing_ok=True)

    def sync_folder(self, descriptor: int) -> None:
        """Make the names in an open folder last."""
        os.fsync(descriptor)


class MirrorFiles:
    """The files of one copy; `put` and `replace` may be called by several threads."""

    held = 64  # open folders: a lost write error is told to those who hold the folder open

    def __init__(self, root: Path, disk: Disk | None = None) -> None:
        self.root = root
        self.source = FolderSource(root)
        self._disk = disk or Disk()
        self._folders: OrderedDict[Path, int] = OrderedDict()
        self._guard = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._folders.values():
            os.close(descriptor)
        self._folders.clear()

    def read(self, name: str, limit: int) -> bytes | None:
        """Return the file `name`, None if it is not there.

        Raises:
            DamagedCopyError: it is longer than it can be.
            UnavailableError: it cannot be read.
        """
        try:
            return self.source.get(name, limit)
        except MissingError:
            return None
        except FormatError as error:
            raise DamagedCopyError(str(error)) from error

    def sweep(self) -> None:
        """Remove the temporaries of runs that were killed."""
        with self._told(NEW):
            folder = self.root / NEW
            self._touch(folder)
            for path in folder.iterdir():
                self._disk.remove(path)

    def touch(self, name: str) -> None:
        """Make the folder `name` if it is absent, and have it synced; raises LostCopyError."""
        with self._told(name):
            self._touch(self.root / name)

    def put(self, name: str, data: bytes, *, new: bool = False) -> None:
        """Create the file `name`, or find it there with the same bytes.

        `new` says that it was not there a moment ago, which saves a look.

        Raises:
            DamagedCopyError: it holds other bytes.
            LostCopyError: it cannot be written.
        """
        path = self.root / name
        with self._told(name):
            self._touch(path.parent)
            if not new and self._is_there(name, data):
                return
            with self._temporary(data) as temporary, suppress(FileExistsError):
                self._disk.link(temporary, path)
                return
            self._is_there(name, data)

    def replace(self, name: str, data: bytes) -> None:
        """Put `data` in the place of what `name` held; raises LostCopyError."""
        with self._told(name):
            self._touch((self.root / name).parent)
            with self._temporary(data) as temporary:
                self._disk.rename(temporary, self.root / name)

    def sync(self) -> None:
        """Make all names last that were written, or relied on, since this was opened."""
        with self._told("."), self._guard:
            for descriptor in self._folders.values():
                self._disk.sync_folder(descriptor)

    def publish(self, note: bytes) -> None:
        """Make everything last, then replace the checkpoint; durable when this returns."""
        self.sync()
        self.replace(CHECKPOINT, note)
        self.sync()

    def _is_there(self, name: str, data: bytes) -> bool:
        found = self.read(name, max(len(data), LIMITS.bundle))
        if found is not None and found != data:
            raise DamagedCopyError(
                f"{self.root / name} holds other bytes than the log; no file of a copy is written "
                "over: find out who is right before you move it away"
            )
        return found is not None

    @contextmanager
    def _temporary(self, data: bytes) -> Iterator[Path]:
        path = self.root / NEW / secrets.token_hex(16)
        self._touch(path.parent)
        self._disk.write_new(path, data)
        yield path
        self._disk.remove(path)

    def _touch(self, folder: Path) -> None:
        """Open a folder, made if it is absent, to sync it later; those above it as well."""
        with self._guard:
            self._open(folder)

    def _open(self, folder: Path) -> None:
        if folder in self._folders:
            self._folders.move_to_end(folder)
            return
        if folder != self.root:
            self._open(folder.parent)
            self._disk.make_folder(folder)
        self._folders[folder] = os.open(folder, _FOLDER)
        if len(self._folders) > self.held:
            _, descriptor = self._folders.popitem(last=False)
            try:
                self._disk.sync_folder(descriptor)
            finally:
                os.close(descriptor)

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise LostCopyError(
                f"cannot write {self.root / name}: {error.strerror or error}; the copy stays at "
                "its last checkpoint: mend that and run again"
            ) from error


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keep other mirrors out of the folder.

    Raises:
        UnavailableError: another one is at work there.
        LostCopyError: the folder cannot be written.
    """
    try:
        descriptor = os.open(root / LOCK, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise LostCopyError(f"cannot write {root}: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UnavailableError(f"another mirror is at work on {root}") from error
        yield
    finally:
        os.close(descriptor)
