"""Lies about an ECDSA signature in DER, which has one spelling."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from assay.dsse import P256_ORDER
from tests.forgeries.lies import MALFORMED, REFUSED

Made = Iterator[tuple[str, bytes, str]]


def twin(signature: bytes) -> bytes:
    """Return (r, n - s): it verifies too, and is not the one that was logged."""
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, P256_ORDER - s)


def signature_lies(signature: bytes, another: bytes) -> Made:
    """Yield (name, signature, family); `another` is one over other bytes, by the same key."""
    r, s = decode_dss_signature(signature)
    yield "is another's", another, REFUSED
    yield "is of one and one", encode_dss_signature(1, 1), REFUSED
    yield "has an s below the honest one", encode_dss_signature(r, s - 1), REFUSED
    for name, wrong in {
        "is r and s in 64 bytes": r.to_bytes(32, "big") + s.to_bytes(32, "big"),
        "is empty": b"",
        "has a byte after it": signature + b"\0",
        "is a byte short": signature[:-1],
        "has a byte more in its sequence": _sequence(_number(r) + _number(s) + b"\0"),
        "has a third number": _sequence(_number(r) + _number(s) + _number(1)),
        "has one number": _sequence(_number(r)),
        "has a padded r": _sequence(_number(r, b"\0\0") + _number(s)),
        "has a length in the long form": b"\x30\x81" + signature[1:],
        "has a length without an end": b"\x30\x80" + signature[2:] + b"\0\0",
        "is a set": b"\x31" + signature[1:],
        "has a negative r": _sequence(b"\x02\x01\xff" + _number(s)),
        "has an r of 0": encode_dss_signature(0, s),
        "has an s of 0": encode_dss_signature(r, 0),
        "has an r of the order": encode_dss_signature(P256_ORDER, s),
        "has an s beyond the order": encode_dss_signature(r, s + P256_ORDER),
    }.items():
        yield name, wrong, MALFORMED


def _number(value: int, before: bytes = b"") -> bytes:
    data = value.to_bytes((value.bit_length() + 8) // 8, "big")  # always room for the sign
    return b"\x02" + bytes([len(before + data)]) + before + data


def _sequence(inner: bytes) -> bytes:
    return b"\x30" + bytes([len(inner)]) + inner
