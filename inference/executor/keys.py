"""The executor's P-256 key: PKCS#8 PEM, mode 0600, made at the first start.

The link is the commit point: before it there is no key, after it the key is whole and durable. What
a crash leaves beside it is never read, and never in the way of the next start.

The registry makes its own key alike; this process may import nothing of the registry.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from assay.errors import MisuseError


def load_or_create_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return the key at `path`; make one when there is none.

    Raises:
        MisuseError: the file can be read by others, or holds no P-256 private key.
        OSError: the folder is missing or not ours to write.
    """
    if not path.exists():
        _create(path)
    if path.stat().st_mode & 0o077:
        raise MisuseError(f"{path} can be read by others: chmod 600, or better a new key")
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise MisuseError(f"{path} holds no private key in PKCS#8 PEM: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise MisuseError(f"{path} holds a key of another kind than P-256")
    return key


def _create(path: Path) -> None:
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        # A link never overwrites: of two first starts one wins, and both read the winner's key.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(beside)
        os.fsync(folder)
    finally:
        os.close(folder)
        beside.unlink()
