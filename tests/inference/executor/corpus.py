"""The hostile corpus: every file is built here. Expected verdicts stand in `test_inspect`."""

from __future__ import annotations

import itertools

import onnx
from onnx import TensorProto, helper

from tests.inference.executor.models import (
    BOOL,
    FLOAT,
    INT64,
    Shape,
    constant,
    model,
    node,
    value,
)

BILLION = 2**28  # floats: 1 GiB


def function(
    name: str, nodes: list[onnx.NodeProto], *, own: bool = True, overload: str = ""
) -> onnx.FunctionProto:
    opsets = [helper.make_opsetid("", 20), *([helper.make_opsetid("d", 1)] if own else [])]
    return helper.make_function("d", name, ["x"], ["y"], nodes, opsets, overload=overload)


def call(name: str, source: str = "x", target: str = "y", **fields: str) -> onnx.NodeProto:
    return node(name, [source], [target], domain="d", **fields)


def with_functions(functions: list[onnx.FunctionProto], entry: str) -> bytes:
    built = model(
        [call(entry)], [value("x")], [value("y")], domains=[("d", 1)], functions=functions
    )
    return bytes(built.SerializeToString())


def chain(length: int) -> bytes:
    functions = [function("f0", [node("Identity", ["x"], ["y"])], own=False)]
    functions += [function(f"f{i}", [call(f"f{i - 1}")]) for i in range(1, length)]
    return with_functions(functions, f"f{length - 1}")


def double(length: int, *, branches: bool = False) -> bytes:
    """Each function calls the one before twice: in turn, or in both branches of an If."""
    functions = [function("f0", [node("Identity", ["x"], ["y"])], own=False)]
    for i in range(1, length):
        before = f"f{i - 1}"
        if branches:
            nodes = [
                node("Constant", [], ["c"], value=constant("c", True, "bool")),
                node(
                    "If", ["c"], ["y"], then_branch=arm(before, "t"), else_branch=arm(before, "e")
                ),
            ]
        else:
            nodes = [call(before, "x", "t"), call(before, "t", "y")]
        functions.append(function(f"f{i}", nodes))
    return with_functions(functions, f"f{length - 1}")


def arm(called: str, name: str) -> onnx.GraphProto:
    return helper.make_graph([call(called, "x", name)], name, [], [value(name)])


def ring() -> bytes:
    return with_functions([function("f0", [call("f1")]), function("f1", [call("f0")])], "f0")


def calls_itself() -> bytes:
    return with_functions([function("f0", [call("f0")])], "f0")


def twin(*, overloads: bool) -> bytes:
    identity = [node("Identity", ["x"], ["y"])]
    second = "other" if overloads else ""
    return with_functions(
        [function("f0", identity, own=False), function("f0", identity, own=False, overload=second)],
        "f0",
    )


def folded(nodes: list[onnx.NodeProto], constants: list[onnx.TensorProto]) -> bytes:
    """Constants that grow to 1 GiB at load, in `e`; then their sum is added to x."""
    nodes = [*nodes, node("ReduceSum", ["e"], ["s"], keepdims=0), node("Add", ["x", "s"], ["y"])]
    return bytes(model(nodes, [value("x")], [value("y")], constants).SerializeToString())


def fold_expand() -> bytes:
    constants = [constant("n", [BILLION], "int64"), constant("w", [1])]
    return folded([node("Expand", ["w", "n"], ["e"])], constants)


def fold_tile() -> bytes:
    constants = [constant("n", [BILLION], "int64"), constant("w", [1])]
    return folded([node("Tile", ["w", "n"], ["e"])], constants)


def fold_range() -> bytes:
    constants = [constant("a", 0), constant("b", BILLION), constant("d", 1)]
    return folded([node("Range", ["a", "b", "d"], ["e"])], constants)


def fold_constant() -> bytes:
    return folded([node("ConstantOfShape", ["n"], ["e"])], [constant("n", [BILLION], "int64")])


def fold_concat() -> bytes:
    names = ["w", *(f"c{i}" for i in range(27)), "e"]
    nodes = [node("Concat", [a, a], [b], axis=0) for a, b in itertools.pairwise(names)]
    return folded(nodes, [constant("w", [1])])


def sparse() -> bytes:
    built = model([node("Add", ["x", "w"], ["y"])], [value("x")], [value("y")])
    tensor = built.graph.sparse_initializer.add()
    tensor.values.CopyFrom(constant("w", [1]))
    tensor.indices.CopyFrom(constant("i", [7], "int64"))
    tensor.dims.append(BILLION)
    return bytes(built.SerializeToString())


def constants(count: int) -> bytes:
    names = ["x", *(f"t{i}" for i in range(count - 1)), "y"]
    nodes = [node("Add", [names[i], f"w{i}"], [names[i + 1]]) for i in range(count)]
    weights = [constant(f"w{i}", [1]) for i in range(count)]
    return bytes(model(nodes, [value("x")], [value("y")], weights).SerializeToString())


def fan(count: int) -> bytes:
    nodes = [node("Sin", ["x"], [f"t{i}"]) for i in range(count)]
    nodes.append(node("Sum", [f"t{i}" for i in range(count)], ["y"]))
    return bytes(model(nodes, [value("x")], [value("y")]).SerializeToString())


def nodes_in_a_chain(count: int) -> bytes:
    names = ["x", *(f"t{i}" for i in range(count - 1)), "y"]
    nodes = [node("Sin", [names[i]], [names[i + 1]]) for i in range(count)]
    return bytes(model(nodes, [value("x")], [value("y")]).SerializeToString())


def kernel() -> bytes:
    """One matrix product of 8000 x 8000: a single kernel that runs for many seconds."""
    nodes = [
        node("Expand", ["x", "n"], ["e"]),
        node("MatMul", ["e", "e"], ["m"]),
        node("ReduceSum", ["m"], ["y"], keepdims=0),
    ]
    sizes = [constant("n", [8000, 8000], "int64")]
    return bytes(model(nodes, [value("x")], [value("y", shape=())], sizes).SerializeToString())


def kernel_by_input() -> bytes:
    """The same with its size as an input: n rows and columns."""
    nodes = [
        node("Concat", ["n", "n"], ["nn"], axis=0),
        node("Expand", ["x", "nn"], ["e"]),
        node("MatMul", ["e", "e"], ["m"]),
        node("ReduceSum", ["m"], ["y"], keepdims=0),
    ]
    inputs = [value("x"), value("n", INT64, (1,))]
    return bytes(model(nodes, inputs, [value("y", shape=())]).SerializeToString())


def alloc(shape: Shape | None) -> bytes:
    sizes = [constant("n", [40000, 1000, 1000], "int64")]
    nodes = [node("ConstantOfShape", ["n"], ["y"])]
    return bytes(model(nodes, [], [value("y", shape=shape)], sizes).SerializeToString())


def sized_by_input(kind: str) -> bytes:
    size = value("n", INT64, (1,))
    inputs = [size] if kind == "ConstantOfShape" else [value("x"), size]
    nodes = [node(kind, [item.name for item in inputs], ["y"])]
    return bytes(model(nodes, inputs, [value("y", shape=("L",))]).SerializeToString())


def loop_by_input() -> bytes:
    body = helper.make_graph(
        [node("Identity", ["c"], ["d"]), node("Identity", ["v"], ["w"])],
        "body",
        [value("i", INT64, ()), value("c", BOOL, ()), value("v")],
        [value("d", BOOL, ()), value("w")],
    )
    loop = node("Loop", ["n", "true", "x"], ["y"], body=body)
    inputs = [value("x"), value("n", INT64, ())]
    return bytes(
        model([loop], inputs, [value("y")], [constant("true", True, "bool")]).SerializeToString()
    )


def wrong_dims(*dims: int) -> bytes:
    tensor = TensorProto(name="w", data_type=FLOAT, dims=dims, raw_data=bytes(16))
    nodes = [node("Add", ["x", "w"], ["y"])]
    return bytes(model(nodes, [value("x")], [value("y", shape=None)], [tensor]).SerializeToString())


def field(number: int, data: bytes) -> bytes:
    """One length-delimited field, by hand."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(number: int) -> bytes:
    result = b""
    while number > 0x7F:
        result += bytes([number & 0x7F | 0x80])
        number >>= 7
    return result + bytes([number])


def nested(depth: int) -> bytes:
    """An If in the then-branch of an If, `depth` times; by hand, as protobuf stops at 100."""
    one = model([node("Identity", ["x"], ["y"])], [value("x")], [value("y")])
    output = field(12, value("y").SerializeToString())
    leaf = field(1, node("Identity", ["x"], ["y"]).SerializeToString())
    graph = leaf + field(2, b"g") + output
    for _ in range(depth):
        other = leaf + field(2, b"e") + output
        arms = b"".join(
            field(5, field(1, name) + field(6, body) + b"\xa0\x01\x05")
            for name, body in ((b"then_branch", graph), (b"else_branch", other))
        )
        branch = field(1, b"c") + field(2, b"y") + field(4, b"If") + arms
        graph = field(1, branch) + field(2, b"g") + output
    graph += field(5, constant("c", True, "bool").SerializeToString())
    graph += field(11, value("x").SerializeToString())
    one.ClearField("graph")
    return bytes(one.SerializeToString()) + field(7, graph)


def rank() -> bytes:
    shape = [1] * 1000
    nodes = [node("Identity", ["x"], ["y"])]
    return bytes(
        model(nodes, [value("x", shape=shape)], [value("y", shape=shape)]).SerializeToString()
    )


def foreign(kind: str, domain: str) -> bytes:
    nodes = [node(kind, ["x"], ["y"], domain=domain)]
    return bytes(
        model(nodes, [value("x")], [value("y")], domains=[(domain, 1)]).SerializeToString()
    )


def random(**fields: float) -> bytes:
    nodes = [node("RandomNormal", [], ["r"], shape=[1], **fields), node("Add", ["x", "r"], ["y"])]
    return bytes(model(nodes, [value("x")], [value("y")]).SerializeToString())


def big_string() -> bytes:
    tensor = TensorProto(name="w", data_type=TensorProto.STRING, dims=[1])
    tensor.string_data.append(b"a" * 2**26)
    nodes = [node("Identity", ["w"], ["y"])]
    return bytes(model(nodes, [], [value("y", TensorProto.STRING)], [tensor]).SerializeToString())


def with_metadata(text: str, producer: str = "") -> bytes:
    built = model(
        [node("Identity", ["x"], ["y"])], [value("x")], [value("y")], producer_name=producer
    )
    built.metadata_props.add(key="note", value=text)
    return bytes(built.SerializeToString())
