"""The signature of a message as Standard Webhooks has it: HMAC-SHA256 over id, time and body.

The secret that a person is given is `whsec_` and the base64 of the key's 32 bytes. What is signed
is `id.timestamp.body`; the id holds no dot, and the timestamp is decimal Unix time, so no two
messages are signed alike. https://www.standardwebhooks.com, specification 1.0.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

PREFIX = "whsec_"
KEY_BYTES = 32


def make_key() -> bytes:
    """Return a new random key of 32 bytes."""
    return secrets.token_bytes(KEY_BYTES)


def secret_text(key: bytes) -> str:
    """Return the form in which a person, and every Standard Webhooks library, takes `key`."""
    return PREFIX + base64.b64encode(key).decode("ascii")


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: `v1,` and the base64 of the HMAC."""
    signed = f"{message_id}.{timestamp}.".encode("ascii") + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode("ascii")
