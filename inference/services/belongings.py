"""What is kept here for an account: written out for it, and forgotten when it is closed.

Forgotten are tensors, salts, schedules and webhooks. Executions themselves stay, with what was
signed: the ledger names them by digests, which give no input away. Tensors go by the usual way, at
the sweeper's next run (`services.expiry`); all else is in the transaction that closes the account.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db.models.functions import Coalesce, Least, Now

from assay.canonical import canonical_json
from assay.statements import timestamp
from inference.choices import TERMINAL
from inference.models import Delivery, Execution, Hook, Schedule
from registry.belongings import Keeper, Part

STEP = 200


def export(user_id: int) -> Iterator[Part]:
    """Yield the files of an export: executions, schedules, webhooks, one JSON object a line."""
    yield Part(path="executions.jsonl", chunks=_executions(user_id))
    yield Part(path="schedules.jsonl", chunks=_schedules(user_id))
    yield Part(path="webhooks.jsonl", chunks=_hooks(user_id))


def _line(**fields: Any) -> bytes:
    return canonical_json(fields) + b"\n"


def _executions(user_id: int) -> Iterator[bytes]:
    """Yield the executions, the oldest first; `receipt` is the statement as it was signed."""
    after = UUID(int=0)
    while True:
        rows = Execution.objects.filter(caller_id=user_id, pk__gt=after).order_by("pk")
        found = list(rows.select_related("entry")[:STEP])
        for row in found:
            yield _execution(row)
        if len(found) < STEP:
            return
        after = found[-1].pk


def _execution(row: Execution) -> bytes:
    return _line(
        id=str(row.pk),
        state=row.state,
        model=row.model_name,
        revision=row.revision_id,
        private=row.private,
        inputSha256=row.input_id,
        outputSha256=row.output_id,
        error=row.error_code or None,
        createdAt=timestamp(row.created_at),
        finishedAt=timestamp(row.finished_at) if row.finished_at else None,
        salts=row.salts,
        receipt=row.receipt or None,
        ledgerIndex=row.entry.index if row.entry else None,
    )


def _schedules(user_id: int) -> Iterator[bytes]:
    for row in Schedule.objects.filter(owner_id=user_id).order_by("pk").iterator(STEP):
        yield _line(
            id=str(row.pk),
            model=row.model_name,
            version=row.version,
            cron=row.cron or None,
            intervalS=row.interval_s,
            createdAt=timestamp(row.created_at),
            stoppedAt=timestamp(row.stopped_at) if row.stopped_at else None,
        )


def _hooks(user_id: int) -> Iterator[bytes]:
    rows = Hook.objects.filter(owner_id=user_id, deleted_at=None)
    for row in rows.order_by("pk").iterator(STEP):
        yield _line(id=str(row.pk), url=row.url, createdAt=timestamp(row.created_at))


def forget(user_id: int) -> None:
    """Let nothing of the account run or be told any more, and let its tensors go."""
    own = Execution.objects.filter(caller_id=user_id)
    waiting = own.exclude(state__in=TERMINAL)
    waiting.filter(cancel_requested=None).update(cancel_requested=Now())
    soon = own.filter(dropped_at=None)
    soon.update(keep_until=Least(Coalesce("keep_until", Now()), Now()), idempotency_key=None)
    Schedule.objects.filter(owner_id=user_id, stopped_at=None).update(stopped_at=Now())
    # Those that tell of an organisation's changes are the organisation's.
    hooks = Hook.objects.filter(owner_id=user_id, watch=None, deleted_at=None)
    Delivery.objects.filter(hook__in=hooks).delete()
    hooks.update(url="", secret=b"", deleted_at=Now())


KEEPER = Keeper(export=export, forget=forget)
