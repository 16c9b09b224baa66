"""The tree as its readers see it: hashes out of published tiles, nothing else.

Proofs are made from here, and the sequencer checks its own work with this code before it signs.
"""

from __future__ import annotations

from assay import merkle
from assay.tiles import Tile, TileReader
from ledger.storage import LogStorage


class StoredTiles:
    """An `assay.tiles.TileSource` over a storage."""

    def __init__(self, storage: LogStorage) -> None:
        self._storage = storage

    def tile(self, tile: Tile) -> bytes:
        """Return the bytes of `tile`; `UnavailableError` when the storage has none."""
        return self._storage.get(tile.path)


def tree(storage: LogStorage, size: int) -> TileReader:
    """Return the hashes of the tree of `size` entries; it keeps what it read."""
    return TileReader(StoredTiles(storage), size)


def prove_inclusion(storage: LogStorage, index: int, size: int) -> list[bytes]:
    """Return the inclusion proof of entry `index`, the leaf's sibling first."""
    return merkle.prove_inclusion(index, size, tree(storage, size))


def prove_consistency(storage: LogStorage, old: int, new: int) -> list[bytes]:
    """Return the proof that the tree of `new` entries begins with that of `old`."""
    return merkle.prove_consistency(old, new, tree(storage, new))
