"""Where a log's files come from: a folder, or an http(s) address. Nothing here is checked.

A source tells what is *answered* to be absent (`MissingError`: no such file; status 404 or 410)
from what it could not get (`UnavailableError`: anything else). Sizes and times are bounded.
"""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from assay.digests import SHA256_BYTES
from assay.errors import FormatError, MissingError, MisuseError, UnavailableError
from assay.fetch import TIMEOUT_S, Session
from assay.limits import LIMITS
from assay.tiles import Tile

CHECKPOINT = "checkpoint"
ENVELOPES = "envelopes"
MOUNT = "log"
_SURPLUS = 2**12


class Source(ABC):
    """A log's files, by the names that they have under its prefix; a context manager."""

    def checkpoint(self) -> bytes:
        """Return the newest signed checkpoint; raises as `get`."""
        return self.get(CHECKPOINT, LIMITS.note)

    def tile(self, tile: Tile) -> bytes:
        """Return the bytes of a tile or an entry bundle; raises as `get`."""
        return self.get(tile.path, max_bytes(tile))

    def envelope(self, pae_sha256: bytes) -> bytes:
        """Return the JSON of the envelope stored under this 32-byte digest; raises as `get`."""
        return self.get(f"{ENVELOPES}/{pae_sha256.hex()}", LIMITS.bundle)

    @abstractmethod
    def get(self, name: str, limit: int) -> bytes:
        """Return the file `name`, at most `limit` bytes.

        Raises:
            MissingError: the answer is that there is no such file.
            UnavailableError: it cannot be had, or is longer.
            FormatError: it is longer, in a folder.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class FolderSource(Source):
    """The files of a folder, such as a mirror's; what is too long there is damage."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, name: str, limit: int) -> bytes:
        """Return the file `name` of the folder."""
        path = self.folder / name
        try:
            # Not to wait for whoever may write to a pipe that stands in a file's place.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                data = _read(descriptor, path, limit + 1)
            finally:
                os.close(descriptor)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingError(f"there is no {path}") from error
        except OSError as error:
            raise UnavailableError(f"cannot read {path}: {error.strerror}") from error
        if len(data) > limit:
            raise FormatError(f"{path} is longer than {limit} bytes")
        return data

    def close(self) -> None:
        """Do nothing: each file is closed when it is read."""


def _read(descriptor: int, path: Path, count: int) -> bytes:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise UnavailableError(f"{path} is no regular file")
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(count)


class HttpSource(Source):
    """The files under an address. One without a path is a site's, with its log under `/log`.

    A site that serves a mirror's folder at its root is found too: where there is no
    `/log/checkpoint`, the checkpoint is asked for beside it.
    """

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._session = Session(url, timeout_s=timeout_s)
        self._prefix = "" if urlsplit(url).path.strip("/") else None

    def checkpoint(self) -> bytes:
        """Return the newest signed checkpoint."""
        return self._settle() if self._prefix is None else super().checkpoint()

    def get(self, name: str, limit: int) -> bytes:
        """Return what the address answers for `name`."""
        if self._prefix is None:
            self._settle()
        return self._session.get(f"{self._prefix}{name}", limit=limit)

    def _settle(self) -> bytes:
        """Find out where the log of a site is; return its checkpoint."""
        mounted = f"{MOUNT}/"
        try:
            note = self._session.get(f"{mounted}{CHECKPOINT}", limit=LIMITS.note)
        except MissingError as absent:
            try:
                note = self._session.get(CHECKPOINT, limit=LIMITS.note)
            except MissingError:
                raise absent from None
            mounted = ""
        self._prefix = mounted
        return note

    def close(self) -> None:
        """End all connections."""
        self._session.close()


def max_bytes(tile: Tile) -> int:
    """Return how much to read of the file of `tile`.

    More than it can hold: a few bytes too many are for the parser to name, a stream without end is
    no answer.
    """
    item = SHA256_BYTES if tile.level is not None else 2 + LIMITS.entry
    return tile.width * item + _SURPLUS


def open_source(where: str) -> Source:
    """Return the source of a log's files: a site or a log's address, or a folder.

    Nothing is asked for before a file is.

    Raises:
        MisuseError: not an http(s) URL, and no folder.
    """
    if "://" in where:
        return HttpSource(where)
    folder = Path(where)
    if not folder.is_dir():
        raise MisuseError(f"{where!r} is neither a folder nor an http(s) URL")
    return FolderSource(folder)
