"""Tiles and entry bundles: how a log's hashes and entries are cut into files (C2SP tlog-tiles).

The rules:

1. A tile has 256 hashes, or fewer at the right edge of the tree, where its path names its width. A
   level holds only the hashes of full tiles below.
2. One spelling for each path. A tile has exactly its width in hashes, a bundle exactly its width in
   entries, and nothing after them.
3. Nothing here is trusted: hashes count only once they rebuild a signed root (`TileReader` with
   `merkle.root_from`), entries only once they hash to the tile (`check_entries`).

    parse_path("tile/0/x001/067.p/3") == Tile(level=0, index=1067, width=3)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from assay.digests import SHA256_BYTES
from assay.errors import FormatError, MisuseError, UnavailableError, VerificationError
from assay.limits import LIMITS
from assay.merkle import leaf_hash, node_hash

TILE_WIDTH = 256
TILE_HEIGHT = 8  # a tile spans this many levels of the tree
MAX_INDEX = 2**55  # a tree has fewer than 2^63 leaves
_PATH = re.compile(
    r"tile/(?P<level>entries|[0-9]|[1-5][0-9]|6[0-3])"
    r"/(?P<index>(?:x[0-9]{3}/){0,5}[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One file of the log: `level` 0…63, or None for an entry bundle; `width` 1…256."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The path under the log's prefix, such as `tile/0/x001/067.p/3`."""
        groups = [f"{self.index % 1000:03}"]
        rest = self.index // 1000
        while rest:
            groups.append(f"x{rest % 1000:03}")
            rest //= 1000
        level = "entries" if self.level is None else str(self.level)
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{'/'.join(reversed(groups))}{partial}"

    @property
    def full(self) -> Tile:
        """The same tile once it is full."""
        return replace(self, width=TILE_WIDTH)


def parse_path(path: str) -> Tile:
    """Return the tile that `path` names.

    Raises:
        FormatError: any spelling but the one that `Tile.path` gives.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise FormatError("not the path of a tile")
    level, index, width = match["level"], match["index"], match["width"]
    tile = Tile(
        level=None if level == "entries" else int(level),
        index=int(index.replace("x", "").replace("/", "")),
        width=TILE_WIDTH if width is None else int(width),
    )
    if tile.width > TILE_WIDTH or tile.index >= MAX_INDEX or tile.path != path:
        raise FormatError("not the path of a tile")
    return tile


def new_tiles(old: int, new: int) -> list[Tile]:
    """Return the files that exist at tree size `new` and not at `old`, partial ones included.

    Entry bundles come first, then the levels upward: a file never names what is not yet written.

    Raises:
        MisuseError: `old` is negative or above `new`.
    """
    if not 0 <= old <= new:
        raise MisuseError(f"a log does not grow from {old} to {new}")
    tiles = _new_in_row(None, old, new)
    level = 0
    while new >> (TILE_HEIGHT * level):
        shift = TILE_HEIGHT * level
        tiles += _new_in_row(level, old >> shift, new >> shift)
        level += 1
    return tiles


def _new_in_row(level: int | None, old: int, new: int) -> list[Tile]:
    full, partial = divmod(new, TILE_WIDTH)
    tiles = [Tile(level=level, index=index) for index in range(old // TILE_WIDTH, full)]
    if partial and new > old:
        tiles.append(Tile(level=level, index=full, width=partial))
    return tiles


def tiles_for(size: int) -> list[Tile]:
    """Return every file of a log of `size` entries: bundles, then tiles by level."""
    return new_tiles(0, size)


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """Return the entry bundle: each entry after its length in two bytes, big-endian.

    Raises:
        FormatError: an entry above 65535 bytes.
    """
    if any(len(entry) > LIMITS.entry for entry in entries):
        raise FormatError(f"an entry is at most {LIMITS.entry} bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_entries(data: bytes, width: int) -> list[bytes]:
    """Return the `width` entries of a bundle.

    Raises:
        FormatError: fewer entries, a cut one, or anything after the last.
    """
    entries, position = [], 0
    for _ in range(width):
        start = position + 2
        position = start + int.from_bytes(data[position:start], "big")
        if start > len(data) or position > len(data):
            raise FormatError("the entry bundle ends inside an entry")
        entries.append(data[start:position])
    if position != len(data):
        raise FormatError(f"the entry bundle has more than its {width} entries")
    return entries


def decode_hashes(data: bytes, width: int) -> list[bytes]:
    """Return the `width` hashes, 32 bytes each, of a tile.

    Raises:
        FormatError: another number of bytes.
    """
    if len(data) != width * SHA256_BYTES:
        raise FormatError(f"a tile of width {width} has {width * SHA256_BYTES} bytes")
    return [data[at : at + SHA256_BYTES] for at in range(0, len(data), SHA256_BYTES)]


def check_entries(entries: Sequence[bytes], hashes: Sequence[bytes]) -> None:
    """Check that a bundle's entries are the leaves of the level-0 tile with these hashes.

    Raises:
        VerificationError: another number of entries, or an entry that hashes to another leaf.
    """
    if len(entries) != len(hashes):
        raise VerificationError(
            "bundle and tile differ in width", expected=str(len(hashes)), found=str(len(entries))
        )
    for number, (entry, expected) in enumerate(zip(entries, hashes, strict=True)):
        found = leaf_hash(entry)
        if found != expected:
            raise VerificationError(
                f"entry {number} of the bundle is not the tile's leaf",
                expected=expected.hex(),
                found=found.hex(),
            )


class TileSource(Protocol):
    """Where the bytes of tiles come from: a folder, a bucket, the network."""

    def tile(self, tile: Tile) -> bytes:
        """Return the bytes of `tile`; raises `UnavailableError` when it cannot be had."""


class TileReader:
    """Hashes of complete subtrees, out of the tiles of a log of `size` entries.

    Keeps what it read. Checks the width of a tile and nothing else: whoever uses the hashes
    compares the root that they give with a signed one.
    """

    def __init__(self, source: TileSource, size: int) -> None:
        self._source = source
        self._size = size
        self._hashes: dict[tuple[int, int], list[bytes]] = {}

    def read(self, level: int, index: int) -> bytes:
        """Return the hash of the complete subtree over the 2^`level` leaves number `index`.

        Raises:
            MisuseError: the log has no such complete subtree.
            FormatError: a tile of another width than its path says.
            UnavailableError: neither the partial nor the full tile can be had.
        """
        if level < 0 or index < 0 or (index + 1) << level > self._size:
            raise MisuseError(f"a log of {self._size} entries has no subtree {level}/{index}")
        tile_level, inner = divmod(level, TILE_HEIGHT)
        first = index << inner
        row = self._tile(tile_level, first // TILE_WIDTH)
        at = first % TILE_WIDTH
        hashes = row[at : at + (1 << inner)]
        while len(hashes) > 1:
            hashes = [node_hash(*pair) for pair in zip(hashes[::2], hashes[1::2], strict=True)]
        return hashes[0]

    def _tile(self, level: int, index: int) -> list[bytes]:
        kept = self._hashes.get((level, index))
        if kept is None:
            in_row = self._size >> (TILE_HEIGHT * level)
            width = min(TILE_WIDTH, in_row - index * TILE_WIDTH)
            kept = self._fetch(Tile(level=level, index=index, width=width))
            self._hashes[level, index] = kept
        return kept

    def _fetch(self, tile: Tile) -> list[bytes]:
        try:
            return decode_hashes(self._source.tile(tile), tile.width)
        except UnavailableError:
            if tile.width == TILE_WIDTH:
                raise
        # A log may drop a partial tile once the full one exists.
        return decode_hashes(self._source.tile(tile.full), TILE_WIDTH)[: tile.width]
