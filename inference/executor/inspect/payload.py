"""Step 7: every tensor has exactly the bytes that its dimensions and datatype ask for."""

from __future__ import annotations

import math
from dataclasses import dataclass

from inference.executor.inspect import constants as c
from inference.executor.inspect.findings import RejectedError
from inference.executor.inspect.wire import Message

EXTERNAL = 1
FLOATS, INT32S, INT64S, UINT64S, DOUBLES, STRINGS = (
    "float_data",
    "int32_data",
    "int64_data",
    "uint64_data",
    "double_data",
    "string_data",
)
_DATA = (FLOATS, INT32S, INT64S, UINT64S, DOUBLES, STRINGS)


@dataclass(frozen=True, slots=True)
class DataType:
    """An ONNX element type: its name here, bits of an element, and its field for typed data."""

    name: str
    bits: int
    typed: str
    per_element: float = 1  # items of the typed field for one element


TYPES = {
    1: DataType("FP32", 32, FLOATS),
    2: DataType("UINT8", 8, INT32S),
    3: DataType("INT8", 8, INT32S),
    4: DataType("UINT16", 16, INT32S),
    5: DataType("INT16", 16, INT32S),
    6: DataType("INT32", 32, INT32S),
    7: DataType("INT64", 64, INT64S),
    8: DataType("BYTES", 0, STRINGS),
    9: DataType("BOOL", 8, INT32S),
    10: DataType("FP16", 16, INT32S),
    11: DataType("FP64", 64, DOUBLES),
    12: DataType("UINT32", 32, UINT64S),
    13: DataType("UINT64", 64, UINT64S),
    14: DataType("COMPLEX64", 64, FLOATS, 2),
    15: DataType("COMPLEX128", 128, DOUBLES, 2),
    16: DataType("BF16", 16, INT32S),
    17: DataType("FLOAT8E4M3FN", 8, INT32S),
    18: DataType("FLOAT8E4M3FNUZ", 8, INT32S),
    19: DataType("FLOAT8E5M2", 8, INT32S),
    20: DataType("FLOAT8E5M2FNUZ", 8, INT32S),
    21: DataType("UINT4", 4, INT32S, 0.5),
    22: DataType("INT4", 4, INT32S, 0.5),
    23: DataType("FLOAT4E2M1", 4, INT32S, 0.5),
    24: DataType("FLOAT8E8M0", 8, INT32S),
    25: DataType("UINT2", 2, INT32S, 0.25),
    26: DataType("INT2", 2, INT32S, 0.25),
}


def type_name(number: int) -> str:
    """Return the name of an element type; `ONNX-<number>` for one that is not known."""
    known = TYPES.get(number)
    return known.name if known else f"ONNX-{number}"


def elements(tensor: Message) -> int:
    """Return how many elements `tensor` has.

    Raises:
        RejectedError: tensor_size: a dimension or their product is negative or absurd.
    """
    dims = tensor.list("dims")
    if any(not 0 <= size <= c.MAX_DIM for size in dims) or math.prod(dims) > 2**62:
        raise _wrong(tensor, "a dimension is negative or absurd")
    return math.prod(dims)


def size_of(tensor: Message) -> int:
    """Return how many bytes the elements of `tensor` take.

    Raises:
        RejectedError: tensor_size: as `elements`, or the element type is unknown.
    """
    known = TYPES.get(tensor.number("data_type"))
    if known is None:
        raise _wrong(tensor, "the element type is unknown")
    return -(-elements(tensor) * known.bits // 8)


def check_tensors(tensors: list[Message], sparse: list[Message]) -> None:
    """Check every tensor's size against what is there.

    Raises:
        RejectedError: tensor_size, sparse.
    """
    if sparse:
        raise RejectedError("sparse", sparse[0].place, "store it as a dense tensor")
    for tensor in tensors:
        _check(tensor)


def _check(tensor: Message) -> None:
    if tensor.message("segment") is not None:
        raise _wrong(tensor, "segments are not supported")
    count, size = elements(tensor), size_of(tensor)
    kind = TYPES[tensor.number("data_type")]
    found = {name: _count(tensor, name) for name in _DATA}
    typed = found.pop(kind.typed)
    has_raw = "raw_data" in tensor.fields
    if any(found.values()) or (has_raw and typed):
        raise _wrong(tensor, "the data stands in a field of another type, or twice")
    if tensor.number("data_location") == EXTERNAL:
        if typed or tensor.number("raw_data"):
            raise _wrong(tensor, "external data, and data inside too")
        return
    if has_raw and kind.typed != STRINGS:
        if tensor.number("raw_data") != size:
            raise _wrong(tensor, f"{size} bytes are wanted, {tensor.number('raw_data')} are there")
    elif has_raw or typed != math.ceil(count * kind.per_element):
        raise _wrong(tensor, f"{count} elements are wanted, another number is there")


def _count(tensor: Message, name: str) -> int:
    value = tensor.fields.get(name, 0)
    return len(value) if isinstance(value, list) else int(value)


def _wrong(tensor: Message, remedy: str) -> RejectedError:
    return RejectedError("tensor_size", tensor.place, remedy)
