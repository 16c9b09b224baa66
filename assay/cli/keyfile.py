"""Key files of a publisher: P-256, PKCS#8 in PEM, mode 0600, with or without a passphrase.

The same file serves `assay`, `model_signing sign key --private_key` and, after
`cosign import-key-pair`, cosign. A file that others can read is not used: whoever could read it
could sign.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from assay.cli import settings
from assay.cli.files import read_file
from assay.dsse import PublicKey, public_key_of
from assay.errors import MisuseError, UnavailableError

MAX_KEY = 16_384
KeyFileOption = Annotated[Path, typer.Option("--key", help="Your private key, PKCS#8 PEM.")]
PassphraseOption = Annotated[
    Path | None, typer.Option(help="File whose first line opens the key; else ASSAY_PASSPHRASE.")
]


def passphrase_from(file: Path | None) -> str:
    """Return the passphrase in the first line of `file`, else that of the environment, or `""`."""
    if file is None:
        return settings.key_passphrase()
    lines = read_file(file, MAX_KEY).decode("utf-8", "replace").splitlines()
    return lines[0] if lines else ""


def load_key(path: Path, passphrase_file: Path | None = None) -> ec.EllipticCurvePrivateKey:
    """Return the private key in `path`.

    Raises:
        MisuseError: others can read it, it is no P-256 key in PKCS#8, or the passphrase is missing
            or another.
        UnavailableError: it cannot be read.
    """
    data = read_file(path, MAX_KEY)
    if path.stat().st_mode & 0o077:
        raise MisuseError(f"{path} can be read by others: chmod 600 {path}")
    if b"ENCRYPTED SIGSTORE" in data or b"ENCRYPTED COSIGN" in data:
        raise MisuseError(
            f"{path} is in cosign's own form: sign with cosign, or make a key by assay keygen"
        )
    passphrase = passphrase_from(passphrase_file)
    encrypted = b"ENCRYPTED" in data
    if encrypted and not passphrase:
        passphrase = _ask(path)
    try:
        key = serialization.load_pem_private_key(data, passphrase.encode() if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        wrong = "the passphrase is another one" if encrypted else str(error)
        raise MisuseError(f"{path} gives no private key: {wrong}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise MisuseError(f"{path} holds no ECDSA P-256 key: assay keygen makes one")
    public_key_of(key.public_key())  # refuses other curves
    return key


def _ask(path: Path) -> str:
    if not sys.stdin.isatty():
        raise MisuseError(f"{path} is encrypted: set ASSAY_PASSPHRASE, or give --passphrase-file")
    answer: str = typer.prompt(f"Passphrase of {path}", hide_input=True, err=True)
    return answer


def write_key(path: Path, passphrase: str) -> PublicKey:
    """Make a key; write it to `path` and its public half beside it (`.pub`), never over a file.

    Durable when this returns. A crash in between leaves a private key without its public file,
    which `openssl pkey -pubout` makes again.

    Raises:
        MisuseError: one of the two files is there.
        UnavailableError: they cannot be written.
    """
    public_path = public_path_of(path)
    for file in (path, public_path):
        if file.exists() or file.is_symlink():
            raise MisuseError(f"{file} is there already: it is never written over")
    key = ec.generate_private_key(ec.SECP256R1())
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    public = public_key_of(key.public_key())
    try:
        _create(path, pem, 0o600)
        _create(public_path, public.pem.encode("ascii"), 0o644)
    except FileExistsError as error:
        raise MisuseError(f"{error.filename} is there already: it is never written over") from error
    except OSError as error:
        raise UnavailableError(f"cannot write {error.filename}: {error.strerror}") from error
    return public


def public_path_of(path: Path) -> Path:
    """Return where the public half of the key in `path` is written."""
    return path.with_name(f"{path.stem if path.suffix == '.pem' else path.name}.pub")


def _create(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
