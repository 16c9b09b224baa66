"""A site with many rows of everything that a page lists, written behind the triggers' backs.

Entries, checkpoints and executions by the hundred thousand, as shapes: no signature verifies, and
no file of the log is there. Models are those of the search's benchmark.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from django.db import connection, transaction

from bench import search_rows
from bench.claims import copy_in, shaped
from inference.choices import ExecutionState, ExecutorKind
from inference.models import Execution, Tensors
from ledger.logs import current_log
from ledger.models import Entry
from registry.models import Revision
from registry.services import search

FIRST = 20  # numbers of models begin here: owner 1 has the first ones
BATCH = 5_000
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = f"owner{FIRST // search_rows.PER_OWNER}"
_PLACES = """
UPDATE ledger_entry AS e SET index = o.place - 1, owner = %s, model = %s,
    kind = (ARRAY['execution', 'release', 'card', 'key'])[1 + o.place %% 4]
FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM ledger_entry) AS o
WHERE e.id = o.id AND e.index IS NULL
"""
_CHECKPOINTS = """
INSERT INTO ledger_checkpoint (log_id, size, root, note, signed_at, published_at)
SELECT c.log_id, n, c.root, c.note, at, at
FROM ledger_checkpoint AS c, generate_series(%s, %s) AS n, LATERAL (
    SELECT c.signed_at + n * interval '1 s' AS at
) AS later
WHERE c.size = 0
"""
_COSIGNED = """
INSERT INTO ledger_cosignature (checkpoint_id, witness, key_id, line, seen_at)
SELECT c.id, w.witness, w.key_id, w.line, c.signed_at
FROM ledger_checkpoint AS c, (
    SELECT s.witness, s.key_id, s.line FROM ledger_cosignature AS s
    JOIN ledger_checkpoint AS z ON z.id = s.checkpoint_id WHERE z.size = 0 LIMIT 1
) AS w
WHERE c.size BETWEEN %s AND %s
"""


def fill(there: int, size: int) -> None:
    """Grow the site from `there` to `size` models, entries, checkpoints and executions."""
    for start in range(there, size, BATCH):
        count = min(BATCH, size - start)
        copy_in(list(shaped(start + 1, count)))
        search_rows.insert(FIRST + start, count)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(_PLACES, [MODEL, f"{MODEL}/model"])
        cursor.execute("UPDATE ledger_log SET size = %s", [size])
        cursor.execute(_CHECKPOINTS, [there + 1, size])
        cursor.execute(_COSIGNED, [there + 1, size])
        _executions(there, size)
    search.rebuild()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")


def _executions(there: int, size: int) -> None:
    """Write one execution of a model for each entry."""
    tensors, _ = Tensors.objects.get_or_create(sha256="0" * 64, defaults={"size": 4})
    revisions = dict(Revision.objects.values_list("model_id", "pk"))
    entries = Entry.objects.filter(log=current_log()).order_by("pk").values_list("pk", flat=True)
    for start in range(there, size, BATCH):
        taken = list(entries[start : min(start + BATCH, size)])
        Execution.objects.bulk_create(
            _execution(start + place, entry, tensors, revisions)
            for place, entry in enumerate(taken)
        )


def _execution(number: int, entry: int, tensors: Tensors, revisions: dict[int, str]) -> Execution:
    at = BEGUN + timedelta(seconds=number)
    return Execution(
        pk=uuid.UUID(int=(number << 80) | (7 << 76) | (2 << 62) | number),
        request_digest="0" * 64,
        state=ExecutionState.SUCCEEDED,
        available_at=at,
        deadline=at,
        revision_id=revisions[FIRST + number],
        model_name=f"owner{(FIRST + number) // search_rows.PER_OWNER}/model",
        manifest="0" * 64,
        graph_path="model.onnx",
        executor_kind=ExecutorKind.PORTABLE,
        input=tensors,
        output=tensors,
        executor="0" * 64,
        entry_id=entry,
        runtime={"kind": "portable", "name": "onnxruntime-web", "version": "1.30.0"},
        created_at=at,
        finished_at=at,
    )
