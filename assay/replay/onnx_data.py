"""Which files beside the graph an ONNX model reads: the locations of its external data.

A walk over the protobuf wire format along the fields that lead to a tensor. Nothing is allocated by
what a length says; the result may name more files than the runtime opens, never fewer.
"""

from __future__ import annotations

from collections.abc import Iterator

from assay.errors import FormatError
from assay.protobuf import BYTES, fields

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
    return ((field.number, field.data) for field in fields(data) if field.wire == BYTES)
