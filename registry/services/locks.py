"""Locks that end with their transaction: nothing is left of a process that dies with one.

The order, for who needs several: a content, its row, an owner. Nobody waits for a content while
holding an owner.
"""

from __future__ import annotations

from django.db import connection

from assay.digests import sha256


def hold_blob(digest: str) -> None:
    """Be the only one who makes, or takes away, the row or the bytes of this content."""
    _hold(f"blob {digest}")


def hold_account(owner_id: int) -> None:
    """Be the only one who adds to what this owner has."""
    _hold(f"account {owner_id}")


def hold_address(path: str) -> None:
    """Be the only one who edits, by `If-Match`, what stands at this address."""
    _hold(f"address {path}")


def _hold(name: str) -> None:
    key = int.from_bytes(sha256(name.encode())[:8], "big", signed=True)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [key])
