"""What other applications keep for an account: it is exported with it, and forgotten with it.

Such an application adds a keeper when it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of an export: its path in the archive, and its bytes as they are made."""

    path: str
    chunks: Iterable[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """`export` yields what is kept for the account with an id.

    `forget` runs in the transaction that closes the account; it may be tried and undone.
    """

    export: Callable[[int], Iterator[Part]]
    forget: Callable[[int], None]


_keepers: dict[str, Keeper] = {}


def add_keeper(name: str, keeper: Keeper) -> None:
    """Let `keeper` be asked too; the same name again takes the place of the earlier one."""
    _keepers[name] = keeper


def keepers() -> list[Keeper]:
    """Return who keeps something."""
    return list(_keepers.values())
