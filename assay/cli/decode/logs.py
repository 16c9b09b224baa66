"""What a log, its witnesses and its readers write: notes, checkpoints, proofs, tiles, trust."""

from __future__ import annotations

from typing import Any

from assay.canonical import encode_base64, parse_json
from assay.checkpoint import parse_checkpoint
from assay.digests import SHA256_BYTES, sha256_hex
from assay.dsse import parse_rekor_body
from assay.errors import FormatError
from assay.merkle import leaf_hash
from assay.note import COSIGNATURE, SignatureLine, VKey, parse_line, parse_note
from assay.policy import PolicyKey, parse_policy, parse_trusted_root
from assay.receipt import parse_tlog_proof
from assay.splitview import parse_split_view
from assay.tiles import TILE_WIDTH, decode_hashes
from assay.verify import parse_keys
from assay.verify.fresh import instant

_COSIGNATURE_BYTES = 8 + 64
_LAST_TIME = 2**63


def note(data: bytes) -> dict[str, Any]:
    """A signed note."""
    found = parse_note(data)
    return {"text": found.text, "signatures": [_line(line) for line in found.lines]}


def checkpoint(data: bytes) -> dict[str, Any]:
    """A signed checkpoint: what a log says of itself, and who signed that."""
    found = parse_note(data)
    tree = parse_checkpoint(found.text)
    return {
        "origin": tree.origin,
        "tree_size": tree.size,
        "root": tree.root.hex(),
        "extensions": list(tree.extensions),
        "signatures": [_line(line) for line in found.lines],
    }


def cosignatures(data: bytes) -> dict[str, Any]:
    """The lines with which a witness answers."""
    lines = data.decode("utf-8", "replace").split("\n")
    return {"signatures": [_line(parse_line(line)) for line in lines if line]}


def _line(line: SignatureLine) -> dict[str, Any]:
    """A signature line; that of a witness begins with its time. Nothing of it is verified."""
    shown: dict[str, Any] = {"name": line.name, "key_id": line.key_id.hex()}
    if len(line.payload) == _COSIGNATURE_BYTES:
        seconds = int.from_bytes(line.payload[:8], "big")
        if seconds < _LAST_TIME:
            return {**shown, "kind": "cosignature of a witness", "time": instant(seconds)}
    return {**shown, "kind": "signature"}


def tlog_proof(data: bytes) -> dict[str, Any]:
    """A proof of inclusion in C2SP's form."""
    found = parse_tlog_proof(data)
    return {
        "index": found.index,
        "hashes": [item.hex() for item in found.hashes],
        "extra": None if found.extra is None else encode_base64(found.extra),
        "checkpoint": checkpoint(found.checkpoint),
    }


def split_view(data: bytes) -> dict[str, Any]:
    """Evidence of a split view."""
    found = parse_split_view(data)
    return {
        "first": checkpoint(found.first),
        "second": checkpoint(found.second),
        "left": [item.hex() for item in found.left],
        "right": [item.hex() for item in found.right],
    }


def tile(data: bytes) -> dict[str, Any]:
    """A tile: up to 256 hashes; level and place are in its path alone."""
    width = len(data) // SHA256_BYTES
    if not 0 < width <= TILE_WIDTH:
        raise FormatError(f"a tile has 1 to {TILE_WIDTH} hashes of {SHA256_BYTES} bytes")
    return {"width": width, "hashes": [item.hex() for item in decode_hashes(data, width)]}


def entries(data: bytes) -> dict[str, Any]:
    """An entry bundle: up to 256 leaves."""
    found: list[bytes] = []
    offset = 0
    while offset < len(data) and len(found) < TILE_WIDTH:
        start = offset + 2
        offset = start + int.from_bytes(data[offset:start], "big")
        found.append(data[start:offset])
    if offset != len(data):
        raise FormatError("the entry bundle ends inside an entry, or has too many")
    return {"width": len(found), "entries": [_leaf(body) for body in found]}


def _leaf(body: bytes) -> dict[str, Any]:
    shown = {"leaf_hash": leaf_hash(body).hex()}
    try:
        digest, _, spki = parse_rekor_body(body)
    except FormatError:
        return {**shown, "kind": "foreign", "bytes": len(body)}
    return {**shown, "pae_sha256": digest.hex(), "key": sha256_hex(spki)}


def vkey(data: bytes) -> dict[str, Any]:
    """The key of a log or a witness, in one line."""
    found = VKey.parse(data.decode("utf-8", "replace").strip())
    kind = "witness (04, cosignatures)" if found.kind == COSIGNATURE else "log (01, Ed25519)"
    return {
        "name": found.name,
        "key_id": found.key_id.hex(),
        "kind": kind,
        "key": encode_base64(found.key),
    }


def policy(data: bytes) -> dict[str, Any]:
    """A policy: which logs, which witnesses, how many of them."""
    found = parse_policy(data)
    return {
        "logs": [_key(key) for key in found.logs],
        "witnesses": {name: _key(key) for name, key in found.witnesses.items()},
        "groups": {
            name: {"threshold": group.threshold, "members": list(group.members)}
            for name, group in found.groups.items()
        },
        "quorum": found.quorum,
    }


def _key(key: PolicyKey) -> dict[str, Any]:
    return {"vkey": str(key.vkey), "url": key.url or None}


def trusted_root(data: bytes) -> dict[str, Any]:
    """A trusted root: the logs that a reader believes."""
    return {
        "logs": [
            {
                "origin": log.origin,
                "base_url": log.base_url,
                "vkey": str(log.vkey),
                "log_id": log.key_id32.hex(),
                "start": log.start,
            }
            for log in parse_trusted_root(data).logs
        ]
    }


def signing_config(data: bytes) -> dict[str, Any]:
    """A signing configuration, which is for stock clients: as it is written."""
    value = parse_json(data)
    if not isinstance(value, dict):
        raise FormatError("is not an object", "signing config")
    return value


def keys(data: bytes) -> dict[str, Any]:
    """The keys that a registry lists: roles, owners, and from when to when they count."""
    return {
        "keys": [
            {
                "fingerprint": one.key.fingerprint,
                "role": one.role,
                "owner": one.owner or None,
                "index": one.index,
                "log": one.log or None,
                "revoked": one.revoked,
                "revoked_in": one.revoked_log or None,
            }
            for one in parse_keys(data).keys
        ]
    }
