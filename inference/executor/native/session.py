"""One model in onnxruntime: loaded from bytes, run on bytes. Nothing here opens a file.

Tensors cross as raw little-endian bytes in both directions, so that no conversion can change a bit;
only strings become Python objects. Options are those that the statement names: one thread,
sequential, graph optimisation level 'all', no spinning, no arena (it would never shrink).
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime as ort

from assay.tensors import Tensor

LEVEL, THREADS = "all", 1
# The protocol's name: ONNX's element type, its name in a signature, and the type that carries it.
_TYPES: dict[str, tuple[int, str, Any]] = {
    "BOOL": (9, "tensor(bool)", np.bool_),
    "INT8": (3, "tensor(int8)", np.int8),
    "INT16": (5, "tensor(int16)", np.int16),
    "INT32": (6, "tensor(int32)", np.int32),
    "INT64": (7, "tensor(int64)", np.int64),
    "UINT8": (2, "tensor(uint8)", np.uint8),
    "UINT16": (4, "tensor(uint16)", np.uint16),
    "UINT32": (12, "tensor(uint32)", np.uint32),
    "UINT64": (13, "tensor(uint64)", np.uint64),
    "FP16": (10, "tensor(float16)", np.float16),
    "BF16": (16, "tensor(bfloat16)", np.uint16),  # two bytes that only onnxruntime looks into
    "FP32": (1, "tensor(float)", np.float32),
    "FP64": (11, "tensor(double)", np.float64),
    "BYTES": (8, "tensor(string)", np.object_),
}
_NAMES = {signature: name for name, (_, signature, _) in _TYPES.items()}
_ELEMENTS = {element: name for name, (element, _, _) in _TYPES.items()}
_BF16 = _TYPES["BF16"][0]


class AnswerError(Exception):
    """The model gave what cannot be told: a sequence, a map, or too many bytes."""


def options() -> ort.SessionOptions:
    """Return the session options of every native run."""
    chosen = ort.SessionOptions()
    chosen.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    chosen.intra_op_num_threads = chosen.inter_op_num_threads = THREADS
    chosen.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    chosen.enable_cpu_mem_arena = False
    chosen.log_severity_level = 4
    chosen.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return chosen


class NativeModel:
    """A loaded model; `run` is for one thread at a time, `stop` for any."""

    def __init__(self, graph: bytes, external: Sequence[tuple[str, bytes]] = ()) -> None:
        chosen = options()
        if external:
            names, files = [path for path, _ in external], [data for _, data in external]
            chosen.add_external_initializers_from_files_in_memory(
                names, files, [len(data) for data in files]
            )
        self._session = ort.InferenceSession(graph, chosen, providers=["CPUExecutionProvider"])
        self._run_options = ort.RunOptions()
        self._run_options.log_severity_level = 4
        self.stopped = ""

    def signature(self) -> dict[str, list[dict[str, Any]]]:
        """Return inputs and outputs: name, datatype, shape with -1 for what is free."""
        return {
            "inputs": [_value(item) for item in self._session.get_inputs()],
            "outputs": [_value(item) for item in self._session.get_outputs()],
        }

    def run(self, inputs: Sequence[Tensor], names: Sequence[str], limit: int) -> list[Tensor]:
        """Run the model and return the tensors `names`, of at most `limit` bytes together.

        Raises:
            AnswerError: an output is no tensor, or they are too large.
        """
        self._run_options.terminate, self.stopped = False, ""
        if any(tensor.datatype == "BYTES" for tensor in inputs):
            # onnxruntime makes no OrtValue of strings, and takes NumPy's arrays only here.
            arrays = {tensor.name: _to_array(tensor) for tensor in inputs}
            values = self._session.run(list(names), arrays, self._run_options)
            read: Callable[[str, Any, int], Tensor] = _from_array
        else:
            feeds = {tensor.name: _to_value(tensor) for tensor in inputs}
            values = self._session.run_with_ort_values(list(names), feeds, self._run_options)
            read = _from_value
        outputs = []
        left = limit
        for name, value in zip(names, values, strict=True):
            tensor = read(name, value, left)
            left -= len(tensor.data)
            outputs.append(tensor)
        return outputs

    def stop(self, why: str) -> None:
        """End the run under way at its next node; one long kernel does not notice."""
        self.stopped = why
        self._run_options.terminate = True


def _value(item: Any) -> dict[str, Any]:
    tensor = item.type.startswith("tensor(")
    shape = [size if isinstance(size, int) and size >= 0 else -1 for size in item.shape]
    return {
        "name": item.name,
        "datatype": _NAMES.get(item.type, item.type) if tensor else None,
        "shape": shape if tensor else [],
    }


def _to_value(tensor: Tensor) -> Any:
    array = _to_array(tensor)
    if tensor.datatype == "BF16":
        return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array, _BF16)
    return ort.OrtValue.ortvalue_from_numpy(array)


def _to_array(tensor: Tensor) -> Any:
    if tensor.datatype == "BYTES":
        return _strings(tensor)
    # A copy: what arrived may lie at an odd address, which kernels do not expect.
    array = np.empty(tensor.shape, dtype=_TYPES[tensor.datatype][2])
    ctypes.memmove(array.ctypes.data, tensor.data, array.nbytes)
    return array


def _strings(tensor: Tensor) -> Any:
    array = np.empty(math.prod(tensor.shape), dtype=np.object_)
    offset = 0
    for index in range(array.size):
        start = offset + 4
        offset = start + int.from_bytes(tensor.data[offset:start], "little")
        array[index] = tensor.data[start:offset].decode()
    return array.reshape(tensor.shape)


def _from_value(name: str, value: Any, limit: int) -> Tensor:
    if not value.is_tensor() or value.element_type() not in _ELEMENTS:
        raise AnswerError(f"the output {name!r} has no name in the protocol")
    datatype, shape = _ELEMENTS[value.element_type()], tuple(value.shape())
    if datatype == "BYTES":
        return _bytes_tensor(name, value.numpy(), limit)
    size = value.tensor_size_in_bytes()
    if size > limit:
        raise AnswerError("the answer is too large")
    # An empty tensor may have no address at all.
    data = ctypes.string_at(value.data_ptr(), size) if size else b""
    return Tensor(name=name, datatype=datatype, shape=shape, data=data)


def _from_array(name: str, array: Any, limit: int) -> Tensor:
    if not isinstance(array, np.ndarray):
        raise AnswerError(f"the output {name!r} has no name in the protocol")
    if array.dtype == np.object_:
        return _bytes_tensor(name, array, limit)
    if array.nbytes > limit:
        raise AnswerError("the answer is too large")
    datatype = next((key for key, item in _TYPES.items() if item[2] == array.dtype.type), None)
    if datatype is None:
        raise AnswerError(f"the output {name!r} has no name in the protocol")
    data = np.ascontiguousarray(array).tobytes()
    return Tensor(name=name, datatype=datatype, shape=array.shape, data=data)


def _bytes_tensor(name: str, array: Any, limit: int) -> Tensor:
    elements = (str(item).encode() for item in array.reshape(-1))
    data = b"".join(len(element).to_bytes(4, "little") + element for element in elements)
    if len(data) > limit:
        raise AnswerError("the answer is too large")
    return Tensor(name=name, datatype="BYTES", shape=array.shape, data=data)
