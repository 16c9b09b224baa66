"""Counters that anybody can understand, and that no busy row slows down.

**Downloads**: a release that one address fetched on one day (UTC) counts once, however many files
or pieces of files. Who fetches inserts a mark; a second mark of that day is none. The address is
only ever inside a keyed digest, whose key is deleted with the day's marks.

**Verified executions** and **unique runs** are read from what is in the ledger, so an execution
itself writes nothing for them: `inference.services.counting` says how.

Both are added up by a task, one at a time: COMMIT POINT is its transaction, which marks the marks
as counted (or moves `CountedLog`) together with the sums. A crash before it counts nothing, and the
next run counts it; nothing is counted twice.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.db import connection, transaction
from django.utils import timezone

from registry.models import CountedLog, DaySalt, DownloadMark, Release

_SALT_BYTES = 32
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('registry.counters'))"
_DOWNLOADS = """
UPDATE registry_downloadmark SET counted = true WHERE NOT counted RETURNING release_id, day
"""
_DAYS = """
INSERT INTO registry_releaseday (release_id, day, executions, unique_runs, downloads)
    SELECT * FROM unnest(%s::bigint[], %s::date[], %s::bigint[], %s::bigint[], %s::bigint[])
    ON CONFLICT (release_id, day) DO UPDATE SET
        executions = registry_releaseday.executions + excluded.executions,
        unique_runs = registry_releaseday.unique_runs + excluded.unique_runs,
        downloads = registry_releaseday.downloads + excluded.downloads
"""
_TOTALS = """
UPDATE registry_modeltotal AS t SET executions = t.executions + s.executions,
    unique_runs = t.unique_runs + s.unique_runs, downloads = t.downloads + s.downloads
    FROM (
        SELECT r.model_id, sum(a.executions) AS executions, sum(a.unique_runs) AS unique_runs,
            sum(a.downloads) AS downloads
        FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
            AS a (release_id, executions, unique_runs, downloads)
            JOIN registry_release AS r ON r.id = a.release_id
        GROUP BY r.model_id
    ) AS s WHERE t.model_id = s.model_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What comes to the counters of one release on one day; each pair at most once in a call."""

    release: int
    day: date
    executions: int = 0
    unique_runs: int = 0
    downloads: int = 0


# ------------------------------------------------------------------ downloads


def downloaded(revision_id: str, address: str) -> None:
    """Note that `address` fetched something of a revision; only releases are counted."""
    release = Release.objects.filter(revision_id=revision_id).values_list("pk", flat=True).first()
    if release is None:
        return
    day = timezone.now().date()
    words = f"{release} {address}".encode()
    key = hmac.digest(_salt(day), words, "sha256").hex()
    mark = DownloadMark(key=key, release_id=release, day=day)
    DownloadMark.objects.bulk_create([mark], ignore_conflicts=True)


def _salt(day: date) -> bytes:
    """Return the salt of a day, the same for every process."""
    found, _ = DaySalt.objects.get_or_create(
        day=day, defaults={"salt": secrets.token_bytes(_SALT_BYTES)}
    )
    return bytes(found.salt)


def add_up_downloads() -> int:
    """Count the marks that are new, and forget those of other days; return how many were new."""
    today = timezone.now().date()
    sums: dict[tuple[int, date], int] = {}
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_LOCK)
            cursor.execute(_DOWNLOADS)
            for release, day in cursor.fetchall():
                sums[release, day] = sums.get((release, day), 0) + 1
        add(Added(release=one, day=day, downloads=n) for (one, day), n in sums.items())
        # A process whose clock is late may still be at yesterday for a moment.
        before = today - timedelta(days=1)
        DownloadMark.objects.filter(day__lt=before, counted=True).delete()
        DaySalt.objects.filter(day__lt=before).delete()
    return sum(sums.values())


# ------------------------------------------------------------------ adding up


def add(added: Iterable[Added]) -> None:
    """Add to the days of releases and the totals of their models, in the caller's transaction."""
    rows = sorted(added, key=lambda one: (one.release, one.day))
    if not rows:
        return
    releases = [one.release for one in rows]
    numbers = [
        [one.executions for one in rows],
        [one.unique_runs for one in rows],
        [one.downloads for one in rows],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_DAYS, [releases, [one.day for one in rows], *numbers])
        cursor.execute(_TOTALS, [releases, *numbers])


def logs_to_count() -> Sequence[CountedLog]:
    """Return how far each log has been counted, oldest log first; no other counts meanwhile.

    Call it in a transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOCK)
        cursor.execute(
            "INSERT INTO registry_countedlog (log_id, size) SELECT id, 0 FROM ledger_log "
            "ON CONFLICT DO NOTHING"
        )
    return list(CountedLog.objects.select_related("log").order_by("log_id"))
