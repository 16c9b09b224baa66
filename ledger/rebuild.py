"""What the rows of a log say that its files must be: every tile and bundle, step by step.

The files of a log are those that a sequencer wrote on its way: of each signed size the full tiles
and bundles below it, and the partial ones at its right edge. `parts` makes them again from the
entries alone, so whoever compares or writes them needs memory for one part only, however far two
checkpoints lie apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from assay.tiles import TILE_WIDTH, Tile, encode_entries, new_tiles
from ledger import growth
from ledger.errors import LogDamagedError
from ledger.growth import Edge

PART = 4096  # entries; a multiple of the tiles' width
Bodies = Callable[[int, int], Sequence[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """From entry `start` to the size of `edge`, and the files that are complete with them."""

    start: int
    edge: Edge
    files: tuple[tuple[str, bytes], ...]


def parts(edge: Edge, size: int, bodies: Bodies) -> Iterator[Part]:
    """Yield what leads from the tree of `edge` to the signed size `size`, at most `PART` at once.

    All files together are those of `assay.tiles.new_tiles(edge.size, size)`: partial tiles come
    last, since only those of a signed size exist. `bodies(start, end)` returns the entries from
    `start` up to `end`, Rekor bodies.

    Raises:
        LogDamagedError: fewer entries than that.
    """
    partial = [tile for tile in new_tiles(edge.size, size) if tile.width < TILE_WIDTH]
    while edge.size < size:
        start, end = edge.size, min(size, (edge.size // PART + 1) * PART)
        entries = bodies(start, end)
        if len(entries) != end - start:
            raise LogDamagedError(f"Rows are missing between entries {start} and {end}.")
        grown = growth.grow(edge, entries)
        edge = grown.edge
        files = [(tile, data) for tile, data in grown.files if tile.width == TILE_WIDTH]
        if end == size:
            files += [(tile, _last_tile(edge, tile)) for tile in partial]
        yield Part(start=start, edge=edge, files=tuple((tile.path, data) for tile, data in files))


def _last_tile(edge: Edge, tile: Tile) -> bytes:
    return encode_entries(edge.entries) if tile.level is None else edge.tile(tile)
