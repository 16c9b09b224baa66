"""Secrets that the site must be able to read again, encrypted in the database.

The key of a webhook signs each message, so a digest of it, as of an API token, would not do. It is
encrypted (AES-256-GCM) under a key made from Django's SECRET_KEY, which is in no database: whoever
gets hold of a copy of the database alone can sign nothing. Whoever runs as the site can; that is
the nature of an HMAC. Larger services do the same, smaller ones keep such secrets in clear.

A new SECRET_KEY makes sealed secrets unreadable, unless the old one stays in SECRET_KEY_FALLBACKS.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.utils.encoding import force_bytes

_NONCE_BYTES = 12


class UnreadableError(Exception):
    """What was sealed cannot be opened: SECRET_KEY is another one, or the bytes are."""


def seal(data: bytes, *, about: bytes) -> bytes:
    """Return `data` encrypted, bound to `about`: it opens for the same `about` alone."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(_key(settings.SECRET_KEY)).encrypt(nonce, data, about)


def unseal(sealed: bytes, *, about: bytes) -> bytes:
    """Return what `seal` was given.

    Raises:
        UnreadableError: no key opens it.
    """
    nonce, encrypted = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return AESGCM(_key(secret)).decrypt(nonce, encrypted, about)
        except (InvalidTag, ValueError):
            continue
    raise UnreadableError


def _key(secret: str | bytes) -> bytes:
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"assay sealed secrets, 1")
    return hkdf.derive(force_bytes(secret))
