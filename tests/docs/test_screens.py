"""The pictures of the documentation: small, all shown, all described, all made by a test."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent.parent / "docs"
SCREENS = sorted((DOCS / "_screens").glob("*"))
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
PICTURE = re.compile(r"!\[(?P<words>[^\]]*)\]\((?P<path>[^)]+)\)")
MOST_BYTES = 100_000
PNG = b"\x89PNG\r\n\x1a\n"
SHOWN = [
    (page, found["words"], (page.parent / found["path"]).resolve())
    for page in PAGES
    for found in PICTURE.finditer(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("path", SCREENS, ids=[path.name for path in SCREENS])
def test_a_picture_is_small_and_on_a_page(path: Path) -> None:
    data = path.read_bytes()
    assert data.startswith(PNG)
    width, height = struct.unpack(">II", data[16:24])
    assert len(data) <= MOST_BYTES
    assert width <= 1280
    assert height <= 1280
    assert path.resolve() in [target for _, _, target in SHOWN], "no page shows it"


def test_every_picture_is_there_and_says_in_words_what_it_shows() -> None:
    assert SHOWN
    for page, words, target in SHOWN:
        assert target in [path.resolve() for path in SCREENS], f"{page.name}: {target.name}"
        assert len(words.split()) > 3, f"{page.name}: {target.name} needs words"


def test_pictures_stand_in_tutorials_alone_where_a_test_makes_them() -> None:
    assert {page.parent.name for page, _, _ in SHOWN} == {"tutorial"}
