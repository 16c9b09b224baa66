"""Artefacts from which the search begins: honest ones, odd ones, and files of the vectors."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache

from assay.dsse import parse_envelope
from tests.assay.test_capsule import capsule
from tests.assay.test_trace import trace
from tests.assay.vectors import VECTORS, vector
from tests.forgeries.corpus import truths
from tests.forgeries.honest import FOLDER
from tests.fuzz.targets import Target

_LONGEST = 20_000  # what a search bends should be small
_HEADER = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n"


@cache
def seeds_of(target: Target) -> tuple[bytes, ...]:
    """Return the artefacts that `target` reads, each once; at least one."""
    found = dict.fromkeys(data for seed in target.seeds for data in _named(seed))
    short = tuple(data for data in found if len(data) <= _LONGEST)
    assert short, target.name
    return short


def _named(seed: str) -> Iterator[bytes]:
    kind, _, rest = seed.partition(":")
    if kind == "text":
        yield rest.encode()
    elif kind == "file":
        yield (VECTORS.parent / rest).read_bytes()
    elif kind == "trace":
        yield trace().render()
    elif kind == "capsule":
        yield capsule().render()
    elif kind == "npy":
        yield _npy(_HEADER)
        yield _npy(b"{[]: 1}")  # a literal that Python can read and not make
    elif kind == "oms":
        yield FOLDER.oms_statement("folder")
        yield parse_envelope(vector("envelopes/" + _OMS_ENVELOPE)).payload
    else:
        yield from (asked.data for asked in truths() if asked.kind == kind)


def _npy(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(4)


_OMS_ENVELOPE = "b3175e5012d6af3f614ea30cc17ab8c12ce9414bb79ec6c33b64d9edc4afae47"
