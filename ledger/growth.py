"""How a log grows, as a pure function: its right edge and new entries give root and files.

    growth = grow(edge, bodies)     # growth.root, growth.files, growth.edge

The edge is all of a tree that later entries can still touch: the entries of the last partial
bundle, and the hashes of the last partial tile of each level. It is at most 255 of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assay.merkle import leaf_hash, root_from, root_of
from assay.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Tile,
    TileReader,
    check_entries,
    decode_entries,
    decode_hashes,
    encode_entries,
    new_tiles,
)
from ledger.storage import LogStorage


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """The right edge of the tree of `size` entries; `rows[l]` are hashes of level l's last tile."""

    size: int
    entries: tuple[bytes, ...]
    rows: tuple[tuple[bytes, ...], ...]

    def tile(self, tile: Tile) -> bytes:
        """Return the bytes of the last partial tile of a level (`assay.tiles.TileSource`)."""
        assert tile.level is not None  # noqa: S101 (a TileReader asks for hashes only)
        return b"".join(self.rows[tile.level])

    @property
    def root(self) -> bytes:
        """The 32-byte root hash."""
        return root_from(self.size, TileReader(self, self.size))


EMPTY = Edge(size=0, entries=(), rows=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """From `old` entries to those of `edge`: the new root, and every file that this creates."""

    old: int
    edge: Edge
    root: bytes
    files: tuple[tuple[Tile, bytes], ...]


def grow(edge: Edge, entries: Sequence[bytes]) -> Growth:
    """Append `entries`, Rekor bodies, to the tree of `edge`; at least one."""
    size = edge.size + len(entries)
    bundle = [*edge.entries, *entries]
    rows = _rows(edge, [leaf_hash(entry) for entry in entries])
    files = []
    for tile in new_tiles(edge.size, size):
        shift = 0 if tile.level is None else TILE_HEIGHT * tile.level
        at = (tile.index - (edge.size >> shift) // TILE_WIDTH) * TILE_WIDTH
        row = bundle if tile.level is None else rows[tile.level]
        part = row[at : at + tile.width]
        files.append((tile, encode_entries(part) if tile.level is None else b"".join(part)))
    grown = Edge(
        size=size,
        entries=_last(bundle),
        rows=tuple(_last(row) for row in rows),
    )
    return Growth(old=edge.size, edge=grown, root=grown.root, files=tuple(files))


def _rows(edge: Edge, leaves: list[bytes]) -> list[list[bytes]]:
    """Return the hashes of each level from the start of its last tile in `edge` on."""
    rows: list[list[bytes]] = []
    new = leaves
    while new or len(rows) < len(edge.rows):
        row = [*(edge.rows[len(rows)] if len(rows) < len(edge.rows) else ()), *new]
        rows.append(row)
        full = len(row) // TILE_WIDTH
        new = [root_of(row[n * TILE_WIDTH : (n + 1) * TILE_WIDTH]) for n in range(full)]
    return rows


def _last(row: list[bytes]) -> tuple[bytes, ...]:
    return tuple(row[len(row) // TILE_WIDTH * TILE_WIDTH :])


def load_edge(storage: LogStorage, size: int) -> Edge:
    """Return the edge of the tree of `size` entries out of its files.

    Raises:
        UnavailableError: a file is missing.
        FormatError: a file has another length.
        VerificationError: bundle and level 0 disagree.
    """
    rows = []
    level = 0
    while size >> (TILE_HEIGHT * level):
        tile = _last_tile(level, size >> (TILE_HEIGHT * level))
        data = storage.get(tile.path) if tile.width else b""
        rows.append(tuple(decode_hashes(data, tile.width)))
        level += 1
    bundle = _last_tile(None, size)
    entries = decode_entries(storage.get(bundle.path), bundle.width) if bundle.width else []
    check_entries(entries, rows[0] if rows else ())
    return Edge(size=size, entries=tuple(entries), rows=tuple(rows))


def _last_tile(level: int | None, in_row: int) -> Tile:
    """Return the partial tile at the end of a row; its width is 0 when the row ends full."""
    return Tile(level=level, index=in_row // TILE_WIDTH, width=in_row % TILE_WIDTH)
