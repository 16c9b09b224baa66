"""Models of real size: the architectures in `onnx`'s own test data, with seeded random weights.

The package ships the graphs of well-known networks with each weight filled by one constant. Here
each gets random values instead (He initialisation, seeded), so that they are as large and as much
work as the trained ones. None is committed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

SEED = 20_261_125
ARCHITECTURES = {
    "squeezenet": "SqueezeNet 1.1",
    "shufflenet": "ShuffleNet",
    "resnet50": "ResNet-50",
    "inception_v2": "Inception v2",
    "densenet121": "DenseNet-121",
}
_SUFFIX = "__SHAPE"


def architecture(name: str, seed: int = SEED) -> bytes:
    """Return the ONNX file of the architecture `name`, the same bytes each time for one `seed`."""
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    model = onnx.load(str(folder / f"light_{name}.onnx"))
    graph, generator = model.graph, np.random.default_rng(seed)
    shapes = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    kept = [node for node in graph.node if not _is_filler(node, shapes)]
    weights = [
        numpy_helper.from_array(
            _weights(generator, node.output[0], shapes[node.input[0]].tolist()), node.output[0]
        )
        for node in graph.node
        if _is_filler(node, shapes)
    ]
    used = {text for node in kept for text in node.input}
    old = [item for item in graph.initializer if item.name in used]
    inputs = [item for item in graph.input if item.name in used and item.name not in shapes]
    inputs = [item for item in inputs if item.name not in {one.name for one in weights}]
    del graph.node[:], graph.initializer[:], graph.input[:]
    graph.node.extend(kept)
    graph.initializer.extend([*old, *weights])
    graph.input.extend(inputs)
    # Before IR version 4 a weight had to be an input as well.
    model.ir_version = max(model.ir_version, 4)
    return bytes(model.SerializeToString())


def _is_filler(node: onnx.NodeProto, shapes: dict[str, np.ndarray]) -> bool:
    filled = node.op_type == "ConstantOfShape" and node.input[0].endswith(_SUFFIX)
    return filled and node.input[0] in shapes


def _weights(generator: np.random.Generator, name: str, shape: list[int]) -> np.ndarray:
    """Return values under which activations neither vanish nor grow without end."""
    if len(shape) > 1:
        scale = (2 / float(np.prod(shape[1:]))) ** 0.5
        return np.asarray(generator.standard_normal(shape) * scale, dtype=np.float32)
    # Scales, variances, biases: near one where they multiply or divide, else near nothing.
    near_one = any(word in name for word in ("_s_", "_scale", "_var", "_riv_", "gamma"))
    values = generator.uniform(0.9, 1.1, shape) if near_one else generator.uniform(0, 0.1, shape)
    return np.asarray(values, dtype=np.float32)


def input_of(graph: bytes) -> tuple[str, list[int]]:
    """Return the name and the shape of the one input of a model; a free dimension is 1."""
    (value,) = onnx.load_from_string(graph).graph.input
    shape = [item.dim_value or 1 for item in value.type.tensor_type.shape.dim]
    return value.name, shape
