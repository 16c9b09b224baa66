"""Tensor sets by their digest: small ones in the row, large ones in the blob storage.

A blob is durable before the transaction that names it begins; a crash in between costs a blob that
nobody names.
"""

from __future__ import annotations

from dataclasses import dataclass

from assay.digests import sha256_hex
from inference.models import INLINE_BYTES, Tensors
from registry.storage import blobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """An `assay-tensors-v1` byte string whose row can be written now; `inline` if it is small."""

    sha256: str
    size: int
    inline: bytes | None


def prepare(data: bytes, sha256: str | None = None) -> Stored:
    """Make `data` durable where it is too large for a row. Call it outside the transaction.

    `sha256` is its hex digest where the caller has it.
    """
    digest = sha256 or sha256_hex(data)
    inline = data if len(data) <= INLINE_BYTES else None
    if inline is None and not Tensors.objects.filter(pk=digest).exists():
        blobs().put(data, digest)
    return Stored(sha256=digest, size=len(data), inline=inline)


def save(*sets: Stored) -> None:
    """Write the rows that are not there yet, inside the caller's transaction."""
    # In one order everywhere: two transactions with the same two sets wait, and never deadlock.
    rows = {item.sha256: item for item in sets}
    Tensors.objects.bulk_create(
        [
            Tensors(sha256=item.sha256, size=item.size, inline=item.inline)
            for _, item in sorted(rows.items())
        ],
        ignore_conflicts=True,
    )
