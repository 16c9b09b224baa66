"""Counting downloads honestly: a file and an address count once a day, and no address is kept.

Commit point: the row of the key; the count follows in the same transaction. A crash before it
loses one count.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import salted_hmac

from registry.models import DownloadCount, DownloadSeen, Model

_KEPT = timedelta(days=2)


def count(model: Model, digest: str, address: str) -> None:
    """Count that `address` fetched the content `digest` of `model`, unless it did so today."""
    day = timezone.now().date()
    words = f"{day} {model.pk} {digest} {address}"
    key = salted_hmac("registry.downloads", words, algorithm="sha256").hexdigest()
    with transaction.atomic():
        _, new = DownloadSeen.objects.get_or_create(key=key, defaults={"day": day})
        if not new:
            return
        DownloadCount.objects.get_or_create(model=model, day=day)
        DownloadCount.objects.filter(model=model, day=day).update(count=F("count") + 1)


def sweep() -> int:
    """Forget the keys of other days; return how many."""
    gone, _ = DownloadSeen.objects.filter(day__lt=timezone.now().date() - _KEPT).delete()
    return gone
