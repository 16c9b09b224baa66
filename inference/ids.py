"""UUIDv7 (RFC 9562, section 5.7): ids that sort by the time they were made."""

from __future__ import annotations

import secrets
import time
import uuid

_VERSION, _VARIANT = 0x7, 0b10


def uuid7() -> uuid.UUID:
    """Return a new id: 48 bits of milliseconds since 1970, then 74 random bits."""
    millis = time.time_ns() // 1_000_000
    random = secrets.randbits(74)
    value = (millis & (2**48 - 1)) << 80 | _VERSION << 76 | (random >> 62) << 64
    return uuid.UUID(int=value | _VARIANT << 62 | (random & (2**62 - 1)))
