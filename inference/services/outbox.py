"""What webhooks will tell, written in the transaction of what it tells of.

It is the end of an execution, or a change to the registry.

**The commit point** is the caller's: before it there is no message, after it the message is durable
and will be tried for a day (`services.deliveries`). A crash between the commit and the wake-up
costs seconds: the beat's sweep finds the row. What rolls back takes its message along. The database
takes one message of an event about a thing for a hook, so that a repeated call adds none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from inference import outgoing
from inference.ids import uuid7
from inference.models import Delivery, Execution, Hook
from registry.models import AuditEvent
from registry.services import webhooks

ENDED = "execution.ended"
GIVE_UP = timedelta(hours=24)

# From the rows, and not from what the caller holds in memory: an UPDATE may have written more.
_INSERT = """
INSERT INTO inference_delivery (id, hook_id, event, about, body, state, created_at, due_at,
  give_up_at, attempts, last_error)
SELECT told.delivery, e.hook_id, %(event)s, e.id::text, jsonb_build_object(
  'type', %(event)s::text,
  'timestamp', to_char(e.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
  'data', jsonb_build_object(
    'execution', e.id::text, 'state', e.state, 'batch', e.batch::text,
    'model', e.model_name, 'revision', e.revision_id, 'manifest', e.manifest,
    'input_sha256', CASE WHEN NOT e.private THEN e.input_id END,
    'output_sha256', CASE WHEN NOT e.private THEN e.output_id END,
    'error_code', nullif(e.error_code, ''),
    'url', %(site)s || '/api/v1/executions/' || e.id::text,
    'page_url', %(site)s || '/executions/' || e.id::text || '/',
    'receipt_url', CASE WHEN e.entry_id IS NOT NULL
      THEN %(site)s || '/executions/' || e.id::text || '/receipt' END)),
  'waiting', clock_timestamp(), clock_timestamp(),
  clock_timestamp() + make_interval(secs => %(give_up)s), 0, ''
FROM unnest(%(executions)s::uuid[], %(deliveries)s::uuid[]) AS told(execution, delivery)
JOIN inference_execution e ON e.id = told.execution AND e.finished_at IS NOT NULL
JOIN inference_hook h ON h.id = e.hook_id AND h.disabled_at IS NULL AND h.deleted_at IS NULL
ON CONFLICT DO NOTHING
"""


def ended(executions: Sequence[Execution]) -> None:
    """Write the messages about `executions`, which have just ended, to the hooks that they name.

    Call it inside the transaction that ends them, after the rows are written. It costs one
    statement, and none when no execution has a hook.
    """
    told = [execution.pk for execution in executions if execution.hook_id is not None]
    if not told:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            {
                "event": ENDED,
                "site": settings.SITE_URL,
                "give_up": GIVE_UP.total_seconds(),
                "executions": told,
                "deliveries": [uuid7() for _ in told],
            },
        )
    # Robust: what has been committed is not undone by a wake-up that fails.
    transaction.on_commit(outgoing.wake, robust=True)


def changed(event: AuditEvent) -> None:
    """Write the messages about a change to the registry, in the transaction of its audit row."""
    hooks = Hook.objects.filter(
        watch__in=webhooks.watching(event), disabled_at__isnull=True, deleted_at__isnull=True
    )
    told = list(hooks.values_list("pk", flat=True))
    if not told:
        return
    body, now = webhooks.message(event), timezone.now()
    Delivery.objects.bulk_create(
        Delivery(
            hook_id=hook,
            event=event.action,
            about=str(event.pk),
            body=body,
            due_at=now,
            give_up_at=now + GIVE_UP,
        )
        for hook in told
    )
    transaction.on_commit(outgoing.wake, robust=True)
