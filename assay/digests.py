"""SHA-256 values: one spelling (64 lower-case hex digits), one way to compute."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from assay.errors import FormatError

SHA256_BYTES = 32
_HEX = re.compile(r"[0-9a-f]{64}")


def sha256(data: bytes) -> bytes:
    """Return the 32-byte SHA-256 of `data`."""
    return hashlib.sha256(data).digest()


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_chunks(chunks: Iterable[bytes]) -> str:
    """Return the SHA-256, in hex, of `chunks` joined; nothing is kept in memory."""
    state = hashlib.sha256()
    for chunk in chunks:
        state.update(chunk)
    return state.hexdigest()


def is_sha256(value: str) -> bool:
    """Tell whether `value` spells a SHA-256: exactly 64 lower-case hex digits."""
    return _HEX.fullmatch(value) is not None


def check_hex(value: object, path: str = "") -> str:
    """Return `value`, which spells a SHA-256.

    Raises:
        FormatError: not a string of exactly 64 lower-case hex digits.
    """
    if not isinstance(value, str) or not is_sha256(value):
        raise FormatError("a SHA-256 digest is 64 lower-case hex digits", path)
    return value


def parse_hex(value: object, path: str = "") -> bytes:
    """Return the 32 bytes that `value` spells; raises as `check_hex`."""
    return bytes.fromhex(check_hex(value, path))
