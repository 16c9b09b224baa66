"""What the registry asks about executions, which another application keeps.

That application sets the source when it starts. The registry decides by itself what an execution
proves about a card: the source only says what ran and where it is logged.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """An execution: the revision that it ran, and the SHA-256 of its statement's PAE in the ledger.

    `pae_sha256` is 32 bytes; None for an execution that is not logged, because it failed or waits.
    `caller_id` is the account that started it, None for nobody who was signed in.
    """

    id: UUID
    batch: UUID | None
    revision: str
    pae_sha256: bytes | None
    caller_id: int | None = None


# The executions with the first ids, and all those of the batches with the second.
Source = Callable[[Collection[UUID], Collection[UUID]], list[Ran]]


def _none(ids: Collection[UUID], batches: Collection[UUID]) -> list[Ran]:
    """Know no execution, as a registry without an executor does."""
    return []


_source: Source = _none


def set_source(source: Source) -> None:
    """Let `source` answer from now on."""
    global _source  # noqa: PLW0603 (set once, when the applications start)
    _source = source


def find(ids: Collection[UUID], batches: Collection[UUID]) -> list[Ran]:
    """Return what is known of these executions and batches; asks nothing when both are empty."""
    return _source(ids, batches) if ids or batches else []
