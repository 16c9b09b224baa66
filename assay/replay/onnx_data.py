"""Which files beside the graph an ONNX model reads: the locations of its external data.

A walk over the protobuf wire format along the fields that lead to a tensor. Nothing is allocated by
what a length says; the result may name more files than the runtime opens, never fewer.
"""

from __future__ import annotations

from collections.abc import Iterator

from assay.errors import FormatError

# Message: field number to the message in it (onnx.proto, IR version 13).
_MESSAGES = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DEPTH = 200


def external_locations(graph: bytes) -> list[str]:
    """Return the locations of external data that the model `graph` names, sorted, each once.

    Raises:
        FormatError: not protobuf, or nested too deep.
    """
    found: set[str] = set()
    _walk(memoryview(graph), "model", found, 0)
    return sorted(found)


def _walk(data: memoryview, message: str, found: set[str], depth: int) -> None:
    if depth > _DEPTH:
        raise FormatError("the model is nested too deep")
    if message == "entry":
        pair = {number: bytes(value) for number, value in _fields(data)}
        if pair.get(1) == b"location":
            found.add(_text(pair.get(2, b"")))
        return
    inner = _MESSAGES[message]
    for number, value in _fields(data):
        if number in inner:
            _walk(value, inner[number], found, depth + 1)


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError("a location is not UTF-8") from error


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield (number, bytes) of the length-delimited fields; step over the others."""
    offset = 0
    while offset < len(data):
        tag, offset = _varint(data, offset)
        wire = tag & 7
        length = 0
        if wire == _VARINT:
            _, offset = _varint(data, offset)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        elif wire == _BYTES:
            length, offset = _varint(data, offset)
        else:
            raise FormatError(f"the model has a field of wire type {wire}")
        if length > len(data) - offset:
            raise FormatError("the model ends inside a field")
        if wire == _BYTES:
            yield tag >> 3, data[offset : offset + length]
        offset += length


def _varint(data: memoryview, offset: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if offset >= len(data):
            raise FormatError("the model ends inside a number")
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
    raise FormatError("the model has a number of more than 64 bits")
