"""What pages show of an execution: small tensors as lists, the statement as text, command lines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from assay.canonical import parse_json
from assay.dsse import parse_compact
from assay.errors import AssayError
from assay.tensors import DATATYPES, Tensor, decode_tensors
from inference.errors import BadTensorError
from inference.models import Execution, Tensors
from inference.services.request import Declared
from inference.services.values import unpack

MAX_BYTES = 32 * 1024
MAX_EXAMPLE = 4_096
_PRETTY = json.JSONEncoder(indent=2, ensure_ascii=False)


def tensor_view(row: Tensors | None) -> list[dict[str, Any]] | None:
    """Return the tensors of a small set with their values, None when it is too large to show.

    `values` is None for a tensor that has no decimal form (FP16, a NaN).
    """
    if row is None or row.inline is None or row.size > MAX_BYTES:
        return None
    return outputs_view(decode_tensors(bytes(row.inline)))


def outputs_view(tensors: Iterable[Tensor]) -> list[dict[str, Any]]:
    """Return tensors as `tensor_view` does."""
    return [_view(tensor) for tensor in tensors]


def _view(tensor: Tensor) -> dict[str, Any]:
    try:
        values = unpack(tensor)
    except BadTensorError:
        values = None
    return {**tensor.header(), "values": values, "text": _text(values)}


def _text(values: list[Any] | None) -> str:
    return "" if values is None else json.JSONEncoder(ensure_ascii=False).encode(values)


def statement_text(execution: Execution) -> str:
    """Return the signed statement, indented for people; "" where there is none."""
    if not execution.receipt:
        return ""
    try:
        return _PRETTY.encode(parse_json(parse_compact(execution.receipt).payload))
    except AssayError:
        return ""


def example_inputs(inputs: tuple[Declared, ...]) -> str:
    """Return `inputs` of zeros in the protocol's JSON: what a form begins with."""
    return _PRETTY.encode([_example(item) for item in inputs])


def _example(wanted: Declared) -> dict[str, Any]:
    shape = [1 if size < 0 else size for size in wanted.shape or ()]
    count = 1
    for size in shape:
        count *= size
    zero: Any = {"BOOL": False, "BYTES": "", "FP32": 0.0, "FP64": 0.0}.get(wanted.datatype, 0)
    known = wanted.datatype in DATATYPES and count <= MAX_EXAMPLE
    data = [zero] * count if known else []
    return {"name": wanted.name, "datatype": wanted.datatype, "shape": shape, "data": data}
