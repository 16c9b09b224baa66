"""Every maximum of the formats, in one frozen value.

A parser that meets one of these raises `FormatError` before it allocates. The figures come from the
C2SP and Rekor specifications where those give one; the rest are ours.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Maxima in bytes unless the name says otherwise."""

    json_depth: int = 64
    bundle: int = 4 * 2**20
    statement: int = 2**20
    note: int = 10**6
    note_signatures: int = 100
    entry: int = 65_535
    rekor_request: int = 2**16
    origin: int = 253
    proof_hashes: int = 63
    policy: int = 2**18
    trusted_root: int = 2**20
    manifest_files: int = 10_000
    path: int = 1_024
    path_segment: int = 255
    path_depth: int = 32
    tensors: int = 256
    tensor_name: int = 4_096
    tensor_rank: int = 16
    tensor_dim: int = 2**40
    tensor_bytes: int = 2**31 - 1
    bytes_elements: int = 1_000_000
    bytes_element: int = 2**20


LIMITS = Limits()
