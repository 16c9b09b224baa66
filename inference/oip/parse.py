"""The JSON of an `infer` request, and the binary tail that belongs to it.

Unknown keys and parameters are ignored; those whose being ignored would change the answer are
refused. `binary_data_size` cuts the tail in the order of `inputs`, and uses it up exactly; an input
has it or `data`, where `"data": null` counts as absent (the stock clients send that for a tensor of
no elements).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from inference.choices import ExecutorKind
from inference.errors import BadRequestError, BadTensorError
from inference.oip.body import Body
from inference.services.plan import executor_kind
from inference.services.request import Declared, Given, raw_input, read_header

MAX_DEPTH = 100
MAX_ID_BYTES = 256
# A string without an end takes all that is left, or looking for its end would be done once for each
# quotation mark in it.
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_MAX_MICROS = 10**12  # eleven days; the server's own limit is far below
_TEXT = json.JSONEncoder(ensure_ascii=False)
_STATEFUL = ("sequence_id", "sequence_start", "sequence_end")
_SHARED = "shared_memory_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An `infer` request as it was written.

    `outputs` is None when all are wanted; `binary` says for each requested output that says so
    itself whether it comes as bytes, `binary_default` for the others. `timeout_s` and `priority`
    are None where the caller left them open.
    """

    id: str
    inputs: tuple[Given, ...]
    outputs: tuple[str, ...] | None
    binary: dict[str, bool]
    binary_default: bool
    timeout_s: float | None = None
    priority: int | None = None
    kind: str = ExecutorKind.PORTABLE
    private: bool = False


def parse_call(body: Body, inputs: Sequence[Declared]) -> Call:
    """Read a request; `inputs` are the model's (a raw request takes its shape from them).

    Raises:
        BadRequestError, BadTensorError: malformed JSON, tensor or parameter.
    """
    if body.json is None:
        return Call(
            id="",
            inputs=(raw_input(inputs, body.tail),),
            outputs=None,
            binary={},
            binary_default=True,
        )
    value = parse_json(body.json)
    if not isinstance(value, dict):
        raise BadRequestError("The request is not a JSON object.")
    parameters = _parameters(value, "the request")
    _refuse_stateful(parameters)
    outputs, binary = _outputs(value)
    return Call(
        id=_request_id(value.get("id", "")),
        inputs=_inputs(value.get("inputs"), body.tail),
        outputs=outputs,
        binary=binary,
        binary_default=_flag(parameters, "binary_data_output", "the request") or False,
        timeout_s=_timeout(parameters),
        priority=_natural(parameters, "priority") or None,
        kind=executor_kind(parameters.get("executor")),
        private=_flag(parameters, "private", "the request") or False,
    )


def parse_json(data: bytes) -> Any:
    """Parse one JSON text of strangers: UTF-8, at most 100 deep, no key twice, numbers only.

    Raises:
        BadRequestError: anything else. The words NaN and Infinity are no JSON numbers; half of a
            surrogate pair is no text, and no answer and no row could repeat it.
    """
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        _check_depth(data)
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
        if _SURROGATE.search(data):
            _TEXT.encode(value).encode("utf-8")
    except UnicodeEncodeError as error:
        words = "The request is not JSON: half of a surrogate pair is no text."
        raise BadRequestError(words) from error
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"The request is not JSON: {error}") from error
    return value


def _check_depth(data: bytes) -> None:
    depth = 0
    for match in _STRUCTURE.finditer(data):
        token = match.group()
        if token in (b"[", b"{"):
            depth += 1
        elif token in (b"]", b"}"):
            depth -= 1
        if depth > MAX_DEPTH:
            raise BadRequestError(f"The request is nested deeper than {MAX_DEPTH}.")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return result


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number: send binary data")


def _request_id(value: object) -> str:
    if not isinstance(value, str):
        raise BadRequestError("The id is not a string.")
    length = len(value.encode("utf-8"))
    if length > MAX_ID_BYTES:
        raise BadRequestError(f"The id has {length} bytes; at most {MAX_ID_BYTES} are taken.")
    return value


def _inputs(value: object, tail: bytes) -> tuple[Given, ...]:
    if not isinstance(value, list):
        raise BadRequestError("The request has no array of inputs.")
    given, offset = [], 0
    for index, item in enumerate(value):
        header = read_header(item, index)
        size, data = _where(header.name, item)
        if size is None:
            given.append(replace(header, data=data))
            continue
        if size > len(tail) - offset:
            raise BadTensorError(
                f"Input '{header.name}' has {size} bytes by its binary_data_size, and "
                f"{len(tail) - offset} are left after the JSON.",
                tensor=header.name,
            )
        given.append(replace(header, data=tail[offset : offset + size]))
        offset += size
    if offset != len(tail):
        raise BadRequestError(f"{len(tail) - offset} bytes after the JSON belong to no input.")
    return tuple(given)


def _where(name: str, item: dict[str, Any]) -> tuple[int | None, list[Any]]:
    """Return the size in the tail, or None and the JSON array."""
    parameters = _parameters(item, f"input '{name}'")
    _refuse_shared(parameters, f"input '{name}'")
    size, data = parameters.get("binary_data_size"), item.get("data")
    if size is not None and (type(size) is not int or size < 0):
        raise BadTensorError(f"The binary_data_size of input '{name}' is no size.", tensor=name)
    if size is not None and data is not None:
        raise BadTensorError(
            f"Input '{name}' has both data and binary_data_size: send one of them.", tensor=name
        )
    if size is None and not isinstance(data, list):
        raise BadTensorError(
            f"Input '{name}' has neither a data array nor a binary_data_size.", tensor=name
        )
    return size, data if isinstance(data, list) else []


def _outputs(value: dict[str, Any]) -> tuple[tuple[str, ...] | None, dict[str, bool]]:
    items = value.get("outputs")
    if items is None:
        return None, {}
    if not isinstance(items, list):
        raise BadRequestError("outputs is not an array.")
    names: list[str] = []
    binary: dict[str, bool] = {}
    for index, item in enumerate(items):
        if not isinstance(item, dict) or not isinstance(item.get("name"), str):
            raise BadRequestError(f"outputs[{index}] is not an object with a name.")
        name = item["name"]
        parameters = _parameters(item, f"output '{name}'")
        _refuse_shared(parameters, f"output '{name}'")
        if parameters.get("classification"):
            raise BadRequestError(f"Output '{name}': classification is not offered.")
        flag = _flag(parameters, "binary_data", f"output '{name}'")
        if flag is not None:
            binary[name] = flag
        names.append(name)
    return (tuple(names) or None), binary


def _parameters(value: dict[str, Any], what: str) -> dict[str, Any]:
    parameters = value.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise BadRequestError(f"The parameters of {what} are not an object.")
    return parameters


def _flag(parameters: dict[str, Any], key: str, what: str) -> bool | None:
    value = parameters.get(key)
    if value is not None and not isinstance(value, bool):
        raise BadRequestError(f"The parameter {key} of {what} is neither true nor false.")
    return value


def _natural(parameters: dict[str, Any], key: str) -> int:
    value = parameters.get(key)
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise BadRequestError(f"The parameter {key} is not a non-negative integer.")
    return value


def _timeout(parameters: dict[str, Any]) -> float | None:
    micros = _natural(parameters, "timeout")
    return min(micros, _MAX_MICROS) / 1e6 if micros else None


def _refuse_stateful(parameters: dict[str, Any]) -> None:
    for key in _STATEFUL:
        if parameters.get(key):
            raise BadRequestError(f"The parameter {key} is for stateful models; none is here.")


def _refuse_shared(parameters: dict[str, Any], what: str) -> None:
    for key in parameters:
        if key.startswith(_SHARED):
            raise BadRequestError(f"The parameter {key} of {what}: shared memory is not offered.")
