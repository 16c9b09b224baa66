"""Who signed the releases of a model, from when to when, and whether a change was announced.

The key of the first release is pinned: nobody vouches for it but the registration under the owner's
name. A later key is either one that the key before named itself (a rotation, which both signed), or
another key that was merely registered. The first cannot be done by whoever has only the account,
the second can: so the second is what a reader looks at twice.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from registry.models import Key, Model, Release

MAX_ROTATIONS = 1_000


class Change(StrEnum):
    """How a signer came to follow the one before."""

    FIRST = "first"
    ROTATED = "rotated"
    RETURNED = "returned"
    OTHER = "other"

    @property
    def words(self) -> str:
        """Return it for people."""
        return _WORDS[self]

    @property
    def alarming(self) -> bool:
        """Whether a reader should look twice."""
        return self == Change.OTHER


_WORDS = {
    Change.FIRST: "the first signer, pinned",
    Change.ROTATED: "named by the key before, which signed that",
    Change.RETURNED: "it signed this model before",
    Change.OTHER: "another key of the owner, which the key before did not name",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """A run of releases that one key signed, oldest first: `since` and `until` are the ends."""

    key: Key
    change: Change
    first: str
    last: str
    since: datetime
    until: datetime
    releases: int

    @property
    def alarming(self) -> bool:
        """Whether a reader should look twice."""
        return self.change.alarming


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """That a release has another signer than the one before it: who, and how that came."""

    key: Key
    change: Change


def history(model: Model) -> list[Signer]:
    """Return the signers of `model` with their runs of releases, newest first."""
    rows = (
        Release.objects.filter(model=model)
        .order_by("number")
        .values_list("version", "created_at", "key_id")
    )
    runs: list[list[tuple[str, datetime, str]]] = []
    for row in rows:
        if not runs or runs[-1][-1][2] != row[2]:
            runs.append([])
        runs[-1].append(row)
    keys = _with_ancestors({run[0][2] for run in runs})
    seen: set[str] = set()
    found = []
    for before, run in zip([None, *runs], runs, strict=False):
        fingerprint = run[0][2]
        earlier = None if before is None else before[0][2]
        found.append(
            Signer(
                key=keys[fingerprint],
                change=_change(fingerprint, earlier, seen, keys),
                first=run[0][0],
                last=run[-1][0],
                since=run[0][1],
                until=run[-1][1],
                releases=len(run),
            )
        )
        seen.add(fingerprint)
    return found[::-1]


def change_at(release: Release) -> Changed | None:
    """Return the signer whom `release` brought in; None when the release before had the same.

    None for the first release of a model, too. `release` is one of `selectors.releases`, so that
    this costs a query only where several rotations lie between two releases.
    """
    before: str | None = release.previous_key  # type: ignore[attr-defined]  # an annotation
    if before is None or before == release.key_id:
        return None
    key = release.key
    keys = {key.pk: key}
    if key.previous_id not in (None, before):
        keys |= _with_ancestors([key.previous_id])
    seen = {key.pk} if release.signed_before else ()  # type: ignore[attr-defined]  # an annotation
    return Changed(key=key, change=_change(key.pk, before, seen, keys))


def _with_ancestors(fingerprints: Iterable[str]) -> dict[str, Key]:
    """Return the keys, and all that they descend from by rotation: one query for a generation."""
    known: dict[str, Key] = {}
    wanted = set(fingerprints)
    while wanted and len(known) < MAX_ROTATIONS:
        known |= Key.objects.select_related("entry").in_bulk(list(wanted))
        wanted = {
            key.previous_id for key in known.values() if key.previous_id is not None
        } - known.keys()
    return known


def _change(
    fingerprint: str, earlier: str | None, seen: Collection[str], keys: dict[str, Key]
) -> Change:
    if earlier is None:
        return Change.FIRST
    ancestor = keys[fingerprint].previous_id
    while ancestor is not None:
        if ancestor == earlier:
            return Change.ROTATED
        ancestor = keys[ancestor].previous_id if ancestor in keys else None
    return Change.RETURNED if fingerprint in seen else Change.OTHER
