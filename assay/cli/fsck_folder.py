"""What else lies in a log's folder: old partial tiles, pins, what an interrupted copy left behind.

A folder may hold more than its tree needs. Whatever overlaps with the tree must agree with it:
an older partial tile has the first hashes of the wider one, and nothing after them. What does not
overlap is signed by nobody; it is named, and that is all that can be said about it.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from assay.cli.rounds import Task, verify_view
from assay.cli.source import CHECKPOINT, ENVELOPES, FolderSource
from assay.digests import is_sha256
from assay.errors import FormatError, MisuseError, UnavailableError, VerificationError
from assay.limits import LIMITS
from assay.logdata import read_tile, width_at
from assay.note import VKey
from assay.policy import parse_policy, parse_trusted_root
from assay.tiles import parse_path
from assay.verify import parse_keys

PINS = ".well-known/assay"
ROOT, POLICY, KEYS = _PINNED = "trusted_root.json", "witness-policy.txt", "keys.json"
LOCK, NEW, TARGET = ".lock", ".new", ".target"
SHOWN = 20


class Digests:
    """Which envelopes the log names: 8 bytes of each digest, to recognise a surplus file by.

    Two digests with the same 8 bytes hide one surplus file among 10^12; no check depends on it.
    """

    def __init__(self) -> None:
        self._heads = array("Q")
        self._sorted = True

    def add(self, digest: bytes) -> None:
        """Take in a 32-byte digest."""
        self._heads.append(int.from_bytes(digest[:8], "big"))
        self._sorted = False

    def __contains__(self, digest: bytes) -> bool:
        if not self._sorted:
            self._heads = array("Q", sorted(self._heads))
            self._sorted = True
        head = int.from_bytes(digest[:8], "big")
        at = bisect_left(self._heads, head)
        return at < len(self._heads) and self._heads[at] == head


@dataclass(slots=True, kw_only=True)
class Extras:
    """What was found beside the tree: files that agree with it, and files that nobody signed."""

    agreeing: int = 0
    surplus: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        """Count a file that nobody signed; the first few are named."""
        self.surplus += 1
        if len(self.names) < SHOWN:
            self.names.append(name)


def check_folder(source: FolderSource, size: int, task: Task, claimed: Digests) -> Extras:
    """Check what lies beside the files of the tree of `size` leaves, which were checked before.

    Raises:
        VerificationError: a file contradicts the tree, or the pins are of another log.
        FormatError: a partial tile of another width, or pins that are none.
        UnavailableError: something cannot be read.
    """
    extras = Extras()
    for name in _names(source.folder, ""):
        folder, _, last = name.rpartition("/")
        if name in (CHECKPOINT, LOCK) or folder == NEW:
            continue
        if folder == ENVELOPES and is_sha256(last):
            if bytes.fromhex(last) not in claimed:
                extras.add(name)
        elif name == TARGET:
            verify_view(task, source.get(name, LIMITS.note))
        elif folder == PINS and last in _PINNED:
            _check_pin(name, source.get(name, LIMITS.trusted_root), task.log)
        else:
            _check_tile(source, name, size, extras)
    extras.names.sort()
    return extras


def _names(folder: Path, prefix: str) -> Iterator[str]:
    """Yield the path of each file, and of each link, in no order; links are not followed."""
    try:
        with os.scandir(folder) as items:
            for item in items:
                name = f"{prefix}{item.name}"
                if item.is_dir(follow_symlinks=False):
                    yield from _names(folder / item.name, f"{name}/")
                else:
                    yield name
    except OSError as error:
        raise UnavailableError(f"cannot read {folder}: {error.strerror}") from error


def _check_pin(name: str, data: bytes, log: VKey) -> None:
    """Check that a stranger who starts from these pins comes to this log."""
    try:
        if name.endswith(ROOT):
            if log not in [known.vkey for known in parse_trusted_root(data).logs]:
                raise VerificationError(f"the trusted root does not name the log {log}")
        elif name.endswith(POLICY):
            logs = parse_policy(data).logs
            if logs and log not in [known.vkey for known in logs]:
                raise VerificationError(f"the policy does not name the log {log}")
        else:
            parse_keys(data)
    except (FormatError, MisuseError, VerificationError) as error:
        raise VerificationError(f"{name}: {error}") from error


def _check_tile(source: FolderSource, name: str, size: int, extras: Extras) -> None:
    try:
        tile = parse_path(name)
    except FormatError:
        extras.add(name)
        return
    try:
        width = width_at(size, tile.level, tile.index)
    except MisuseError:
        extras.add(name)
        return
    if width == tile.width:  # checked with the tree
        return
    wide = replace(tile, width=width)
    count = min(tile.width, width)
    if read_tile(source, tile)[:count] != read_tile(source, wide)[:count]:
        raise VerificationError(f"{name} holds something else than {wide.path}")
    extras.agreeing += 1
