"""Entries as a list shows them: what each says in a line, and what a searched digest is to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ledger import search
from ledger.models import Entry
from ledger.summary import summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A part of a list: what has its place for good, and above it what has none yet.

    `moving` waits for an index, or for the checkpoint that covers its index.
    """

    moving: Sequence[Entry]
    settled: Sequence[Entry]

    def context(self, digest: str) -> dict[str, Any]:
        """Return what `ledger/row.html` reads; one query more when a `digest` was searched."""
        every = [*self.moving, *self.settled]
        roles = search.roles(every, digest) if digest and every else {}

        def rows(entries: Iterable[Entry]) -> list[dict[str, Any]]:
            return [
                {"entry": row, "summary": summary(row), "roles": roles.get(row.pk)}
                for row in entries
            ]

        return {
            "waiting": rows(self.moving),
            "entries": rows(self.settled),
            "by_digest": bool(digest),
        }
