"""What `assay` makes of fixed inputs, for the tests of the browser's modules.

`python -m tests.js.vectors` writes the file. The modules under `static/js/assay/`
must make the same bytes of the same inputs.
"""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from assay.canonical import canonical_json, encode_base64
from assay.digests import sha256_hex
from assay.dsse import load_public_key, pae
from assay.manifest import Manifest
from assay.statements import (
    AliasPredicate,
    CardPredicate,
    KeyPredicate,
    Observed,
    Predicate,
    ReleasePredicate,
    Subject,
    render,
)
from assay.tensors import Tensor, encode_bytes, encode_tensors

VECTORS = Path(__file__).parent.parent / "vectors"
TARGET = VECTORS / "js" / "assay.json"
OBSERVED = Observed(origin="ledger.example.org", tree_size=200, root_hash="64" * 32)
MODEL = "alice/resnet-tiny"
REVISION = "4f631084a157c54f54fcfb23ff5eb8650c4ba160"
# The file names tell UTF-16 order from code point order, and hold what JSON escapes.
FILES = {
    "README.md": b"# A card\n",
    "model.onnx": b"not a model",
    "weights/part-0.bin": b"\x00\x01",
    "weights.txt": b"",
    ".gitattributes": b"*.bin binary\n",
    "caf\u00e9 \u2028.txt": b"caf\xc3\xa9",
    "\uff5e.bin": b"a BMP name above the surrogates",
    "\U0001f600.bin": b"a name beyond the BMP",
    'quote".txt': b"q",
}
METADATA: dict[str, Any] = {
    "license": "apache-2.0",
    "tags": ["onnx", "caf\u00e9", "\U0001f600", "\u2028 </script>", 'a"b\\c\u0001\x7f'],
    "metrics": {"accuracy": 0.9722, "one": 1.0, "tiny": 1e-7, "large": 1234567890123.5},
    "numbers": [0, -0.0, -1, 0.1, 1e-6, 5e-324, 9007199254740991, 333333333.3333333],
    "nothing": None,
    "flags": [True, False],
    "\u20ac": "euro",
    "\U0001f600": "beyond",
    "\uff5e": "below in UTF-16",
    "1": "digit",
    "": "empty name",
}


def _digests() -> dict[str, str]:
    return {name: sha256_hex(data) for name, data in FILES.items()}


def _statement(predicate: Predicate, subjects: list[Subject]) -> dict[str, Any]:
    payload = render(predicate.statement(subjects))
    return {"payload": encode_base64(payload), "pae_sha256": sha256_hex(pae(payload))}


def _statements(manifest: Manifest, spki: bytes, pem: str) -> dict[str, Any]:
    files = [Subject(name=name, sha256=digest) for name, digest in sorted(_digests().items())]
    card = _digests()["README.md"]
    release = ReleasePredicate(
        observed=OBSERVED,
        model=MODEL,
        revision=REVISION,
        version="1.2.0",
        manifest=manifest.digest,
        card=card,
        license="apache-2.0",
        previous=None,
    )
    registration = KeyPredicate(
        observed=OBSERVED,
        action="register",
        owner="alice",
        role="publisher",
        public_key=pem,
        previous=None,
    )
    alias = AliasPredicate(
        observed=OBSERVED, model=MODEL, alias="production", revision=REVISION, previous=None
    )
    about = [Subject(name="", sha256=manifest.digest)]
    return {
        "alias": _statement(alias, about),
        "alias_next": _statement(replace(alias, previous="ab" * 20), about),
        "oms": {"payload": encode_base64(manifest.oms_statement("resnet-tiny"))},
        "release": _statement(release, files),
        "release_next": _statement(replace(release, previous="ab" * 20), files),
        "card": _statement(
            CardPredicate(
                observed=OBSERVED,
                model=MODEL,
                revision=REVISION,
                manifest=manifest.digest,
                metadata=METADATA,
            ),
            [Subject(name="README.md", sha256=card)],
        ),
        "key": _statement(registration, [Subject(name="", sha256=sha256_hex(spki))]),
        "key_revoked": _statement(
            replace(registration, action="revoke"), [Subject(name="", sha256=sha256_hex(spki))]
        ),
    }


def _tensor(name: str, datatype: str, shape: tuple[int, ...], data: bytes) -> Tensor:
    return Tensor(name=name, datatype=datatype, shape=shape, data=data)


def _tensors() -> list[dict[str, Any]]:
    singles = (0x7FC00001, 0xFF800001, 0x7F800000, 0xFF800000, 0xFFFFFFFF, 0x80000000)
    doubles = (0x7FF0000000000001, 0xFFFFFFFFFFFFFFFF, 0x7FF0 << 48, 0xFFF0 << 48)
    sets = {
        "one float": [_tensor("x", "FP32", (1, 2), struct.pack("<2f", 0.1, -2.0))],
        "every nan": [
            _tensor("fp32", "FP32", (6,), struct.pack("<6I", *singles)),
            _tensor("fp64", "FP64", (2, 2), struct.pack("<4Q", *doubles)),
            _tensor("fp16", "FP16", (3,), struct.pack("<3H", 0x7C01, 0xFE00, 0xFC00)),
            _tensor("bf16", "BF16", (3,), struct.pack("<3H", 0x7F81, 0xFFFF, 0xFF80)),
        ],
        "sorted by code point": [
            _tensor("\U0001f600", "INT64", (), struct.pack("<q", -(2**63))),
            _tensor("\uff5e", "BOOL", (3,), b"\x01\x00\x01"),
            _tensor("a", "UINT8", (0, 4), b""),
            _tensor("B", "BYTES", (2,), encode_bytes(["caf\u00e9".encode(), b""])),
        ],
        "none": [],
    }
    return [
        {
            "name": name,
            "tensors": [{**item.header(), "data": encode_base64(item.data)} for item in tensors],
            "encoded": encode_base64(encode_tensors(tensors)),
            "digest": sha256_hex(encode_tensors(tensors)),
        }
        for name, tensors in sets.items()
    ]


def make() -> bytes:
    """Return the fixture, RFC 8785 with a final newline."""
    key = load_public_key((VECTORS / "log" / "signer.pub").read_bytes())
    manifest = Manifest.from_pairs(_digests().items())
    value = {
        "observed": OBSERVED.to_dict(),
        "model": MODEL,
        "revision": REVISION,
        "files": [{"path": name, "sha256": digest} for name, digest in _digests().items()],
        "resources": manifest.to_list(),
        "manifest": manifest.digest,
        "subject_digest": manifest.subject_digest,
        "metadata": METADATA,
        "canonical_metadata": encode_base64(canonical_json(METADATA)),
        "spki": encode_base64(key.spki),
        "pem": key.pem,
        "fingerprint": key.fingerprint,
        "statements": _statements(manifest, key.spki, key.pem),
        "tensors": _tensors(),
    }
    return canonical_json(value) + b"\n"


if __name__ == "__main__":
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(make())
    sys.stdout.write(f"{TARGET}\n")
