"""Executions as the registry asks about them, for results that a card says they prove."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.db.models import Q

from inference.models import Execution
from registry.executions import Ran

MOST = 5_000


def ran(ids: Collection[UUID], batches: Collection[UUID]) -> list[Ran]:
    """Return the executions with these ids and those of these batches, at most `MOST`; one query.

    What a row says of model and revision was compared with its signed statement before the two were
    stored together (`inference.services.statement`), and neither changes after.
    """
    rows = Execution.objects.filter(Q(pk__in=ids) | Q(batch__in=batches)).order_by("pk")
    return [
        Ran(
            id=pk,
            batch=batch,
            revision=revision,
            pae_sha256=bytes(pae) if pae else None,  # an entry is there only once it succeeded
            caller_id=caller,
        )
        for pk, batch, revision, pae, caller in rows.values_list(
            "pk", "batch", "revision_id", "entry__payload_id", "caller_id"
        )[:MOST]
    ]
