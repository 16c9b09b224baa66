"""What moderators do and how an account ends: whatever fails, all of it is there or nothing.

For each place where such an act touches the world (`tests.ledger.failpoints`) the place fails, not
stored and stored, or the process is killed, before it and after it. Then everything is as it was,
or everything is done, and the way that is written down ends it: the moderator sends the form again,
the next sweep comes. What is found is compared with `docs/explanation/faults.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from django.conf import settings
from django.db import Error, connection

from tests.ledger import fault_table
from tests.ledger.failpoints import Failpoints, Mode, Point, fork, wait_killed
from tests.registry.acting import TRIED, Deed, End, EndKey, Grant, Keep, TakeDown, Wish
from tests.registry.kept import Kept, State

DEEDS: dict[str, type[Deed]] = {
    fault_table.ACTION: TakeDown,
    fault_table.KEY_END: EndKey,
    fault_table.CLOSING: End,
    "An appeal is granted": Grant,
    "The wish to end an account": Wish,
    "The wish is taken back": Keep,
}
MODES = (Mode.FAILED, Mode.LOST, Mode.KILLED)


def counts(state: State) -> dict[str, int]:
    return {name: table.rows for name, table in state.items()}


class Trial:
    """A deed that is done again and again, each time from where everything began."""

    def __init__(self, deed: Deed, kept: Kept) -> None:
        self.deed, self.kept = deed, kept
        self.stages = {}
        for word, bring_about in deed.stages().items():
            bring_about()
            self.stages[word] = counts(kept.now())
        kept.restore()
        dry = Failpoints(steps=deed.steps)
        self._do(dry)
        deed.check()
        self.points = dry.points

    def numbers(self, mode: Mode) -> Sequence[int]:
        """Return the places to fail: of the writes that are undone anyway the last one will do."""
        last = [number for number, point in enumerate(self.points) if point.step == TRIED][-1:]
        ends = [len(self.points)] if mode is Mode.KILLED else []
        rest = [number for number, point in enumerate(self.points) if point.step != TRIED]
        return [*last, *rest, *ends]

    def fails(self, number: int, mode: Mode) -> str:
        """Let it fail there, and go on; return what was found in between."""
        self.kept.restore()
        points = Failpoints(number, mode, self.deed.steps)
        if mode is Mode.KILLED:
            wait_killed(fork(lambda: self._do(points)))
        else:
            with pytest.raises((OSError, Error), match=r"Input/output error|the database failed"):
                self._do(points)
            connection.close()
        found = self.kept.now()
        word = self._word(found)
        self.deed.go_on(done=word == fault_table.DONE)
        assert (self.kept.now() == found) == (word == fault_table.DONE)
        assert counts(self.kept.now()) == self.stages[fault_table.DONE]
        self.deed.check()
        return word

    def _do(self, points: Failpoints) -> None:
        with self.deed.armed(points):
            self.deed.do()
        points.end()

    def _word(self, found: State) -> str:
        if found == self.kept.state:
            return fault_table.NOTHING
        (word,) = [word for word, stage in self.stages.items() if stage == counts(found)]
        return word


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name.lower())
@pytest.mark.parametrize("name", DEEDS)
def test_whatever_fails_wherever_it_fails_an_act_is_there_whole_or_not_at_all(
    name: str, mode: Mode, tmp_path: Path
) -> None:
    deed = DEEDS[name]()
    kept = Kept(tmp_path / "kept", [settings.LEDGER_DIR, settings.KEYS_DIR])
    try:
        trial = Trial(deed, kept)
        outcomes = [_fails(trial, number, mode) for number in trial.numbers(mode)]
    finally:
        kept.forget()
    if name in fault_table.INTROS:
        fault_table.compare(name, mode, trial.points, outcomes)
    else:
        assert set(outcomes) <= {fault_table.NOTHING, fault_table.DONE}


def _fails(trial: Trial, number: int, mode: Mode) -> str:
    try:
        return trial.fails(number, mode)
    except BaseException as error:
        end = Point(step="", name="the end")
        error.add_note(f"{mode.value}: {[*trial.points, end][number]}")
        raise
