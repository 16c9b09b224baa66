"""Files and root are a function of the entries, whatever the batches were."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from assay.checkpoint import parse_checkpoint
from assay.errors import FormatError, UnavailableError, VerificationError
from assay.merkle import leaf_hash, root_of
from assay.note import parse_note
from assay.tiles import TileReader, decode_entries, tiles_for
from ledger.growth import EMPTY, Edge, grow, load_edge
from ledger.reader import StoredTiles, prove_consistency, prove_inclusion, tree
from ledger.storage import FolderStorage
from tests.assay.vectors import VECTORS, vector


class Memory(FolderStorage):
    """A storage in memory."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def put_new(self, path: str, data: bytes) -> None:
        assert self.files.setdefault(path, data) == data

    def get(self, path: str) -> bytes:
        if path not in self.files:
            raise UnavailableError(path)
        return self.files[path]


def build(storage: FolderStorage, entries: list[bytes], sizes: list[int]) -> Edge:
    """Append `entries` in batches that end at `sizes`."""
    edge = EMPTY
    for size in sizes:
        grown = grow(edge, entries[edge.size : size])
        for tile, data in grown.files:
            storage.put_new(tile.path, data)
        edge = grown.edge
        assert grown.root == edge.root == root_of([leaf_hash(entry) for entry in entries[:size]])
        assert load_edge(storage, size) == edge
    return edge


def test_the_vectors_log_gives_the_vectors_files(tmp_path: Path) -> None:
    bundles = [
        decode_entries((VECTORS / "tile/entries/000").read_bytes(), 256),
        decode_entries((VECTORS / "tile/entries/001.p/3").read_bytes(), 3),
    ]
    entries = [entry for bundle in bundles for entry in bundle]
    storage = FolderStorage(tmp_path)
    build(storage, entries, [1, 100, 200, 259])
    for tile in tiles_for(259):
        assert storage.get(tile.path) == (VECTORS / tile.path).read_bytes()
    for name, size in (("checkpoint.200", 200), ("checkpoint", 259)):
        signed = parse_checkpoint(parse_note(vector(name)).text)
        assert grow(EMPTY, entries[:size]).root == signed.root


@pytest.mark.property
@hypothesis_settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=6))
def test_any_batches_give_a_log_that_readers_can_prove_from(steps: list[int]) -> None:
    sizes = [sum(steps[: number + 1]) for number in range(len(steps))]
    entries = [b"entry %d" % number for number in range(sizes[-1])]
    storage = Memory()
    build(storage, entries, sizes)
    once = Memory()
    build(once, entries, sizes[-1:])
    assert once.files.items() <= storage.files.items()
    size = sizes[-1]
    assert set(once.files) == {tile.path for tile in tiles_for(size)}
    reader = TileReader(StoredTiles(storage), size)
    assert reader.read(0, size - 1) == leaf_hash(entries[-1])
    prove_inclusion(storage, 0, size)
    prove_consistency(storage, sizes[0], size)


def test_a_level_of_full_tiles_has_no_partial_one(tmp_path: Path) -> None:
    storage = Memory()
    entries = [b"%d" % number for number in range(65_537)]
    edge = build(storage, entries, [65_535, 65_536, 65_537])
    assert [len(row) for row in edge.rows] == [1, 0, 1]
    assert tree(storage, 65_536).read(16, 0) == root_of([leaf_hash(e) for e in entries[:65_536]])


def test_an_edge_needs_its_files() -> None:
    storage = Memory()
    build(storage, [b"a", b"b"], [2])
    with pytest.raises(UnavailableError):
        load_edge(storage, 1)
    storage.files["tile/0/000.p/2"] += b"x"
    with pytest.raises(FormatError):
        load_edge(storage, 2)
    storage.files["tile/0/000.p/2"] = bytes(64)
    with pytest.raises(VerificationError):
        load_edge(storage, 2)
    assert load_edge(storage, 0) == EMPTY
