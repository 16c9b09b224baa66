"""The kill matrix: who ends where, under which request.

A point's name is that of a `reach` call in the product; `tests.kill.test_points` fails for a name
that has no cell.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.kill.load import KEYED, QUEUED, SYNC

WEB, WORKER, EXECUTOR = "web", "worker", "executor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One process that ends at one point, met by one kind of request.

    `first` is armed together with it: what must have happened for the point to matter. It happens
    once more under a load, unless it is `loaded` in another cell of the same point.
    """

    program: str
    point: str
    asked: str
    mode: str = "kill"
    loaded: bool = True
    first: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        """Its name in the report of a test run."""
        return f"{self.program}-{self.point}-{self.mode}-{self.asked.split()[-1]}"


def _cells(program: str, asked: str, *points: str, loaded: bool = True) -> tuple[Cell, ...]:
    return tuple(Cell(program=program, point=point, asked=asked, loaded=loaded) for point in points)


_RUN = ("before-send", "mid-run", "after-answer", "before-commit", "after-commit")
CELLS = (
    *_cells(WEB, QUEUED, "web-after-insert"),
    *_cells(WEB, KEYED, "web-after-open"),
    *_cells(WEB, SYNC, *_RUN),
    *_cells(WEB, KEYED, "before-commit", "after-commit", loaded=False),
    *_cells(WORKER, QUEUED, "worker-before-claim", "worker-after-claim", *_RUN),
    Cell(program=WORKER, point="worker-after-claim", asked=QUEUED, mode="memory", loaded=False),
    Cell(program=WORKER, point="after-answer", asked=QUEUED, mode="stop"),
    Cell(
        program=WORKER, point="sweeper-before", asked=QUEUED, first=(WORKER, "worker-after-claim")
    ),
    Cell(program=WORKER, point="sweeper-after", asked=QUEUED, first=(WORKER, "worker-after-claim")),
    *_cells(EXECUTOR, QUEUED, "executor-mid-run", "model-mid-run", "executor-after-signature"),
    *_cells(EXECUTOR, SYNC, "executor-mid-run", "model-mid-run", loaded=False),
    Cell(program=EXECUTOR, point="executor-after-run", asked=SYNC, mode="exit"),
)
POINTS = frozenset(cell.point for cell in CELLS)
