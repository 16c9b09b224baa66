"""Rekor v2's write API, the log's side: what a client asks for, and how a refusal is told.

The rules, each of which is a check below:

1. The request is protojson: a field has its name in camel case or in snake case, never both; a
   field that the message does not have is refused.
2. protojson also takes base64 without padding, base64url, and enums by number. Stock clients write
   none of these, and one value has one spelling here: they are refused, and the error says where.
3. One kind of entry: `hashedrekord` over a SHA-256, under a P-256 key. A certificate is well-formed
   and refused, and so is a `dsse` entry, which Rekor itself has withdrawn.
4. The signature is strict DER and the key's, over the digest.

Whether the key is registered, and whether the statement under the digest is stored, is the log's
business and not the format's.

Example: the request for `envelope` under `key` is

    {"hashedRekordRequestV002":{"digest":"<base64 of envelope.pae_sha256>","signature":{"content":
    "<base64 DER>","verifier":{"publicKey":{"rawBytes":"<base64 of key.spki>"},
    "keyDetails":"PKIX_ECDSA_P256_SHA_256"}}}}
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from assay.canonical import as_object, as_text, canonical_json, decode_base64, parse_json
from assay.digests import SHA256_BYTES
from assay.dsse import PublicKey, check_der, load_public_key
from assay.errors import FormatError, MisuseError, VerificationError
from assay.limits import LIMITS

KEY_DETAILS = "PKIX_ECDSA_P256_SHA_256"

# The codes of google.rpc.Code that the write API answers with.
INVALID_ARGUMENT: Final = 3
ALREADY_EXISTS: Final = 6
PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
INTERNAL: Final = 13
UNAVAILABLE: Final = 14

_REQUEST = "hashedRekordRequestV002"
_DSSE = "dsseRequestV002"
_CAPITAL = re.compile(r"(?=[A-Z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateEntry:
    """A claim to log: the 32-byte SHA-256 of its PAE, and `key`'s signature (DER) over that."""

    digest: bytes
    signature: bytes
    key: PublicKey


def parse_create_entry(body: bytes) -> CreateEntry:
    """Read a `CreateEntryRequest` of Rekor v2, and check its signature.

    Raises:
        FormatError: longer than 64 KiB, not strict JSON, a field unknown, missing or there twice, a
            value in another spelling, a key that is not P-256; its `path` says which.
        VerificationError: the signature is another key's or another digest's; a certificate, a
            `dsse` entry or another algorithm.

    Rekor v2 specification, `CreateEntryRequest`.
    """
    top = _message(
        parse_json(body, max_bytes=LIMITS.rekor_request),
        "",
        required=(),
        optional=(_REQUEST, _DSSE),
    )
    if _DSSE in top:
        raise VerificationError(
            "a dsse entry, which Rekor has withdrawn: log a hashedrekord, as cosign 3.1 does"
        )
    if _REQUEST not in top:
        raise FormatError(f"the field {_REQUEST!r} is missing")
    request = _message(top[_REQUEST], _REQUEST, required=("digest", "signature"))
    where = f"{_REQUEST}.signature"
    signature = _message(request["signature"], where, required=("content", "verifier"))
    digest = decode_base64(request["digest"], f"{_REQUEST}.digest")
    if len(digest) != SHA256_BYTES:
        raise FormatError(f"is {len(digest)} bytes, not {SHA256_BYTES}", f"{_REQUEST}.digest")
    content = decode_base64(signature["content"], f"{where}.content")
    check_der(content, f"{where}.content")
    key = _parse_verifier(signature["verifier"], f"{where}.verifier")
    key.verify_digest(digest, content)
    return CreateEntry(digest=digest, signature=content, key=key)


def _parse_verifier(value: object, path: str) -> PublicKey:
    fields = _message(
        value, path, required=("keyDetails",), optional=("publicKey", "x509Certificate")
    )
    if "x509Certificate" in fields:
        raise VerificationError(
            "signed under a certificate: this log takes claims by public keys registered with it"
        )
    details = as_text(fields["keyDetails"], f"{path}.keyDetails")
    if details != KEY_DETAILS:
        raise VerificationError("another algorithm", expected=KEY_DETAILS, found=details[:64])
    if "publicKey" not in fields:
        raise FormatError("the field 'publicKey' is missing", path)
    public = _message(fields["publicKey"], f"{path}.publicKey", required=("rawBytes",))
    where = f"{path}.publicKey.rawBytes"
    spki = decode_base64(public["rawBytes"], where)
    try:
        key = load_public_key(spki)
    except MisuseError as error:
        raise FormatError(str(error), where) from error
    if key.spki != spki:
        raise FormatError("is not the DER of a P-256 SubjectPublicKeyInfo", where)
    return key


def _message(
    value: object, path: str, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the fields of a protojson object, each under its name in camel case."""
    names = {_snake(name): name for name in (*required, *optional)}
    fields = as_object(value, path, required=(), optional=(*names, *names.values()))
    found: dict[str, Any] = {}
    for spelled, inner in fields.items():
        name = names.get(spelled, spelled)
        if name in found:
            raise FormatError(f"the field {name!r} stands twice, in both spellings", path)
        found[name] = inner
    return as_object(found, path, required=required, optional=optional)


def _snake(name: str) -> str:
    """Return the field's name in the .proto file, from which protojson makes `name`."""
    return _CAPITAL.sub("_", name).lower()


def render_status(code: int, message: str) -> bytes:
    """Return the body of a refusal: `google.rpc.Status` as protojson writes it.

    `message` is for people: stock clients print the body as it is.
    """
    return canonical_json({"code": code, "message": message, "details": []})
