"""How fast one key, or one person, may use the open interfaces: a token bucket each.

A bucket holds what a minute allows and fills at that rate, so a burst of a minute's worth is taken
and then one request at a time. The row is locked while it is counted: two web processes share one
allowance.

Commit point: the row's own transaction, before the work that it allows; call `take` outside the
transaction of that work. What fails afterwards was counted all the same. A lost bucket row is a
full bucket, and nothing else depends on it.
"""

from __future__ import annotations

import math
from datetime import datetime

from django.db import transaction

from ledger.errors import TooManyClaimsError
from ledger.models import Allowance

CLOSED_S = 3600


def take(name: str, per_minute: int, now: datetime) -> None:
    """Take one token from the bucket `name` (at most 80 characters), which `per_minute` fills.

    A clock that went back refills nothing, and counts from where it stands now.

    Raises:
        TooManyClaimsError: the bucket is empty; the error says when it will not be. With
            `per_minute` 0 nobody is allowed anything.
    """
    if per_minute <= 0:
        raise TooManyClaimsError(
            "This log takes nothing through its open interfaces at present.",
            retry_after_s=CLOSED_S,
        )
    with transaction.atomic():
        full = {"tokens": float(per_minute), "at": now}
        row, _ = Allowance.objects.select_for_update().get_or_create(name=name, defaults=full)
        passed_s = max((now - row.at).total_seconds(), 0.0)
        tokens = min(row.tokens + passed_s * per_minute / 60, float(per_minute))
        allowed = tokens >= 1
        row.tokens, row.at = tokens - 1 if allowed else tokens, now
        row.save(update_fields=("tokens", "at"))
    if not allowed:
        wait_s = math.ceil((1 - tokens) * 60 / per_minute)
        raise TooManyClaimsError(
            f"That was more than {per_minute} in a minute; the next one is taken in {wait_s} s.",
            retry_after_s=max(wait_s, 1),
        )
