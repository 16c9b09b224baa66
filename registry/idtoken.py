"""ID tokens of build services: JSON Web Tokens, read strictly (RFC 7515, 7518, 7519, 8725).

1. Three parts in unpadded base64url; header and claims are strict JSON objects.
2. The algorithm is RS256 or ES256 and the key is of that kind: `none`, HMAC with a public key as
   its secret, and everything else is refused before a key is looked for. `crit` is refused.
3. The key is named by `kid`, is one of the issuer's published keys, and is for signatures.
4. Issuer and audience are exactly those expected, the times are there and hold, `jti` is there.

The issuer that `peek_issuer` returns is a stranger's word: it serves to find the right keys.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from assay.canonical import parse_json
from assay.dsse import raw_to_der
from assay.errors import AssayError
from registry.errors import BadTokenError

RS256, ES256 = "RS256", "ES256"
MAX_TOKEN = 16_384
MAX_JWKS_KEYS = 64
LEEWAY_S = 60
LONGEST_S = 24 * 3600
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192

Keys = Mapping[str, "VerifyingKey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyingKey:
    """One key of an issuer: RS256 with an RSA key, or ES256 with a P-256 key."""

    kid: str
    algorithm: str
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey

    def check(self, message: bytes, signature: bytes) -> None:
        """Check a signature.

        Raises:
            BadTokenError: it is another message's or another key's.
        """
        try:
            if isinstance(self.key, rsa.RSAPublicKey):
                self.key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
            else:
                self.key.verify(raw_to_der(signature), message, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, AssayError):
            raise _refused("its signature is not the issuer's") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token, taken apart; nothing is verified."""

    kid: str
    algorithm: str
    claims: dict[str, Any]
    message: bytes
    signature: bytes


def parse_token(text: str) -> Token:
    """Take a token apart: steps 1 and 2.

    Raises:
        BadTokenError: what is not in order.
    """
    if len(text) > MAX_TOKEN:
        raise _refused(f"it is longer than {MAX_TOKEN} characters")
    parts = text.split(".")
    if len(parts) != 3:
        raise _refused("it is not three parts with full stops between them")
    header, claims = (_object(part) for part in parts[:2])
    algorithm = header.get("alg")
    if algorithm not in (RS256, ES256):
        raise _refused(f"its algorithm is not {RS256} or {ES256}")
    if "crit" in header:
        raise _refused("its header has critical extensions")
    kid = header.get("kid")
    if not isinstance(kid, str) or not kid:
        raise _refused("its header names no key (kid)")
    return Token(
        kid=kid,
        algorithm=str(algorithm),
        claims=claims,
        message=f"{parts[0]}.{parts[1]}".encode("ascii"),
        signature=_decode(parts[2]),
    )


def peek_issuer(token: Token) -> str:
    """Return the issuer that an unverified token names."""
    found = token.claims.get("iss")
    if not isinstance(found, str):
        raise _refused("it names no issuer (iss)")
    return found


def verify(token: Token, keys: Keys, *, issuer: str, audience: str, now: int) -> dict[str, Any]:
    """Return the claims of `token`: steps 3 and 4. `now` is in POSIX seconds.

    Raises:
        UnknownKidError: the issuer has published no such key (it may have a new one since).
        BadTokenError: what is not in order.
    """
    key = keys.get(token.kid)
    if key is None:
        raise UnknownKidError("This ID token is refused: the issuer has no key of this name.")
    if key.algorithm != token.algorithm:
        raise _refused("its algorithm is not the one of the issuer's key")
    key.check(token.message, token.signature)
    claims = token.claims
    if claims.get("iss") != issuer:
        raise _refused("its issuer is another")
    if claims.get("aud") not in (audience, [audience]):
        raise _refused(f"it is not meant for this site: ask for one with the audience {audience}")
    _check_times(claims, now)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= 200 or not jti.isprintable():
        raise _refused("it has no name of its own (jti)")
    return claims


class UnknownKidError(BadTokenError):
    """The issuer's keys, as they are known here, do not hold the one that the token names."""


def _check_times(claims: dict[str, Any], now: int) -> None:
    issued, expires = (_time(claims, name) for name in ("iat", "exp"))
    starts = _time(claims, "nbf") if "nbf" in claims else issued
    if expires <= now - LEEWAY_S:
        raise _refused("it has expired")
    if starts > now + LEEWAY_S or issued > now + LEEWAY_S:
        raise _refused("it is not valid yet")
    if expires - issued > LONGEST_S:
        raise _refused("it is valid for more than a day")


def _time(claims: dict[str, Any], name: str) -> int:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _refused(f"it has no time '{name}'")
    return value


def parse_jwks(data: bytes) -> dict[str, VerifyingKey]:
    """Return the usable keys of a JSON Web Key Set (RFC 7517) by `kid`; others are passed over.

    Raises:
        BadTokenError: not a key set.
    """
    try:
        value = parse_json(data)
    except AssayError as error:
        raise BadTokenError(f"The issuer's key set is not JSON: {error}.") from error
    items = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(items, list) or len(items) > MAX_JWKS_KEYS:
        raise BadTokenError("The issuer's key set is no list of keys.")
    found = [_parse_key(item) for item in items if isinstance(item, dict)]
    return {key.kid: key for key in found if key is not None}


def _parse_key(item: dict[str, Any]) -> VerifyingKey | None:
    kid = item.get("kid")
    if not isinstance(kid, str) or item.get("use", "sig") != "sig":
        return None
    try:
        match item.get("kty"), item.get("crv"):
            case "RSA", None:
                algorithm, key = RS256, _rsa(item)
            case "EC", "P-256":
                algorithm, key = ES256, _ec(item)
            case _:
                return None
    except (ValueError, BadTokenError):
        return None
    if item.get("alg", algorithm) != algorithm:
        return None
    return VerifyingKey(kid=kid, algorithm=algorithm, key=key)


def _rsa(item: dict[str, Any]) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    modulus, exponent = _number(item, "n"), _number(item, "e")
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        raise ValueError("the size of the key")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _ec(item: dict[str, Any]) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey:
    x, y = _number(item, "x"), _number(item, "y")
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def _number(item: dict[str, Any], name: str) -> int:
    value = item.get(name)
    if not isinstance(value, str):
        raise ValueError(name)
    return int.from_bytes(_decode(value), "big")


def _object(part: str) -> dict[str, Any]:
    try:
        value = parse_json(_decode(part))
    except AssayError:
        raise _refused("a part of it is not JSON") from None
    if not isinstance(value, dict):
        raise _refused("a part of it is no JSON object")
    return value


def _decode(part: str) -> bytes:
    try:
        return base64.b64decode(
            part.encode("ascii") + b"=" * (-len(part) % 4), altchars=b"-_", validate=True
        )
    except (UnicodeEncodeError, binascii.Error):
        raise _refused("a part of it is not base64url") from None


def _refused(why: str) -> BadTokenError:
    return BadTokenError(f"This ID token is refused: {why}.")
