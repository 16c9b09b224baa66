"""What a monitor remembers of a log, and the evidence that it keeps: files that last.

For an origin, in one folder (`<hex>` is the SHA-256 of the origin):

- `<hex>`: the signed checkpoint under which every entry was checked;
- `<hex>.seen`: the newest signed checkpoint that was found consistent with it, and how many of its
  entries were checked so far, as JSON.

The order of writes in a round. Each is a compare-and-swap: with the folder locked the files are
read again, and replaced only if they are what the round began with. Of two monitors in one folder
the slower one changes nothing, reads again and starts over. Each file goes to a temporary one,
fsync, rename, fsync of the folder (`files.write_file`); **the rename is the commit point.**

1. `.seen`, as soon as the new tree was found to begin with the remembered ones, and again after
   each chunk of entries. From now on the log cannot take that tree back, though nothing in it was
   checked yet. A crash after it costs the entries of one chunk, which are checked again.
2. `<hex>`, after all entries. `.seen` is out of date then, and a reader leaves it aside.

Both are the log's own signed words, verified whenever they are read: a damaged file stops the
monitor instead of resetting it. After a failed write nothing that the disk says is believed any
more: `LostStateError` ends the process.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from assay.canonical import as_object, as_text, canonical_json, parse_json
from assay.checkpoint import VerifiedCheckpoint
from assay.cli.files import make_folder, read_file, write_file
from assay.digests import sha256_hex
from assay.errors import AssayError, UnavailableError
from assay.limits import LIMITS
from assay.note import VKey
from assay.policy import verify_checkpoint
from assay.statements.fields import size

_FIELDS = ("checkpoint", "checked")


class LostStateError(UnavailableError):
    """The monitor's own files are damaged, or could not be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is remembered of one log.

    `checked`: every entry under it was checked. `seen`: a larger tree that was seen since, of which
    the entries below `seen_to` were checked. None before the first time.
    """

    checked: VerifiedCheckpoint | None = None
    seen: VerifiedCheckpoint | None = None
    seen_to: int = 0

    @property
    def known(self) -> tuple[VerifiedCheckpoint, ...]:
        """The checkpoints that every later one must extend."""
        return tuple(view for view in (self.checked, self.seen) if view is not None)

    @property
    def next(self) -> int:
        """The first entry that was not checked."""
        return max(self.checked.checkpoint.size if self.checked else 0, self.seen_to)

    @property
    def state(self) -> tuple[bytes, bytes, int]:
        """What is compared before a swap: the notes as they are, and how far."""
        checked = self.checked.note if self.checked else b""
        return checked, self.seen.note if self.seen else b"", self.seen_to


class FileMemory:
    """The files of one log in `folder`, which is made at the first write."""

    def __init__(self, folder: Path, origin: str, log: VKey) -> None:
        self._folder = folder
        self._origin = origin
        self._log = log
        self._name = sha256_hex(origin.encode())

    def load(self) -> Memory:
        """Return what is remembered.

        Raises:
            LostStateError: a file is damaged or cannot be read.
        """
        with _told_as_lost(self._folder / self._name):
            note = self._read(self._name)
            checked = None if note is None else self._verify(note)
        with _told_as_lost(self._folder / self._seen_name):
            data = self._read(self._seen_name)
            if data is None:
                return Memory(checked=checked)
            value = as_object(parse_json(data, path="seen"), "seen", required=_FIELDS)
            seen = self._verify(as_text(value["checkpoint"], "checkpoint").encode("utf-8"))
            seen_to = size(value["checked"], "checked")
        if checked is not None and seen.checkpoint.size <= checked.checkpoint.size:
            return Memory(checked=checked)
        return Memory(checked=checked, seen=seen, seen_to=min(seen_to, seen.checkpoint.size))

    def swap(self, old: Memory, new: Memory) -> bool:
        """Remember `new` if `old` still is what is remembered; durable when this returns True.

        Raises:
            LostStateError: a file is damaged or cannot be written.
        """
        with self._locked():
            if self.load().state != old.state:
                return False
            if new.seen is not None:
                value = {"checkpoint": new.seen.note.decode("utf-8"), "checked": new.seen_to}
                write_file(self._folder, self._seen_name, canonical_json(value))
            if new.checked is not None and new.state[0] != old.state[0]:
                write_file(self._folder, self._name, new.checked.note)
            return True

    @property
    def _seen_name(self) -> str:
        return f"{self._name}.seen"

    def _read(self, name: str) -> bytes | None:
        path = self._folder / name
        return read_file(path, LIMITS.bundle) if path.exists() else None

    def _verify(self, note: bytes) -> VerifiedCheckpoint:
        return verify_checkpoint(note, origin=self._origin, log=self._log, policy=None)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other monitors out while a file is compared and written."""
        with _told_as_lost(self._folder):
            make_folder(self._folder)
            descriptor = os.open(self._folder / ".lock", os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
            finally:
                os.close(descriptor)


@contextmanager
def _told_as_lost(path: Path) -> Iterator[None]:
    try:
        yield
    except LostStateError:
        raise
    except (AssayError, OSError) as error:
        raise LostStateError(
            f"the monitor's memory {path} cannot be used: {error}; "
            "put it aside to start anew, and ask why"
        ) from error


def keep_evidence(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write evidence, by file name, and return the paths; durable when this returns.

    Raises:
        LostStateError: it cannot be written.
    """
    with _told_as_lost(folder):
        make_folder(folder)
        for name, data in files.items():
            write_file(folder, name, data)
    return [folder / name for name in files]
