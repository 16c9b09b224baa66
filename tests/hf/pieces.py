"""Xorbs and shards as a client makes them, and as a liar does."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import lz4.frame

from tests.hf.hub import Hub

MAGIC = bytes.fromhex("48465265706f4d6574614461746100556967456a7b815783a5bdd95ccdd14aa9")
PLAIN, LZ4, GROUPED = 0, 1, 2


def chunk(data: bytes, scheme: int = PLAIN, **forged: int) -> bytes:
    """Return one chunk of a xorb; `raw`, `stored` and `version` may be lies."""
    body = data
    if scheme == GROUPED:
        body = b"".join(data[group::4] for group in range(4))
    if scheme in (LZ4, GROUPED):
        body = lz4.frame.compress(body)
    stored, raw = forged.get("stored", len(body)), forged.get("raw", len(data))
    return (
        bytes([forged.get("version", 0)])
        + stored.to_bytes(3, "little")
        + bytes([scheme])
        + raw.to_bytes(3, "little")
        + body
    )


def name_of(data: bytes) -> bytes:
    """Return 32 bytes to name a xorb by; nobody checks them."""
    return hashlib.sha256(b"xorb" + data).digest()


def text_of(raw: bytes) -> str:
    """Return a hash in the protocol's spelling."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))


def raw_of(sha256: str) -> bytes:
    """Return the bytes whose spelling is the hex SHA-256."""
    return struct.pack("<4Q", *(int(sha256[at : at + 16], 16) for at in range(0, 64, 16)))


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of a shard: (xorb, raw bytes, first chunk, end chunk) of each segment."""

    sha256: str
    segments: Sequence[tuple[bytes, int, int, int]]
    count: int | None = None
    verified: bool = True
    metadata: bool = True


def shard(files: Iterable[File], magic: bytes = MAGIC, version: int = 2, footer: int = 0) -> bytes:
    """Return a shard of these files, with an empty list of xorbs."""
    found = magic + struct.pack("<QQ", version, footer)
    for file in files:
        flags = (1 << 31) * file.verified | (1 << 30) * file.metadata
        count = len(file.segments) if file.count is None else file.count
        found += b"\x11" * 32 + struct.pack("<IIQ", flags, count, 0)
        for xorb, raw, first, end in file.segments:
            found += xorb + struct.pack("<4I", 0, raw, first, end)
        if file.verified:
            found += b"\x22" * 48 * len(file.segments)
        if file.metadata:
            found += raw_of(file.sha256) + bytes(16)
    return found + (b"\xff" * 32 + bytes(16)) * 2


@dataclass(slots=True)
class Bridge:
    """One client of the Xet bridge, with its address and token."""

    hub: Hub
    cas: str
    token: str

    @classmethod
    def of(cls, hub: Hub, model: str = "alice/double") -> Bridge:
        told = hub.get(f"/api/models/{model}/xet-write-token/main").json()
        return cls(hub=hub, cas=told["casUrl"], token=told["accessToken"])

    def call(self, method: str, path: str, data: bytes = b"", token: str = "") -> Any:
        given = {"Authorization": f"Bearer {token or self.token}"}
        kind = {"Content-Type": "application/octet-stream"}
        return Hub(client=self.hub.client).call(method, self.cas + path, data, **given, **kind)

    def xorb(self, name: bytes, body: bytes) -> Any:
        return self.call("POST", f"/v1/xorbs/default/{text_of(name)}", body)

    def shard(self, body: bytes) -> list[dict[str, Any]]:
        """Send a shard; return the lines of the answer."""
        import json

        answer = self.call("POST", "/v2/shards", body)
        assert answer.status_code == 200, answer.content
        assert answer["Content-Type"] == "application/x-ndjson"
        return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
