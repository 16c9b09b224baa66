"""Finding entries of one log: by kind, model, owner, signer or digest, in pages by index.

Each condition has an index of its own, and a page by one of them reads one row more than it shows.
A digest may be four different things; each is looked up in its own index and the results are
merged, because one condition with OR would read the whole log. What many statements have as a
subject is read in full and sorted: a subject does not know the index of its entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from ledger.keyset import Page, Window, page_of
from ledger.models import Entry, Log, Subject

SUBJECT, ENVELOPE, KEY, LEAF = "subject", "envelope", "signing key", "leaf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which entries to list; `""` means all. `digest` and `signer` are 64 lower-case hex digits.

    `digest` finds what has to do with it: a subject's SHA-256, the SHA-256 of the payload's PAE
    (the address of the envelope), the fingerprint of the key, or the leaf hash.
    """

    kind: str = ""
    model: str = ""
    owner: str = ""
    signer: str = ""
    digest: str = ""


def page(
    log: Log, wanted: Filter, *, limit: int, before: int | None = None, after: int | None = None
) -> Page[Entry]:
    """Return at most `limit` sequenced entries below index `before`, or right above `after`.

    They come with their payloads, the newest first; with both limits, the newest between them.
    """
    # As a range: of `IS NOT NULL`, PostgreSQL makes a filter over all that wait.
    sequenced = _narrow(log.entries.filter(index__gte=0), wanted)

    def fetch(window: Window, most: int) -> list[Entry]:
        order = window.order("index")
        rows = sequenced.filter(**window.conditions("index"))
        if wanted.digest:
            rows = Entry.objects.filter(pk__in=_merge(rows, wanted.digest, order, most))
        return list(rows.select_related("payload").order_by(order)[:most])

    return page_of(fetch, lambda row: row.index, Window(before=before, after=after), limit)


def waiting(log: Log, wanted: Filter, limit: int) -> list[Entry]:
    """Return at most `limit` entries that wait for an index, the newest first, with payloads."""
    rows = _narrow(log.entries.filter(index__isnull=True), wanted)
    if wanted.digest:
        rows = Entry.objects.filter(pk__in=_merge(rows, wanted.digest, "-pk", limit))
    return list(rows.select_related("payload").order_by("-pk")[:limit])


def count(log: Log, wanted: Filter, limit: int) -> int:
    """Return how many entries match, waiting ones included; counting stops at `limit`."""
    rows = _narrow(log.entries.all(), wanted)
    if wanted.digest:
        return len(_merge(rows, wanted.digest, "-index", limit))
    return rows[:limit].count()


def roles(entries: Iterable[Entry], digest: str) -> dict[int, list[str]]:
    """Return, for each entry by primary key, what `digest` is to it."""
    found = list(entries)
    named = set(
        Subject.objects.filter(entry__in=found, sha256=digest).values_list("entry", flat=True)
    )
    return {entry.pk: _roles(entry, digest, named=entry.pk in named) for entry in found}


def _roles(entry: Entry, digest: str, *, named: bool) -> list[str]:
    value = bytes.fromhex(digest)
    found = {
        SUBJECT: named,
        ENVELOPE: bytes(entry.payload_id) == value,
        KEY: entry.fingerprint == digest,
        LEAF: bytes(entry.leaf_hash) == value,
    }
    return [word for word, is_so in found.items() if is_so]


def _narrow(rows: QuerySet[Entry], wanted: Filter) -> QuerySet[Entry]:
    """Return the rows that every condition but the digest leaves."""
    conditions = {
        "kind": wanted.kind,
        "model": wanted.model,
        "owner": wanted.owner,
        "fingerprint": wanted.signer,
    }
    given = {name: value for name, value in conditions.items() if value}
    if any("\0" in value for value in given.values()):
        return rows.none()  # a name that PostgreSQL cannot hold is nobody's
    return rows.filter(**given)


def _merge(rows: QuerySet[Entry], digest: str, order: str, limit: int) -> list[int]:
    """Return the primary keys of the first `limit` of `rows` that have to do with `digest`."""
    subjects = Subject.objects.filter(sha256=digest).values("entry")
    value = bytes.fromhex(digest)
    conditions = (
        Q(pk__in=subjects),
        Q(payload=value),
        Q(fingerprint=digest),
        Q(leaf_hash=value),
    )
    if rows.query.is_empty():
        return []
    first, *others = (
        rows.filter(condition).order_by(order).values_list("pk", "index")[:limit]
        for condition in conditions
    )
    return [pk for pk, _ in first.union(*others).order_by(order)[:limit]]
