"""A log is found where people say it is: a site, a mount, a mirror's root, a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from assay.cli.source import open_source
from assay.errors import FormatError, MissingError, MisuseError, UnavailableError
from assay.tiles import Tile
from tests.assay.logbook import Logbook, pages, put
from tests.assay.stand import stand

BOOK = Logbook().fill(3)
TILE = Tile(level=0, index=0, width=3)
DIGEST = bytes.fromhex(next(iter(BOOK.envelopes)))


@pytest.mark.parametrize(
    ("prefix", "path"), [("/log", ""), ("/log", "/"), ("/log", "/log"), ("", ""), ("/a/b", "/a/b/")]
)
def test_a_log_is_found_under_a_site_a_mount_or_a_root(prefix: str, path: str) -> None:
    files = BOOK.files()
    with stand({**pages(files, prefix)}) as server, open_source(f"{server.url}{path}") as source:
        assert source.checkpoint() == BOOK.note()
        assert source.tile(TILE) == files[TILE.path]
        assert source.envelope(DIGEST) == files[f"envelopes/{DIGEST.hex()}"]
        with pytest.raises(MissingError):
            source.tile(Tile(level=0, index=1))


def test_a_site_is_looked_at_once_whatever_is_asked_for_first() -> None:
    files = BOOK.files()
    with stand({**pages(files, "")}) as server, open_source(server.url) as source:
        for _ in range(2):
            assert source.tile(TILE) == files[TILE.path]
        assert server.asked == ["/log/checkpoint", "/checkpoint", *[f"/{TILE.path}"] * 2]


def test_a_site_without_a_log_is_told_as_such() -> None:
    with stand({}) as server:
        for path, asked in (("", ["/log/checkpoint", "/checkpoint"]), ("/x", ["/x/checkpoint"])):
            server.asked.clear()
            with (
                open_source(f"{server.url}{path}") as source,
                pytest.raises(MissingError, match=asked[0]),
            ):
                source.checkpoint()
            assert server.asked == asked


def test_a_folder_is_read_like_a_site(tmp_path: Path) -> None:
    put(tmp_path, BOOK.files())
    with open_source(str(tmp_path)) as source:
        assert source.checkpoint() == BOOK.note()
        assert source.tile(TILE) == BOOK.files()[TILE.path]
        with pytest.raises(MissingError, match=r"tile/0/001"):
            source.tile(Tile(level=0, index=1))
        with pytest.raises(MissingError):
            source.get("checkpoint/below", 1)
        with pytest.raises(FormatError, match="longer than 1 bytes"):
            source.get("checkpoint", 1)
        with pytest.raises(UnavailableError, match="no regular file"):
            source.get("tile", 1)
        with pytest.raises(UnavailableError, match="cannot read"):
            source.get("x" * 300, 1)


def test_a_pipe_in_a_files_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "checkpoint")
    with (
        open_source(str(tmp_path)) as source,
        pytest.raises(UnavailableError, match="no regular file"),
    ):
        source.checkpoint()


@pytest.mark.parametrize("where", ["nowhere", "ftp://example.org", "http://", ""])
def test_other_places_are_misuse(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MisuseError):
        open_source(where or str(tmp_path / "file"))
