"""Protobuf's wire format, as far as an ONNX file is taken apart and put together again here.

Nothing is decoded that need not be: a message is the list of its fields, each with the very bytes
it came in, so that what is not touched stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from assay.errors import FormatError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WIDTHS = {FIXED64: 8, FIXED32: 4}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `value` is a varint's number, else the bytes; `raw` is all of it, with its tag."""

    number: int
    wire: int
    value: int
    data: memoryview
    raw: memoryview

    def text(self) -> str:
        """Return a string field; FormatError where it is none."""
        try:
            return bytes(self.message()).decode("utf-8")
        except UnicodeDecodeError as error:
            raise FormatError("the model holds a name that is not UTF-8") from error

    def message(self) -> memoryview:
        """Return the bytes of a message or string field; FormatError where it is none."""
        if self.wire != BYTES:
            raise FormatError(f"the model has a field {self.number} of wire type {self.wire}")
        return self.data


def fields(data: memoryview) -> Iterator[Field]:
    """Yield the fields of one message in their order.

    Raises:
        FormatError: it ends inside a field, or has a group.
    """
    offset = 0
    while offset < len(data):
        start = offset
        tag, offset = varint(data, offset)
        number, wire, value = tag >> 3, tag & 7, 0
        begin = end = offset
        if wire == VARINT:
            value, end = varint(data, offset)
        elif wire in _WIDTHS:
            end = offset + _WIDTHS[wire]
        elif wire == BYTES:
            length, begin = varint(data, offset)
            end = begin + length
        else:
            raise FormatError(f"the model has a field of wire type {wire}")
        if end > len(data):
            raise FormatError("the model ends inside a field")
        yield Field(number, wire, value, data[begin:end], data[start:end])
        offset = end


def varint(data: memoryview, offset: int) -> tuple[int, int]:
    """Return the number at `offset` and where it ends.

    Raises:
        FormatError: it is cut off, or has more than 64 bits.
    """
    value = 0
    for shift in range(0, 70, 7):
        if offset >= len(data):
            raise FormatError("the model ends inside a number")
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 2**64 - 1, offset
    raise FormatError("the model has a number of more than 64 bits")


def put_varint(number: int, value: int) -> bytes:
    """Return the varint field `number` with the non-negative `value`."""
    return _number(number << 3 | VARINT) + _number(value)


def put(number: int, *parts: bytes | memoryview) -> bytes:
    """Return the length-delimited field `number` whose bytes are `parts`, joined."""
    size = sum(map(len, parts))
    return b"".join((_number(number << 3 | BYTES), _number(size), *parts))


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
