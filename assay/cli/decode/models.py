"""Models and what ran of them: manifests, tensors, ONNX files, traces, capsules, runtimes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from assay.canonical import as_list, as_object, parse_json
from assay.capsule import Capsule
from assay.cli.values import as_json
from assay.digests import sha256_hex
from assay.manifest import Manifest, parse_manifest
from assay.protobuf import VARINT, Field, fields
from assay.replay.onnx_data import external_locations
from assay.statements import Runtime
from assay.tensors import decode_tensors
from assay.trace import parse_model, parse_trace
from assay.trace.graph import one_text

# Field numbers of onnx.proto.
_IR_VERSION, _PRODUCER, _PRODUCER_VERSION, _OPSET = 1, 2, 3, 8
_OPSET_DOMAIN, _OPSET_VERSION = 1, 2
_GRAPH_NAME, _VALUE_TYPE, _TENSOR_TYPE = 2, 2, 1
_ELEMENT, _SHAPE, _DIM, _DIM_VALUE, _DIM_NAME = 1, 2, 1, 1, 2
_ELEMENTS = (
    *("undefined", "FP32", "UINT8", "INT8", "UINT16", "INT16", "INT32", "INT64", "BYTES"),
    *("BOOL", "FP16", "FP64", "UINT32", "UINT64", "complex64", "complex128", "BF16"),
)


def manifest(data: bytes) -> dict[str, Any]:
    """The files of a model, in the form whose digest names them."""
    return manifest_of(parse_manifest(data))


def manifest_of(found: Manifest) -> dict[str, Any]:
    """Show a manifest."""
    return {
        "manifest_digest": found.digest,
        "subject_digest_of_model_signing": found.subject_digest,
        "files": {item.name: item.sha256 for item in found.resources},
    }


def tensors(data: bytes) -> dict[str, Any]:
    """A set of tensors, with its digest and the first values."""
    return {
        "tensor_digest": sha256_hex(data),
        "bytes": len(data),
        "tensors": [as_json(tensor) for tensor in decode_tensors(data)],
    }


def runtimes(data: bytes) -> dict[str, Any]:
    """The runtimes that a registry uses."""
    items = as_list(as_object(parse_json(data), "", required=("runtimes",))["runtimes"], "runtimes")
    found = [Runtime.from_dict(item, f"runtimes[{i}]") for i, item in enumerate(items)]
    return {"runtimes": [one.to_dict() for one in found]}


def trace(data: bytes) -> dict[str, Any]:
    """A trace: what every node of one run gave, by its digest."""
    found = parse_trace(data)
    return {
        "trace_digest": found.digest,
        "graph": found.graph,
        "input": found.input,
        "runtime": found.runtime,
        "inputs": [value.to_dict() for value in found.inputs],
        "nodes": {step.place: [value.to_dict() for value in step.outputs] for step in found.nodes},
        "outputs": [value.to_dict() for value in found.outputs],
    }


def capsule(data: bytes) -> dict[str, Any]:
    """A fault capsule: one node, its inputs, and what two runs claim that it gave."""
    found = Capsule.parse(data)
    return {
        "node": found.subject.place,
        "graph": found.subject.graph,
        "input": found.subject.input,
        "runtime": found.runtime,
        "inputs": [as_json(tensor) for tensor in found.inputs],
        "claims": [
            {
                "label": claim.label,
                "trace": claim.trace,
                "outputs": [value.to_dict() for value in claim.outputs],
                "tensors": [as_json(tensor) for tensor in claim.tensors],
            }
            for claim in found.claims
        ],
    }


# ------------------------------------------------------------------ ONNX


def onnx(data: bytes) -> dict[str, Any]:
    """An ONNX file, taken apart as strictly as a trace does it; nothing in it is run."""
    found = parse_model(data)
    given = {name: field for name, field in found.inputs.items() if name not in found.initializers}
    operators = Counter(
        f"{node.domain}.{node.op_type}".lstrip(".") for node in found.nodes
    ).most_common()
    return {
        "sha256": sha256_hex(data),
        "bytes": len(data),
        "ir_version": next((f.value for f in found.fields if f.number == _IR_VERSION), None),
        "producer": " ".join(
            one_text(found.fields, number) for number in (_PRODUCER, _PRODUCER_VERSION)
        ).strip()
        or None,
        "opsets": dict(_opsets(found.fields)),
        "graph": one_text(found.graph, _GRAPH_NAME) or None,
        "inputs": {name: _type(field) for name, field in given.items()},
        "outputs": {name: _type(field) for name, field in found.outputs.items()},
        "weights": len(found.initializers),
        "nodes": len(found.nodes),
        "operators": dict(operators),
        "external_data": external_locations(data),
    }


def _opsets(message: Iterable[Field]) -> list[tuple[str, int]]:
    found = []
    for field in message:
        if field.number == _OPSET:
            opset = tuple(fields(field.message()))
            version = next((f.value for f in opset if f.number == _OPSET_VERSION), 0)
            found.append((one_text(opset, _OPSET_DOMAIN) or "ai.onnx", version))
    return found


def _type(value: Field) -> str:
    """Return the type of an input or output, as `FP32 [N, 4]`."""
    kinds = _inside(value, _VALUE_TYPE)
    tensor = [item for kind in kinds for item in _inside(kind, _TENSOR_TYPE)]
    if not tensor:
        return "no tensor, or without a type"
    parts = tuple(fields(tensor[0].message()))
    code = next((f.value for f in parts if f.number == _ELEMENT and f.wire == VARINT), 0)
    name = _ELEMENTS[code] if code < len(_ELEMENTS) else f"type {code}"
    shapes = [field for field in parts if field.number == _SHAPE]
    if not shapes:
        return f"{name}, any shape"
    return f"{name} [{', '.join(_dimension(dim) for dim in _inside(shapes[0], _DIM))}]"


def _inside(outer: Field, number: int) -> list[Field]:
    return [field for field in fields(outer.message()) if field.number == number]


def _dimension(dim: Field) -> str:
    values = [f.value for f in _inside(dim, _DIM_VALUE)]
    return str(values[0]) if values else one_text(fields(dim.message()), _DIM_NAME) or "?"
