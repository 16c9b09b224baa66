"""Bundles, envelopes, statements, log entries: who says what, as it is written there."""

from __future__ import annotations

from typing import Any

from assay.bundle import parse_bundle
from assay.canonical import encode_base64, parse_json
from assay.cli.decode.logs import checkpoint
from assay.dsse import (
    Envelope,
    PublicKey,
    parse_compact,
    parse_envelope,
    parse_rekor_body,
)
from assay.errors import AssayError
from assay.manifest import OMS, parse_oms
from assay.merkle import leaf_hash
from assay.statements import Statement, parse_predicate, parse_statement


def bundle(data: bytes) -> dict[str, Any]:
    """A Sigstore bundle: a receipt, or any other claim with its place in the log."""
    value = parse_json(data)
    material = value.get("verificationMaterial") if isinstance(value, dict) else None
    if isinstance(material, dict) and material.get("tlogEntries") == []:
        # A folder that was signed and never logged (`assay sign FOLDER`).
        signed = parse_envelope(value.get("dsseEnvelope"), "dsseEnvelope")
        return {**_envelope(signed), "log_entry": None}
    found = parse_bundle(data)
    proof = found.entry.inclusion
    return {
        "hint": found.hint or None,
        **_envelope(found.envelope),
        "log_entry": {
            "index": found.entry.index,
            "log_id": found.entry.key_id32.hex(),
            **_entry(found.entry.body),
        },
        "inclusion_proof": {
            "index": proof.index,
            "tree_size": proof.size,
            "root": proof.root.hex(),
            "hashes": [item.hex() for item in proof.hashes],
        },
        "checkpoint": checkpoint(proof.checkpoint),
    }


def envelope(data: bytes) -> dict[str, Any]:
    """A DSSE envelope."""
    return _envelope(parse_envelope(data.strip()))


def compact(data: bytes) -> dict[str, Any]:
    """A signed statement in compact form, as an answer's `parameters.receipt` has it."""
    return _envelope(parse_compact(data.decode("utf-8", "replace").strip()))


def _envelope(found: Envelope) -> dict[str, Any]:
    return {
        "payload_type": found.payload_type,
        "key_id": found.keyid or None,
        "pae_sha256": found.pae_sha256.hex(),
        "signature": encode_base64(found.signature),
        "statement": _payload(found.payload),
    }


def _payload(payload: bytes) -> dict[str, Any]:
    try:
        return statement(payload)
    except AssayError as error:
        return {"unreadable": str(error)}


def statement(data: bytes) -> dict[str, Any]:
    """An in-toto statement; its predicate is held against the form of its kind."""
    found = parse_statement(data)
    return {
        "subjects": [{"name": one.name, "sha256": one.sha256} for one in found.subjects],
        "predicate_type": found.predicate_type,
        "well_formed": _form(found),
        "predicate": found.predicate,
    }


def _form(found: Statement) -> str:
    """Say whether the predicate has the form of its kind."""
    try:
        if found.predicate_type == OMS:
            return f"yes, manifest {parse_oms(found).digest}"
        parse_predicate(found)
    except AssayError as error:
        return f"no: {error}"
    return "yes"


def entry(data: bytes) -> dict[str, Any]:
    """A leaf of the log: the body of a `hashedrekord`."""
    return _entry(data.strip())


def _entry(body: bytes) -> dict[str, Any]:
    digest, signature, spki = parse_rekor_body(body)
    return {
        "kind": "hashedrekord 0.0.2",
        "leaf_hash": leaf_hash(body).hex(),
        "pae_sha256": digest.hex(),
        "signature": encode_base64(signature),
        "key": PublicKey(spki=spki).fingerprint,
    }
