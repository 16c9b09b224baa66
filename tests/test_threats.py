"""The threat model keeps its word: each attack has its row, and each test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# The heading of a table, and how many attacks it has.
TABLES = {
    "T": ("Attacks by an operator who lies, or was broken into", 18),
    "P": ("People with power over others", 9),
    "A": ("Accounts", 7),
}
ATTACKS = [f"{kind}{n}" for kind, (_, count) in TABLES.items() for n in range(1, count + 1)]
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_NONE = "no test can show it"


def table(heading: str) -> dict[str, list[str]]:
    """Return the rows of the table below a heading: first cell to the others."""
    text = (ROOT / "THREAT_MODEL.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if re.match(r"\| [TPA]\d", line)]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len(rows) == len({row[0] for row in rows}), "an attack stands twice"
    return {first: rest for first, *rest in rows}


COUNTERS = {
    attack: cells for heading, _ in TABLES.values() for attack, cells in table(heading).items()
}
SHOWN = table("Which test shows it")


@cache
def names(path: str) -> set[str]:
    """Return the names of the test functions of a file, those in classes included."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_attack_has_a_counter_and_says_what_remains() -> None:
    assert list(COUNTERS) == list(SHOWN) == ATTACKS
    for attack, cells in COUNTERS.items():
        assert len(cells) == 3, attack
        assert all(cells), attack


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_tests_that_show_a_counter_exist(attack: str) -> None:
    (cell,) = SHOWN[attack]
    named = _TEST.findall(cell)
    assert named or _NONE in cell, "a row names a test, or says why none can show it"
    assert cell.count("::") == len(named), "a name is spelled in another way"
    missing = [f"{path}::{name}" for path, name in named if name not in names(path)]
    assert missing == []
    assert all(name.startswith("test_") for _, name in named)
