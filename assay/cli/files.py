"""Files of the reader: bounded reading, a model folder as a manifest, a write that lasts."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from assay.errors import MisuseError, UnavailableError, VerificationError
from assay.manifest import Manifest, is_ignored


def read_file(path: Path, limit: int) -> bytes:
    """Return the bytes of `path`, at most `limit`.

    Raises:
        UnavailableError: it cannot be read, or is longer.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > limit:
        raise UnavailableError(f"{path} is longer than {limit} bytes")
    return data


def hash_file(path: Path) -> str:
    """Return the hex SHA-256 of a file of any size.

    Raises:
        UnavailableError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror}") from error


def read_folder(folder: Path) -> Manifest:
    """Hash a model folder.

    Raises:
        MisuseError: not a folder.
        VerificationError: it holds a symbolic link or something else that is no regular file.
        FormatError: a path that a manifest cannot name, or no file.
        UnavailableError: a file cannot be read.
    """
    if not folder.is_dir():
        raise MisuseError(f"{folder} is not a folder")
    pairs = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if is_ignored(name):
            continue
        if path.is_symlink():
            raise VerificationError(f"{name!r} is a symbolic link, which no manifest signs")
        if path.is_dir():
            continue
        if not path.is_file():
            raise VerificationError(f"{name!r} is no regular file")
        pairs.append((name, hash_file(path)))
    return Manifest.from_pairs(pairs)


def write_file(folder: Path, name: str, data: bytes) -> None:
    """Replace a file of `folder`, readable by its owner only; durable when this returns.

    A temporary file is written and synced, renamed onto `name` (the commit point), and the folder
    is synced. A crash before the rename costs a temporary file, which the next write replaces.
    After an `OSError` nothing that the disk says about this file is to be believed.
    """
    temporary = folder / f".{name}.new"
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / name)
    sync_folder(folder)


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it, where they are absent; durable when this returns."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make durable which names are in `folder`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
