"""The named points: every one has a cell, nothing happens at one that is not armed."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference import failpoints
from inference.failpoints import EXIT_CODE, arm, reach
from tests.kill.cells import CELLS, POINTS
from tests.kill.faults import FAULTS
from tests.kill.table import PAGE, PLACES, parse, render

ROOT = Path(__file__).parents[2]
PROGRAM = "import sys; from inference.failpoints import *; arm(sys.argv[1])\n"


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    arm("")


def in_source() -> set[str]:
    """Return the names of all points in the product."""
    found = set()
    for app in ("config", "inference", "ledger", "registry"):
        for path in (ROOT / app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "reach":
                    name = node.args[0]
                    assert isinstance(name, ast.Constant), f"{path}: a point's name is a word"
                    found.add(str(name.value))
    return found


def test_every_point_of_the_product_has_a_cell_in_the_matrix_and_words_in_the_table() -> None:
    assert set(PLACES) == POINTS
    assert in_source() == POINTS | {fault.point for fault in FAULTS if fault.point}
    assert len({cell.name for cell in CELLS}) == len(CELLS)


def test_the_page_has_every_cell_and_every_fault_and_nothing_else() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == render(parse(text)), "python -m tests.kill"


def test_nothing_happens_at_points_that_are_not_armed(tmp_path: Path) -> None:
    for setting in ("", "elsewhere:memory", str(tmp_path)):
        arm(setting)
        reach("here")


def test_the_third_time_is_the_third_time_and_then_it_is_over() -> None:
    arm("here:memory@3")
    reach("here")
    reach("there")
    reach("here")
    with pytest.raises(MemoryError):
        reach("here")
    for _ in range(3):
        reach("here")


def test_a_file_arms_a_point_once(tmp_path: Path) -> None:
    arm(str(tmp_path))
    for _ in range(2):
        (tmp_path / "here").write_text("memory@2\n")
        reach("here")
        with pytest.raises(MemoryError):
            reach("here")
        assert not (tmp_path / "here").exists()
        reach("here")


def test_two_processes_that_come_by_at_once_do_not_both_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm(str(tmp_path))
    (tmp_path / "here").write_text("memory")
    folder = failpoints._armed
    assert isinstance(folder, failpoints.Folder)
    found = folder.fault("here")
    (tmp_path / "here").unlink()  # by the other one, after this one has read it
    monkeypatch.setattr(failpoints.Folder, "fault", lambda self, name: found)
    reach("here")


@pytest.mark.parametrize(("mode", "code"), [("exit", EXIT_CODE), ("kill", -signal.SIGKILL)])
def test_a_process_ends_without_a_word(mode: str, code: int) -> None:
    program = f"{PROGRAM}try:\n    reach('here')\nfinally:\n    print('a word')"
    done = subprocess.run(
        [sys.executable, "-c", program, f"here:{mode}"], cwd=ROOT, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (code, b"")


def test_another_process_is_frozen_or_killed_if_the_point_names_it() -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        arm("here:stop")
        reach("here", other.pid)
        _, status = os.waitpid(other.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        arm("here:kill")
        reach("here", other.pid)
        assert other.wait(10) == -signal.SIGKILL
    finally:
        other.kill()
        other.communicate()


@pytest.mark.parametrize("setting", ["here", "here:faint", "here:kill@", "here:kill@two", "here:"])
def test_a_misspelt_failpoint_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match="mode is one of"):
        arm(setting)
