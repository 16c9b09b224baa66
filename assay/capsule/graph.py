"""One node of a graph as a model of its own, and how far its outputs may lie apart.

What is constant in the graph stays constant: weights stay initializers, Constant nodes come along.
A runtime may pack a constant weight and sum in another order than with the same values as an input,
so that only this form gives the node's own bits. All other values that the node reads, those that
its bodies take from outside included, become inputs with their datatypes and shapes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from assay.closeness import Bound, bound_of
from assay.errors import FormatError
from assay.protobuf import BYTES, VARINT, Field, fields, put, put_varint, varint
from assay.tensors import Tensor
from assay.trace.graph import (
    GRAPH_INITIALIZER,
    GRAPH_INPUT,
    GRAPH_NODE,
    GRAPH_OUTPUT,
    MODEL_GRAPH,
    MODEL_TRAINING,
    VALUE_NAME,
    Model,
)

_LEFT_OUT = (6, 14, MODEL_TRAINING, 26)  # a doc string, metadata, training, devices
_GRAPH_NAME, _VALUE_TYPE, _TYPE_TENSOR, _ELEMENT, _SHAPE, _DIM, _DIM_VALUE = 2, 2, 1, 1, 2, 1, 1
_DIMS, _RAW, _EXTERNAL, _LOCATION, _EXTERNAL_FLAG, _KEY, _VALUE = 1, 9, 13, 14, 1, 1, 2
_ELEMENTS = {
    "FP32": 1,
    "UINT8": 2,
    "INT8": 3,
    "UINT16": 4,
    "INT16": 5,
    "INT32": 6,
    "INT64": 7,
    "BYTES": 8,
    "BOOL": 9,
    "FP16": 10,
    "FP64": 11,
    "UINT32": 12,
    "UINT64": 13,
    "BF16": 16,
}


def wanted(model: Model, index: int, given: Collection[str]) -> list[str]:
    """Return the names of the values that node `index` reads and that a run has to tell.

    Weights are in the graph; `given` are the names of the graph's inputs, which are at hand.

    Raises:
        FormatError: there is no such node, or it only holds a value.
    """
    if not 0 <= index < len(model.nodes) or model.nodes[index].constant:
        raise FormatError(f"the graph has no node {index} that computes")
    fixed = {name for node in model.nodes if node.constant for name in node.outputs}
    fixed.update(model.initializers, given)
    return [name for name in model.nodes[index].inputs if name not in fixed]


def one_node(
    model: Model,
    index: int,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    external: Mapping[str, bytes],
) -> bytes:
    """Return the model of node `index` alone; `inputs` are all the values it reads, but weights.

    `external` are the bytes of files of external data, by the location that the graph names: what
    the node needs of them is put into the model.

    Raises:
        FormatError: a value that is missing, or external data that is not there.
    """
    node = model.nodes[index]
    given = {tensor.name for tensor in inputs}
    missing = wanted(model, index, given)
    if missing:
        raise FormatError(f"{node.place} reads {missing[0][:64]!r}, which is no tensor")
    sources = [item for item in model.nodes if item.constant and set(item.outputs) & {*node.inputs}]
    named = [name for name in node.inputs if name in model.initializers]
    weights = [model.initializers[name] for name in named]
    # A weight that is an input too may be fed: unlike the others it is no constant.
    defaults = [model.inputs[name].raw for name in named if name in {*model.inputs} - given]
    graph: list[bytes | memoryview] = [
        *(put(GRAPH_NODE, item.raw) for item in (*sources, node)),
        put(_GRAPH_NAME, b"node"),
        *(_inline(field, external) for field in weights),
        *defaults,
        *(put(GRAPH_INPUT, _value_info(tensor)) for tensor in inputs),
        *(put(GRAPH_OUTPUT, _value_info(tensor)) for tensor in outputs),
    ]
    kept = [field.raw for field in model.fields if field.number not in _LEFT_OUT]
    return b"".join((*kept, put(MODEL_GRAPH, *graph)))


def node_bound(
    model: Model, index: int, inputs: Sequence[Tensor], outputs: Sequence[Tensor]
) -> Bound:
    """Return the bound of node `index` on these inputs, from the lengths of its sums."""
    node = model.nodes[index]
    shapes = {tensor.name: tensor.shape for tensor in inputs}
    for name, field in model.initializers.items():
        if name in node.inputs and field.number == GRAPH_INITIALIZER:
            shapes.setdefault(name, _dims(field))
    known = [shapes.get(name) for name in node.inputs]
    result = outputs[0].shape if outputs else ()
    return bound_of(node.op_type, k=_terms(node.op_type, known, result))


def _terms(
    op_type: str, inputs: Sequence[tuple[int, ...] | None], output: tuple[int, ...]
) -> int | None:
    """Return how many products end in one element of the output; None where that is not known."""
    first = inputs[0] if inputs else None
    second = inputs[1] if len(inputs) > 1 else None
    if op_type in ("Softmax", "LogSoftmax"):
        return max((1, *output))
    if op_type in ("Sum", "Mean"):
        return len(inputs) or None
    if op_type == "Conv" and second:
        return max(1, math.prod(second[1:]))
    if first is None:
        return None
    if op_type == "MatMul":
        return max(1, *first[-1:])
    if op_type == "Gemm":
        return max((1, *first))
    if op_type.startswith("Reduce") or op_type.endswith("AveragePool"):
        return max(1, -(-math.prod(first) // max(1, math.prod(output))))
    return None


def _dims(initializer: Field) -> tuple[int, ...]:
    """Return the shape of a TensorProto, whose dims may be packed or not."""
    dims: list[int] = []
    for field in fields(initializer.message()):
        if field.number != _DIMS:
            continue
        if field.wire == VARINT:
            dims.append(field.value)
        offset = 0
        while offset < len(field.data) and field.wire == BYTES:
            size, offset = varint(field.data, offset)
            dims.append(size)
    return tuple(dims)


def _value_info(tensor: Tensor) -> bytes:
    dims = [put(_DIM, put_varint(_DIM_VALUE, size)) for size in tensor.shape]
    element = put_varint(_ELEMENT, _ELEMENTS[tensor.datatype])
    kind = put(_TYPE_TENSOR, element, put(_SHAPE, *dims))
    return put(VALUE_NAME, tensor.name.encode()) + put(_VALUE_TYPE, kind)


def _inline(initializer: Field, external: Mapping[str, bytes]) -> bytes:
    """Return the initializer with its data inside, wherever they lay."""
    if initializer.number != GRAPH_INITIALIZER:
        return bytes(initializer.raw)  # a sparse one
    message = tuple(fields(initializer.message()))
    if not any(f.number == _LOCATION and f.value == _EXTERNAL_FLAG for f in message):
        return bytes(initializer.raw)
    entries = [tuple(fields(f.message())) for f in message if f.number == _EXTERNAL]
    told = {_entry(entry, _KEY): _entry(entry, _VALUE) for entry in entries}
    data = _slice(told, external)
    kept = [f.raw for f in message if f.number not in (_EXTERNAL, _LOCATION)]
    return put(GRAPH_INITIALIZER, *kept, put(_RAW, data))


def _entry(entry: tuple[Field, ...], number: int) -> str:
    return next((field.text() for field in entry if field.number == number), "")


def _slice(told: dict[str, str], external: Mapping[str, bytes]) -> bytes:
    whole = external.get(told.get("location", ""))
    numbers = [told.get("offset", "0") or "0", told.get("length", "") or "-1"]
    if whole is None or not all(text.lstrip("-").isdecimal() for text in numbers):
        raise FormatError("the graph's external data is not there")
    offset, length = int(numbers[0]), int(numbers[1])
    end = len(whole) if length < 0 else offset + length
    if not 0 <= offset <= end <= len(whole):
        raise FormatError("the graph's external data ends too early")
    return whole[offset:end]
