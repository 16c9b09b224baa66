"""`docs/explanation/kills.md`; `python -m tests.kill` writes it.

`tests.kill.test_kills` compares the page with what happens.
"""

from __future__ import annotations

import os
from pathlib import Path

from tests.kill.cells import CELLS, Cell
from tests.kill.faults import FAULTS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/explanation/kills.md"
WRITING = "WRITE_KILL_TABLE"
PLACES = {
    "web-after-insert": "the row is written, nobody is woken",
    "web-after-open": "the row with the key is written, nothing has run",
    "worker-before-claim": "the wake-up is taken, nothing is claimed",
    "worker-after-claim": "the row is claimed",
    "before-send": "before the request goes to the executor",
    "mid-run": "the model runs",
    "after-answer": "the signed answer is here, nothing is written",
    "before-commit": "all is written, before COMMIT",
    "after-commit": "after COMMIT, nobody has heard of it",
    "sweeper-before": "a lease is over, before the sweep",
    "sweeper-after": "the sweep gave the row back, nobody is woken",
    "executor-mid-run": "the model runs; the supervisor ends",
    "model-mid-run": "the model runs; its own process ends",
    "executor-after-run": "the model has run, nothing is signed",
    "executor-after-signature": "the statement is signed, nobody has it",
}
MODES = {
    "kill": "SIGKILL",
    "exit": "exit",
    "stop": "SIGSTOP, goes on after the lease",
    "memory": "MemoryError",
}
HEAD = """# What is killed, and what that costs

<!-- Written by `python -m tests.kill`; change that, not this. -->

A whole Assay runs as processes: web, two workers, executor with its model processes, sequencer,
beat, Redis and PostgreSQL. In the code stand [named
points](../reference/settings.md#for-tests-alone). In each row of the table a process ends at one of
them, first under a request that is alone, then once more under a load: synchronous and queued
requests mixed, every fifth with an `Idempotency-Key`. People without a key ask once; people with a
key ask until they are answered. Then, when all is quiet:

- no execution waits or runs; each that succeeded has one ledger entry, each entry of an execution
  has one that succeeded, and no execution has two statements;
- every entry has its place in the log, without a gap;
- whatever was asked once exists at most once, and what was asked with a key succeeded exactly once;
- whoever was ever answered 200 or 202 finds a row that succeeded, with the statement that they were
  shown;
- equal keys gave equal bytes;
- each receipt verifies against the stored tensors, with the log's published keys.

Time is moved, not waited for: the lease of a dead process and a pause before the next attempt are
put into the past. Without that, a lease takes at most 30 seconds to be over, and that of a
synchronous request with a key its time limit and ten more.

`make test` has a load of twenty requests; `pytest tests/kill --kill-executions 200` a larger one.

## Points

| process | point | where | how | asked | the caller got | what became of it |
|---|---|---|---|---|---|---|
"""
FAULTS_HEAD = """
## Other faults

These come in the middle of such a load.

| what happens | what people notice |
|---|---|
"""
TAIL = """
The sequencer has [a table of its own](faults.md), place by place; here it dies under a real load.

What moderators do and the end of an account have [tables there](faults.md#an-action-of-moderators),
too. They are one transaction each and wait for nobody, so there is nothing to mix them with: the
process that does it is killed before and after each of its writes.
"""
Outcome = tuple[str, str]
_written: dict[Cell, Outcome] = {}


def compare(cell: Cell, outcome: Outcome) -> None:
    """Compare what happened with the page, or keep it when the page is written."""
    if WRITING in os.environ:
        _written[cell] = outcome
    else:
        told = row(cell, outcome)
        assert told in PAGE.read_text(encoding="utf-8"), f"{told}: python -m tests.kill"


def row(cell: Cell, outcome: Outcome) -> str:
    """Return a line of the first table."""
    cells = (
        cell.program,
        f"`{cell.point}`",
        PLACES[cell.point],
        MODES[cell.mode],
        cell.asked,
        *outcome,
    )
    return f"| {' | '.join(cells)} |\n"


def parse(text: str) -> dict[Cell, Outcome]:
    """Return what a page says came of each cell."""
    lines = text.splitlines(keepends=True)
    found = {}
    for cell in CELLS:
        start = row(cell, ("", "")).partition("|  |")[0]
        (line,) = [line for line in lines if line.startswith(start)]
        caller, became = line.removeprefix(start).strip("|\n ").split(" | ")
        found[cell] = (caller, became)
    return found


def render(outcomes: dict[Cell, Outcome]) -> str:
    """Return the page."""
    first = "".join(row(cell, outcomes[cell]) for cell in CELLS)
    second = "".join(f"| {fault.words} | {fault.promise} |\n" for fault in FAULTS)
    return f"{HEAD}{first}{FAULTS_HEAD}{second}{TAIL}"


def write() -> None:
    """Write the page from what has happened in this run."""
    PAGE.write_text(render(_written), encoding="utf-8")
