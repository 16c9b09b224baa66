"""DSSE envelopes with one ECDSA P-256 signature, and the Rekor entry that logs one.

The rules, each of which is a check below:

1. What is signed is the pre-authentication encoding (PAE) of type and payload, never the payload.
2. One signature, P-256 with SHA-256, in strict DER; WebCrypto's r || s is converted on the way in.
3. No key id: who signed is found by the key, not by what the sender calls it.
4. The logged body is a template; nobody parses one loosely. A body is the template or is foreign.

Example: the entry that logs `envelope` under `key` is

    rekor_body(envelope.pae_sha256, envelope.signature, key.spki)
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from assay.canonical import (
    as_list,
    as_object,
    as_text,
    canonical_json,
    decode_base64,
    encode_base64,
    parse_json,
)
from assay.digests import sha256, sha256_hex
from assay.errors import FormatError, MisuseError, VerificationError
from assay.limits import LIMITS

PAYLOAD_TYPE = "application/vnd.in-toto+json"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_RAW_BYTES = 64
_ENVELOPE = ("payload", "payloadType", "signatures")
_BODY = (
    '{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":'
    '{"algorithm":"SHA2_256","digest":"%s"},"signature":{"content":"%s","verifier":'
    '{"keyDetails":"PKIX_ECDSA_P256_SHA_256","publicKey":{"rawBytes":"%s"}}}}}}'
)
_BODY_PATTERN = re.compile(re.escape(_BODY).replace("%s", "([A-Za-z0-9+/=]{1,200})"))


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return DSSE's pre-authentication encoding of `payload`: the bytes that get signed."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


_ANOTHER_KIND = "claims are signed by ECDSA P-256 keys; this is a key of another kind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One payload and its one signature (strict DER); `keyid` is what the sender wrote there."""

    payload: bytes
    signature: bytes
    payload_type: str = PAYLOAD_TYPE
    keyid: str = ""

    @property
    def pae_sha256(self) -> bytes:
        """The 32 bytes under which the claim is logged and its payload is stored."""
        return sha256(pae(self.payload, self.payload_type))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, without a key id."""
        return {
            "payload": encode_base64(self.payload),
            "payloadType": self.payload_type,
            "signatures": [{"sig": encode_base64(self.signature)}],
        }

    def to_json(self) -> bytes:
        """Return the RFC 8785 form, without a key id."""
        return canonical_json(self.to_dict())


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A P-256 key: its SubjectPublicKeyInfo in DER, 91 bytes. Made by `load_public_key`."""

    spki: bytes

    @property
    def fingerprint(self) -> str:
        """The lower-case hex SHA-256 of the SPKI DER."""
        return sha256_hex(self.spki)

    @property
    def pem(self) -> str:
        """The SPKI in PEM, with its final newline."""
        text = encode_base64(self.spki)
        lines = "".join(f"{text[i : i + 64]}\n" for i in range(0, len(text), 64))
        return f"-----BEGIN PUBLIC KEY-----\n{lines}-----END PUBLIC KEY-----\n"

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check the DER `signature` over `message`.

        Raises:
            FormatError: the signature is not strict DER of two numbers below the order.
            VerificationError: it is another message's, or another key's.
        """
        check_der(signature)
        self._check(signature, message, ec.ECDSA(hashes.SHA256()))

    def verify_digest(self, digest: bytes, signature: bytes) -> None:
        """Check the DER `signature` over a message known by its 32-byte SHA-256 only.

        Raises: as `verify`.
        """
        check_der(signature)
        self._check(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))

    def _check(self, signature: bytes, data: bytes, algorithm: ec.ECDSA) -> None:
        key = _loaded(self.spki)
        try:
            key.verify(signature, data, algorithm)
        except InvalidSignature:
            raise VerificationError(
                f"the signature is not one of key {self.fingerprint} over these bytes"
            ) from None


@lru_cache(maxsize=1024)
def _loaded(spki: bytes) -> ec.EllipticCurvePublicKey:
    """Return the key for checking: few keys sign many claims."""
    key = serialization.load_der_public_key(spki)
    assert isinstance(key, ec.EllipticCurvePublicKey)  # noqa: S101 (load_public_key saw to it)
    return key


def load_public_key(data: bytes | str) -> PublicKey:
    """Return the P-256 public key in `data`: SPKI, as PEM or DER.

    Raises:
        MisuseError: no key, a private key, or a key of another kind.
    """
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else data
    if b"PRIVATE KEY-----" in raw:
        raise MisuseError("this is a private key: give the public one, and keep that one away")
    try:
        if raw.lstrip().startswith(b"-----BEGIN PUBLIC KEY-----"):
            raw.decode("ascii")  # else Unicode's spaces would count as spaces inside base64
            key = serialization.load_pem_public_key(raw)
        else:
            key = serialization.load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MisuseError(f"no public key in PEM or DER: {error}") from error
    return public_key_of(key)


def public_key_of(key: object) -> PublicKey:
    """Return the value of a loaded `cryptography` public key.

    Raises:
        MisuseError: not a P-256 public key.
    """
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise MisuseError(_ANOTHER_KIND)
    return PublicKey(
        spki=key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def check_der(signature: bytes, path: str = "") -> None:
    """Check that `signature` is the one DER spelling of (r, s), both from 1 to the order - 1.

    Raises:
        FormatError: BER, bytes after the end, r || s, or a number out of range.
    """
    try:
        r, s = utils.decode_dss_signature(signature)
    except ValueError as error:
        raise FormatError("the signature is not DER", path) from error
    in_range = 0 < r < P256_ORDER and 0 < s < P256_ORDER
    if not in_range or utils.encode_dss_signature(r, s) != signature:
        raise FormatError("the signature is not strict DER of two numbers that P-256 has", path)


def raw_to_der(raw: bytes) -> bytes:
    """Return the DER form of WebCrypto's signature: r and s, 32 big-endian bytes each.

    Raises:
        FormatError: not 64 bytes, or a number out of range.
    """
    if len(raw) != _RAW_BYTES:
        raise FormatError(f"a raw P-256 signature is {_RAW_BYTES} bytes, not {len(raw)}")
    half = _RAW_BYTES // 2
    r, s = int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
    der = utils.encode_dss_signature(r, s)
    check_der(der)
    return der


def sign(payload: bytes, key: ec.EllipticCurvePrivateKey) -> Envelope:
    """Sign `payload`, an in-toto statement, and return the envelope.

    The nonce is derived from key and message (RFC 6979): signing the same payload again gives the
    same envelope, so a step that is repeated after a crash makes no second claim.

    Raises:
        MisuseError: the key is not P-256.
    """
    if not isinstance(key.curve, ec.SECP256R1):
        raise MisuseError(_ANOTHER_KIND)
    algorithm = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    return Envelope(payload=payload, signature=key.sign(pae(payload), algorithm))


def verify_envelope(envelope: Envelope, key: PublicKey) -> None:
    """Check payload type, key id and signature of `envelope`. The payload is not read.

    Raises:
        FormatError: the signature is not strict DER.
        VerificationError: another payload type, a key id, or a signature that is not `key`'s.
    """
    check_headers(envelope)
    key.verify(pae(envelope.payload, envelope.payload_type), envelope.signature)


def check_headers(envelope: Envelope) -> None:
    """Check what the envelope says beside payload and signature.

    Raises:
        VerificationError: another payload type, or a key id.
    """
    if envelope.payload_type != PAYLOAD_TYPE:
        raise VerificationError(
            "another payload type", expected=PAYLOAD_TYPE, found=envelope.payload_type
        )
    if envelope.keyid:
        raise VerificationError("the signature names a key id", expected="none", found="one")


def parse_envelope(data: bytes | dict[str, Any], path: str = "") -> Envelope:
    """Read an envelope, syntax only: `check_headers` and `verify_envelope` do the rest.

    Raises:
        FormatError: not JSON, an unknown field, base64 in another spelling, not exactly one
            signature, a signature that is not strict DER.
    """
    value = parse_json(data, path=path) if isinstance(data, bytes) else data
    fields = as_object(value, path, required=_ENVELOPE)
    prefix = f"{path}." if path else ""
    where = f"{prefix}signatures"
    signatures = as_list(fields["signatures"], where)
    if len(signatures) != 1:
        raise FormatError(f"holds {len(signatures)} signatures, not one", where)
    item = as_object(signatures[0], f"{where}[0]", required=("sig",), optional=("keyid",))
    keyid = item.get("keyid")
    signature = decode_base64(item["sig"], f"{where}[0].sig")
    check_der(signature, f"{where}[0].sig")
    return Envelope(
        payload=decode_base64(fields["payload"], f"{prefix}payload"),
        payload_type=as_text(fields["payloadType"], f"{prefix}payloadType"),
        signature=signature,
        keyid="" if keyid is None else as_text(keyid, f"{where}[0].keyid"),
    )


def rekor_body(pae_sha256: bytes, signature: bytes, spki: bytes) -> bytes:
    """Return the `hashedrekord` 0.0.2 body: the entry of the log, in RFC 8785 form.

    `pae_sha256` is 32 bytes, `signature` DER, `spki` a P-256 SubjectPublicKeyInfo in DER.
    """
    digest, content = encode_base64(pae_sha256), encode_base64(signature)
    return (_BODY % (digest, content, _encoded_key(spki))).encode("ascii")


@lru_cache(maxsize=1024)
def _encoded_key(spki: bytes) -> str:
    """Return base64 of a key: a log of many entries has far fewer keys."""
    return encode_base64(spki)


def parse_rekor_body(body: bytes) -> tuple[bytes, bytes, bytes]:
    """Return (SHA-256 of the PAE, signature, SPKI) of a body that `rekor_body` could have made.

    Raises:
        FormatError: any other entry. Such a leaf is foreign: this log should not hold it.
    """
    match = _BODY_PATTERN.fullmatch(body.decode("latin-1"))
    if match is None:
        raise FormatError("the entry is not a hashedrekord 0.0.2 body in canonical form")
    digest, signature, spki = (decode_base64(text) for text in match.groups())
    if len(digest) != hashes.SHA256.digest_size:
        raise FormatError("the entry's digest is not 32 bytes")
    check_der(signature)
    return digest, signature, spki


def compact(envelope: Envelope) -> str:
    """Return `base64url(payload).base64url(signature)`, unpadded: a receipt that fits a header."""
    return f"{_encode_url(envelope.payload)}.{_encode_url(envelope.signature)}"


def parse_compact(text: str) -> Envelope:
    """Return the envelope that `compact` wrote as `text`.

    Raises:
        FormatError: not two parts of canonical unpadded base64url, or not a DER signature.
    """
    parts = text.split(".")
    if len(parts) != 2 or len(text) > 2 * LIMITS.statement:
        raise FormatError("a compact receipt is two parts with a full stop between them")
    payload, signature = (_decode_url(part) for part in parts)
    check_der(signature)
    return Envelope(payload=payload, signature=signature)


def _encode_url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode_url(text: str) -> bytes:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        data = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise FormatError(f"not base64url: {error}") from error
    if _encode_url(data) != text:
        raise FormatError("not the canonical base64url spelling")
    return data
