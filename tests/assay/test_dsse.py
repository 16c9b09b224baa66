"""Envelopes, signatures and log bodies have one spelling, and it is the vectors'."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, strategies as st

from assay import dsse
from assay.digests import sha256
from assay.errors import FormatError, MisuseError, VerificationError
from tests.assay import claims
from tests.assay.vectors import values, vector

CLAIMS: dict[str, Any] = values()["claims"]


@pytest.fixture(params=CLAIMS)
def vectors(request: pytest.FixtureRequest) -> dict[str, Any]:
    found: dict[str, Any] = CLAIMS[request.param]
    return found


def payload_of(vectors: dict[str, Any]) -> bytes:
    return base64.b64decode(vectors["pae_base64"]).split(b" ", 4)[4]


def test_the_vectors_claims_are_reproduced_bit_for_bit(vectors: dict[str, Any]) -> None:
    payload = payload_of(vectors)
    assert dsse.pae(payload) == base64.b64decode(vectors["pae_base64"])
    envelope = dsse.sign(payload, claims.signer())
    assert envelope.signature.hex() == vectors["signature_der"]
    assert envelope.pae_sha256.hex() == vectors["pae_sha256"]
    body = dsse.rekor_body(envelope.pae_sha256, envelope.signature, claims.public_key().spki)
    assert body.decode() == vectors["body"]
    assert dsse.parse_rekor_body(body) == (
        envelope.pae_sha256,
        envelope.signature,
        claims.public_key().spki,
    )
    assert envelope.to_json() == vector(f"envelopes/{vectors['pae_sha256']}")
    assert dsse.parse_envelope(envelope.to_json()) == envelope


@pytest.mark.parametrize("pair", values()["ecdsa_der"])
def test_webcryptos_signatures_become_der(pair: dict[str, str]) -> None:
    assert dsse.raw_to_der(bytes.fromhex(pair["raw"])).hex() == pair["der"]
    dsse.check_der(bytes.fromhex(pair["der"]))


@pytest.mark.parametrize("raw", [bytes(64), b"\xff" * 64, b"\x01" * 63, b"\x01" * 65])
def test_numbers_that_p256_does_not_have_are_refused(raw: bytes) -> None:
    with pytest.raises(FormatError):
        dsse.raw_to_der(raw)


def test_ber_is_refused() -> None:
    with pytest.raises(FormatError, match="not DER"):
        dsse.check_der(bytes.fromhex("3007020200010201 05".replace(" ", "")))


def test_alices_key_prints_as_it_was_read(keys: dict[str, Any]) -> None:
    pem = vector("signer.pub").decode()
    key = dsse.load_public_key(pem)
    assert key.pem == pem
    assert key.fingerprint == keys["signer"]["fingerprint"]
    assert key.spki.hex() == keys["signer"]["spki"]
    assert dsse.load_public_key(key.spki) == key


def test_a_compressed_point_is_the_same_key() -> None:
    public = claims.signer().public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    point = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    loaded = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    assert dsse.public_key_of(loaded) == claims.public_key()


def test_other_keys_are_misuse() -> None:
    spaced = claims.public_key().pem.replace("MFkw", "MF\u0085kw")
    for data in (
        vector("signer.test-only.pem"),
        vector("log.pub"),
        b"",
        b"hello",
        "\ud800",
        spaced,
    ):
        with pytest.raises(MisuseError):
            dsse.load_public_key(data)
    with pytest.raises(MisuseError):
        dsse.sign(b"{}", ec.generate_private_key(ec.SECP384R1()))


def test_a_digest_is_checked_as_its_message() -> None:
    envelope = dsse.sign(b"{}", claims.signer())
    key = claims.public_key()
    key.verify_digest(envelope.pae_sha256, envelope.signature)
    with pytest.raises(VerificationError):
        key.verify_digest(sha256(b"other"), envelope.signature)
    with pytest.raises(FormatError):
        key.verify_digest(envelope.pae_sha256, b"x")


def test_signing_again_makes_no_second_claim() -> None:
    assert dsse.sign(b"{}", claims.signer()) == dsse.sign(b"{}", claims.signer())


def test_mallory_may_not_change_what_was_signed() -> None:
    envelope = dsse.sign(b"{}", claims.signer())
    dsse.verify_envelope(envelope, claims.public_key())
    bent = [
        dsse.Envelope(payload=b"[]", signature=envelope.signature),
        dsse.Envelope(payload=b"{}", signature=envelope.signature, payload_type="text/plain"),
        dsse.Envelope(payload=b"{}", signature=envelope.signature, keyid="me"),
    ]
    for lie in bent:
        with pytest.raises(VerificationError):
            dsse.verify_envelope(lie, claims.public_key())


def test_a_null_keyid_is_no_keyid() -> None:
    envelope = dsse.sign(b"{}", claims.signer())
    value = envelope.to_dict()
    value["signatures"][0]["keyid"] = None
    assert dsse.parse_envelope(value) == envelope
    value["signatures"][0]["keyid"] = 1
    with pytest.raises(FormatError, match="keyid"):
        dsse.parse_envelope(value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"hashedrekord", b"hashedrekore"),
        (b'":"', b'": "'),
        (b'"digest":"', b'"digest":"AAAA'),
        (b'"content":"M', b'"content":"N'),
        (b"==", b""),
        (b"{", b"\xff"),
    ],
)
def test_a_body_is_the_template_or_foreign(old: bytes, new: bytes) -> None:
    body = CLAIMS["release"]["body"].encode()
    with pytest.raises(FormatError):
        dsse.parse_rekor_body(body.replace(old, new, 1))
    with pytest.raises(FormatError):
        dsse.parse_rekor_body(body + b"\n")


def test_a_compact_receipt_expands_to_its_envelope() -> None:
    envelope = dsse.sign(b'{"a":1}', claims.signer())
    text = dsse.compact(envelope)
    assert dsse.parse_compact(text) == envelope
    for lie in (text + "=", text + ".", text.replace(".", ""), text[:-1] + "é", "eyJ.", text + " "):
        with pytest.raises(FormatError):
            dsse.parse_compact(lie)


def test_stray_low_bits_are_a_second_spelling() -> None:
    signature = dsse.sign(b"{}", claims.signer()).signature
    text = dsse.compact(dsse.Envelope(payload=b"a", signature=signature))
    assert text.startswith("YQ.")
    with pytest.raises(FormatError, match="canonical"):
        dsse.parse_compact("YR" + text[2:])


@pytest.mark.property
@given(payload=st.binary(max_size=200))
def test_any_payload_survives_the_round_trip(payload: bytes) -> None:
    envelope = dsse.sign(payload, claims.signer())
    assert dsse.parse_envelope(envelope.to_json()) == envelope
    assert dsse.parse_compact(dsse.compact(envelope)) == envelope
    dsse.verify_envelope(envelope, claims.public_key())


def test_securesystemslib_reads_our_envelope() -> None:
    theirs = pytest.importorskip("securesystemslib.dsse")
    signer = pytest.importorskip("securesystemslib.signer")
    envelope = dsse.sign(b'{"a":1}', claims.signer())
    key = signer.SSlibKey.from_crypto(claims.signer().public_key())
    value = envelope.to_dict()
    value["signatures"][0]["keyid"] = key.keyid
    read = theirs.Envelope.from_dict(value)
    assert read.pae() == dsse.pae(envelope.payload)
    assert key.keyid in read.verify([key], 1)
