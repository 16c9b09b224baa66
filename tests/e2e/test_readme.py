"""What the README shows is what a reader gets, on an Assay that was started a moment ago."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.readme import blocks, mask, perform
from tests.e2e.stack import Stack


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Stack]:
    made = Stack(data=tmp_path / "data")
    made.start()
    yield made
    assert made.stop() == 0


@pytest.mark.stock
def test_every_command_of_the_readme_prints_what_it_shows(
    fresh: Stack, tmp_path: Path, cosign: str
) -> None:
    shown = [exchange for block in blocks() for exchange in block]
    assert len(shown) > 8
    printed = perform(
        [exchange.command for exchange in shown],
        f"http://localhost:{fresh.port}",
        tmp_path,
        fresh.data,
    )
    for exchange, output in zip(shown, printed, strict=True):
        assert mask(output) == mask(exchange.output), exchange.command
