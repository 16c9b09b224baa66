"""Housekeeping of the ledger."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.utils import timezone

from ledger.models import StagedPayload

STAGED_FOR = timedelta(days=1)


@shared_task(ignore_result=True)
def sweep_staged() -> int:
    """Drop payloads that nobody logged within a day; return how many."""
    old = StagedPayload.objects.filter(created_at__lt=timezone.now() - STAGED_FOR)
    return old.delete()[0]
