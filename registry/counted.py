"""The counters as pages and the API show them; `registry.services.counters` says what they mean."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from registry.models import Model, ModelTotal, Release, ReleaseDay

DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Sums since the first day, and (`recent`) of the last `DAYS` days, today included."""

    executions: int
    unique_runs: int
    downloads: int
    recent_executions: int
    recent_unique_runs: int
    recent_downloads: int


def of_model(model: Model) -> ModelTotal:
    """Return the counters of all releases of `model`; no query when `find_model` found it."""
    found: ModelTotal = model.total
    return found


def of_release(release: Release) -> Counted:
    """Return the counters of `release`; one query."""
    return _sum(ReleaseDay.objects.filter(release=release))


def days_of(release: Release, limit: int = DAYS) -> list[ReleaseDay]:
    """Return the days on which something was counted for `release`, the newest first."""
    return list(ReleaseDay.objects.filter(release=release).order_by("-day")[:limit])


def _sum(rows: QuerySet[ReleaseDay]) -> Counted:
    since = Q(day__gt=timezone.now().date() - timedelta(days=DAYS))
    names = ("executions", "unique_runs", "downloads")
    sums = {f"all_{name}": Sum(name) for name in names}
    sums |= {f"recent_{name}": Sum(name, filter=since) for name in names}
    found = rows.aggregate(**sums)
    return Counted(**{name.removeprefix("all_"): value or 0 for name, value in found.items()})
