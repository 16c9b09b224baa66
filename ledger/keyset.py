"""Pages of rows in the order of a number that never changes: an index, a tree's size.

A page is named by the number at its edge, so rows that are added in the meantime move nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The numbers between `after` and `before`, both exclusive; None is open."""

    before: int | None = None
    after: int | None = None

    @property
    def upward(self) -> bool:
        """Whether the rows nearest to `after` are wanted, and not the newest ones."""
        return self.after is not None and self.before is None

    def conditions(self, field: str) -> dict[str, int]:
        """Return the window as conditions of a queryset's `filter`."""
        found = {f"{field}__lt": self.before, f"{field}__gt": self.after}
        return {name: value for name, value in found.items() if value is not None}

    def order(self, field: str) -> str:
        """Return the order in which rows are read."""
        return field if self.upward else f"-{field}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[_Row]):
    """Rows, the newest first.

    `newer` is the number to ask for what is above (`after`), `older` for what is below (`before`);
    None where there is nothing more.
    """

    rows: tuple[_Row, ...]
    newer: int | None
    older: int | None


def page_of(
    fetch: Callable[[Window, int], list[_Row]],
    number: Callable[[_Row], int | None],
    window: Window,
    limit: int,
) -> Page[_Row]:
    """Return at most `limit` rows of `window`.

    `fetch` returns the first rows of a window, in its order and at most as many as it is told;
    `number` returns the number of a row.
    """
    rows = fetch(window, limit + 1)
    more = len(rows) > limit
    rows = rows[:limit]
    if window.upward:
        rows.reverse()
    shown = [value for value in map(number, rows) if value is not None]
    top, bottom = (shown[0], shown[-1]) if shown else _beside(window)
    if window.upward:
        newer = top if more else None
        older = bottom if fetch(Window(before=bottom), 1) else None
    else:
        older = bottom if more else None
        above = window.before is not None and fetch(Window(after=top), 1)
        newer = top if above else None
    return Page(rows=tuple(rows), newer=newer, older=older)


def _beside(window: Window) -> tuple[int, int]:
    """Return the numbers from which an empty page leads on, upward and downward."""
    return (window.before or 0) - 1, (window.after or 0) + 1
