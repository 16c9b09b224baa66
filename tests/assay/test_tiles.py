"""Tiles: their paths, which ones a log has, and a reader that takes nothing on trust."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from assay.digests import sha256_hex
from assay.errors import FormatError, MisuseError, UnavailableError, VerificationError
from assay.merkle import (
    leaf_hash,
    node_hash,
    prove_consistency,
    prove_inclusion,
    root_from,
    root_of,
)
from assay.tiles import (
    TILE_WIDTH,
    Tile,
    TileReader,
    check_entries,
    decode_entries,
    decode_hashes,
    encode_entries,
    new_tiles,
    parse_path,
    tiles_for,
)
from tests.assay.vectors import VECTORS, values

PARTIAL = Tile(level=0, index=1, width=3)


class Folder:
    """The tiles of the vectors; `missing` are paths that cannot be had."""

    def __init__(self, *missing: str) -> None:
        self.missing = missing
        self.asked: list[str] = []

    def tile(self, tile: Tile) -> bytes:
        self.asked.append(tile.path)
        file = VECTORS / tile.path
        if tile.path in self.missing or not file.is_file():
            raise UnavailableError(tile.path)
        return file.read_bytes()


class Memory:
    """Every tile of a log with these leaves, computed as the definition says."""

    def __init__(self, leaves: list[bytes]) -> None:
        self.leaves = leaves
        self.asked = 0

    def tile(self, tile: Tile) -> bytes:
        self.asked += 1
        assert tile.level is not None
        span = TILE_WIDTH**tile.level
        first = tile.index * TILE_WIDTH
        numbers = range(first, first + tile.width)
        if (first + tile.width) * span > len(self.leaves):
            raise UnavailableError(tile.path)
        return b"".join(root_of(self.leaves[n * span : (n + 1) * span]) for n in numbers)


def test_paths_are_those_of_the_vectors() -> None:
    for index, path in values()["tiles"]["index_paths"].items():
        tile = Tile(level=0, index=int(index))
        assert tile.path == f"tile/0/{path}"
        assert parse_path(tile.path) == tile
        bundle = Tile(level=None, index=int(index), width=7)
        assert bundle.path == f"tile/entries/{path}.p/7"
        assert parse_path(bundle.path) == bundle
        assert bundle.full == Tile(level=None, index=int(index))


@pytest.mark.property
@given(
    st.one_of(st.none(), st.integers(0, 63)), st.integers(0, 2**55 - 1), st.integers(1, TILE_WIDTH)
)
def test_every_path_reads_back(level: int | None, index: int, width: int) -> None:
    tile = Tile(level=level, index=index, width=width)
    assert parse_path(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/999.p/999",
        "tile/0/x036/x028/x797/x018/x963/968",  # 2^55
        "tile/0/\u0660\u0660\u0665",
        "tile/0/000\n",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0",
        "",
    ],
)
def test_a_second_spelling_names_no_tile(path: str) -> None:
    with pytest.raises(FormatError):
        parse_path(path)


def test_a_log_has_the_tiles_of_the_vectors() -> None:
    for size, rows in values()["tiles"]["sizes"].items():
        found: dict[int | None, list[Tile]] = {}
        for tile in tiles_for(int(size)):
            found.setdefault(tile.level, []).append(tile)
        for row in rows:
            row_tiles = found.pop(row["level"])
            full = [tile for tile in row_tiles if tile.width == TILE_WIDTH]
            partial = [tile.width for tile in row_tiles if tile.width != TILE_WIDTH]
            assert [tile.index for tile in full] == list(range(row["full"]))
            assert partial == ([row["partial"]] if row["partial"] else [])
        bundles = found.pop(None, [])
        assert [tile.width for tile in bundles] == [
            tile.width for tile in tiles_for(int(size)) if tile.level == 0
        ]
        assert found == {}


def test_growth_makes_the_files_that_were_not_there() -> None:
    assert [tile.path for tile in new_tiles(255, 257)] == [
        "tile/entries/000",
        "tile/entries/001.p/1",
        "tile/0/000",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
    ]
    assert [tile.path for tile in new_tiles(257, 259)] == ["tile/entries/001.p/3", "tile/0/001.p/3"]
    assert new_tiles(259, 259) == []
    for old, new in ((5, 4), (-1, 4)):
        with pytest.raises(MisuseError):
            new_tiles(old, new)


@pytest.mark.property
@given(st.integers(0, 200_000), st.integers(0, 2_000))
def test_growth_is_the_difference_of_two_logs(old: int, growth: int) -> None:
    new = old + growth
    assert set(new_tiles(old, new)) == set(tiles_for(new)) - set(tiles_for(old))


def test_the_tiles_of_the_vectors_rebuild_the_signed_root() -> None:
    log, sums = values()["log"], values()["tiles"]["sha256"]
    source = Folder()
    assert {tile.path for tile in tiles_for(259)} == set(sums)
    for tile in tiles_for(259):
        assert sha256_hex(source.tile(tile)) == sums[tile.path]
    reader = TileReader(source, 259)
    assert root_from(259, reader).hex() == log["root"]
    assert [value.hex() for value in prove_consistency(100, 259, reader)] == log[
        "consistency_100_259"
    ]
    claim = values()["claims"]["release"]
    assert [value.hex() for value in prove_inclusion(256, 259, reader)] == claim["inclusion_259"]


def test_the_bundles_of_the_vectors_hold_the_leaves_of_their_tiles() -> None:
    for index, width in ((0, 256), (1, 3)):
        data = Folder().tile(Tile(level=None, index=index, width=width))
        entries = decode_entries(data, width)
        hashes = decode_hashes(Folder().tile(Tile(level=0, index=index, width=width)), width)
        check_entries(entries, hashes)
        assert encode_entries(entries) == data
    assert entries[0].decode() == values()["claims"]["release"]["body"]


def test_entries_that_are_not_the_leaves_are_refused() -> None:
    check_entries([b"a", b""], [leaf_hash(b"a"), leaf_hash(b"")])
    with pytest.raises(VerificationError, match="entry 1"):
        check_entries([b"a", b"b"], [leaf_hash(b"a"), leaf_hash(b"a")])
    with pytest.raises(VerificationError, match="width"):
        check_entries([b"a"], [leaf_hash(b"a"), leaf_hash(b"b")])


@pytest.mark.property
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_entries_read_back(entries: list[bytes]) -> None:
    assert decode_entries(encode_entries(entries), len(entries)) == entries


def test_an_entry_has_at_most_65535_bytes() -> None:
    assert decode_entries(encode_entries([bytes(65_535)]), 1) == [bytes(65_535)]
    with pytest.raises(FormatError):
        encode_entries([bytes(65_536)])


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x00\x02a", b"\x00\x01a\x00", b"\x00\x01a\x00\x00"]
)
def test_a_bundle_ends_where_its_width_says(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode_entries(data, 1)


def test_a_reader_falls_back_to_the_full_tile() -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(512)]
    full = Memory(leaves)

    class OnlyFull:
        def tile(self, tile: Tile) -> bytes:
            if tile.width != TILE_WIDTH:
                raise UnavailableError(tile.path)
            return full.tile(tile)

    assert root_from(255, TileReader(OnlyFull(), 255)) == root_of(leaves[:255])


def test_a_reader_says_when_a_tile_cannot_be_had() -> None:
    source = Folder("tile/0/000", PARTIAL.path)
    reader = TileReader(source, 259)
    with pytest.raises(UnavailableError):
        reader.read(0, 0)
    with pytest.raises(UnavailableError):
        reader.read(0, 256)
    assert source.asked == ["tile/0/000", PARTIAL.path, PARTIAL.full.path]


def test_a_reader_asks_once_for_each_tile() -> None:
    source = Folder()
    reader = TileReader(source, 259)
    for index in range(256, 259):
        assert reader.read(0, index) == source_hash(index)
    assert reader.read(1, 128) == node_hash(source_hash(256), source_hash(257))
    assert source.asked == [PARTIAL.path]


def source_hash(index: int) -> bytes:
    return decode_hashes(Folder().tile(PARTIAL), 3)[index - 256]


def test_a_reader_knows_no_subtree_beyond_the_log() -> None:
    reader = TileReader(Folder(), 259)
    for level, index in ((0, 259), (1, 129), (9, 0), (-1, 0), (0, -1)):
        with pytest.raises(MisuseError):
            reader.read(level, index)


def test_a_log_of_three_levels_is_read_through_its_tiles() -> None:
    leaves = [leaf_hash(number.to_bytes(4, "big")) for number in range(65_536 + 300)]
    source = Memory(leaves)
    reader = TileReader(source, len(leaves))
    assert root_from(len(leaves), reader) == root_of(leaves)
    # 65536 by tile/2/000.p/1, 256 by tile/1/001.p/1, 44 by tile/0/257.p/44
    assert source.asked == 3
