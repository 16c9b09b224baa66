"""A log in which a key is registered before it signs: bundles of both, under one tree or two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from assay.bundle import (
    Bundle,
    InclusionProof,
    LogEntry,
    hint_for,
    parse_bundle,
    render_bundle,
)
from assay.canonical import canonical_json
from assay.digests import sha256_hex
from assay.dsse import Envelope, public_key_of, rekor_body, sign
from assay.errors import VerificationError
from assay.merkle import EMPTY_ROOT, leaf_hash, prove_inclusion, root_from, root_of
from assay.statements import KeyPredicate, Observed, Subject, render
from tests.assay import claims
from tests.assay.vectors import values, vector

MALLORY = ec.derive_private_key(7, ec.SECP256R1())


class _Leaves:
    """The hashes of a small tree, computed when they are asked for."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._leaves = leaves

    def read(self, level: int, index: int) -> bytes:
        return root_of(self._leaves[index << level : (index + 1) << level])


def key_envelope(
    signer: ec.EllipticCurvePrivateKey | None = None,
    about: ec.EllipticCurvePrivateKey | None = None,
    subject: str = "",
    **changed: Any,
) -> Envelope:
    """Return the statement that registers the executor's key, with changes, signed by `signer`."""
    named = public_key_of((about or claims.signer()).public_key())
    said: dict[str, Any] = {
        "observed": Observed(origin=claims.ORIGIN, tree_size=0, root_hash=EMPTY_ROOT.hex()),
        "action": "register",
        "owner": claims.ORIGIN,
        "role": "executor",
        "public_key": named.pem,
        "previous": None,
        **changed,
    }
    about_key = Subject(name="", sha256=subject or named.fingerprint)
    payload = render(KeyPredicate(**said).statement([about_key]))
    return sign(payload, signer or claims.signer())


def execution_envelope() -> Envelope:
    """Return the statement of an execution, signed by its executor."""
    registration = key_envelope()
    leaf = leaf_hash(
        rekor_body(registration.pae_sha256, registration.signature, claims.public_key().spki)
    )
    seen = Observed(origin=claims.ORIGIN, tree_size=1, root_hash=leaf.hex())
    about = Subject(name="output.tensors", sha256=sha256_hex(claims.OUTPUT))
    payload = render(claims.execution(observed=seen).statement([about]))
    return sign(payload, claims.signer())


def logged(envelopes: Sequence[Envelope], *, more: int = 0, **signed: Any) -> list[bytes]:
    """Return the bundle of each envelope: entries 0, 1, … and `more` others, under one tree."""
    spkis = [_spki(envelope) for envelope in envelopes]
    bodies = [
        rekor_body(envelope.pae_sha256, envelope.signature, spki)
        for envelope, spki in zip(envelopes, spkis, strict=True)
    ]
    leaves = [leaf_hash(body) for body in (*bodies, *(b"more %d" % i for i in range(more)))]
    root = root_from(len(leaves), _Leaves(leaves))
    note = claims.checkpoint(len(leaves), root, **signed)
    return [
        render_bundle(
            Bundle(
                envelope=envelope,
                hint=hint_for(spki),
                entry=LogEntry(
                    index=index,
                    key_id32=bytes.fromhex(values()["keys"]["log"]["log_id"]),
                    body=body,
                    inclusion=InclusionProof(
                        index=index,
                        root=root,
                        size=len(leaves),
                        hashes=tuple(prove_inclusion(index, len(leaves), _Leaves(leaves))),
                        checkpoint=note,
                    ),
                ),
            )
        )
        for index, (envelope, spki, body) in enumerate(zip(envelopes, spkis, bodies, strict=True))
    ]


def _spki(envelope: Envelope) -> bytes:
    """Return the key that made an envelope: Mallory's, or else the executor's."""
    mallory = public_key_of(MALLORY.public_key())
    try:
        mallory.verify_digest(envelope.pae_sha256, envelope.signature)
    except VerificationError:
        return claims.public_key().spki
    return mallory.spki


def vectors() -> dict[str, bytes]:
    """Return the files of `tests/vectors/receipt`: what a reader of one receipt has at hand."""
    registration, receipt = logged([key_envelope(), execution_envelope()], more=1)
    listed = {
        "fingerprint": claims.public_key().fingerprint,
        "role": "executor",
        "owner": "",
        "publicKey": claims.public_key().pem,
        "log": claims.ORIGIN,
        "index": 0,
    }
    return {
        "receipt.json": receipt,
        "registration.json": registration,
        "checkpoint": parse_bundle(receipt).entry.inclusion.checkpoint,
        "executor.pem": claims.public_key().pem.encode(),
        "input.tensors": claims.INPUT,
        "keys.json": canonical_json({"keys": [listed]}),
        "output.tensors": claims.OUTPUT,
        "policy.txt": vector("witness-policy.txt"),
        "trusted_root.json": vector("trusted_root.json"),
    }
