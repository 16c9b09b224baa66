"""What is asked: tensors checked against the model before anything is allocated or run.

Steps, in this order; each failure is an error that names the tensor:

1. names: unique, none missing, none unknown;
2. datatype, rank and fixed dimensions equal the model's; dimensions are non-negative integers;
3. the product of the dimensions times the element size is the byte count, within the limit;
4. JSON values are read by their exact types (`services.values`), bytes are checked as a stranger's;
5. NaNs are made canonical: executor, digest and replay see the same bytes;
6. requested outputs exist, each once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from assay.errors import FormatError
from assay.limits import LIMITS
from assay.tensors import DATATYPES, Tensor, canonical_nan, check_tensor
from inference.choices import ExecutorKind
from inference.errors import BadRequestError, BadTensorError, NotOfferedError
from inference.services.values import flatten, pack

MAX_TENSOR_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """An input or output of a graph: -1 in `shape` is a free dimension.

    `shape` is None where the graph says nothing about it. `datatype` is some other word for what
    the protocol has no name for.
    """

    name: str
    datatype: str
    shape: tuple[int, ...] | None

    def to_dict(self) -> dict[str, Any]:
        """Return the form of the model metadata, where an unknown rank reads as one free one."""
        shape = [-1] if self.shape is None else list(self.shape)
        return {"name": self.name, "datatype": self.datatype, "shape": shape}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A tensor as the caller sent it: `data` is raw bytes, or a JSON array not yet looked at."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: bytes | list[Any]


def declared(values: Sequence[dict[str, Any]]) -> tuple[Declared, ...]:
    """Return the inputs or outputs of the graph facts, where a free dimension may have a name."""
    return tuple(
        Declared(name=item["name"], datatype=item["datatype"], shape=_free(item["shape"]))
        for item in values
    )


def _free(shape: Sequence[int | str] | None) -> tuple[int, ...] | None:
    if shape is None:
        return None
    return tuple(size if isinstance(size, int) else -1 for size in shape)


def read_json_tensor(value: object, index: int) -> Given:
    """Read one item of a JSON `inputs` array that carries its data as JSON.

    Raises:
        BadRequestError, BadTensorError: not that form.
    """
    header = read_header(value, index)
    data = value.get("data") if isinstance(value, dict) else None
    if not isinstance(data, list):
        raise BadTensorError(f"Input '{header.name}' has no data array.", tensor=header.name)
    return replace(header, data=data)


def read_header(value: object, index: int) -> Given:
    """Read name, datatype and shape of item `index` of `inputs`; the data is empty.

    Raises:
        BadRequestError, BadTensorError: one of them is missing or of another type.
    """
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise BadRequestError(f"inputs[{index}] is not an object with a name.")
    name, datatype, shape = value["name"], value.get("datatype"), value.get("shape")
    if not isinstance(datatype, str):
        raise BadTensorError(f"Input '{name}' has no datatype.", tensor=name)
    if not isinstance(shape, list) or not all(map(_is_dimension, shape)):
        raise BadTensorError(
            f"The shape of input '{name}' is not an array of non-negative integers.", tensor=name
        )
    return Given(name=name, datatype=datatype, shape=tuple(shape), data=b"")


def _is_dimension(value: object) -> bool:
    return type(value) is int and value >= 0


def raw_input(inputs: Sequence[Declared], data: bytes) -> Given:
    """Return the one input of a raw binary request: at most one free dimension, by the byte count.

    Raises:
        BadRequestError, BadTensorError: the model's inputs do not allow such a request.
    """
    if len(inputs) != 1:
        raise BadRequestError(
            f"A raw binary request needs a model with one input; this one has {len(inputs)}."
        )
    (wanted,) = inputs
    datatype = _offered(wanted, "input")
    size, shape = DATATYPES[datatype], (-1,) if wanted.shape is None else wanted.shape
    if size is None:
        shape = tuple(abs(dimension) for dimension in shape)
        if math.prod(shape) != 1:
            raise BadTensorError(
                f"Input '{wanted.name}' is BYTES: a raw request needs the shape [1].",
                tensor=wanted.name,
            )
        # The element is the whole body, without a length before it.
        data = len(data).to_bytes(4, "little") + data
        return Given(name=wanted.name, datatype=datatype, shape=shape, data=data)
    unit = size * math.prod(dimension for dimension in shape if dimension >= 0)
    free = shape.count(-1)
    if free > 1 or (free and unit == 0) or (unit and len(data) % unit):
        raise BadTensorError(
            f"The shape of input '{wanted.name}', {list(shape)}, does not follow from "
            f"{len(data)} bytes.",
            tensor=wanted.name,
        )
    count = len(data) // unit if free else 0
    shape = tuple(count if dimension < 0 else dimension for dimension in shape)
    return Given(name=wanted.name, datatype=datatype, shape=shape, data=data)


def check_inputs(
    inputs: Sequence[Declared], given: Sequence[Given], kind: str = ExecutorKind.PORTABLE
) -> list[Tensor]:
    """Return the tensors of `given` when they are what the model takes (steps 1 to 5).

    `kind` is that of the executor: each has its own datatypes.

    Raises:
        BadTensorError: the first thing that is wrong, with the tensor's name.
        NotOfferedError: the model takes what the protocol has no name for.
    """
    names = [item.name for item in given]
    wanted = {item.name: item for item in inputs}
    for item in inputs:
        _offered(item, "input", kind)
    for name in names:
        if names.count(name) > 1:
            raise BadTensorError(f"Input '{_cut(name)}' stands twice.", tensor=_cut(name))
        if name not in wanted:
            raise BadTensorError(
                f"The model has no input '{_cut(name)}'; it takes {_list(wanted)}.",
                tensor=_cut(name),
            )
    for name in wanted:
        if name not in names:
            raise BadTensorError(f"Input '{name}' is missing.", tensor=name)
    return [_check_input(wanted[item.name], item) for item in given]


def _check_input(wanted: Declared, given: Given) -> Tensor:
    datatype, name = wanted.datatype, wanted.name
    if given.datatype != datatype:
        raise BadTensorError(
            f"Input '{name}' is {datatype}, not {_cut(given.datatype)}.",
            tensor=name,
            expected=datatype,
            received=_cut(given.datatype),
        )
    _check_shape(wanted, given)
    _check_size(given)
    data = given.data
    if isinstance(data, list):
        data = pack(name, datatype, flatten(name, data, given.shape))
    tensor = Tensor(name=name, datatype=datatype, shape=given.shape, data=data)
    try:
        check_tensor(tensor)
    except FormatError as error:
        raise BadTensorError(f"Input {error}.", tensor=name) from error
    return canonical_nan(tensor)


def _check_shape(wanted: Declared, given: Given) -> None:
    shape = (-1,) * len(given.shape) if wanted.shape is None else wanted.shape
    fits = len(given.shape) == len(shape) <= LIMITS.tensor_rank and all(
        wants in (-1, size) for wants, size in zip(shape, given.shape, strict=True)
    )
    if not fits:
        expected, received = (list(item[: LIMITS.tensor_rank]) for item in (shape, given.shape))
        raise BadTensorError(
            f"Input '{wanted.name}' has the shape {expected} (-1 is free), not {received}.",
            tensor=wanted.name,
            expected=expected,
            received=received,
        )


def _check_size(given: Given) -> None:
    """Check the byte count that the shape asks for, before a byte of it is made."""
    size = DATATYPES[given.datatype]
    least = math.prod(given.shape) * (size or 4)
    if least > MAX_TENSOR_BYTES:
        raise BadTensorError(
            f"Input '{given.name}' would have more than {MAX_TENSOR_BYTES} bytes.",
            tensor=given.name,
        )
    if isinstance(given.data, bytes) and size is not None and len(given.data) != least:
        raise BadTensorError(
            f"Input '{given.name}' has {len(given.data)} bytes; {given.datatype} of the shape "
            f"{list(given.shape)} has {least}.",
            tensor=given.name,
            expected=least,
            received=len(given.data),
        )


def check_outputs(
    outputs: Sequence[Declared],
    requested: Sequence[str] | None,
    kind: str = ExecutorKind.PORTABLE,
) -> tuple[str, ...]:
    """Return the names of the outputs to give: as requested, or all in the model's order.

    Raises:
        BadTensorError: an output that the model does not have, or one twice.
        NotOfferedError: an output that the protocol has no name for.
    """
    known = {item.name: item for item in outputs}
    names = tuple(known if requested is None else requested)
    for name in names:
        if name not in known:
            raise BadTensorError(
                f"The model has no output '{_cut(name)}'; it gives {_list(known)}.",
                tensor=_cut(name),
            )
        if names.count(name) > 1:
            raise BadTensorError(f"Output '{name}' is requested twice.", tensor=name)
        _offered(known[name], "output", kind)
    return names


def _offered(value: Declared, what: str, kind: str = ExecutorKind.NATIVE) -> str:
    if value.datatype not in DATATYPES:
        raise NotOfferedError(
            f"The {what} '{value.name}' is {_cut(value.datatype)}, and the protocol has no name "
            "for that type.",
            tensor=value.name,
        )
    if value.datatype == "BF16" and kind == ExecutorKind.PORTABLE:
        raise NotOfferedError(
            f"The {what} '{value.name}' is BF16, which the portable runtime does not have: name "
            "the executor 'native'.",
            tensor=value.name,
        )
    return value.datatype


def _cut(text: str) -> str:
    return text[:200]


def _list(names: Sequence[str] | dict[str, Declared]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"
