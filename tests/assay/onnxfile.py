"""ONNX files put together by hand, byte by byte: these tests need no onnx."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from assay.protobuf import fields, put, put_varint

__all__ = ["fields", "put", "put_varint"]
FLOAT, INT64, BOOL = 1, 7, 9


def text(number: int, value: str) -> bytes:
    return put(number, value.encode())


def node(
    op: str,
    inputs: Sequence[str],
    outputs: Sequence[str],
    *attributes: bytes,
    name: str = "",
    domain: str = "",
) -> bytes:
    parts = [text(1, item) for item in inputs] + [text(2, item) for item in outputs]
    parts += [text(3, name)] * bool(name) + [text(4, op)] + [text(7, domain)] * bool(domain)
    return b"".join((*parts, *(put(5, item) for item in attributes)))


def integer(name: str, value: int) -> bytes:
    return text(1, name) + put_varint(3, value) + put_varint(20, 2)


def body(name: str, graph: bytes) -> bytes:
    return text(1, name) + put(6, graph) + put_varint(20, 5)


def held(value: bytes) -> bytes:
    """The attribute of a Constant node."""
    return text(1, "value") + put(5, value) + put_varint(20, 4)


def floats(name: str, dims: Sequence[int], values: Sequence[float]) -> bytes:
    head = b"".join(put_varint(1, size) for size in dims)
    data = struct.pack(f"<{len(values)}f", *values)
    return head + put_varint(2, FLOAT) + text(8, name) + put(9, data)


def outside(name: str, dims: Sequence[int], **entries: str) -> bytes:
    """A tensor whose data lie in a file; its dims are packed."""
    packed = b"".join(put_varint(1, size)[1:] for size in dims)
    told = [put(13, text(1, key) + text(2, item)) for key, item in entries.items()]
    return b"".join((put(1, packed), put_varint(2, FLOAT), text(8, name), *told, put_varint(14, 1)))


def value(name: str, dims: Sequence[int] | None = None, kind: int = FLOAT) -> bytes:
    shape = put(2, *(put(1, put_varint(1, size)) for size in dims or ()))
    return text(1, name) + put(2, put(1, put_varint(1, kind), shape))


def graph(
    nodes: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    weights: Sequence[bytes] = (),
    *,
    sparse: Sequence[bytes] = (),
) -> bytes:
    parts = [put(1, item) for item in nodes] + [text(2, "g")] + [put(5, item) for item in weights]
    parts += [put(11, item) for item in inputs] + [put(12, item) for item in outputs]
    return b"".join((*parts, *(put(15, item) for item in sparse)))


def model(whole: bytes, *functions: bytes) -> bytes:
    opset = put(8, text(1, "") + put_varint(2, 20))
    parts = [put_varint(1, 10), put(6, b"about"), put(7, whole), opset]
    return b"".join((*parts, *(put(25, item) for item in functions)))


def chain() -> bytes:
    """y = relu(x w) + b: three steps on FP32 [1, 2]; `loose` gives what nobody reads."""
    nodes = [
        node("MatMul", ["x", "w"], ["a"], name="mul"),
        node("Relu", ["a"], ["r"], name="act"),
        node("Sin", ["a"], ["loose"]),
        node("Constant", [], ["b"], held(floats("", [1, 2], [0.5, 0.25]))),
        node("Add", ["r", "b"], ["y"]),
    ]
    weights = [floats("w", [2, 2], [1.0, -1.0, 0.5, 3.0])]
    return model(graph(nodes, [value("x", [1, 2])], [value("y", [1, 2])], weights))


def branches() -> bytes:
    """y = if c then x + s else s: bodies that read from outside."""
    then = graph([node("Add", ["x", "s"], ["t"])], [], [value("t", [2])])
    other = graph([node("Identity", ["s"], ["e"])], [], [value("e", [2])])
    nodes = [
        node("Sqrt", ["x"], ["s"]),
        node("If", ["c"], ["y"], body("then_branch", then), body("else_branch", other)),
    ]
    inputs = [value("x", [2]), value("c", [1], BOOL)]
    return model(graph(nodes, inputs, [value("y", [2])]))
