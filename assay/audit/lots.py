"""Which executions are audited: lots that the operator of the log could not choose.

The entries stand when the lots fall: they are under a checkpoint that was signed, and the auditor
draws a nonce after having it. What draws is public afterwards, so anybody can draw again:

    seed     SHA-256 of the line assay-sample-v1, the checkpoint's text, the nonce (32 bytes)
    lot(i)   the first 8 bytes of SHA-256(seed, i as 8 bytes, big-endian), as a number

The `count` entries with the smallest lots are audited. The root in the text ties the draw to the
entries. Without the nonce an operator could sign trees until one spares what it should find, since
all else in the seed is the operator's; with it, a draw is a promise of the auditor's.
"""

from __future__ import annotations

from collections.abc import Iterable

from assay.digests import SHA256_BYTES, sha256
from assay.errors import MisuseError

HEADER = b"assay-sample-v1\n"


def seed_of(text: str, nonce: bytes) -> bytes:
    """Return the seed, 32 bytes, of a checkpoint's text (without signatures) and a nonce.

    Raises:
        MisuseError: the nonce is not 32 bytes.
    """
    if len(nonce) != SHA256_BYTES:
        raise MisuseError(f"a nonce is {SHA256_BYTES} bytes")
    return sha256(HEADER + text.encode("utf-8") + nonce)


def lot(seed: bytes, index: int) -> int:
    """Return the lot of the entry at `index`, from 0 up to 2^64."""
    return int.from_bytes(sha256(seed + index.to_bytes(8, "big"))[:8], "big")


def draw(seed: bytes, indices: Iterable[int], count: int | None) -> list[int]:
    """Return the `count` of `indices` with the smallest lots, in order; None draws all."""
    found = sorted(indices, key=lambda index: (lot(seed, index), index))
    return sorted(found if count is None else found[:count])
