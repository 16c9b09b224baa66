"""A ledger to verify: signed executions in the files of a log, and receipts of them.

Keys, payloads and times are the same in every run. Every entry is signed for real; the statements
differ in the number of the execution only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assay.bundle import Bundle, InclusionProof, LogEntry, hint_for, render_bundle
from assay.canonical import canonical_json
from assay.checkpoint import Checkpoint
from assay.digests import sha256_hex
from assay.dsse import P256_ORDER, Envelope, public_key_of, rekor_body, sign
from assay.logdata import StoredEnvelope
from assay.merkle import EMPTY_ROOT, leaf_hash, node_hash, prove_inclusion, root_from
from assay.note import (
    COSIGNATURE,
    ED25519,
    Note,
    cosign_line,
    render as render_note,
    sign_line,
    vkey_for,
)
from assay.policy import log_key, render_trusted_root
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
from assay.tiles import TILE_HEIGHT, TILE_WIDTH, encode_entries, tiles_for

ORIGIN = "ledger.example.org"
TIME = 1_767_225_600
_MARK = "000000000000"


def _seed(name: str) -> bytes:
    return hashlib.sha256(f"assay bench: {name}".encode()).digest()


KEY = ec.derive_private_key(int.from_bytes(_seed("executor"), "big") % P256_ORDER, ec.SECP256R1())
PUBLIC = public_key_of(KEY.public_key())
LOG_KEY = Ed25519PrivateKey.from_private_bytes(_seed("log"))
WITNESSES = {
    f"witness{number}.example.net": Ed25519PrivateKey.from_private_bytes(_seed(f"witness {number}"))
    for number in (1, 2)
}
LOG = log_key(f"https://{ORIGIN}/log", LOG_KEY.public_key(), "2026-01-01T00:00:00Z")
OUTPUT = b"what the model answered, in place of output.tensors"


def pins() -> dict[str, bytes]:
    """Return what a reader of this ledger has pinned, by file name."""
    lines = [f"log {vkey_for(ORIGIN, LOG_KEY.public_key(), ED25519)}"]
    for name, key in WITNESSES.items():
        lines.append(f"witness {name} {vkey_for(name, key.public_key(), COSIGNATURE)}")
    lines += [f"group both all {' '.join(WITNESSES)}", "quorum both", ""]
    listed = {
        "fingerprint": PUBLIC.fingerprint,
        "role": "executor",
        "owner": "",
        "publicKey": PUBLIC.pem,
        "index": 0,
    }
    return {
        "trusted_root.json": render_trusted_root([LOG]),
        "policy.txt": "\n".join(lines).encode(),
        "keys.json": canonical_json({"keys": [listed]}),
    }


def _template() -> bytes:
    predicate = ExecutionPredicate(
        observed=Observed(origin=ORIGIN, tree_size=0, root_hash=EMPTY_ROOT.hex()),
        execution=f"0192f3a4-5b6c-7d8e-9f01-{_MARK}",
        model="examples/digits",
        revision="4f631084a157c54f54fcfb23ff5eb8650c4ba160",
        manifest=sha256_hex(b"manifest"),
        graph=Graph(path="model.onnx", sha256=sha256_hex(b"graph")),
        input=TensorSet(form="digest", sha256=sha256_hex(b"input")),
        output=TensorSet(form="digest", sha256=sha256_hex(OUTPUT)),
        runtime=Runtime(
            kind="portable",
            name="onnxruntime-web",
            version="1.30.0",
            files=sorted_files(
                (f"ort.{part}", sha256_hex(part.encode())) for part in ("a.mjs", "b.wasm", "c.mjs")
            ),
            level="all",
            threads=1,
        ),
        started_on="2026-01-01T00:00:00.000Z",
        finished_on="2026-01-01T00:00:00.250Z",
        trace=None,
    )
    about = Subject(name="output.tensors", sha256=sha256_hex(OUTPUT))
    return render(predicate.statement([about]))


_PAYLOAD = _template()


def envelope(number: int) -> Envelope:
    """Return the signed statement of execution `number`: the same each time."""
    payload = _PAYLOAD.replace(f"-{_MARK}".encode(), f"-{number:012x}".encode())
    return sign(payload, KEY)


def note(size: int, root: bytes, time: int = TIME) -> bytes:
    """Return the signed checkpoint of a tree, cosigned by both witnesses at `time`."""
    text = Checkpoint(origin=ORIGIN, size=size, root=root).text
    lines = [sign_line(text, ORIGIN, LOG_KEY)]
    lines += [cosign_line(text, name, key, time) for name, key in WITNESSES.items()]
    return render_note(Note(text=text, lines=tuple(lines)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The hashes of a tree of executions, level by level; the leaves are `rows[0]`."""

    rows: Sequence[Sequence[bytes]]

    @property
    def size(self) -> int:
        """Return the number of entries."""
        return len(self.rows[0])

    @property
    def root(self) -> bytes:
        """Return the 32-byte root."""
        return root_from(self.size, self)

    def read(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree, for proofs."""
        return self.rows[level][index]

    def receipt(self, number: int, checkpoint: bytes, root: bytes) -> bytes:
        """Return the receipt of execution `number` under a checkpoint of this tree."""
        made = envelope(number)
        proof = InclusionProof(
            index=number,
            root=root,
            size=self.size,
            hashes=tuple(prove_inclusion(number, self.size, self)),
            checkpoint=checkpoint,
        )
        entry = LogEntry(index=number, key_id32=LOG.key_id32, body=_body(made), inclusion=proof)
        return render_bundle(Bundle(envelope=made, hint=hint_for(PUBLIC.spki), entry=entry))

    def receipts(self, count: int, *, each: bool) -> list[bytes]:
        """Return `count` receipts from all over the tree, under one checkpoint or `each` its own.

        Checkpoints of their own are of the same tree, cosigned at other times.
        """
        root = self.root
        shared = note(self.size, root)
        step = max(1, self.size // count)
        return [
            self.receipt(number, note(self.size, root, TIME + number + 1) if each else shared, root)
            for number in range(0, self.size, step)
        ][:count]


def _body(made: Envelope) -> bytes:
    return rekor_body(made.pae_sha256, made.signature, PUBLIC.spki)


def grow(entries: int, folder: Path | None = None) -> Ledger:
    """Return a ledger of `entries` executions; write the files of its log into `folder`."""
    leaves: list[bytes] = []
    for bodies in _made(entries, folder):
        leaves += [leaf_hash(body) for body in bodies]
    rows = [leaves]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)])
    ledger = Ledger(rows=rows)
    if folder is not None:
        _write_tiles(ledger, folder)
        (folder / "checkpoint").write_bytes(note(ledger.size, ledger.root))
    return ledger


def _made(entries: int, folder: Path | None) -> Iterator[list[bytes]]:
    """Yield the bodies of the entries, a bundle at a time, and write bundles and envelopes."""
    if folder is not None:
        (folder / "envelopes").mkdir(parents=True)
    bundles = {tile.index: tile for tile in tiles_for(entries) if tile.level is None}
    for index, tile in bundles.items():
        made = [envelope(index * TILE_WIDTH + at) for at in range(tile.width)]
        bodies = [_body(one) for one in made]
        if folder is not None:
            _write(folder / tile.path, encode_entries(bodies))
            for one in made:
                stored = StoredEnvelope(payload=one.payload, signatures=(one.signature,))
                path = folder / "envelopes" / stored.pae_sha256.hex()
                path.write_bytes(stored.to_json())
        yield bodies


def _write_tiles(ledger: Ledger, folder: Path) -> None:
    for tile in tiles_for(ledger.size):
        if tile.level is not None:
            row = ledger.rows[tile.level * TILE_HEIGHT]
            first = tile.index * TILE_WIDTH
            _write(folder / tile.path, b"".join(row[first : first + tile.width]))


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
