"""Charts as plain numbers, drawn by the server: `components/chart.html` makes SVG of them.

Everything that a chart shows stands in a table beside it: the drawing is for a quick look. Its area
is 360 by 190 units, near what it gets on a phone, so that words stay readable there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 52, 352, 12, 160
_SECONDS = (
    *((0.01, "10 ms"), (0.1, "0.1 s"), (1.0, "1 s"), (10.0, "10 s"), (60.0, "1 min")),
    *((600.0, "10 min"), (3600.0, "1 h"), (86_400.0, "1 d"), (864_000.0, "10 d")),
    *((8_640_000.0, "100 d"), (86_400_000.0, "1000 d")),
)
_DAY_S, _MINUTE_S = 86_400, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A word at an axis; `at` is its place along it."""

    at: float
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A dot or a box; `tone` is "", or "missing" for what is not there."""

    x: float
    y: float
    width: float = 0.0
    height: float = 0.0
    tone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """What is drawn; `words` say in one sentence what there is to see."""

    title: str
    words: str
    across: Sequence[Tick] = ()
    upward: Sequence[Tick] = ()
    path: str = ""
    dots: Sequence[Mark] = ()
    boxes: Sequence[Mark] = ()
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    bottom: int = BOTTOM
    middle: float = field(default=(LEFT + RIGHT) / 2)


def steps(title: str, words: str, points: Sequence[tuple[datetime, int]]) -> Chart:
    """Return a line that climbs: between two points it keeps the lower one's height."""
    begin, end = points[0][0], points[-1][0]
    top = nice(points[-1][1])
    spread_s = max((end - begin).total_seconds(), 1.0)

    def place(at: datetime, size: int) -> str:
        x = LEFT + (RIGHT - LEFT) * (at - begin).total_seconds() / spread_s
        return f"{x:.1f} {_up(size / top):.1f}"

    places = [place(*points[0])]
    for (_, lower), (at, size) in pairwise(points):
        places += [place(at, lower), place(at, size)]
    return Chart(
        title=title,
        words=words,
        across=(
            Tick(at=LEFT, word=_instant(begin, end)),
            Tick(at=RIGHT, word=_instant(end, begin)),
        ),
        upward=[Tick(at=_up(part), word=_count(top * part)) for part in (0, 0.5, 1)],
        path="M" + " L".join(places),
    )


def delays(title: str, words: str, seconds: Sequence[float], ends: tuple[str, str]) -> Chart:
    """Return a dot for each delay, in order, on a scale where each tick is a good deal more."""
    low, high = _decades(min(seconds), max(seconds))
    scale = [one for one in _SECONDS if low <= one[0] <= high]

    def height(value: float) -> float:
        clipped = min(max(value, low), high)
        return _up(math.log(clipped / low) / math.log(high / low))

    return Chart(
        title=title,
        words=words,
        across=_ends(ends),
        upward=[Tick(at=height(value), word=word) for value, word in scale],
        dots=[
            Mark(x=x, y=height(value))
            for x, value in zip(_columns(len(seconds)), seconds, strict=True)
        ],
    )


def presence(
    title: str, words: str, rows: Sequence[tuple[str, Sequence[bool]]], ends: tuple[str, str]
) -> Chart:
    """Return a box in each row for each of its answers; the rows are equally long."""
    tall = (BOTTOM - TOP) / len(rows)
    wide = (RIGHT - LEFT) / max(len(rows[0][1]), 1)
    thick = min(tall * 0.7, 22.0)
    boxes = []
    for place, (_, there) in enumerate(rows):
        y = TOP + tall * (place + 0.5) - thick / 2
        boxes += [
            Mark(
                x=LEFT + wide * at,
                y=y,
                width=max(wide - 1, 1.0),
                height=thick,
                tone="" if one else "missing",
            )
            for at, one in enumerate(there)
        ]
    upward = [
        Tick(at=TOP + tall * (place + 0.5), word=name if len(name) < 9 else f"{name[:7]}…")
        for place, (name, _) in enumerate(rows)
    ]
    return Chart(title=title, words=words, across=_ends(ends), upward=upward, boxes=boxes)


def nice(value: int) -> int:
    """Return the next number from `value` on that is even and begins with 1, 2, 4, 6, 8."""
    for power in range(19):
        for lead in (1, 2, 4, 6, 8):
            if (found := lead * int(10**power)) >= value and found > 1:
                return found
    return value


def _up(part: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * part


def _columns(count: int) -> list[float]:
    wide = (RIGHT - LEFT) / count
    return [LEFT + wide * (at + 0.5) for at in range(count)]


def _ends(words: tuple[str, str]) -> tuple[Tick, Tick]:
    return Tick(at=LEFT, word=words[0]), Tick(at=RIGHT, word=words[1])


def _decades(least: float, most: float) -> tuple[float, float]:
    """Return the ticks around both values, two different ones."""
    values = [value for value, _ in _SECONDS]
    low = max((value for value in values if value <= least), default=values[0])
    high = min((value for value in values if value >= most), default=values[-1])
    if low < high:
        return low, high
    place = values.index(low)
    return (low, values[place + 1]) if place + 1 < len(values) else (values[place - 1], low)


def _count(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _instant(one: datetime, other: datetime) -> str:
    """Return `one` as shortly as tells it from `other`."""
    apart_s = abs((one - other).total_seconds())
    if apart_s > 2 * _DAY_S:
        return f"{one:%Y-%m-%d}"
    return f"{one:%H:%M}" if apart_s > 2 * _MINUTE_S else f"{one:%H:%M:%S}"
