"""Claims that are truly signed and truly in a log: the honest ones, and whatever a test bends.

The log has three entries, the claim between two others; keys are those of the vectors.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from assay.bundle import Bundle, InclusionProof, LogEntry, hint_for, render_bundle
from assay.checkpoint import Checkpoint
from assay.digests import sha256_hex
from assay.dsse import PublicKey, public_key_of, rekor_body, sign
from assay.merkle import leaf_hash, root_of
from assay.note import Note, cosign_line, render as render_note, sign_line
from assay.statements import (
    ExecutionPredicate,
    Graph,
    Observed,
    Runtime,
    Subject,
    TensorSet,
    render,
)
from assay.statements.parts import sorted_files
from assay.tensors import Tensor, commitment, encode_tensors
from tests.assay.vectors import values, vector

ORIGIN = "ledger.example.org"
TIME = 1767225600
MODEL = Path(__file__).parent.parent / "vectors" / "models" / "add.onnx"
EXECUTION_ID = "0192f3a4-5b6c-7d8e-9f01-23456789abcd"
MANIFEST = "7b94765998ac084b4b1683b2e94a7c7471c325fdfb28218a0cbaaf289b7d17b7"
SALT = bytes(range(32))


@cache
def signer() -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key(vector("signer.test-only.pem"), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


@cache
def public_key() -> PublicKey:
    return public_key_of(signer().public_key())


def _ed25519(name: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(values()["keys"][name]["seed"]))


def checkpoint(size: int, root: bytes, *, time: int = TIME) -> bytes:
    """Return a signed checkpoint of the vectors' log, cosigned by two of its witnesses."""
    text = Checkpoint(origin=ORIGIN, size=size, root=root).text
    lines = [sign_line(text, ORIGIN, _ed25519("log"))]
    for number in (1, 2):
        name = values()["keys"][f"witness{number}"]["name"]
        lines.append(cosign_line(text, name, _ed25519(f"witness{number}"), time + number))
    return render_note(Note(text=text, lines=tuple(lines)))


def logged(payload: bytes, *, time: int = TIME) -> Bundle:
    """Return the bundle of `payload`, signed and logged as entry 1 of 3."""
    spki = public_key().spki
    envelope = sign(payload, signer())
    body = rekor_body(envelope.pae_sha256, envelope.signature, spki)
    leaves = [leaf_hash(b"before"), leaf_hash(body), leaf_hash(b"after")]
    proof = InclusionProof(
        index=1,
        root=root_of(leaves),
        size=3,
        hashes=(leaves[0], leaves[2]),
        checkpoint=checkpoint(3, root_of(leaves), time=time),
    )
    entry = LogEntry(
        index=1,
        key_id32=bytes.fromhex(values()["keys"]["log"]["log_id"]),
        body=body,
        inclusion=proof,
    )
    return Bundle(envelope=envelope, hint=hint_for(spki), entry=entry)


def floats(name: str, *numbers: float) -> Tensor:
    """Return an FP32 tensor of shape [1, n]."""
    data = struct.pack(f"<{len(numbers)}f", *numbers)
    return Tensor(name=name, datatype="FP32", shape=(1, len(numbers)), data=data)


INPUT = encode_tensors([floats("x", 1, 2, 3), floats("y", 0.5, 0.25, -1)])
# What onnxruntime-web 1.30.0 gives, on any machine.
OUTPUT = encode_tensors(
    [
        floats("sum", 1.5, 2.25, 2.0),
        replace(floats("probabilities", 0, 0, 0), data=bytes.fromhex("27de563e0470e33ee920b13e")),
    ]
)


def runtime(**changed: Any) -> Runtime:
    """Return the pinned runtime, with changes."""
    pinned = Runtime(
        kind="portable",
        name="onnxruntime-web",
        version="1.30.0",
        files=sorted_files(
            [
                (
                    "ort-wasm-simd-threaded.mjs",
                    "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
                ),
                (
                    "ort-wasm-simd-threaded.wasm",
                    "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
                ),
                (
                    "ort.wasm.min.mjs",
                    "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
                ),
            ]
        ),
        level="all",
        threads=1,
    )
    return replace(pinned, **changed)


def execution(**changed: Any) -> ExecutionPredicate:
    """Return the predicate of a public execution of the model in MODEL, with changes."""
    honest = ExecutionPredicate(
        observed=Observed(origin=ORIGIN, tree_size=1, root_hash=leaf_hash(b"before").hex()),
        execution=EXECUTION_ID,
        model="alice/add",
        revision="4f631084a157c54f54fcfb23ff5eb8650c4ba160",
        manifest=MANIFEST,
        graph=Graph(path="add.onnx", sha256=sha256_hex(MODEL.read_bytes())),
        input=TensorSet(form="digest", sha256=sha256_hex(INPUT)),
        output=TensorSet(form="digest", sha256=sha256_hex(OUTPUT)),
        runtime=runtime(),
        started_on="2026-01-01T00:00:00.000Z",
        finished_on="2026-01-01T00:00:00.250Z",
        trace=None,
    )
    return replace(honest, **changed)


def private_set(tensors: bytes) -> TensorSet:
    """Return the commitment to a set of tensors under SALT."""
    return TensorSet(form="commitment", sha256=commitment(SALT, sha256_hex(tensors)))


def receipt_of(
    predicate: ExecutionPredicate, *, subject: str | None = None, time: int = TIME
) -> bytes:
    """Return the receipt of an execution: signed, logged, witnessed."""
    about = Subject(name="output.tensors", sha256=subject or predicate.output.sha256)
    return render_bundle(logged(render(predicate.statement([about])), time=time))
