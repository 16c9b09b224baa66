"""The tutorials are true: a reader who does what they say gets what they say, within minutes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.e2e.guide import Reader, controls_outside_of_steps
from tests.e2e.stack import ROOT, Stack
from tests.e2e.walkers import EYES, walking

PAGES = sorted((ROOT / "docs" / "tutorial").glob("*.md"))
MINUTES = 10


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_whoever_does_what_the_tutorial_says_gets_what_it_shows(
    stack: Stack, browser: Browser, page: Path, tmp_path: Path
) -> None:
    text = page.read_text(encoding="utf-8")
    with walking(stack, browser, EYES[0], page.stem) as walker:
        reader = Reader(page=walker.page, url=stack.url, home=tmp_path)
        begun = time.monotonic()
        reader.follow(text)
        assert time.monotonic() - begun < MINUTES * 60
    assert reader.done


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_every_control_that_the_tutorial_names_is_used(page: Path) -> None:
    assert controls_outside_of_steps(page.read_text(encoding="utf-8")) == []
