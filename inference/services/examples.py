"""The input on which a release is tried: the card's example, else one made from the schema.

What is made is a pure function of the graph's digest and the input's name: numbers from -1 to 1 in
steps of 2^-15, integers and truth values 0 or 1, strings of one letter; free dimensions are 1.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from assay.tensors import CODES, DATATYPES, Tensor, canonical_nan
from inference.errors import BadTensorError, InferenceError
from inference.services.request import Declared, Given, check_inputs

MAX_ELEMENTS = 2**22
_FLOATS = ("FP16", "BF16", "FP32", "FP64")


def example_of(
    card: dict[str, Any], inputs: Sequence[Declared], kind: str
) -> tuple[Tensor, ...] | None:
    """Return the example that a card declares, as tensors; None where there is none that fits."""
    given = given_of(card, inputs)
    if given is None:
        return None
    try:
        return tuple(check_inputs(inputs, [given], kind))
    except InferenceError:
        return None


def given_of(card: dict[str, Any], inputs: Sequence[Declared]) -> Given | None:
    """Return the example that a card declares: `assay.input.example`, else the first of its list.

    None where there is none: only graphs with one input can have one. Its values are a list, or
    nested lists, not yet looked at.
    """
    assay = card.get("assay")
    if not isinstance(assay, dict) or len(inputs) != 1:
        return None
    (wanted,) = inputs
    told = assay.get("input", {})
    if not isinstance(told, dict) or told.get("name", wanted.name) != wanted.name:
        return None
    values = told.get("example", _first(assay.get("examples"), wanted.name))
    if not isinstance(values, list):
        return None
    return Given(
        name=wanted.name, datatype=wanted.datatype, shape=_ones(wanted), data=_flat(values)
    )


def _first(examples: object, name: str) -> object:
    """Return the values of the first of `examples`, each with `values` or `inputs` by name."""
    first = examples[0] if isinstance(examples, list) and examples else None
    if not isinstance(first, dict):
        return None
    by_name = first.get("inputs")
    return by_name.get(name) if isinstance(by_name, dict) else first.get("values")


def _flat(values: list[Any]) -> list[Any]:
    """Return the elements of nested lists; a card is no deeper than 16 levels."""
    nested = (_flat(value) if isinstance(value, list) else [value] for value in values)
    return list(chain.from_iterable(nested))


def generated(inputs: Sequence[Declared], graph: str) -> tuple[Tensor, ...]:
    """Return an input for each of `inputs`, made from `graph`, the graph's hex SHA-256.

    Raises:
        BadTensorError: one is no tensor of the protocol, or has more than 2^22 elements.
    """
    return tuple(canonical_nan(_tensor(item, graph)) for item in inputs)


def _ones(wanted: Declared) -> tuple[int, ...]:
    return tuple(1 if size < 0 else size for size in wanted.shape or ())


def _tensor(wanted: Declared, graph: str) -> Tensor:
    shape = _ones(wanted)
    count = math.prod(shape)
    if wanted.datatype not in DATATYPES or count > MAX_ELEMENTS:
        raise BadTensorError(
            f"The input {wanted.name[:200]!r} cannot be made up.", input=wanted.name[:200]
        )
    seed = f"assay-example-v1\n{graph}\n{wanted.name}".encode()
    data = hashlib.shake_256(seed).digest(2 * count)
    numbers = (number for (number,) in struct.iter_unpack("<H", data))
    return Tensor(
        name=wanted.name,
        datatype=wanted.datatype,
        shape=shape,
        data=_pack(wanted.datatype, numbers, count),
    )


def _pack(datatype: str, numbers: Iterator[int], count: int) -> bytes:
    if datatype == "BYTES":
        return b"".join(b"\1\0\0\0" + bytes([97 + number % 26]) for number in numbers)
    if datatype not in _FLOATS:
        code = CODES.get(datatype, "B")
        return struct.pack(f"<{count}{code}", *(number & 1 for number in numbers))
    values = (number / 2**15 - 1 for number in numbers)
    if datatype == "BF16":
        wide = struct.pack(f"<{count}f", *values)
        return b"".join(wide[at + 2 : at + 4] for at in range(0, len(wide), 4))
    return struct.pack(f"<{count}{CODES[datatype]}", *values)
