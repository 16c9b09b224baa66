"""Small ONNX models, built here: none is committed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from assay.tensors import Tensor
from inference.client import InferRequest, ModelRef
from inference.executor.hosts import ModelBytes

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
ONNX_TYPES = {
    "BOOL": TensorProto.BOOL,
    "INT8": TensorProto.INT8,
    "INT16": TensorProto.INT16,
    "INT32": TensorProto.INT32,
    "INT64": TensorProto.INT64,
    "UINT8": TensorProto.UINT8,
    "UINT16": TensorProto.UINT16,
    "UINT32": TensorProto.UINT32,
    "UINT64": TensorProto.UINT64,
    "FP16": TensorProto.FLOAT16,
    "FP32": TensorProto.FLOAT,
    "FP64": TensorProto.DOUBLE,
    "BF16": TensorProto.BFLOAT16,
    "BYTES": TensorProto.STRING,
}
Shape = Sequence[int | str | None]


def value(name: str, kind: int = FLOAT, shape: Shape | None = (1,)) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    initializers: Sequence[onnx.TensorProto] = (),
    *,
    domains: Sequence[tuple[str, int]] = (),
    functions: Sequence[onnx.FunctionProto] = (),
    **fields: Any,
) -> onnx.ModelProto:
    """A model of the corpus: opset 20, IR version 10."""
    graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), list(initializers))
    opsets = [helper.make_opsetid(name, version) for name, version in (("", 20), *domains)]
    return helper.make_model(
        graph, opset_imports=opsets, ir_version=10, functions=list(functions), **fields
    )


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], **fields: Any) -> onnx.NodeProto:
    return helper.make_node(kind, list(inputs), list(outputs), **fields)


def constant(name: str, values: Any, kind: str = "float32") -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype=kind), name)


def add() -> bytes:
    """y = x + 1 for one float."""
    nodes = [node("Add", ["x", "w"], ["y"])]
    return bytes(model(nodes, [value("x")], [value("y")], [constant("w", [1])]).SerializeToString())


def identity(datatype: str) -> bytes:
    """y = x, any shape of rank up to 2."""
    kind = ONNX_TYPES[datatype]
    nodes = [node("Identity", ["x"], ["y"])]
    shape = ("A", "B")
    return bytes(
        model(nodes, [value("x", kind, shape)], [value("y", kind, shape)]).SerializeToString()
    )


def scalar() -> bytes:
    """y = 2 x for a scalar."""
    nodes = [node("Add", ["x", "x"], ["y"])]
    return bytes(model(nodes, [value("x", shape=())], [value("y", shape=())]).SerializeToString())


def network() -> bytes:
    """Two matrix products with activations, weights from integers: rounding shows everywhere."""
    first = np.arange(64 * 32) % 97 / 53 - 0.7
    second = np.arange(32 * 10) % 89 / 31 - 1.1
    nodes = [
        node("MatMul", ["x", "first"], ["a"]),
        node("Tanh", ["a"], ["b"]),
        node("MatMul", ["b", "second"], ["c"]),
        node("Softmax", ["c"], ["y"], axis=1),
    ]
    weights = [
        constant("first", first.reshape(64, 32)),
        constant("second", second.reshape(32, 10)),
    ]
    outputs = [value("y", shape=("N", 10)), value("c", shape=("N", 10))]
    return bytes(model(nodes, [value("x", shape=("N", 64))], outputs, weights).SerializeToString())


def endless(*, scan: bool = False) -> bytes:
    """A Loop of 2^62 turns; `scan` collects an output of each turn."""
    outputs = ["cond_out", "v_out", *(["s"] if scan else [])]
    nodes = [node("Identity", ["cond_in"], ["cond_out"]), node("Identity", ["v_in"], ["v_out"])]
    if scan:
        nodes.append(node("Identity", ["v_in"], ["s"]))
    body = helper.make_graph(
        nodes,
        "body",
        [value("i", INT64, ()), value("cond_in", BOOL, ()), value("v_in")],
        [value(name, BOOL if name == "cond_out" else FLOAT, None) for name in outputs],
    )
    loop = node("Loop", ["turns", "true", "x"], ["y", *(["all"] if scan else [])], body=body)
    constants = [constant("turns", 2**62, "int64"), constant("true", True, "bool")]
    result = [value("y"), *([value("all", shape=("T", 1))] if scan else [])]
    return bytes(model([loop], [value("x")], result, constants).SerializeToString())


def external(data: bytes, **entries: str) -> bytes:
    """y = x + w where w, FLOAT [len(data) / 4], lies in the file `weights.bin`."""
    weights = TensorProto(name="w", data_type=FLOAT, dims=[len(data) // 4])
    weights.data_location = TensorProto.EXTERNAL
    for key, text in ({"location": "weights.bin", "offset": "0"} | entries).items():
        weights.external_data.add(key=key, value=text)
    shape = [len(data) // 4]
    nodes = [node("Add", ["x", "w"], ["y"])]
    built = model(nodes, [value("x", shape=shape)], [value("y", shape=shape)], [weights])
    return bytes(built.SerializeToString())


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def execution_id(number: int) -> str:
    return f"0192d1c2-aaaa-7bbb-8ccc-{number:012x}"


class Revision:
    """The files of a revision, as the web process has them."""

    def __init__(self, files: dict[str, bytes], external: tuple[str, ...] = ()) -> None:
        self.files = files
        self.blobs = {sha(data): data for data in files.values()}
        self.asked: list[str] = []
        pairs = tuple((name, sha(data)) for name, data in files.items())
        self.target = ModelRef(resources=pairs, graph="model.onnx", external=external)

    @classmethod
    def of(cls, graph: bytes) -> Revision:
        return cls({"README.md": b"# A model\n", "model.onnx": graph})

    def to_load(self) -> ModelBytes:
        """Return what is loaded."""
        graph = self.files["model.onnx"]
        return ModelBytes(key=sha(graph), graph=graph)

    def read(self, sha256: str) -> bytes:
        self.asked.append(sha256)
        return self.blobs[sha256]

    def request(self, note: str, *inputs: Tensor, **fields: Any) -> InferRequest:
        return InferRequest(
            **{
                "execution": execution_id(1),
                "model": "alice/model",
                "revision": "a" * 40,
                "target": self.target,
                "checkpoint": note,
                "inputs": inputs,
                **fields,
            }
        )


def floats(name: str, *values: float, shape: tuple[int, ...] | None = None) -> Tensor:
    data = np.asarray(values, dtype="<f4").tobytes()
    return Tensor(
        name=name, datatype="FP32", shape=(len(values),) if shape is None else shape, data=data
    )
