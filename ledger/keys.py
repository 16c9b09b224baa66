"""The log's Ed25519 key: made once, never replaced. A new key is a new log with a new origin.

Only the sequencer's machine holds it. Everybody else takes the public half from the log's row.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ledger.errors import LedgerError


class LogKeyError(LedgerError):
    """The key of the log is missing, is no Ed25519 key, or may be read by others."""

    code = "log_key"


def make_log_key(path: Path) -> None:
    """Make the key at `path`, PKCS#8 PEM with mode 0600, unless a file is there.

    Durable when this returns: a checkpoint that is signed with it may leave the machine.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        return
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        _link_new(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _link_new(temporary: Path, path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Whoever links first has made the key; the other one's is dropped.
        path.hardlink_to(temporary)
    except FileExistsError:
        pass
    else:
        os.fsync(folder)
    finally:
        os.close(folder)


def load_log_key(path: Path) -> Ed25519PrivateKey:
    """Return the key at `path`.

    Raises:
        LogKeyError: there is none, it is of another kind, or others may read it.
    """
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()
    except OSError as error:
        raise LogKeyError(f"The log's key cannot be read: {error}") from error
    if mode & 0o077:
        raise LogKeyError(f"Others may read the log's key {path}: chmod 600.")
    try:
        key = load_pem_private_key(data, password=None)
    except (TypeError, ValueError) as error:
        raise LogKeyError(f"{path} is no private key in PEM.") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise LogKeyError(f"{path} is no Ed25519 key.")
    return key
