"""Ctrl-C leaves nothing behind, and the next start finds everything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.stack import Stack
from tests.e2e.test_resilience import call, included, infer


@pytest.fixture
def own(tmp_path: Path) -> Stack:
    return Stack(data=tmp_path / "data")


def test_a_second_start_finds_all_data(
    own: Stack, record_property: Callable[[str, object], None]
) -> None:
    first = own.start()
    assert any("Operator account" in line for line in own.lines)
    execution = infer(own)
    assert included(own, execution)
    head = call(own, "/api/v1/ledger/head")
    assert own.stop() == 0
    assert own.pids() == {}
    second = own.start()
    record_property("first_start_s", round(first, 1))
    record_property("second_start_s", round(second, 1))
    assert not any("Operator account" in line for line in own.lines)
    assert included(own, execution)
    assert call(own, "/api/v1/ledger/head")["size"] >= head["size"]
    assert own.stop() == 0
    assert own.pids() == {}
