"""Key files: what kind of key, and its public half. Nothing of a private key is ever shown."""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from assay.bundle import hint_for, oms_hint_for
from assay.canonical import encode_base64
from assay.digests import sha256_hex
from assay.dsse import load_public_key
from assay.errors import FormatError, MisuseError

_SHOWN = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
_BAD = (ValueError, TypeError, UnsupportedAlgorithm)


def key(data: bytes) -> dict[str, Any]:
    """A key file in PEM or DER."""
    if b"PRIVATE KEY-----" in data:
        return _private(data)
    try:
        found = load_public_key(data)
    except MisuseError as error:
        return _other(data, error)
    return _public(found.spki)


def _public(spki: bytes) -> dict[str, Any]:
    return {
        "kind": "public key, ECDSA P-256: signs claims",
        "fingerprint": sha256_hex(spki),
        "hint_of_cosign": hint_for(spki),
        "hint_of_model_signing": oms_hint_for(spki),
    }


def _other(data: bytes, refused: MisuseError) -> dict[str, Any]:
    """A public key of another kind: an Ed25519 key of a log or witness, most likely."""
    try:
        pem = data.lstrip().startswith(b"-----")
        load = serialization.load_pem_public_key if pem else serialization.load_der_public_key
        found = load(data)
    except _BAD:
        raise FormatError(str(refused)) from refused
    if not isinstance(found, ed25519.Ed25519PublicKey):
        return {"kind": f"public key of another kind: {type(found).__name__.lstrip('_')}"}
    raw = found.public_bytes_raw()
    return {"kind": "public key, Ed25519: signs checkpoints", "key": encode_base64(raw)}


def _private(data: bytes) -> dict[str, Any]:
    if b"ENCRYPTED" in data:
        return {"kind": "private key, encrypted: keep it"}
    try:
        found = serialization.load_pem_private_key(data, None)
    except _BAD as error:
        raise FormatError(f"is no private key: {error}") from error
    warning = {"warning": "whoever reads this file can sign: keep it, and encrypt it"}
    if isinstance(found, ec.EllipticCurvePrivateKey) and found.curve.name == "secp256r1":
        public = _public(found.public_key().public_bytes(*_SHOWN))
        return {**public, "kind": "private key, ECDSA P-256: signs claims", **warning}
    if isinstance(found, ed25519.Ed25519PrivateKey):
        raw = found.public_key().public_bytes_raw()
        return {
            "kind": "private key, Ed25519: signs checkpoints",
            "public_key": encode_base64(raw),
            **warning,
        }
    return {"kind": "private key of another kind", **warning}
