"""A key made elsewhere: its public half as a file, and what its holder has to sign to register it.

`cosign.pub`, `openssl`'s and `ssh-keygen -e -m PKCS8`'s files are all a SubjectPublicKeyInfo in
PEM. Holding the file proves nothing: the proof is a `key` statement under the key's own signature,
as a DSSE envelope or as the Sigstore bundle that `cosign attest-blob` writes.
"""

from __future__ import annotations

from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from assay.canonical import as_object, as_text, parse_json
from assay.dsse import Envelope, PublicKey, load_public_key, parse_envelope
from assay.errors import AssayError
from assay.statements import KeyPredicate, Observed, Subject, render
from registry.errors import InvalidInputError

MAX_PEM = 8_192
_FIELD = "public_key"


def import_public_key(pem: str) -> PublicKey:
    """Return the P-256 key in `pem`.

    Raises:
        InvalidInputError: what it is instead, and what to do.
    """
    text = pem.strip()
    if "PRIVATE KEY" in text:
        raise _refused(
            "This is a PRIVATE key, and it has now left its place: do not use it any more. Make "
            "another one, and paste the file with its public half (cosign.pub)."
        )
    if len(text) > MAX_PEM or not text.startswith("-----BEGIN PUBLIC KEY-----"):
        raise _refused(
            "Paste a public key in PEM: it begins with '-----BEGIN PUBLIC KEY-----', as cosign.pub "
            "does. Out of a certificate: openssl x509 -pubkey -noout -in file"
        )
    try:
        found = serialization.load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise _refused("This PEM holds no public key that can be read.") from None
    if not isinstance(found, ec.EllipticCurvePublicKey) or not isinstance(
        found.curve, ec.SECP256R1
    ):
        raise _refused(
            f"This is {_kind(found)}. Statements are signed by ECDSA P-256 keys, which cosign "
            "(generate-key-pair) and assay keygen make."
        )
    return load_public_key(text)


def _kind(key: object) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"a key on the curve {key.curve.name}"
    if isinstance(key, rsa.RSAPublicKey):
        return f"an RSA key of {key.key_size} bits"
    if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        return "an Edwards-curve key (Ed25519, Ed448)"
    return "a key of another kind"


def _refused(words: str) -> InvalidInputError:
    return InvalidInputError(words, field=_FIELD)


def registration(key: PublicKey, owner: str, observed: Observed) -> bytes:
    """Return the statement that registers `key` for `owner`, byte for byte as it is signed."""
    predicate = KeyPredicate(
        observed=observed,
        action="register",
        owner=owner,
        role="publisher",
        public_key=key.pem,
        previous=None,
    )
    return render(predicate.statement([Subject(name="", sha256=key.fingerprint)]))


def dsse_of(value: dict[str, Any]) -> dict[str, Any]:
    """Return the DSSE envelope in `value`: itself, or that of a Sigstore bundle.

    What else is in the bundle is not read: a registration needs the signature alone.
    """
    inner = value.get("dsseEnvelope")
    return inner if isinstance(inner, dict) and "payload" not in value else value


def parse_proof(text: str) -> dict[str, Any]:
    """Return the envelope in what somebody pasted.

    Raises:
        InvalidInputError: not a JSON object.
    """
    try:
        value = parse_json(text.strip().encode())
    except AssayError as error:
        raise InvalidInputError(
            f"The signed statement is not JSON: {error}.", field="proof"
        ) from error
    if not isinstance(value, dict):
        raise InvalidInputError("The signed statement is a JSON object.", field="proof")
    return dsse_of(value)


def parse_request(text: str) -> tuple[Envelope, str]:
    """Return the envelope and the key's name in a request that a member's browser made.

    It is the body of `POST /api/v1/keys`, which an admin sends for the member.

    Raises:
        InvalidInputError: not its form.
    """
    try:
        value = as_object(parse_json(text.strip().encode()), "", required=("envelope", "name"))
        return parse_envelope(value["envelope"]), as_text(value["name"], "name")
    except AssayError as error:
        raise InvalidInputError(f"This is no request for a key: {error}.", field="asked") from error
