"""The values of tensors, as people and JSON read them; the bits are in the file of tensors."""

from __future__ import annotations

import math
import struct
from typing import Any

from assay.canonical import MAX_SAFE_INTEGER
from assay.tensors import CODES, DATATYPES, Tensor

SHOWN = 10
LISTED = 1_000
_WORDS = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}
Number = bool | int | float | str


def elements(tensor: Tensor, limit: int) -> list[Number]:
    """Return the first `limit` elements; BYTES as text."""
    count = min(tensor.elements, limit)
    if tensor.datatype == "BYTES":
        return _texts(tensor.data, count)
    size = DATATYPES[tensor.datatype] or 1
    data = tensor.data[: count * size]
    if tensor.datatype == "BF16":  # the upper half of an FP32
        data = b"".join(b"\0\0" + data[at : at + 2] for at in range(0, len(data), 2))
    return list(struct.unpack(f"<{count}{CODES.get(tensor.datatype, 'f')}", data))


def _texts(data: bytes, count: int) -> list[Number]:
    found: list[Number] = []
    offset = 0
    for _ in range(count):
        (length,) = struct.unpack_from("<I", data, offset)
        offset += 4
        found.append(data[offset : offset + length].decode("utf-8", "replace"))
        offset += length
    return found


def in_words(tensor: Tensor) -> str:
    """Return the tensor in one line: datatype, shape and the first values."""
    values = " ".join(_word(tensor.datatype, value) for value in elements(tensor, SHOWN))
    more = tensor.elements - SHOWN
    rest = f" … and {more:,} more" if more > 0 else ""
    return f"{tensor.datatype} {list(tensor.shape)}  {values}{rest}"


def _word(datatype: str, value: Number) -> str:
    if isinstance(value, str):
        return repr(value)
    if isinstance(value, float):
        # Nine digits tell any two values of FP32 apart.
        return repr(value) if datatype == "FP64" else f"{value:.9g}"
    return str(value).lower()


def as_json(tensor: Tensor) -> dict[str, Any]:
    """Return the tensor with its first `LISTED` values.

    What JSON has no number for is a text: NaN, the infinities, integers beyond 2^53.
    """
    data = [_json(value) for value in elements(tensor, LISTED)]
    return {**tensor.header(), "data": data, "whole": len(data) == tensor.elements}


def _json(value: Number) -> Number:
    if isinstance(value, float) and not math.isfinite(value):
        return _WORDS[str(value)]
    if isinstance(value, int) and abs(value) > MAX_SAFE_INTEGER:
        return str(value)
    return value
