"""Delivers what the outbox holds, at least once, for a day.

An attempt is three steps: claim (one statement: rows that nobody looks at get a lease and count an
attempt), one HTTP request, result (one UPDATE, fenced by the lease). **The commit point** of a
delivery is that UPDATE. Who dies between the request and the UPDATE leaves a lease that runs out:
the message is sent again, with the same `webhook-id`, by which its receiver knows it. So "at least
once" is a promise, and "exactly once" is the receiver's part.

After a failed attempt the next waits, up to eight hours, until `give_up_at`; then there is a last
one, and the delivery has failed. A server that does not answer is left alone for up to five minutes
at a time, whatever else there is for it; 410 Gone disables the hook. Nobody's dead servers are in
others' way: of one owner `PER_OWNER` messages are under way at a time, of all `IN_FLIGHT`.
"""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Least, Now
from django.utils import timezone

from assay.canonical import canonical_json
from inference.choices import DeliveryState
from inference.errors import WebhookAddressError
from inference.failpoints import reach
from inference.models import Delivery, Hook
from inference.services.hooks import rules
from inference.services.sealed import UnreadableError, unseal
from inference.webhooks.guard import (
    Resolve,
    Rules,
    UnresolvedError,
    addresses_of,
    parse_url,
    resolve_by_system,
)
from inference.webhooks.post import UndeliveredError, post, tls_context
from inference.webhooks.signature import sign

LEASE_S = 120
IN_FLIGHT = 32
PER_OWNER = 8
WAITS_S = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800)
AWAY_WAITS_S = (5, 30, 120, 300)
KEPT = timedelta(days=30)
_SWEPT = 1_000
_GONE = 410
_AWAY = (None, 429, 502, 503, 504)

_CLAIM = """
WITH held AS (
  SELECT h.owner_id, count(*) AS n FROM inference_delivery d
  JOIN inference_hook h ON h.id = d.hook_id
  WHERE d.state = 'waiting' AND d.lease_until > clock_timestamp() GROUP BY h.owner_id),
due AS (
  SELECT d.id, d.due_at, row_number() OVER (PARTITION BY h.owner_id ORDER BY d.due_at, d.id)
    + coalesce((SELECT n FROM held WHERE held.owner_id = h.owner_id), 0) AS nth
  FROM inference_delivery d JOIN inference_hook h ON h.id = d.hook_id
  WHERE d.state = 'waiting' AND d.due_at <= clock_timestamp()
    AND (d.lease_until IS NULL OR d.lease_until < clock_timestamp())
    AND (h.retry_at IS NULL OR h.retry_at <= clock_timestamp())),
picked AS MATERIALIZED (
  SELECT d.id FROM inference_delivery d JOIN due ON due.id = d.id
  WHERE due.nth <= %(per_owner)s AND d.state = 'waiting' AND d.due_at <= clock_timestamp()
    AND (d.lease_until IS NULL OR d.lease_until < clock_timestamp())
  ORDER BY due.nth, due.due_at
  LIMIT greatest(0, %(in_flight)s - (SELECT coalesce(sum(n), 0) FROM held))
  FOR UPDATE OF d SKIP LOCKED)
UPDATE inference_delivery d SET attempts = least(attempts, 32000) + 1,
  lease = gen_random_uuid(), lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
FROM picked WHERE d.id = picked.id RETURNING d.id, d.lease
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A delivery that is ours to try until the lease is over, as text and bytes: no row."""

    id: uuid.UUID
    lease: uuid.UUID
    hook: uuid.UUID
    attempts: int
    failures: int
    url: str = field(repr=False)
    sealed: bytes = field(repr=False)
    body: bytes
    refused: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of an attempt: an HTTP status, or why there is none."""

    status: int | None = None
    error: str = ""
    final: bool = False

    @property
    def delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def deliver_some(
    *, resolve: Resolve = resolve_by_system, context: ssl.SSLContext | None = None
) -> int:
    """Try what is due, at most `IN_FLIGHT` messages side by side; return how many were tried."""
    held = claim()
    if not held:
        return 0
    allowed, encrypted = rules(), context or tls_context()
    with ThreadPoolExecutor(len(held), thread_name_prefix="webhook") as pool:
        # The threads see no database: each result is written here as it comes.
        futures = {pool.submit(attempt, one, allowed, resolve, encrypted): one for one in held}
        for future in as_completed(futures):
            reach("webhook-after-post")
            record(futures[future], future.result())
    return len(held)


def claim() -> list[Held]:
    """Claim what is due now: each row has a new lease, and an attempt more."""
    values = {"per_owner": PER_OWNER, "in_flight": IN_FLIGHT, "lease": LEASE_S}
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        leases = dict(cursor.fetchall())
    rows = Delivery.objects.filter(pk__in=leases).order_by("due_at")
    found = rows.select_related("hook__owner", "hook__watch__owner")
    return [_held(row, leases[row.pk]) for row in found]


def _held(row: Delivery, lease: uuid.UUID) -> Held:
    hook, refused = row.hook, ""
    if hook.deleted_at is not None or hook.disabled_at is not None:
        refused = "The webhook is disabled."
    elif hook.watch is None and not hook.owner.is_active:
        refused = "The account is not active."
    elif hook.watch is not None and hook.watch.owner.deleted_at is not None:
        refused = "The owner is gone."
    return Held(
        id=row.pk,
        lease=lease,
        hook=hook.pk,
        attempts=row.attempts,
        failures=hook.failures,
        url=hook.url,
        sealed=bytes(hook.secret),
        body=canonical_json(row.body),
        refused=refused,
    )


def attempt(held: Held, allowed: Rules, resolve: Resolve, context: ssl.SSLContext) -> Result:
    """Send one message, and say what came of it. Raises nothing that a webhook can bring about."""
    if held.refused:
        return Result(error=held.refused, final=True)
    try:
        key = unseal(held.sealed, about=held.hook.bytes)
    except UnreadableError:
        return Result(error="The secret cannot be read: make a new webhook.", final=True)
    now = int(timezone.now().timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Assay-Webhooks/1",
        "webhook-id": str(held.id),
        "webhook-timestamp": str(now),
        "webhook-signature": sign(key, str(held.id), now, held.body),
    }
    try:
        # The rules may have become stricter since the webhook was made.
        place = parse_url(held.url, allowed)
        found = addresses_of(place, allowed, resolve)
        return _told(post(place, found, headers, held.body, context=context))
    except WebhookAddressError as error:
        return Result(error=error.message)
    except UnresolvedError:
        return Result(error="The host's name has no address.")
    except UndeliveredError as error:
        return Result(error=str(error))


def _told(status: int) -> Result:
    if 200 <= status < 300:
        return Result(status=status)
    words = " Redirects are not followed." if 300 <= status < 400 else ""
    return Result(status=status, error=f"The answer was {status}.{words}", final=status == _GONE)


def record(held: Held, result: Result) -> bool:
    """Write what came of an attempt; False when the lease is another's, or the delivery gone."""
    text = result.error[:200]
    if result.delivered:
        columns = {"state": Value(DeliveryState.DELIVERED), "ended_at": Now()}
    elif result.final:
        columns = {"state": Value(DeliveryState.FAILED), "ended_at": Now()}
    else:
        over = When(give_up_at__lte=Now(), then=Value(DeliveryState.FAILED))
        columns = {
            "state": Case(over, default=Value(DeliveryState.WAITING)),
            "ended_at": Case(When(give_up_at__lte=Now(), then=Now()), default=None),
            "due_at": Least(Now() + _wait(held.attempts), F("give_up_at")),
        }
    with transaction.atomic():
        mine = Delivery.objects.filter(pk=held.id, lease=held.lease, state=DeliveryState.WAITING)
        won = mine.update(
            lease_until=None,
            last_attempt_at=Now(),
            last_status=result.status,
            last_error=text,
            **columns,
        )
        if won and result.status == _GONE:
            _disable(held.hook)
        elif won and not held.refused:
            _note(held, away=result.status in _AWAY)
    return bool(won)


def _wait(attempts: int) -> timedelta:
    return timedelta(seconds=WAITS_S[min(attempts, len(WAITS_S)) - 1])


def _note(held: Held, *, away: bool) -> None:
    """Leave a server that is away alone for a while; one that answers gets everything again."""
    hook = Hook.objects.filter(pk=held.hook)
    if away:
        failures = min(held.failures + 1, len(AWAY_WAITS_S))
        wait = timedelta(seconds=AWAY_WAITS_S[failures - 1])
        # What failed side by side counts once.
        free = Q(retry_at__isnull=True) | Q(retry_at__lte=Now())
        hook.filter(free).update(failures=failures, retry_at=Now() + wait)
    elif held.failures:
        hook.update(failures=0, retry_at=None)


def _disable(hook: uuid.UUID) -> None:
    """Send nothing more to a server that said 410 Gone."""
    Hook.objects.filter(pk=hook, disabled_at__isnull=True).update(disabled_at=Now())
    waiting = Delivery.objects.filter(hook_id=hook, state=DeliveryState.WAITING)
    waiting.update(
        state=DeliveryState.FAILED,
        ended_at=Now(),
        lease_until=None,
        last_error="The webhook is disabled: its server answered 410 Gone.",
    )


def sweep(now: datetime | None = None) -> int:
    """End what a server that is away has not taken for a day; delete what ended `KEPT` ago.

    Returns how many rows were deleted, `_SWEPT` at most.
    """
    now = now or timezone.now()
    late = Delivery.objects.filter(
        state=DeliveryState.WAITING, give_up_at__lte=now, lease_until=None, hook__retry_at__gt=now
    )
    words = "The server was away until the message was too old."
    late.update(state=DeliveryState.FAILED, ended_at=now, last_error=words)
    old = Delivery.objects.exclude(state=DeliveryState.WAITING).filter(ended_at__lt=now - KEPT)
    some: Sequence[uuid.UUID] = list(old.values_list("pk", flat=True)[:_SWEPT])
    deleted, _ = Delivery.objects.filter(pk__in=some).delete()
    return deleted
