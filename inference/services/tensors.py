"""Tensor sets by their digest: small ones in the row, large ones in the blob storage.

A blob is durable before the transaction that names it begins; a crash in between costs a blob that
nobody names.

The set of a private execution is stored behind a nonce, 32 random bytes, and under the digest of
both: nobody finds it by the digest of the tensors, and it is the same row as nobody else's.

`services.expiry` drops the bytes of a set that no living execution needs, and leaves its row.
`save` brings them back, and these are the rules of that race:

1. `save` holds every row that it names (FOR KEY SHARE, which savers share) until its transaction
   ends; who drops takes the row FOR UPDATE. So a set is saved before its drop is decided, and then
   it is needed; or after, and then `save` sees `dropped_at`.
2. A row without `dropped_at` has its bytes. `save` puts a blob back before it clears the mark, and
   only a marked row's blob is deleted, under the same lock.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from django.db import connection

from assay.digests import sha256_hex
from inference.models import INLINE_BYTES, Tensors
from inference.selectors import NONCE_BYTES, tensor_files

_SAVE = """
WITH given AS (
  SELECT * FROM unnest(%(sha256)s::text[], %(size)s::bigint[], %(inline)s::bytea[],
    %(salted)s::bool[]) AS g(sha256, size, inline, salted)),
written AS (
  INSERT INTO inference_tensors (sha256, size, inline, salted, created_at)
  SELECT sha256, size, inline, salted, clock_timestamp() FROM given
  ON CONFLICT DO NOTHING RETURNING sha256),
held AS (
  SELECT t.sha256, t.dropped_at IS NOT NULL AS dropped FROM inference_tensors t
  WHERE t.sha256 = ANY(%(sha256)s::text[]) ORDER BY t.sha256 FOR KEY SHARE OF t)
SELECT sha256, false FROM written UNION ALL SELECT sha256, dropped FROM held
"""
_REVIVE = """
UPDATE inference_tensors SET inline = %s, dropped_at = NULL
WHERE sha256 = %s AND dropped_at IS NOT NULL
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An `assay-tensors-v1` byte string whose row can be written now.

    `data` is what is stored: the string, behind its nonce where it is `salted`. `sha256` is of
    `data`, `digest` of the string alone, and `size` its length.
    """

    sha256: str
    digest: str
    size: int
    data: bytes
    salted: bool = False

    @property
    def inline(self) -> bytes | None:
        """What the row holds; None for a set so large that it is a blob."""
        return self.data if self.size <= INLINE_BYTES else None


def new_nonce() -> bytes:
    """Return the bytes before a private set."""
    return secrets.token_bytes(NONCE_BYTES)


def prepare(data: bytes, sha256: str | None = None, *, nonce: bytes = b"") -> Stored:
    """Make `data` durable where it is too large for a row. Call it outside the transaction.

    `nonce` makes it private. `sha256` is the hex digest of nonce and data where the caller has it.
    """
    whole = nonce + data if nonce else data
    address = sha256 or sha256_hex(whole)
    stored = Stored(
        sha256=address,
        digest=sha256_hex(data) if nonce else address,
        size=len(data),
        data=whole,
        salted=bool(nonce),
    )
    if stored.inline is None and not _kept(address):
        tensor_files().put(whole, address)
    return stored


def _kept(sha256: str) -> bool:
    return Tensors.objects.filter(pk=sha256, dropped_at=None).exists()


def save(*sets: Stored) -> None:
    """Write the rows that are missing, inside the caller's transaction; revive dropped ones."""
    rows = {item.sha256: item for item in sets}
    # In one order everywhere: two transactions with the same two sets wait, and never deadlock.
    left = [item for _, item in sorted(rows.items())]
    while left:
        found = _write(left)
        for item in left:
            if found.get(item.sha256):
                _revive(item)
        # A row that another transaction wrote at this moment is seen at the second look.
        left = [item for item in left if item.sha256 not in found]


def _write(items: list[Stored]) -> dict[str, bool]:
    """Write rows and hold them; return those that are held, and whether each was dropped."""
    columns: dict[str, Any] = {
        "sha256": [item.sha256 for item in items],
        "size": [item.size for item in items],
        "inline": [item.inline for item in items],
        "salted": [item.salted for item in items],
    }
    with connection.cursor() as cursor:
        cursor.execute(_SAVE, columns)
        return dict(cursor.fetchall())


def _revive(item: Stored) -> None:
    if item.inline is None:
        # Rare, and the one write of a blob inside a transaction: see rule 2.
        tensor_files().put(item.data, item.sha256)
    with connection.cursor() as cursor:
        cursor.execute(_REVIVE, [item.inline, item.sha256])
