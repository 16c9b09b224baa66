"""What pages show of an execution: small tensors as lists, the statement as text, command lines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from assay.canonical import parse_json
from assay.dsse import parse_compact
from assay.errors import AssayError
from assay.receipt import execution_of
from assay.statements import parse_statement
from assay.tensors import DATATYPES, Tensor, decode_tensors
from inference.errors import BadTensorError
from inference.models import Execution, Tensors
from inference.selectors import may_see_tensors, stopped, tensor_bytes
from inference.services.request import Declared, Given
from inference.services.values import unpack
from registry.rights import Caller

MAX_BYTES = 32 * 1024
MAX_EXAMPLE = 4_096
MAX_LABELS = 12
_PRETTY = json.JSONEncoder(indent=2, ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetView:
    """What a page shows of a tensor set, and of its name: a digest, or a commitment.

    `state` is shown, large, private, stopped or dropped; `tensors` are there when it is shown.
    """

    state: str
    label: str
    sha256: str
    salt: str = ""
    tensors: list[dict[str, Any]] = field(default_factory=list)


def set_views(execution: Execution, user: Caller) -> dict[str, SetView]:
    """Return what `user` is shown of `input` and `output`; `output` only when there is one."""
    rows = {"input": execution.input, "output": execution.output}
    signed = _signed_sets(execution)
    return {
        which: _set_view(execution, row, signed.get(which, ""), which, user)
        for which, row in rows.items()
        if row is not None
    }


def _signed_sets(execution: Execution) -> dict[str, str]:
    if not execution.receipt:
        return {}
    signed = execution_of(parse_statement(parse_compact(execution.receipt).payload))
    return {"input": signed.input.sha256, "output": signed.output.sha256}


def _set_view(execution: Execution, row: Tensors, signed: str, which: str, user: Caller) -> SetView:
    label = "commitment" if execution.private else "tensor digest"
    sha256 = signed if execution.private else row.sha256
    if stopped(execution) is not None:
        return SetView(state="stopped", label=label, sha256=sha256)
    if not may_see_tensors(execution, user):
        return SetView(state="private", label=label, sha256=sha256)
    salt = (execution.salts or {}).get(which, "")
    if execution.dropped_at is not None or row.dropped_at is not None:
        return SetView(state="dropped", label=label, sha256=sha256, salt=salt)
    if row.inline is None or row.size > MAX_BYTES:
        return SetView(state="large", label=label, sha256=sha256, salt=salt)
    tensors = outputs_view(decode_tensors(tensor_bytes(row)))
    return SetView(state="shown", label=label, sha256=sha256, salt=salt, tensors=tensors)


def outputs_view(tensors: Iterable[Tensor]) -> list[dict[str, Any]]:
    """Return tensors with their values; None for one without a decimal form (FP16, a NaN)."""
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


def example_inputs(inputs: tuple[Declared, ...], declared: Given | None) -> str:
    """Return what a form begins with, in the protocol's JSON: the card's example, else zeros."""
    if declared is not None:
        shown = asdict(declared) if len(declared.data) <= MAX_EXAMPLE else _example(inputs[0])
        return _PRETTY.encode([shown])
    return _PRETTY.encode([_example(item) for item in inputs])


def answer_words(card: dict[str, Any]) -> str:
    """Return what a card says that comes out: a label, or a number; "" where it is silent."""
    assay = card.get("assay")
    if not isinstance(assay, dict):
        return ""
    labels, output = assay.get("labels"), assay.get("output")
    if isinstance(labels, list) and labels:
        if len(labels) > MAX_LABELS:
            return f"one of {len(labels):,} labels"
        return f"one of: {', '.join(map(str, labels))}"
    unit = output.get("unit") if isinstance(output, dict) else None
    return f"a number: {unit}" if isinstance(unit, str) and unit else ""


def _example(wanted: Declared) -> dict[str, Any]:
    shape = [1 if size < 0 else size for size in wanted.shape or ()]
    count = 1
    for size in shape:
        count *= size
    zero: Any = {"BOOL": False, "BYTES": "", "FP32": 0.0, "FP64": 0.0}.get(wanted.datatype, 0)
    known = wanted.datatype in DATATYPES and count <= MAX_EXAMPLE
    data = [zero] * count if known else []
    return {"name": wanted.name, "datatype": wanted.datatype, "shape": shape, "data": data}
