"""`docs/explanation/faults.md`; `python -m tests.ledger.fault_table` writes it.

`tests.ledger.test_faults` and, for what people do, `tests.registry.test_acts_fail` compare the page
with what happens, column by column.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.ledger.failpoints import Mode, Point

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs/explanation/faults.md"
WRITING = "WRITE_FAULT_TABLE"

CYCLE, RECOVERY, IDLE = "A cycle", "A recovery", "An idle cycle"
NOTHING, PLACED, SIGNED, COSIGNED = "nothing yet", "places given", "signed", "cosigned"
NOT_WITNESSED, SHOWN = "shown, not witnessed", "shown"
HARMLESS, SPOILED = "ends", "old page, put right"
ACTION, KEY_END, CLOSING = "An action of moderators", "The end of a key", "The end of an account"
REGISTERED, DONE = "key registered", "all of it"

AFTER = "killed after"
HEAD = f"""# What fails, and what that costs

<!-- Written by `python -m tests.ledger.fault_table`; change that, not this. -->

The sequencer touches the world in the places below: calls that change the disk, statements that
change rows, commits, and requests to witnesses. A run without a failure records them. Then each
place fails in each of these ways, a fresh sequencer recovers, and always the same is checked: the
log is whole, and every acknowledged entry is in it exactly once, with a receipt that a stranger
can verify under the quorum of the witness policy.

- **{Mode.FAILED.value}**: the call raises an error, and did nothing.
- **{Mode.LOST.value}**: it raises an error, and did its work all the same.
- **{Mode.KILLED.value}**, **{AFTER}**: the process gets SIGKILL.
- **{Mode.FROZEN.value}**: the process gets SIGSTOP. Another sequencer takes over, goes on and grows
  the log. Then the frozen one wakes up and does what it was about to do.

What stands in the table is what readers and the database see right after that, before anybody has
recovered:

- **{NOTHING}**: the entries wait as before.
- **{PLACED}**: the indices are fixed, no checkpoint covers them yet.
- **{SIGNED}**, **{COSIGNED}**: the checkpoint is in the database, without the witness's line or
  with it; readers see the old one.
- **{NOT_WITNESSED}**, **{SHOWN}**: readers see the new checkpoint, without the witness's line or
  with it.

And of one that was frozen:

- **{HARMLESS}**: its session, its term or its file is gone: it changed nothing that counts.
- **{SPOILED}**: it put its old checkpoint over a newer one, which no term can prevent, and ended.
  Whoever leads looks at the page each second, and puts the newest one back.

The steps are those of [the order of writes](ledger.md#the-order-of-writes); before them a leader
*begins* its term.
"""
INTROS = {
    CYCLE: "Three entries wait, the 255th to the 257th: a tile becomes full and others begin.",
    RECOVERY: "The last leader died right after the commit point. A new one finishes its work.",
    IDLE: "Nothing waits, but the newest checkpoint lacks the line of a witness that is back.",
    ACTION: f"""\
What a person does is one transaction. Here a model is taken down that a reader had reported, in the
first action on this site: the registry's key is made and registered before. The steps are those of
[the order of writes](moderation.md#order-of-writes). Each place fails as above (a request that
sleeps holds its locks until its session ends, so nobody is frozen here), and then every row of the
database is compared with what it was:

- **{NOTHING}**: no row has changed. A key file may be there; the next action uses it.
- **{REGISTERED}**: the registry's key is registered, and nothing of the action is there.
- **{DONE}**: every row that the act writes is there.

Then the moderator sends the same form again. Where all of it was there, they are told that it is
done, and no row changes; else it is done now. Afterwards always the same is checked: one action
with one statement, which the registry's one key signed and which has its place in the log, one
letter, one audit row, no report that waits.""",
    KEY_END: "A moderator ends a key that was stolen; the registry's key is registered already.",
    CLOSING: f"""\
The day has come for an account that has something of everything: keys and copies of them, tokens,
sessions, memberships, models that go to an organisation, a schedule, a webhook, an execution that
waits. The steps are those of [the end of an account](../howto/accounts.md#what-fails). What puts it
right is the next sweep: it ends the account where there is **{NOTHING}**, and finds no wish where
there is **{DONE}**.""",
}
TAIL = """
## Other failures

| what happens | what comes of it | test |
|---|---|---|
"""
_SEQ, _COM = "tests/ledger/test_sequencer.py", "tests/ledger/test_commands.py"
_MOD, _CLO = "tests/registry/test_moderation.py", "tests/registry/test_closing.py"
_WIT, _KIL = "tests/ledger/test_witnesses.py", "tests/ledger/test_killed.py"
OTHERS = (
    (
        "two sequencers, each believing that it leads",
        "the later term counts; the other one notices with its next write",
        f"`{_SEQ}::test_two_that_both_believe_to_lead_give_each_entry_one_place`",
    ),
    (
        "the leader's process is killed",
        "the lock goes with its session; the next one leads at once",
        f"`{_KIL}::test_a_second_process_takes_over_when_the_leader_is_killed`",
    ),
    (
        "the leader's process is frozen",
        "after four seconds of silence its session is ended; it wakes, and ends",
        f"`{_KIL}::test_a_second_process_takes_over_when_the_leader_is_frozen`",
    ),
    (
        "the clock runs backwards",
        "held before step 4, until it has caught up",
        f"`{_SEQ}::test_a_clock_that_runs_backwards_pauses_the_log`",
    ),
    (
        "the disk is nearly full",
        "held before step 4; intake answers 503 and says why",
        f"`{_COM}::test_a_nearly_full_disk_is_waited_out`",
    ),
    (
        "the disk is full, the quota is used up, the storage is read-only, in the middle of a step",
        "held; a fresh sequencer recovers from the rows, again and again",
        f"`{_COM}::test_a_disk_that_takes_nothing_is_waited_out_by_fresh_sequencers`",
    ),
    (
        "an fsync fails",
        "the process ends: what is read back may be a lie",
        f"`{_COM}::test_a_disk_that_fails_ends_the_process`",
    ),
    (
        "a witness is slow",
        "it has a second, and 200 ms once the quorum has answered; its line is taken later",
        f"`{_WIT}::test_when_the_quorum_is_met_nobody_waits_for_the_slow_one_whose_line_comes_later`",
    ),
    (
        "a witness lies",
        "its line is missing, nothing else",
        f"`{_WIT}::test_a_lying_witness_changes_nothing_but_its_own_line`",
    ),
    (
        "a file holds other bytes than the rows give",
        "stopped: nothing is signed, intake answers 503, the site says so",
        f"`{_COM}::test_damage_ends_the_command_with_words_and_the_site_says_so`",
    ),
    (
        "the database was restored from a backup",
        "stopped: the published checkpoint is larger than the rows know",
        f"`{_SEQ}::test_a_database_that_was_restored_from_a_backup_signs_nothing`",
    ),
    (
        "the log is frozen for good",
        "what waits is drained, then nothing is left to do",
        f"`{_SEQ}::test_a_frozen_log_is_drained_and_then_idles`",
    ),
    (
        "two moderators act on one thing",
        "one acts; the other is told to look again, and has changed nothing",
        f"`{_MOD}::test_of_two_moderators_one_is_told_that_the_other_was_faster`",
    ),
    (
        "two sweeps meet at an account whose day has come",
        "one holds the row of the wish; the other passes it by",
        f"`{_CLO}::test_two_sweeps_close_an_account_once`",
    ),
    (
        "something has come in the way of the end of an account",
        "the wish ends and the account stays; a letter says why",
        f"`{_CLO}::test_what_comes_in_the_way_meanwhile_ends_the_wish_and_not_the_account`",
    ),
)

Row = tuple[str, str]
Table = dict[Row, dict[str, str]]
_COLUMNS = [Mode.FAILED.value, Mode.LOST.value, Mode.KILLED.value, AFTER, Mode.FROZEN.value]
_ACTS = (ACTION, KEY_END, CLOSING)
_TESTS = ("tests/ledger/test_faults.py", "tests/registry/test_acts_fail.py")
_written: dict[str, Table] = {}


def compare(phase: str, mode: Mode, points: Sequence[Point], outcomes: Sequence[str]) -> None:
    """Compare what happened with its column of the page, or keep it when the page is written.

    Of being killed there is one outcome more than there are places: the last one is at the end.
    """
    rows: list[Row] = [(point.step, point.name) for point in points]
    assert len(set(rows)) == len(rows), "two places have one name"
    found = {mode.value: dict(zip(rows, outcomes, strict=mode is not Mode.KILLED))}
    if mode is Mode.KILLED:
        found[AFTER] = dict(zip(rows, outcomes[1:], strict=True))
    if WRITING in os.environ:
        for column, cells in found.items():
            for row, outcome in cells.items():
                _written.setdefault(phase, {}).setdefault(row, {})[column] = outcome
        return
    told = parse(PAGE.read_text(encoding="utf-8"))[phase]
    again = "what is done has changed: python -m tests.ledger.fault_table"
    assert list(told) == rows, again
    for column, cells in found.items():
        assert {row: told[row][column] for row in rows} == cells, again


def _columns(phase: str) -> list[str]:
    return [column for column in _COLUMNS if phase not in _ACTS or column != Mode.FROZEN.value]


def render(tables: dict[str, Table]) -> str:
    """Return the page."""
    parts = [HEAD]
    for phase, intro in INTROS.items():
        columns = _columns(phase)
        parts.append(f"\n## {phase}\n\n{intro}\n\n| step | place | {' | '.join(columns)} |\n")
        parts.append("|---" * (2 + len(columns)) + "|\n")
        for (step, name), cells in tables[phase].items():
            told = " | ".join(cells[column] for column in columns)
            parts.append(f"| {step} | `{name}` | {told} |\n")
    parts.append(TAIL)
    parts += [f"| {' | '.join(row)} |\n" for row in OTHERS]
    return "".join(parts)


def parse(text: str) -> dict[str, Table]:
    """Return the tables of a page."""
    tables: dict[str, Table] = {phase: {} for phase in INTROS}
    for phase, table in tables.items():
        section = text.partition(f"\n## {phase}\n")[2].partition("\n## ")[0]
        lines = [line for line in section.splitlines() if line.startswith("| ")]
        for line in lines[1:]:
            step, name, *cells = [cell.strip() for cell in line.strip("|").split("|")]
            table[step, name.strip("`")] = dict(zip(_columns(phase), cells, strict=True))
    return tables


def main() -> int:
    """Let everything fail, and write the page."""
    os.environ[WRITING] = "1"
    code = pytest.main([*(str(ROOT / path) for path in _TESTS), "-q", "-k", "whatever_fails"])
    if code == pytest.ExitCode.OK:
        # The tests import this file under its own name, which is not `__main__`.
        written = sys.modules["tests.ledger.fault_table"]._written
        PAGE.write_text(render(written), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
