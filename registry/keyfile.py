"""The registry's own P-256 key: PKCS#8 PEM, mode 0600, made when it is first needed.

COMMIT POINT: the link that gives the whole file its name. A crash before it leaves a file with a
dot before its name, mode 0600, which nobody reads and the operator may delete; the next caller
makes another key. After it the next caller reads this one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from assay.errors import MisuseError
from registry.storage import make_folder, sync_folder


def load_or_create_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return the key at `path`; make one when there is none.

    Raises:
        MisuseError: others can read the file, or it holds no P-256 private key.
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
    make_folder(path.parent)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        # A link never overwrites: of two first starts one wins, and both read the winner's key.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(beside)
        sync_folder(path.parent)
    finally:
        beside.unlink()
