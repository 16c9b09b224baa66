"""ONNX's own node cases as `/v2` requests, and its answers compared with what ONNX expects."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.test import Client
from onnx import TensorProto, numpy_helper
from onnx.backend.test.loader import load_model_tests

from assay.tensors import decode_bytes, encode_bytes
from inference.oip.body import LENGTH_HEADER

NUMPY = {
    "BOOL": "?",
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
}
DIFFERS = "has other values"
JSON_ELEMENTS = 5_000  # more go as bytes: the longest case has 800,000


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One node case: the model's bytes, the input of each name, the expected outputs in order."""

    name: str
    graph: bytes
    inputs: dict[str, Any]
    outputs: tuple[Any, ...]
    rtol: float
    atol: float


def load_cases() -> list[Case]:
    """Return every case of kind `node` that comes with the onnx package, sorted by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its generators divide by zero on purpose
        loaded = load_model_tests(kind="node")
    return sorted(map(_case, loaded), key=lambda case: case.name)


def _case(case: Any) -> Case:
    ((inputs, outputs),) = case.data_sets
    fixed = {item.name for item in case.model.graph.initializer}
    names = [item.name for item in case.model.graph.input if item.name not in fixed]
    return Case(
        name=case.name,
        graph=case.model.SerializeToString(),
        inputs=dict(zip(names, inputs, strict=True)),
        outputs=tuple(outputs),
        rtol=case.rtol,
        atol=case.atol,
    )


def ask(case: Case, facts: dict[str, Any], address: str, *, as_json: bool) -> str | None:
    """Run `case` at `address`; return None when the answer is the expected one, else the reason.

    `facts` are the inspection's. `as_json` sends and wants JSON wherever JSON can carry the values.
    """
    body, headers = request_of(case, facts, as_json=as_json)
    response = Client().post(address, body, content_type="application/octet-stream", **headers)
    if response.status_code != 200:
        assert response["Content-Type"] == "application/json"
        return str(json.loads(response.content)["error"])
    found = outputs_of(response.content, response.headers.get(LENGTH_HEADER))
    return differs(case, found)


def request_of(case: Case, facts: dict[str, Any], *, as_json: bool) -> tuple[bytes, dict[str, Any]]:
    """Return the body and the headers of a request.

    What is no tensor of the protocol goes as an empty one: the server has to say that it has no
    name for it.
    """
    inputs, tail = [], []
    for declared in facts["inputs"]:
        name, datatype = declared["name"], declared["datatype"]
        header: dict[str, Any] = {"name": name, "datatype": datatype, "shape": [0]}
        value = as_array(case.inputs[name], datatype)
        if value is not None:
            header["shape"] = list(value.shape)
        if as_json and value is not None and fits_json([value]):
            header["data"] = [
                item.decode() if isinstance(item, bytes) else item
                for item in value.ravel().tolist()
            ]
        else:
            data = b"" if value is None else to_bytes(value)
            header["parameters"] = {"binary_data_size": len(data)}
            tail.append(data)
        inputs.append(header)
    wanted = [
        as_array(value, item["datatype"])
        for value, item in zip(case.outputs, facts["outputs"], strict=True)
    ]
    binary = not (as_json and fits_json(wanted))
    asked = {"inputs": inputs, "parameters": {"binary_data_output": binary}}
    text = json.dumps(asked).encode()
    return b"".join((text, *tail)), {"headers": {LENGTH_HEADER: str(len(text))}}


def as_array(value: Any, datatype: str) -> Any:
    """Return `value` as an array of the datatype; None when it is no tensor of the protocol."""
    if isinstance(value, TensorProto):
        value = numpy_helper.to_array(value)
    if datatype == "BYTES":
        flat = np.asarray(value, dtype=object)
        texts = [item.encode() if isinstance(item, str) else bytes(item) for item in flat.ravel()]
        return np.array([*texts, None], dtype=object)[:-1].reshape(flat.shape)
    if datatype not in NUMPY:
        return None
    return np.asarray(value, dtype=NUMPY[datatype])


def to_bytes(value: Any) -> bytes:
    """Return the protocol's bytes of an array."""
    if value.dtype == object:
        return encode_bytes(value.ravel().tolist())
    return bytes(value.tobytes())


def fits_json(values: Sequence[Any]) -> bool:
    """Tell whether JSON can carry all of `values`."""
    return all(
        value is not None
        and value.size <= JSON_ELEMENTS
        and value.dtype != np.float16
        and (value.dtype == object or bool(np.isfinite(value).all()))
        for value in values
    )


def outputs_of(body: bytes, length: str | None) -> list[Any]:
    """Return the outputs of a 200 answer as arrays."""
    cut = len(body) if length is None else int(length)
    arrays, offset = [], cut
    for item in json.loads(body[:cut])["outputs"]:
        if "data" in item:
            data = item["data"]
        else:
            size = item["parameters"]["binary_data_size"]
            data = body[offset : offset + size]
            offset += size
        arrays.append(_output(item["datatype"], item["shape"], data))
    assert offset == len(body)
    return arrays


def _output(datatype: str, shape: list[int], data: Any) -> Any:
    if datatype == "BYTES":
        if isinstance(data, bytes):
            data = decode_bytes(data, int(np.prod(shape)))
        return as_array(data, datatype).reshape(shape)
    if isinstance(data, bytes):
        return np.frombuffer(data, dtype=NUMPY[datatype]).reshape(shape)
    return np.array(data, dtype=NUMPY[datatype]).reshape(shape)


def differs(case: Case, found: Sequence[Any]) -> str | None:
    """Return how `found` differs from what ONNX expects; None when it is within the tolerance."""
    for number, (wanted, got) in enumerate(zip(case.outputs, found, strict=True)):
        if got.dtype == object:
            expected = as_array(wanted, "BYTES")
            same = got.shape == expected.shape and got.tolist() == expected.tolist()
        else:
            proto = isinstance(wanted, TensorProto)
            expected = numpy_helper.to_array(wanted) if proto else np.asarray(wanted)
            if expected.dtype != got.dtype or expected.shape != got.shape:
                return f"output {number} has another type or shape"
            same = np.allclose(got, expected, rtol=case.rtol, atol=case.atol, equal_nan=True)
        if not same:
            return f"output {number} {DIFFERS}"
    return None
