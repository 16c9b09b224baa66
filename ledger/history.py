"""How a log came to be what it is: its growth, and how long entries waited. Cost is flat.

Growth is read at so many sizes, spread evenly over the log: each is one look into the index of the
checkpoints, whatever the number of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from ledger.models import Checkpoint, Log

STEPS = 40
_GROWTH = """
SELECT DISTINCT ON (c.size) c.size, c.signed_at
FROM (SELECT ceil(n * %(size)s / %(steps)s::numeric)::bigint AS wanted
      FROM generate_series(0, %(steps)s) AS n) AS step
CROSS JOIN LATERAL (
    SELECT size, signed_at FROM ledger_checkpoint
    WHERE log_id = %(log)s AND size >= step.wanted AND published_at IS NOT NULL
    ORDER BY size LIMIT 1
) AS c
ORDER BY c.size
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """The log had `size` entries when a checkpoint over them was signed."""

    size: int
    at: datetime


def growth(log: Log, size: int, steps: int = STEPS) -> list[Grown]:
    """Return at most `steps` + 1 points of the growth to `size`, the first one first; one query."""
    with connection.cursor() as cursor:
        cursor.execute(_GROWTH, {"log": log.pk, "size": size, "steps": steps})
        return [Grown(size=found, at=at) for found, at in cursor.fetchall()]


def waited(log: Log, rows: Sequence[Checkpoint], below: int | None) -> list[timedelta | None]:
    """Return, for each of `rows`, how long its first new entry waited for its publication.

    That entry waited longest: entries get their places in the order in which they came. `rows` are
    published checkpoints that follow each other, the largest first; `below` is the size of the one
    before them, None when the last of them is the log's first. None is for the empty log's. One
    query.
    """
    firsts = [*(row.size for row in rows[1:]), below or 0]
    found = log.entries.filter(index__in=firsts).values_list("index", "created_at")
    taken = {index: at for index, at in found if index is not None}
    return [
        row.published_at - taken[first]
        if row.size > first and row.published_at and first in taken
        else None
        for row, first in zip(rows, firsts, strict=True)
    ]
