"""A public key made elsewhere: what is taken, and what is told about the rest."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from assay.dsse import public_key_of
from registry.errors import InvalidInputError
from registry.proofs import dsse_of, import_public_key
from tests.builders import private_key


def pem(key: Any) -> str:
    data: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return data.decode()


def test_a_file_of_cosign_is_taken_with_whatever_stands_around_it() -> None:
    public = public_key_of(private_key("cosign").public_key())
    assert import_public_key(f"\n{public.pem}\n\n") == public


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (ec.generate_private_key(ec.SECP384R1()), "curve secp384r1"),
        (ec.generate_private_key(ec.SECP256K1()), "curve secp256k1"),
        (rsa.generate_private_key(65537, 2048), "RSA key of 2048 bits"),
        (ed25519.Ed25519PrivateKey.generate(), "Edwards"),
        (dsa.generate_private_key(2048), "another kind"),
    ],
)
def test_another_kind_of_key_is_named(key: Any, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words) as caught:
        import_public_key(pem(key))
    assert "ECDSA P-256" in str(caught.value)


def test_a_private_key_is_refused_aloud() -> None:
    private = private_key("cosign").private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for text in (private.decode(), "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nabc\n"):
        with pytest.raises(InvalidInputError, match="do not use it any more"):
            import_public_key(text)


@pytest.mark.parametrize(
    "text",
    ["", "ssh-ed25519 AAAA", "-----BEGIN CERTIFICATE-----\nAA==\n", "x" * 10_000],
)
def test_what_is_no_pem_is_told_how_to_become_one(text: str) -> None:
    with pytest.raises(InvalidInputError, match="BEGIN PUBLIC KEY"):
        import_public_key(text)
    with pytest.raises(InvalidInputError, match="can be read"):
        import_public_key("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")


def test_the_envelope_of_a_bundle_is_found() -> None:
    envelope = {"payload": "e30=", "payloadType": "t", "signatures": []}
    assert dsse_of(envelope) == envelope
    assert dsse_of({"mediaType": "m", "dsseEnvelope": envelope}) == envelope
    for odd in ({}, {"dsseEnvelope": 7}, {**envelope, "dsseEnvelope": {"payload": "other"}}):
        assert dsse_of(odd) == odd
