"""The two binary forms of the Xet upload protocol: xorbs (pieces) and shards (files made of them).

Everything here is a stranger's: each count is compared with what is left of the body before it is
used, no length is believed, and what a chunk inflates to is bounded by its declared size.

A xorb is chunks `u8 version = 0, u24 stored, u8 scheme, u24 raw, data` up to its end or to a footer
that starts `XETBLOB`. A shard is a header and records of 48 bytes each; all is little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import lz4.frame

from registry.errors import InvalidInputError

MAX_RAW = 131_072
MAX_STORED = 262_144
MAX_CHUNKS = 8_192
MAX_XORB_RAW = 64 * 2**20
RECORD = 48
_FOOTER = b"XETBLOB"
_MAGIC = bytes.fromhex("48465265706f4d6574614461746100556967456a7b815783a5bdd95ccdd14aa9")
_VERSION = 2
_END = b"\xff" * 32
_VERIFIED, _METADATA = 1 << 31, 1 << 30
_PLAIN, _LZ4, _GROUPED = 0, 1, 2

Read = Callable[[int], bytes]


def hash_text(raw: bytes) -> str:
    """Return a 32-byte hash as text: four little-endian numbers of 64 bits, in hex."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))


# ------------------------------------------------------------------ xorbs


def chunks(read: Read) -> Iterator[bytes]:
    """Yield the raw bytes of each chunk of a xorb; `read(n)` returns up to n bytes of it.

    Raises:
        InvalidInputError: which chunk breaks which rule.
    """
    count = total = 0
    while head := _up_to(read, 8):
        if head.startswith(_FOOTER):
            while read(65_536):
                pass
            break
        if len(head) < 8:
            raise _bad(count, "is cut off")
        version, stored = head[0], int.from_bytes(head[1:4], "little")
        scheme, raw = head[4], int.from_bytes(head[5:8], "little")
        if version != 0:
            raise _bad(count, f"has version {version}")
        if not 0 < raw <= MAX_RAW or stored > MAX_STORED:
            raise _bad(count, f"has {raw} raw and {stored} stored bytes")
        count, total = count + 1, total + raw
        if count > MAX_CHUNKS or total > MAX_XORB_RAW:
            raise _bad(count - 1, "is one too many")
        data = _up_to(read, stored)
        if len(data) != stored:
            raise _bad(count - 1, "is cut off")
        yield _unpack(count - 1, scheme, data, raw)
    if not count:
        raise InvalidInputError("A xorb has at least one chunk.")


def _up_to(read: Read, count: int) -> bytes:
    """Return `count` bytes, or fewer at the end."""
    found = read(count)
    while len(found) < count and (more := read(count - len(found))):
        found += more
    return found


def _bad(number: int, what: str) -> InvalidInputError:
    return InvalidInputError(f"Chunk {number} of the xorb {what}.", chunk=number)


def _unpack(number: int, scheme: int, data: bytes, raw: int) -> bytes:
    if scheme == _PLAIN:
        found = data
    elif scheme in (_LZ4, _GROUPED):
        found = _inflate(number, data, raw)
    else:
        raise _bad(number, f"has scheme {scheme}")
    if len(found) != raw:
        raise _bad(number, f"has {len(found)} bytes where {raw} were declared")
    return _ungroup(found) if scheme == _GROUPED else found


def _inflate(number: int, data: bytes, raw: int) -> bytes:
    """Return one LZ4 frame's content, never more than one byte above `raw`."""
    reader = lz4.frame.LZ4FrameDecompressor()
    try:
        found: bytes = reader.decompress(data, max_length=raw + 1)
    except (RuntimeError, ValueError, EOFError) as error:
        raise _bad(number, "is no LZ4 frame") from error
    if len(found) > raw or not reader.eof or reader.unused_data:
        raise _bad(number, f"is no LZ4 frame of {raw} bytes")
    return found


def _ungroup(data: bytes) -> bytes:
    """Return the bytes in their order: group i of four holds the bytes i, i + 4 and so on."""
    found = bytearray(len(data))
    quarter, more = divmod(len(data), 4)
    start = 0
    for group in range(4):
        size = quarter + (group < more)
        found[group::4] = data[start : start + size]
        start += size
    return bytes(found)


# ------------------------------------------------------------------ shards


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Chunks `first` to below `end` of a xorb: `raw` bytes."""

    xorb: str
    raw: int
    first: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file of a shard: its hex SHA-256, and where its `count` segments stand in the shard."""

    sha256: str
    place: int
    count: int


def entries(stream: BinaryIO, size: int) -> Iterator[Entry]:
    """Yield the files of a shard of `size` bytes in a seekable stream.

    Raises:
        InvalidInputError: no shard, or one whose counts are beyond its end.
    """
    stream.seek(0)
    if stream.read(32) != _MAGIC:
        raise InvalidInputError("This is no shard.")
    version, footer = struct.unpack("<QQ", _exactly(stream, 16))
    if (version, footer) != (_VERSION, 0):
        raise InvalidInputError("A shard of this version, or with a footer, is not taken here.")
    place = RECORD
    while True:
        stream.seek(place)
        head = _exactly(stream, RECORD)
        if head[:32] == _END:
            return
        flags, count = struct.unpack_from("<II", head, 32)
        records = count * (2 if flags & _VERIFIED else 1) + (1 if flags & _METADATA else 0)
        if records * RECORD > size - place - RECORD:
            raise InvalidInputError("A file of the shard has more segments than the shard holds.")
        if not flags & _METADATA:
            raise InvalidInputError("A file of the shard comes without its SHA-256.")
        end = place + RECORD * (1 + records)
        stream.seek(end - RECORD)
        sha256 = hash_text(_exactly(stream, 32))
        yield Entry(sha256=sha256, place=place + RECORD, count=count)
        place = end


def segments(stream: BinaryIO, entry: Entry) -> Iterator[Segment]:
    """Yield the segments of a file, in order."""
    for number in range(entry.count):
        if number % 1024 == 0:  # other readers may move the stream between the pieces
            stream.seek(entry.place + number * RECORD)
            left = min(1024, entry.count - number)
            piece = _exactly(stream, left * RECORD)
        at = number % 1024 * RECORD
        _, raw, first, end = struct.unpack_from("<4I", piece, at + 32)
        yield Segment(xorb=hash_text(piece[at : at + 32]), raw=raw, first=first, end=end)


def _exactly(stream: BinaryIO, count: int) -> bytes:
    found = stream.read(count)
    if len(found) != count:
        raise InvalidInputError("The shard is cut off.")
    return found
