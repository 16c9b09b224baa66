"""Models and inputs for the comparison of bits: all from a seed, by integers, none committed.

The numbers come from integer arithmetic and one scaling each, so they are the same everywhere. The
real architectures are those in the test data of the package `onnx`, whose weights are constants;
here they get weights of their own. What goes into a Softmax is an output, too: of a saturated
Softmax, half of the bits could be wrong unseen.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.backend.test
from onnx import TensorProto, numpy_helper

from assay.tensors import Tensor
from tests.inference.executor.models import FLOAT, ONNX_TYPES, constant, model, node, value

ROOT = Path(__file__).parents[2]
LIGHT = Path(onnx.backend.test.__file__).parent / "data" / "light"
ARCHITECTURES = ("squeezenet", "shufflenet", "inception_v1", "densenet121", "resnet50")
NAMES = {np.dtype("<f4"): "FP32", np.dtype("<f8"): "FP64", np.dtype("<i8"): "INT64"}
Array = np.ndarray[Any, np.dtype[Any]]
Case = tuple[bytes, list[Tensor]]
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def numbers(name: str, *shape: int, scale: float = 1.0) -> Array:
    """Return FP32 numbers between -scale and scale; `name` is the seed (splitmix64)."""
    seed = np.uint64(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))
    with np.errstate(over="ignore"):
        mixed = (np.arange(math.prod(shape), dtype=np.uint64) + np.uint64(1)) * _MULTIPLIER + seed
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    whole = ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(40)).astype(np.int64) - 2**23
    return (whole.astype(np.float64) * (scale / 2**23)).astype(np.float32).reshape(shape)


def small(name: str, *shape: int) -> Array:
    """Return whole numbers from -127 to 127."""
    return np.rint(numbers(name, *shape, scale=127)).astype(np.int64)


def tensor(name: str, values: Array) -> Tensor:
    """Return an input."""
    little = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
    datatype = NAMES[little.dtype]
    return Tensor(name=name, datatype=datatype, shape=values.shape, data=little.tobytes())


def case(
    nodes: Sequence[onnx.NodeProto],
    feeds: dict[str, Array],
    outputs: dict[str, int],
    weights: dict[str, Array],
) -> Case:
    """Return a model and its inputs; `outputs` are ONNX types of any shape."""
    given = [tensor(name, values) for name, values in feeds.items()]
    inputs = [value(item.name, ONNX_TYPES[item.datatype], item.shape) for item in given]
    results = [value(name, kind, None) for name, kind in outputs.items()]
    stored = [constant(name, values, values.dtype.name) for name, values in weights.items()]
    return bytes(model(nodes, inputs, results, stored).SerializeToString()), given


def floats(*names: str) -> dict[str, int]:
    return dict.fromkeys(names, FLOAT)


# ---------------------------------------------------------------- small models


def digits() -> Case:
    """The example that a first start publishes."""
    built = onnx.load(ROOT / "examples" / "digits" / "model.onnx")
    image = np.abs(numbers("image", 1, 1, 8, 8, scale=16))
    return _with_logits(built), [tensor("image", image)]


def convolutions() -> Case:
    """Conv (plain, strided, grouped, dilated), BatchNormalization, pools, MatMul, Softmax."""
    nodes = [
        node("Conv", ["x", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c1", "scale", "shift", "mean", "var"], ["n1"]),
        node("Relu", ["n1"], ["r1"]),
        node("MaxPool", ["r1"], ["p1"], kernel_shape=[3, 3], strides=[2, 2]),
        node("Conv", ["p1", "w2"], ["c2"], group=4, pads=[1, 1, 1, 1]),
        node("HardSwish", ["c2"], ["h2"]),
        node("Conv", ["h2", "w3"], ["c3"], strides=[2, 2], dilations=[2, 2], pads=[2, 2, 2, 2]),
        node("AveragePool", ["c3"], ["p3"], kernel_shape=[2, 2], count_include_pad=1),
        node("GlobalAveragePool", ["p3"], ["g"]),
        node("Flatten", ["g"], ["f"]),
        node("MatMul", ["f", "w4"], ["logits"]),
        node("Softmax", ["logits"], ["y"]),
    ]
    weights = {
        "w1": numbers("w1", 16, 3, 3, 3, scale=0.5),
        "b1": numbers("b1", 16),
        "scale": numbers("scale", 16) + np.float32(1.5),
        "shift": numbers("shift", 16),
        "mean": numbers("mean", 16, scale=0.25),
        "var": numbers("var", 16, scale=0.5) + np.float32(1),
        "w2": numbers("w2", 32, 4, 3, 3, scale=0.25),
        "w3": numbers("w3", 24, 32, 3, 3, scale=0.125),
        "w4": numbers("w4", 24, 10),
    }
    return case(
        nodes, {"x": numbers("x", 2, 3, 33, 35)}, floats("y", "logits", "p3", "n1"), weights
    )


def attention() -> Case:
    """LayerNormalization, MatMul of three ranks, Softmax over scores, Gelu, Einsum."""
    nodes = [
        node("LayerNormalization", ["x", "gain", "bias"], ["n"]),
        *(node("MatMul", ["n", f"w{one}"], [one]) for one in "qkv"),
        node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["scores"]),
        node("Softmax", ["scores"], ["weights"]),
        node("MatMul", ["weights", "v"], ["mixed"]),
        node("Add", ["mixed", "x"], ["sum"]),
        node("Gelu", ["sum"], ["act"]),
        node("Einsum", ["act", "wo"], ["y"], equation="bij,jk->bik"),
    ]
    weights = {f"w{one}": numbers(f"w{one}", 48, 48, scale=0.25) for one in "qkvo"}
    weights |= {"gain": numbers("gain", 48) + np.float32(2), "bias": numbers("bias", 48)}
    return case(nodes, {"x": numbers("tokens", 3, 17, 48, scale=2)}, floats("y", "scores"), weights)


def recurrent() -> Case:
    """LSTM and GRU, both ways."""
    nodes = [
        node(
            "LSTM", ["x", "w", "r", "b"], ["l", "h", "c"], hidden_size=12, direction="bidirectional"
        ),
        node("GRU", ["x", "gw", "gr"], ["g", "gh"], hidden_size=9, linear_before_reset=1),
    ]
    weights = {
        "w": numbers("lw", 2, 48, 10, scale=0.5),
        "r": numbers("lr", 2, 48, 12, scale=0.5),
        "b": numbers("lb", 2, 96),
        "gw": numbers("gw", 1, 27, 10, scale=0.5),
        "gr": numbers("gr", 1, 27, 9, scale=0.5),
    }
    return case(nodes, {"x": numbers("steps", 21, 2, 10)}, floats("l", "c", "g", "gh"), weights)


def resizing() -> Case:
    """Resize (linear, cubic, nearest), ConvTranspose, Pad, GridSample, InstanceNormalization."""
    nodes = [
        node("Resize", ["x", "", "up"], ["linear"], mode="linear"),
        node("Resize", ["x", "", "up"], ["cubic"], mode="cubic", cubic_coeff_a=-0.5),
        node("Resize", ["x", "", "down"], ["nearest"], mode="nearest"),
        node("ConvTranspose", ["x", "w"], ["t"], strides=[2, 2]),
        node("Pad", ["t", "pads"], ["padded"], mode="reflect"),
        node("InstanceNormalization", ["padded", "one", "zero"], ["y"]),
    ]
    weights = {
        "up": np.asarray([1, 1, 1.7, 2.3], dtype=np.float32),
        "down": np.asarray([1, 1, 0.6, 0.4], dtype=np.float32),
        "w": numbers("tw", 3, 4, 3, 3),
        "pads": np.asarray([0, 0, 2, 1, 0, 0, 1, 2], dtype=np.int64),
        "one": numbers("one", 4) + np.float32(2),
        "zero": numbers("zero", 4),
    }
    return case(
        nodes,
        {"x": numbers("picture", 1, 3, 13, 11)},
        floats("y", "linear", "cubic", "nearest"),
        weights,
    )


def quantized() -> Case:
    """Whole numbers of 8 bits: QLinearConv, MatMulInteger, DynamicQuantizeLinear."""
    nodes = [
        node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        node("QLinearConv", ["xq", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["cq"]),
        node("DequantizeLinear", ["cq", "ys", "yz"], ["c"]),
        node("DynamicQuantizeLinear", ["c"], ["dq", "ds", "dz"]),
        node("Flatten", ["dq"], ["flat"]),
        node("MatMulInteger", ["flat", "m", "dz"], ["whole"]),
        node("Cast", ["whole"], ["real"], to=FLOAT),
        node("Mul", ["real", "ds"], ["y"]),
    ]
    weights: dict[str, Array] = {
        "xs": np.asarray(0.0078125, dtype=np.float32),
        "xz": np.asarray(131, dtype=np.uint8),
        "w": small("qw", 6, 3, 3, 3).astype(np.int8),
        "ws": np.abs(numbers("ws", 6, scale=0.02)) + np.float32(0.001),
        "wz": np.zeros(6, dtype=np.int8),
        "ys": np.asarray(0.05, dtype=np.float32),
        "yz": np.asarray(120, dtype=np.uint8),
        "m": small("qm", 6 * 10 * 10, 7).astype(np.int8),
    }
    outputs = floats("y", "c") | {"whole": TensorProto.INT32, "dq": TensorProto.UINT8}
    return case(nodes, {"x": numbers("qx", 1, 3, 12, 12)}, outputs, weights)


_UNARY = (
    *("Exp", "Log", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Tanh", "Asinh"),
    *("Acosh", "Atanh", "Erf", "Sigmoid", "Softplus", "Softsign", "Sqrt", "Reciprocal", "Mish"),
    *("Elu", "Selu", "Celu", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Round", "Floor"),
)


def functions() -> Case:
    """Every function of one number, near zero, far away, and where it is not defined."""
    nodes = [node(kind, ["x"], [kind]) for kind in _UNARY]
    nodes.append(node("Pow", ["x", "e"], ["Pow"]))
    nodes.append(node("Mod", ["x", "e"], ["Mod"], fmod=1))
    x = np.concatenate(
        [numbers("near", 257), numbers("some", 257, scale=20), numbers("far", 257, scale=1e6)]
    )
    weights = {"e": numbers("e", 771, scale=3)}
    return case(nodes, {"x": x}, floats(*_UNARY, "Pow", "Mod"), weights)


_SPECIAL_BITS = (
    *(0x00000000, 0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7F800001),
    *(0xFFFFFFFF, 0x00000001, 0x80000001, 0x007FFFFF, 0x807FFFFF, 0x00800000, 0x7F7FFFFF),
    *(0xFF7FFFFF, 0x3F800000, 0xBF800000, 0x33800000, 0x00400000, 0x42FE0000),
)


def specials() -> Case:
    """NaN, infinities, both zeros and denormals, each with each."""
    binary = ("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max")
    unary = ("Abs", "Neg", "Sign", "Relu", "Sqrt", "Exp", "Tanh", "Sigmoid", "IsNaN", "IsInf")
    nodes = [node(kind, ["column", "row"], [kind]) for kind in binary]
    nodes += [node(kind, ["row"], [kind]) for kind in unary]
    nodes += [
        node("Greater", ["column", "row"], ["greater"]),
        node("Where", ["greater", "column", "row"], ["where"]),
        node("Softmax", ["column"], ["softmax"], axis=0),
        node("ReduceMax", ["Mul", "axis"], ["largest"]),
        node("ReduceSum", ["Mul", "axis"], ["sum"]),
        node("MatMul", ["column", "row"], ["product"]),
        node("Cast", ["row"], ["half"], to=TensorProto.FLOAT16),
        node("Cast", ["row"], ["double"], to=TensorProto.DOUBLE),
        node("Clip", ["row", "low", "high"], ["clipped"]),
    ]
    bits = np.asarray(_SPECIAL_BITS, dtype=np.uint32).view(np.float32)
    outputs = floats(*binary, *unary, "where", "softmax", "largest", "sum", "product", "clipped")
    outputs |= {"IsNaN": TensorProto.BOOL, "IsInf": TensorProto.BOOL, "greater": TensorProto.BOOL}
    outputs |= {"half": TensorProto.FLOAT16, "double": TensorProto.DOUBLE}
    weights: dict[str, Array] = {
        "axis": np.asarray([1], dtype=np.int64),
        "low": np.asarray(-2, dtype=np.float32),
        "high": np.asarray(2, dtype=np.float32),
    }
    feeds = {"column": bits.reshape(-1, 1), "row": bits.reshape(1, -1)}
    return case(nodes, feeds, outputs, weights)


def denormals() -> Case:
    """Convolution, MatMul and sums whose products are below the smallest normal number."""
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("Flatten", ["c"], ["f"]),
        node("MatMul", ["f", "m"], ["y"]),
        node("ReduceSum", ["c"], ["sum"], keepdims=0),
    ]
    weights = {"w": numbers("dw", 4, 2, 3, 3, scale=1e-22), "m": numbers("dm", 4 * 36, 5)}
    return case(
        nodes, {"x": numbers("dx", 1, 2, 8, 8, scale=1e-20)}, floats("y", "c", "sum"), weights
    )


def reductions() -> Case:
    """Sums of many numbers of all sizes: the order of the additions shows."""
    kinds = ("ReduceSum", "ReduceMean", "ReduceL1", "ReduceL2", "ReduceLogSumExp")
    nodes = [node(kind, ["x", "axis"], [kind]) for kind in kinds]
    nodes += [
        node("CumSum", ["x", "one"], ["CumSum"]),
        node("LogSoftmax", ["x"], ["LogSoftmax"]),
        node("TopK", ["x", "k"], ["top", "at"]),
        node("ArgMax", ["x"], ["arg"], axis=1),
        node("LpNormalization", ["x"], ["Lp"]),
    ]
    cube = numbers("many", 7, 1031).astype(np.float64)
    cube = cube * cube * cube
    x = (cube * cube * cube * 40).astype(np.float32)
    weights = {
        "axis": np.asarray([1], dtype=np.int64),
        "one": np.asarray(1, dtype=np.int64),
        "k": np.asarray([17], dtype=np.int64),
    }
    outputs = floats(*kinds, "CumSum", "LogSoftmax", "top", "Lp") | {"at": TensorProto.INT64}
    return case(nodes, {"x": x}, outputs | {"arg": TensorProto.INT64}, weights)


def doubles() -> Case:
    """MatMul, Gemm and functions in 64 bits."""
    nodes = [
        node("MatMul", ["x", "w"], ["product"]),
        node("Gemm", ["x", "w", "b"], ["g"], alpha=0.3, beta=1.7),
        node("Exp", ["product"], ["e"]),
        node("ReduceSum", ["e"], ["sum"]),
    ]
    weights = {
        "w": numbers("f8w", 31, 17).astype(np.float64) / 3,
        "b": numbers("f8b", 17).astype(np.float64) / 7,
    }
    x = numbers("f8x", 13, 31).astype(np.float64) / 3
    outputs = dict.fromkeys(("product", "g", "e", "sum"), int(TensorProto.DOUBLE))
    return case(nodes, {"x": x}, outputs, weights)


# ---------------------------------------------------------------- real architectures


def _with_logits(built: onnx.ModelProto) -> bytes:
    """Make the input of every Softmax an output as well."""
    known = {item.name for item in built.graph.output}
    for one in built.graph.node:
        if one.op_type == "Softmax" and one.input[0] not in known:
            built.graph.output.append(value(one.input[0], FLOAT, None))
    return bytes(built.SerializeToString())


def _weights(graph: onnx.GraphProto) -> None:
    """Put seeded weights in the place of constants, and statistics that a training could give."""
    shapes = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    stored: dict[str, Array] = {}
    for one in graph.node:
        if one.op_type == "ConstantOfShape":
            shape = [int(size) for size in shapes[one.input[0]]]
            fan_in = math.prod(shape[1:]) or 1
            stored[one.output[0]] = numbers(one.output[0], *shape, scale=math.sqrt(6 / fan_in))
    for one in graph.node:
        if one.op_type == "BatchNormalization":
            for name, middle in zip(one.input[1:5], (1, 0, 0, 1), strict=True):
                size = stored[name].size if name in stored else shapes[name].size
                stored[name] = numbers(name, size, scale=0.5) + np.float32(middle)
    nodes = [one for one in graph.node if one.op_type != "ConstantOfShape"]
    wanted = {name for one in nodes for name in one.input} - set(stored)
    others = [item for item in graph.initializer if item.name in wanted]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(others)
    graph.initializer.extend(constant(name, values) for name, values in stored.items())
    graph.node.extend(nodes)


def architecture(name: str) -> Case:
    """Return a network from the `onnx` package, with seeded weights in place of its constants."""
    built = onnx.load(LIGHT / f"light_{name}.onnx")
    stored = {item.name for item in built.graph.initializer}
    (image,) = [item for item in built.graph.input if item.name not in stored]
    _weights(built.graph)
    del built.graph.input[:]
    built.graph.input.append(image)
    built.ir_version = 10  # from 4 on, a weight need not be an input as well
    shape = [size.dim_value for size in image.type.tensor_type.shape.dim]
    return _with_logits(built), [tensor(image.name, numbers("image", *shape))]


SMALL: tuple[Callable[[], Case], ...] = (
    *(digits, convolutions, attention, recurrent, resizing, quantized, functions, specials),
    *(denormals, reductions, doubles),
)
CASES: dict[str, Callable[[], Case]] = {build.__name__: build for build in SMALL}
CASES |= {name: partial(architecture, name) for name in ARCHITECTURES}
