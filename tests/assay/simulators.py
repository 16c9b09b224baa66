"""The outside of a log, in memory, behind the real protocols."""

from __future__ import annotations

from collections.abc import Callable

from assay.witness import WitnessState


class MemoryStore:
    """A `WitnessStore`; `before_swap` runs once, as another request would in between."""

    def __init__(self, states: dict[str, WitnessState] | None = None) -> None:
        self.states = dict(states or {})
        self.notes: dict[str, bytes] = {}
        self.before_swap: Callable[[], object] | None = None

    def load(self, origin: str) -> WitnessState | None:
        return self.states.get(origin)

    def swap(self, origin: str, old: WitnessState | None, new: WitnessState, note: bytes) -> bool:
        if self.before_swap is not None:
            between, self.before_swap = self.before_swap, None
            between()
        if self.states.get(origin) != old:
            return False
        self.states[origin] = new
        self.notes[origin] = note
        return True
