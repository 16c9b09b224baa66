"""Forged public keys, and forged lists of the keys that a reader trusts."""

from __future__ import annotations

import json
from collections.abc import Iterator

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from assay.canonical import canonical_json, encode_base64
from tests.assay.vectors import vector
from tests.forgeries import honest
from tests.forgeries.forms import Listed, Maybe, Obj, broken, forged
from tests.forgeries.lies import (
    MALFORMED,
    OK,
    USAGE,
    Lie,
    any_text,
    bound,
    digest,
    integer,
    nullable,
    one_of,
    spelled,
    this_text_only,
    wrong_types,
)
from tests.forgeries.question import Asker, Question


def questions() -> Iterator[Question]:
    """Forged key histories and public keys, read and nothing more."""
    yield from _key_lists()
    yield from _public_keys()


def _pem(value: str) -> Iterator[Lie]:
    yield from this_text_only(value)
    mallory = honest.public(honest.mallory()).pem
    for name, wrong in {
        "is empty": "",
        "is another's": mallory,
        "has no end": value.partition("-----END")[0],
        "is a certificate": value.replace("PUBLIC KEY", "CERTIFICATE"),
        "is a private key": value.replace("PUBLIC KEY", "PRIVATE KEY"),
        "is cut": value.replace("\n-----END", "A\n-----END"),
        "is of another curve": _other_curve(),
        **_spellings(),
    }.items():
        yield Lie(name, spelled(wrong))


def _spellings() -> dict[str, str]:
    """The signer's key in PEM as other programs may write it."""
    pem = honest.public(honest.SIGNER).pem
    return {
        "has lines for another system": pem.replace("\n", "\r\n"),
        "has no newline at its end": pem.rstrip(),
        "has a line before it": f"\n{pem}",
        "has a text after it": f"{pem}x\n",
        "has another key after it": pem + honest.public(honest.mallory()).pem,
        "has headers": pem.replace("KEY-----\n", "KEY-----\nX: y\n\n", 1),
        "is one line": _one_line(pem),
        "is a compressed point": _compressed(serialization.Encoding.PEM).decode(),
    }


def _one_line(pem: str) -> str:
    first, *middle, last = pem.splitlines()
    return f"{first}\n{''.join(middle)}\n{last}\n"


def _compressed(encoding: serialization.Encoding) -> bytes:
    """Return the signer's SPKI with the point in 33 bytes (SEC 1, section 2.3.3)."""
    point = honest.SIGNER.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint
    )
    head = bytes.fromhex("3039301306072a8648ce3d020106082a8648ce3d030107032200")
    if encoding is serialization.Encoding.DER:
        return head + point
    lines = f"{encode_base64(head + point)}\n"
    return f"-----BEGIN PUBLIC KEY-----\n{lines}-----END PUBLIC KEY-----\n".encode()


def _other_curve() -> str:
    key = ec.derive_private_key(1, ec.SECP384R1()).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form).decode()


def _origin(value: str) -> Iterator[Lie]:
    yield from wrong_types("text")
    for name, wrong in {
        "is empty": "",
        "is in capitals": value.upper(),
        "has a port": f"{value}:80",
        "is a URL": f"https://{value}",
        "has a path": f"{value}/log",
        "has a space": f"{value} ",
        "has a newline": f"{value}\n",
        "ends in a full stop": f"{value}.",
        "has an empty label": value.replace(".", "..", 1),
        "has a label of 64": f"{'a' * 64}.org",
        "is too long": ".".join(["a" * 60] * 5),
        "begins with a dash": f"-{value}",
    }.items():
        yield Lie(name, spelled(wrong))


_INDEX = nullable(integer(0, 2**53 - 1))
_KEYS = Obj(
    keys=Listed(
        Obj(
            fingerprint=bound(digest, MALFORMED),
            role=one_of("publisher", "executor", "auditor", "registry"),
            owner=any_text,
            publicKey=_pem,
            index=_INDEX,
            revoked=Maybe(_INDEX),
            log=Maybe(_origin),
            revokedLog=Maybe(_origin),
        ),
        long=MALFORMED,
    )
)


def _key_lists() -> Iterator[Question]:
    asker = Asker(artefact="key history", kind="keys")
    data = honest.keys_document(revoked=200, revokedLog="log2.example.org")
    yield asker.honest(data)
    yield asker.honest(canonical_json({"keys": []}), "nobody is trusted")
    yield from asker.about(forged(_KEYS, json.loads(data), OK))
    yield from asker.about(broken(data))
    first, second = json.loads(data)["keys"]
    hidden = {**first, "revoked": None}
    yield asker.ask(
        "a key stands without its revocation before it stands with it",
        canonical_json({"keys": [hidden, first, second]}),
        MALFORMED,
    )


def _public_keys() -> Iterator[Question]:
    """Whoever gives no P-256 public key asks what cannot be asked."""
    asker = Asker(artefact="public key", kind="key")
    key = honest.public(honest.SIGNER)
    yield asker.honest(key.pem.encode())
    yield asker.honest(key.spki, "in DER")
    # The reader's own file may come from any program.
    for name, pem in _spellings().items():
        if name not in ("has a text after it", "has another key after it"):
            yield asker.honest(pem.encode(), name)
    yield asker.honest(_compressed(serialization.Encoding.DER), "in DER, a compressed point")
    private = honest.SIGNER.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    off_curve = key.spki[:-1] + bytes([key.spki[-1] ^ 1])
    for name, data in {
        "is empty": b"",
        "is a text": b"hello",
        "is a private key in PEM": vector("signer.test-only.pem"),
        "is a private key in DER": private,
        "is of another curve": _other_curve().encode(),
        "is an Ed25519 key": vector("log.pub"),
        "is the point alone": key.spki[-65:],
        "is not on the curve": off_curve,
        "has a byte after it": key.spki + b"\0",
        "is a byte short": key.spki[:-1],
        "is a certificate": key.pem.replace("PUBLIC KEY", "CERTIFICATE").encode(),
        "has no end": key.pem.partition("-----END")[0].encode(),
        "has foreign letters": key.pem.replace("MFkw", "MF!w").encode(),
    }.items():
        yield asker.ask(name, data, USAGE)
