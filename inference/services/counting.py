"""Counting executions that are in the ledger, by reading it: no execution writes a counter.

A log's entries have places 0, 1, 2, … that never change, so "counted up to place n" says exactly
what was counted. Entries beyond it are looked at in blocks. COMMIT POINT: the transaction that adds
a block to the counters and moves `CountedLog` behind it; a crash before it counts nothing of the
block, the next run counts all of it, and nothing is counted twice.

What counts: an entry of kind `execution` of a released revision. Replays have entries of another
kind. A **unique run** is the first such entry of its revision with its input; a private execution,
whose input nobody sees, is none.
"""

from __future__ import annotations

from django.db import connection, transaction

from registry.services import counters

BLOCK = 20_000
# By (log, place): the order in which the ledger has them, whenever they ended.
_BLOCK = """
SELECT r.id, (e.finished_at AT TIME ZONE 'UTC')::date, count(*), count(*) FILTER (
    WHERE NOT e.private AND NOT EXISTS (
        SELECT 1 FROM inference_execution AS p JOIN ledger_entry AS q ON q.id = p.entry_id
        WHERE p.input_id = e.input_id AND p.revision_id = e.revision_id AND NOT p.private
            AND (q.log_id, q.index) < (l.log_id, l.index)))
FROM ledger_entry AS l
    JOIN inference_execution AS e ON e.entry_id = l.id
    JOIN registry_release AS r ON r.revision_id = e.revision_id
WHERE l.log_id = %s AND l.kind = 'execution' AND l.index >= %s AND l.index < %s
GROUP BY 1, 2
"""


def count_executions(block: int = BLOCK) -> int:
    """Count the executions that the ledger has taken in since; return how many."""
    counted = 0
    while True:
        with transaction.atomic():
            found = _count_block(block)
        if found is None:
            return counted
        counted += found


def _count_block(block: int) -> int | None:
    """Count the next block of the oldest log that has one; None when there is none."""
    for mark in counters.logs_to_count():
        end = min(mark.log.size, mark.size + block)
        if end <= mark.size:
            continue
        with connection.cursor() as cursor:
            cursor.execute(_BLOCK, [mark.log_id, mark.size, end])
            found = cursor.fetchall()
        counters.add(
            counters.Added(release=release, day=day, executions=runs, unique_runs=unique)
            for release, day, runs, unique in found
        )
        mark.size = end
        mark.save(update_fields=("size",))
        counted: int = sum(runs for _, _, runs, _ in found)
        return counted
    return None
