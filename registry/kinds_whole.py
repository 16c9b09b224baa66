"""What the first bytes of a file do not say: its end, and whether its parts cover it.

A file that is one kind at its start may be another at its end: programs that read zip archives,
and with them loaders that run code, look there first. And a safetensors file whose tensors leave
gaps, overlap or end early has room for what nobody looks at; its format forbids all three.
"""

from __future__ import annotations

import os
import struct
from typing import Any, BinaryIO

from assay.canonical import parse_json
from assay.errors import FormatError
from registry.errors import RefusedFileError
from registry.kinds import EXPORT, HEAD, Kind, kind_of, refused

MAX_SAFETENSORS_HEADER = 4 * 2**20
_ZIP_END, _ZIP_64, _ZIP_ENTRY = b"PK\x05\x06", b"PK\x06\x07", b"PK\x01\x02"
_ZIP_TAIL = 22 + 2**16  # the end record with the longest comment
_MAX_TRIES = 64
_SIZES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
    "F4": 4,
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
}


def check(path: str, stream: BinaryIO, size: int) -> Kind:
    """Return the kind of the file at `path`, all of which can be read from `stream`.

    Raises:
        RefusedFileError: code `kind`, with what it is and the remedy.
    """
    head = stream.read(HEAD)
    kind = kind_of(path, head, size)
    if size > 22 and _ends_as_zip(stream, size):
        raise refused(
            path, "is a zip archive behind something else, which some loaders run", EXPORT
        )
    if kind == Kind.SAFETENSORS:
        _check_safetensors(path, stream, size)
    return kind


def _ends_as_zip(stream: BinaryIO, size: int) -> bool:
    """Tell whether a program that looks for a zip archive at the end of the file finds one.

    Such programs take the end record wherever it stands in the last 64 KiB, whatever comes behind
    it. What it says must lead to a directory, so that no chance bytes do: right before it, or at
    the place that it names, for either is believed.
    """
    start = max(0, size - _ZIP_TAIL)
    stream.seek(start)
    tail = stream.read(_ZIP_TAIL)
    at, tried = tail.rfind(_ZIP_END), 0
    while at >= 0:
        entries, length, offset = struct.unpack("<HII", tail[at + 10 : at + 20].ljust(10, b"\0"))
        if entries and tail[max(0, at - 20) : at].startswith(_ZIP_64):
            return True
        for place in (start + at - length, offset) if entries else ():
            stream.seek(max(0, place))
            if stream.read(4) == _ZIP_ENTRY:
                return True
            tried += 1
        if tried > _MAX_TRIES:  # each costs a look at the storage, and chance makes no such file
            return True
        at = tail.rfind(_ZIP_END, 0, at)
    return False


# ------------------------------------------------------------------ safetensors


def _check_safetensors(path: str, stream: BinaryIO, size: int) -> None:
    stream.seek(0, os.SEEK_SET)
    (length,) = struct.unpack("<Q", stream.read(8))
    if length > MAX_SAFETENSORS_HEADER:
        raise _damaged(path, f"has a header of more than {MAX_SAFETENSORS_HEADER} bytes")
    try:
        header = parse_json(stream.read(length).rstrip(b" "), max_bytes=MAX_SAFETENSORS_HEADER)
    except FormatError as error:
        raise _damaged(path, f"has a header that is no JSON: {error}") from error
    if not isinstance(header, dict):
        raise _damaged(path, "has a header that is no object")
    header.pop("__metadata__", None)
    end = 0
    for first, last, name, bits in sorted(_spans(path, header)):
        if first != end:
            raise _damaged(path, f"has bytes before '{name[:80]}' that no tensor has, or two have")
        if (last - first) * 8 != bits:
            raise _damaged(path, f"has another number of bytes for '{name[:80]}' than its shape")
        end = last
    if end != size - 8 - length:
        raise _damaged(path, "does not end with its last tensor")


def _spans(path: str, header: dict[str, Any]) -> list[tuple[int, int, str, int]]:
    found = []
    for name, item in header.items():
        match item:
            case {"dtype": str(dtype), "shape": [*shape], "data_offsets": [int(first), int(last)]}:
                bits = _SIZES.get(dtype)
                if bits is None or not all(type(one) is int and 0 <= one < 2**40 for one in shape):
                    raise _damaged(path, f"has no datatype or shape for '{name[:80]}'")
                for one in shape:
                    bits *= one
                if not 0 <= first <= last or bits >= 2**63:
                    raise _damaged(path, f"has no bytes for '{name[:80]}'")
                found.append((first, last, name, bits))
            case _:
                raise _damaged(path, f"says nothing it should of '{name[:80]}'")
    return found


def _damaged(path: str, what: str) -> RefusedFileError:
    return refused(path, f"begins as a safetensors file and {what}", "Save it again.")
