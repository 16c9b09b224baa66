"""Sigstore bundle v0.3, as this log and cosign write it: one envelope, one key hint, one log entry.

The rules:

1. Syntax is read whole before anything is judged; then what is well-formed and not ours is refused
   (a certificate, another entry kind, a promise in place of a proof, a claim that was not logged).
2. Integers are JSON strings in plain decimal; a field that is absent is zero.
3. The unsigned copies (`rootHash`, `treeSize`, `inclusionProof.logIndex`) are kept as read. They
   mean nothing until `assay.verify` has compared them with the signed checkpoint.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from assay.canonical import (
    as_list,
    as_object,
    as_text,
    canonical_json,
    decode_base64,
    encode_base64,
    parse_decimal,
    parse_json,
)
from assay.checkpoint import parse_checkpoint
from assay.digests import SHA256_BYTES, sha256, sha256_hex
from assay.dsse import Envelope, PublicKey, parse_envelope
from assay.errors import FormatError, VerificationError
from assay.limits import LIMITS
from assay.note import parse_note

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
KIND, VERSION = "hashedrekord", "0.0.2"
# The one spelling of 32 bytes in base64: four bits in the last letter, then padding.
_HASH = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")
_KEPT_HINTS = 1_024  # few keys sign many claims
_CERTIFICATES = ("certificate", "x509CertificateChain")


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionProof:
    """A proof as the bundle carries it; `checkpoint` is the signed note, nothing is verified."""

    index: int
    root: bytes
    size: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """A `hashedrekord` 0.0.2 entry: its index, the log's 32-byte id, the body that was hashed."""

    index: int
    key_id32: bytes
    body: bytes
    inclusion: InclusionProof


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An envelope, a hint at its key (`""` for none), and its entry in the log."""

    envelope: Envelope
    hint: str
    entry: LogEntry


@lru_cache(maxsize=_KEPT_HINTS)
def hint_for(spki: bytes) -> str:
    """Return cosign's hint at a key: base64 of the SHA-256 of its SPKI DER."""
    return encode_base64(sha256(spki))


@lru_cache(maxsize=_KEPT_HINTS)
def oms_hint_for(spki: bytes) -> str:
    """Return model_signing's hint at a key: hex SHA-256 of its SPKI in PEM."""
    return sha256_hex(PublicKey(spki=spki).pem.encode("ascii"))


def render_bundle(bundle: Bundle) -> bytes:
    """Return the RFC 8785 form of `bundle`."""
    return canonical_json(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {
                "publicKey": {"hint": bundle.hint} if bundle.hint else {},
                "tlogEntries": [tlog_entry_dict(bundle.entry)],
            },
            "dsseEnvelope": bundle.envelope.to_dict(),
        }
    )


def tlog_entry_dict(entry: LogEntry) -> dict[str, Any]:
    """Return the TransparencyLogEntry of `entry`: also the 201 answer of Rekor's write API.

    A zero field is absent, as protojson writes it.
    """
    proof = entry.inclusion
    return {
        **_unless_zero("logIndex", entry.index),
        "logId": {"keyId": encode_base64(entry.key_id32)},
        "kindVersion": {"kind": KIND, "version": VERSION},
        "inclusionProof": {
            **_unless_zero("logIndex", proof.index),
            "rootHash": encode_base64(proof.root),
            **_unless_zero("treeSize", proof.size),
            **({"hashes": [encode_base64(item) for item in proof.hashes]} if proof.hashes else {}),
            "checkpoint": {"envelope": proof.checkpoint.decode("utf-8")},
        },
        "canonicalizedBody": encode_base64(entry.body),
    }


def _unless_zero(name: str, value: int) -> dict[str, str]:
    return {name: str(value)} if value else {}


def parse_bundle(data: bytes) -> Bundle:
    """Read a bundle; nothing is verified.

    Raises:
        FormatError: not a bundle v0.3 with a DSSE envelope, or not its one spelling.
        VerificationError: a bundle of a kind that is not taken here (rule 1 above).
    """
    top = as_object(
        parse_json(data), "", required=("mediaType", "verificationMaterial", "dsseEnvelope")
    )
    if top["mediaType"] != MEDIA_TYPE:
        raise FormatError(f"is not {MEDIA_TYPE}", "mediaType")
    envelope = parse_envelope(top["dsseEnvelope"], "dsseEnvelope")
    where = "verificationMaterial"
    material = as_object(
        top[where], where, required=(), optional=("publicKey", "tlogEntries", *_CERTIFICATES)
    )
    entries = as_list(material.get("tlogEntries", []), f"{where}.tlogEntries")
    if len(entries) > 1:
        raise FormatError(f"{len(entries)} log entries, not one", f"{where}.tlogEntries")
    parsed = [_parse_entry(item, f"{where}.tlogEntries[0]") for item in entries]
    if any(name in material for name in _CERTIFICATES):
        raise VerificationError("signed under a certificate: a public key is what is taken here")
    key = as_object(
        material.get("publicKey"), f"{where}.publicKey", required=(), optional=("hint",)
    )
    hint = as_text(key.get("hint", ""), f"{where}.publicKey.hint")
    if not parsed:
        raise VerificationError("the claim is not in a log")
    entry, refusal = parsed[0]
    if refusal:
        raise VerificationError(refusal)
    return Bundle(envelope=envelope, hint=hint, entry=entry)


def _parse_entry(value: object, path: str) -> tuple[LogEntry, str]:
    """Return a log entry, and why it is not taken (`""` if it is)."""
    fields = as_object(
        value,
        path,
        required=("logId", "kindVersion", "inclusionProof", "canonicalizedBody"),
        optional=("logIndex", "integratedTime", "inclusionPromise"),
    )
    log_id = as_object(fields["logId"], f"{path}.logId", required=("keyId",))
    kind = as_object(fields["kindVersion"], f"{path}.kindVersion", required=("kind", "version"))
    entry = LogEntry(
        index=_integer(fields, "logIndex", path),
        key_id32=_hash(log_id["keyId"], f"{path}.logId.keyId"),
        body=decode_base64(fields["canonicalizedBody"], f"{path}.canonicalizedBody"),
        inclusion=_parse_proof(fields["inclusionProof"], f"{path}.inclusionProof"),
    )
    name, version = (as_text(kind[k], f"{path}.kindVersion.{k}") for k in ("kind", "version"))
    if (name, version) != (KIND, VERSION):
        return entry, f"an entry of kind {name} {version}, not {KIND} {VERSION}"
    if _integer(fields, "integratedTime", path):
        return entry, "an integrated time, which nothing signs"
    if fields.get("inclusionPromise") is not None:
        return entry, "a promise of inclusion, which this log does not make"
    return entry, ""


def _parse_proof(value: object, path: str) -> InclusionProof:
    fields = as_object(
        value,
        path,
        required=("rootHash", "checkpoint"),
        optional=("logIndex", "treeSize", "hashes"),
    )
    hashes: Sequence[object] = as_list(fields.get("hashes", []), f"{path}.hashes")
    if len(hashes) > LIMITS.proof_hashes:
        raise FormatError(f"more than {LIMITS.proof_hashes} hashes", f"{path}.hashes")
    where = f"{path}.checkpoint"
    text = as_object(fields["checkpoint"], where, required=("envelope",))["envelope"]
    checkpoint = as_text(text, f"{where}.envelope").encode("utf-8")
    parse_checkpoint(parse_note(checkpoint).text)
    return InclusionProof(
        index=_integer(fields, "logIndex", path),
        root=_hash(fields["rootHash"], f"{path}.rootHash"),
        size=_integer(fields, "treeSize", path),
        hashes=_hashes(hashes, f"{path}.hashes"),
        checkpoint=checkpoint,
    )


def _integer(fields: dict[str, Any], name: str, path: str) -> int:
    return parse_decimal(fields.get(name, "0"), f"{path}.{name}")


def _hashes(values: Sequence[object], path: str) -> tuple[bytes, ...]:
    """Return the hashes of a proof, of which there are twenty for a million entries."""
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) == len(values) and all(map(_HASH.fullmatch, texts)):
        return tuple(map(a2b_base64, texts))
    return tuple(_hash(value, f"{path}[{i}]") for i, value in enumerate(values))


def _hash(value: object, path: str) -> bytes:
    data = decode_base64(value, path)
    if len(data) != SHA256_BYTES:
        raise FormatError(f"is {len(data)} bytes, not {SHA256_BYTES}", path)
    return data
