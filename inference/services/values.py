"""JSON values to the bytes of a tensor, and back: every token's type is checked.

Numpy would take `null` as NaN, `1.5` as 1, `true` as 1, `"1.5"` as 1.5 and `1e39` as infinity, and
each of them would change what was asked without a word. Here each is an error that says where.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from assay.errors import FormatError
from assay.tensors import CODES, DATATYPES, Tensor, decode_bytes, encode_bytes
from inference.errors import BadTensorError

INTEGERS = {name: code for name, code in CODES.items() if "INT" in name}
FLOATS = {name: CODES[name] for name in ("FP32", "FP64")}
BINARY_ONLY = ("FP16", "BF16")
_JSON_NAMES = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


def flatten(name: str, data: object, shape: Sequence[int]) -> list[Any]:
    """Return the elements of `data`, which is flat, or nested exactly as `shape`; row-major.

    Raises:
        BadTensorError: any other form.
    """
    if not isinstance(data, list):
        raise BadTensorError(f"The data of input '{name}' is not an array.", tensor=name)
    count = math.prod(shape)
    if len(shape) > 1 and data and isinstance(data[0], list):
        return _unnest(name, data, shape)
    if len(data) != count:
        raise BadTensorError(
            f"Input '{name}' has {len(data)} elements; the shape {list(shape)} has {count}.",
            tensor=name,
        )
    return data


def _unnest(name: str, data: list[Any], shape: Sequence[int]) -> list[Any]:
    level: list[Any] = [data]
    for depth, dimension in enumerate(shape):
        for index, item in enumerate(level):
            if not isinstance(item, list) or len(item) != dimension:
                found = f"{len(item)} items" if isinstance(item, list) else _said(item)
                raise BadTensorError(
                    f"The data of input '{name}' is not nested as its shape {list(shape)}: at "
                    f"depth {depth}, array {index} has {found}, not {dimension} items.",
                    tensor=name,
                )
        level = list(chain.from_iterable(level))
    return level


def pack(name: str, datatype: str, values: Sequence[Any]) -> bytes:
    """Return the little-endian bytes of JSON `values`.

    Raises:
        BadTensorError: a value whose JSON type or range is not the datatype's; its position.
    """
    if datatype in BINARY_ONLY:
        raise BadTensorError(
            f"Input '{name}' is {datatype}, which JSON cannot carry: send binary data.", tensor=name
        )
    if datatype in INTEGERS:
        return _pack_integers(name, datatype, values)
    if datatype in FLOATS:
        return _pack_floats(name, datatype, values)
    if datatype == "BOOL":
        _check_types(name, datatype, values, (bool,), "true or false")
        return bytes(values)
    _check_types(name, datatype, values, (str,), "a string")
    try:
        return encode_bytes(value.encode("utf-8") for value in values)
    except UnicodeEncodeError:
        where = _first(values, _has_surrogate)
        raise _bad(name, where, "is half of a surrogate pair, which is no text") from None


def _has_surrogate(value: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in value)


def _pack_integers(name: str, datatype: str, values: Sequence[Any]) -> bytes:
    _check_types(name, datatype, values, (int,), "an integer")
    try:
        return struct.pack(f"<{len(values)}{INTEGERS[datatype]}", *values)
    except struct.error:
        bits = 8 * (DATATYPES[datatype] or 0)
        low, high = (0, 2**bits) if datatype[0] == "U" else (-(2 ** (bits - 1)), 2 ** (bits - 1))
        where = _first(values, lambda value: not low <= value < high)
        raise _bad(name, where, f"is out of the range of {datatype}") from None


def _pack_floats(name: str, datatype: str, values: Sequence[Any]) -> bytes:
    _check_types(name, datatype, values, (int, float), "a number")
    try:
        # The parser has refused the words; an infinity here was a number like 1e400.
        if math.inf in values or -math.inf in values:
            raise OverflowError
        return struct.pack(f"<{len(values)}{FLOATS[datatype]}", *values)
    except (OverflowError, struct.error):
        where = _first(values, lambda value: _overflows(FLOATS[datatype], value))
        raise _bad(name, where, f"is out of the range of {datatype}: send binary data") from None


def _overflows(letter: str, value: float) -> bool:
    try:
        return math.isinf(struct.unpack(f"<{letter}", struct.pack(f"<{letter}", value))[0])
    except (OverflowError, struct.error):
        return True


def _check_types(
    name: str, datatype: str, values: Sequence[Any], allowed: tuple[type, ...], words: str
) -> None:
    """Check the exact types: a boolean is an integer to Python, and not here."""
    if set(map(type, values)) <= set(allowed):
        return
    where = _first(values, lambda value: type(value) not in allowed)
    hint = ""
    if datatype in FLOATS and values[where] is None:
        hint = " (for a NaN, send binary data)"
    raise _bad(name, where, f"is {_said(values[where])}; {datatype} takes {words}{hint}")


def _first(values: Sequence[Any], wrong: Callable[[Any], bool]) -> int:
    return next((index for index, value in enumerate(values) if wrong(value)), 0)


def _bad(name: str, index: int, what: str) -> BadTensorError:
    return BadTensorError(f"Element {index} of input '{name}' {what}.", tensor=name, element=index)


def _said(value: object) -> str:
    return _JSON_NAMES.get(type(value), "something else")


def unpack(tensor: Tensor) -> list[Any]:
    """Return the elements of `tensor` as JSON carries them.

    FP32 comes widened to double, so that the shortest decimal of the double has every bit of it.

    Raises:
        BadTensorError: JSON cannot carry it: FP16, BF16, a value that is not finite.
    """
    datatype = tensor.datatype
    if datatype in INTEGERS:
        return list(struct.unpack(f"<{tensor.elements}{INTEGERS[datatype]}", tensor.data))
    if datatype in FLOATS:
        values = list(struct.unpack(f"<{tensor.elements}{FLOATS[datatype]}", tensor.data))
        if not all(map(math.isfinite, values)):
            where = _first(values, lambda value: not math.isfinite(value))
            raise BadTensorError(
                f"Element {where} of output '{tensor.name}' is not finite, which JSON cannot "
                "carry: ask for binary data.",
                tensor=tensor.name,
                element=where,
            )
        return values
    if datatype == "BOOL":
        return [value == 1 for value in tensor.data]
    if datatype == "BYTES":
        try:
            return [item.decode() for item in decode_bytes(tensor.data, tensor.elements)]
        except FormatError as error:
            raise BadTensorError(
                f"Output '{tensor.name}' is not text: ask for binary data.", tensor=tensor.name
            ) from error
    raise BadTensorError(
        f"Output '{tensor.name}' is {datatype}, which JSON cannot carry: ask for binary data.",
        tensor=tensor.name,
    )
