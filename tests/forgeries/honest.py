"""The honest artefacts, of which every forgery is one with one thing wrong.

One log, that of the vectors, with four entries: a text, the registration of the key, the claim at
hand, and a text. Two of the three witnesses have cosigned. Everybody knows the keys.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assay.bundle import (
    Bundle,
    InclusionProof,
    LogEntry,
    hint_for,
    oms_hint_for,
    render_bundle,
)
from assay.canonical import canonical_json
from assay.digests import sha256_hex
from assay.dsse import Envelope, PublicKey, pae, public_key_of, rekor_body, sign
from assay.manifest import Manifest
from assay.merkle import leaf_hash, prove_inclusion, root_of
from assay.note import Note, log_id, parse_note, render as render_note, sign_line
from assay.policy import log_key, render_trusted_root
from assay.statements import (
    AliasPredicate,
    CardPredicate,
    KeyPredicate,
    ModerationPredicate,
    Observed,
    Predicate,
    ReleasePredicate,
    ReplayPredicate,
    Runtime,
    Subject,
    TensorSet,
    render,
)
from assay.tensors import encode_tensors
from tests.assay import claims
from tests.assay.vectors import values, vector
from tests.assay.views import Leaves

ORIGIN = claims.ORIGIN
REGISTRATION, CLAIM, SIZE = 1, 2, 4  # the indices of two entries, and the number of all
BEFORE, AFTER = leaf_hash(b"before"), leaf_hash(b"after")
TRUSTED_ROOT, POLICY = vector("trusted_root.json"), vector("witness-policy.txt")
KEY = vector("signer.pub")
INPUT, OUTPUT = claims.INPUT, claims.OUTPUT
OTHER_TENSORS = encode_tensors([claims.floats("x", 9, 9, 9)])
OBSERVED = Observed(origin=ORIGIN, tree_size=1, root_hash=BEFORE.hex())
MODEL, REVISION = "alice/add", "4f631084a157c54f54fcfb23ff5eb8650c4ba160"
FILES = {"README.md": b"# Add\n", "model.onnx": b"not a model"}
FOLDER = Manifest.from_pairs([(name, sha256_hex(data)) for name, data in FILES.items()])
CARD, GRAPH = (item.sha256 for item in FOLDER.resources)
DIGEST = "cd" * 32
RUNTIME = claims.runtime()
NATIVE: Runtime = replace(RUNTIME, kind="native", name="onnxruntime", isa=("avx2", "fma"))
SIGNER = claims.signer()


@cache
def mallory() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(666, ec.SECP256R1())


def public(key: ec.EllipticCurvePrivateKey) -> PublicKey:
    return public_key_of(key.public_key())


@cache
def ed25519(name: str) -> Ed25519PrivateKey:
    """Return the private key of `log`, `other_log`, `witness1`, `witness2` or `witness3`."""
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(values()["keys"][name]["seed"]))


def vkey(name: str) -> str:
    return str(values()["keys"][name]["vkey"])


def body_of(envelope: Envelope, key: ec.EllipticCurvePrivateKey = SIGNER) -> bytes:
    return rekor_body(envelope.pae_sha256, envelope.signature, public(key).spki)


# ------------------------------------------------------------------ statements


def predicates() -> dict[str, Predicate]:
    """Return one honest predicate of each kind, by its name."""
    return {
        "release": ReleasePredicate(
            observed=OBSERVED,
            model=MODEL,
            revision=REVISION,
            version="1.2.0",
            manifest=FOLDER.digest,
            card=CARD,
            license="apache-2.0",
            previous="ab" * 20,
        ),
        "card": CardPredicate(
            observed=OBSERVED,
            model=MODEL,
            revision=REVISION,
            manifest=FOLDER.digest,
            metadata={"license": "apache-2.0", "tags": ["onnx"], "score": 0.5},
        ),
        "alias": AliasPredicate(
            observed=OBSERVED,
            model=MODEL,
            alias="production",
            revision=REVISION,
            previous="ab" * 20,
        ),
        "execution": claims.execution(observed=OBSERVED, trace=DIGEST),
        "replay": ReplayPredicate(
            observed=OBSERVED,
            execution=claims.EXECUTION_ID,
            statement_sha256=DIGEST,
            verdict="exact",
            runtime=NATIVE,
            output=TensorSet(form="digest", sha256=sha256_hex(OUTPUT)),
            first_divergence="/layer1/Conv",
        ),
        "key": key_predicate(SIGNER, previous=DIGEST),
        "moderation": ModerationPredicate(
            observed=OBSERVED, action="takedown", category="copyright", reason="because"
        ),
    }


SUBJECTS = {
    "release": [Subject(name=item.name, sha256=item.sha256) for item in FOLDER.resources],
    "card": [Subject(name="README.md", sha256=CARD)],
    "alias": [Subject(name="", sha256=FOLDER.digest)],
    "execution": [Subject(name="output.tensors", sha256=sha256_hex(OUTPUT))],
    "replay": [Subject(name="output.tensors", sha256=sha256_hex(OUTPUT))],
    "key": [Subject(name="", sha256=public(SIGNER).fingerprint)],
    "moderation": [Subject(name=MODEL, sha256=DIGEST)],
}


def statement(kind: str, **changed: Any) -> bytes:
    """Return the statement of a kind, with changes to its predicate."""
    predicate = predicates()[kind]
    return render(replace(predicate, **changed).statement(SUBJECTS[kind]))


def key_predicate(key: ec.EllipticCurvePrivateKey, **changed: Any) -> KeyPredicate:
    """Return what registers `key` as alice's publisher's key, with changes."""
    honest = KeyPredicate(
        observed=OBSERVED,
        action="register",
        owner="alice",
        role="publisher",
        public_key=public(key).pem,
        previous=None,
    )
    return replace(honest, **changed)


def registration(role: str, **changed: Any) -> bytes:
    """Return the statement that registers the signer's key."""
    owner = "alice" if role == "publisher" else ORIGIN
    said = {"role": role, "owner": owner, "previous": DIGEST, **changed}
    predicate = key_predicate(SIGNER, **said)
    return render(predicate.statement(SUBJECTS["key"]))


# ------------------------------------------------------------------ what is logged


def leaf_of(bundle: Bundle) -> bytes:
    """Return the 32-byte leaf of a bundle's entry."""
    return leaf_hash(bundle.entry.body)


def leaves(claim: bytes, registered: bytes) -> list[bytes]:
    """Return the leaves of the log around the leaves of the claim and of the registration."""
    return [BEFORE, registered, claim, AFTER]


@cache
def registered_leaf(role: str) -> bytes:
    return leaf_hash(body_of(sign(registration(role), SIGNER)))


def entry(body: bytes, index: int, tree: list[bytes], *, time: int = claims.TIME) -> LogEntry:
    """Return the entry with `body` at `index` of a witnessed tree."""
    root = root_of(tree)
    return LogEntry(
        index=index,
        key_id32=bytes.fromhex(values()["keys"]["log"]["log_id"]),
        body=body,
        inclusion=InclusionProof(
            index=index,
            root=root,
            size=len(tree),
            hashes=tuple(prove_inclusion(index, len(tree), Leaves(tree))),
            checkpoint=claims.checkpoint(len(tree), root, time=time),
        ),
    )


def bundle_of(
    payload: bytes,
    *,
    key: ec.EllipticCurvePrivateKey = SIGNER,
    role: str = "publisher",
    envelope: Envelope | None = None,
    body: bytes | None = None,
    time: int = claims.TIME,
) -> Bundle:
    """Return the bundle of `payload`, signed by `key` and truly logged as entry CLAIM of SIZE.

    `envelope` is there in the place of an honestly signed one, `body` in that of its own body.
    """
    signed = envelope or sign(payload, key)
    logged = body or body_of(signed, key)
    tree = leaves(leaf_hash(logged), registered_leaf(role))
    return Bundle(
        envelope=signed,
        hint=hint_for(public(key).spki),
        entry=entry(logged, CLAIM, tree, time=time),
    )


def registration_of(
    payload: bytes, claim: Bundle, *, key: ec.EllipticCurvePrivateKey = SIGNER
) -> Bundle:
    """Return the bundle of a registration, in the tree that holds `claim`."""
    envelope = sign(payload, key)
    body = body_of(envelope, key)
    tree = leaves(leaf_of(claim), leaf_hash(body))
    return Bundle(
        envelope=envelope,
        hint=hint_for(public(key).spki),
        entry=entry(body, REGISTRATION, tree),
    )


def registration_parts(role: str, claim: Bundle) -> Bundle:
    """Return the honest registration of the signer's key, which `claim` counts on."""
    return registration_of(registration(role), claim)


def registration_bundle(role: str, claim: Bundle) -> bytes:
    return render_bundle(registration_parts(role, claim))


def receipt(**changed: Any) -> bytes:
    """Return the receipt of an execution, with changes to its predicate."""
    return render_bundle(bundle_of(statement("execution", **changed), role="executor"))


def keys_document(**changed: Any) -> bytes:
    """Return the reader's list: the signer's key as an executor's, and mallory's, revoked."""
    ours = {
        "fingerprint": public(SIGNER).fingerprint,
        "role": "executor",
        "owner": "",
        "publicKey": public(SIGNER).pem,
        "index": REGISTRATION,
        "log": ORIGIN,
    }
    theirs = {
        "fingerprint": public(mallory()).fingerprint,
        "role": "publisher",
        "owner": "mallory",
        "publicKey": public(mallory()).pem,
        "index": 0,
        "revoked": 1,
    }
    return canonical_json({"keys": [{**ours, **changed}, theirs]})


# ------------------------------------------------------------------ what a liar puts together


def with_hint(bundle: Bundle, hint: str) -> Bundle:
    return replace(bundle, hint=hint)


def oms_hint() -> str:
    return oms_hint_for(public(SIGNER).spki)


def twin_of(bundle: Bundle, signature: bytes) -> Bundle:
    """Return the bundle with another signature in its envelope; the log holds the old one."""
    return replace(bundle, envelope=replace(bundle.envelope, signature=signature))


def without_pae(payload: bytes) -> Envelope:
    """Return an envelope whose signature is over the payload itself."""
    signature = SIGNER.sign(payload, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return Envelope(payload=payload, signature=signature)


def of_type(payload: bytes, payload_type: str) -> Envelope:
    """Return an envelope that is honestly signed as another type of payload."""
    message = pae(payload, payload_type)
    signature = SIGNER.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return Envelope(payload=payload, signature=signature, payload_type=payload_type)


def elsewhere(bundle: Bundle, log: str) -> Bundle:
    """Return the bundle as the log of another key would prove it, under that log's id."""
    proof = bundle.entry.inclusion
    text = parse_note(proof.checkpoint).text
    checkpoint = render_note(Note(text=text, lines=(sign_line(text, ORIGIN, ed25519(log)),)))
    raw = ed25519(log).public_key().public_bytes_raw()
    return replace(
        bundle,
        entry=replace(
            bundle.entry,
            key_id32=log_id(ORIGIN, raw),
            inclusion=replace(proof, checkpoint=checkpoint),
        ),
    )


def trusted_root(log: str, host: str = ORIGIN) -> bytes:
    """Return a trusted root that names the key of `log` under a host."""
    known = log_key(f"https://{host}/log", ed25519(log).public_key(), "2025-01-01T00:00:00Z")
    return render_trusted_root([known])
