"""The facts of a model that passed: what its page shows and its form is made of."""

from __future__ import annotations

from typing import Any

from inference.executor.inspect.counts import descend
from inference.executor.inspect.functions import domain
from inference.executor.inspect.operators import operator_counts
from inference.executor.inspect.payload import elements, size_of, type_name
from inference.executor.inspect.wire import Message


def facts_of(model: Message, external: list[str]) -> dict[str, Any]:
    """Return the facts: versions, inputs, outputs, operators, sizes. See `Inspector.inspect`."""
    graph = model.message("graph")
    assert graph is not None  # noqa: S101 (the walk saw to it)
    initializers = [item for item in descend(graph) if item.role == "initializer"]
    names = {item.text("name") for item in graph.list("initializer")}
    counts = operator_counts(model)
    producer = f"{model.text('producer_name')} {model.text('producer_version')}"
    return {
        "ir_version": model.number("ir_version"),
        "opsets": {
            domain(item.text("domain")) or "ai.onnx": item.number("version")
            for item in model.list("opset_import")
        },
        "producer": producer.strip(),
        "inputs": [
            describe(item) for item in graph.list("input") if item.text("name") not in names
        ],
        "outputs": [describe(item) for item in graph.list("output")],
        "operators": counts,
        "nodes": sum(counts.values()),
        "parameters": sum(elements(item) for item in initializers),
        "initializers_bytes": sum(size_of(item) for item in initializers),
        "functions": len(model.list("functions")),
        "external": external,
    }


def describe(value: Message) -> dict[str, Any]:
    """Return `{"name", "datatype", "shape"}`.

    A dimension is a number, a symbol's name, or -1; `shape` is null where the file has none. The
    datatype of what is no tensor is its ONNX type in words: `seq(map(INT64,FP32))`.
    """
    kind = value.message("type")
    tensor = kind.message("tensor_type") if kind else None
    if kind is None or tensor is None:
        return {"name": value.text("name"), "datatype": _words(kind), "shape": None}
    shape = tensor.message("shape")
    return {
        "name": value.text("name"),
        "datatype": type_name(tensor.number("elem_type")),
        "shape": [_dimension(item) for item in shape.list("dim")] if shape else None,
    }


def _dimension(dimension: Message) -> int | str:
    if dimension.text("dim_param"):
        return dimension.text("dim_param")
    size: int = dimension.fields.get("dim_value", -1)
    return max(size, -1)


def _words(kind: Message | None) -> str:
    """Spell a type; the walk bounds how deep it nests."""
    opened: list[str] = []
    while kind is not None:
        if (tensor := kind.message("tensor_type")) is not None:
            return "".join(opened) + type_name(tensor.number("elem_type")) + ")" * len(opened)
        if (entry := kind.message("map_type")) is not None:
            opened.append(f"map({type_name(entry.number('key_type'))},")
            kind = entry.message("value_type")
        elif (inner := kind.message("sequence_type")) is not None:
            opened.append("seq(")
            kind = inner.message("elem_type")
        elif (inner := kind.message("optional_type")) is not None:
            opened.append("optional(")
            kind = inner.message("elem_type")
        else:
            break
    return "".join(opened) + "unknown" + ")" * len(opened)
