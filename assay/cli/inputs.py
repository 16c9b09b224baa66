"""The inputs of a run, out of the files that people have.

- a file of tensors (`assay-tensors-v1`), such as an earlier run's: all inputs;
- JSON, `-` reads it from standard input: `{"inputs": […]}` of the Open Inference Protocol, or
  `{"<name>": <values>, …}`, where datatypes are the model's and a nested list has its own shape; a
  flat list takes the model's shape, if that leaves at most one dimension open;
- `<name>=<file>.npy`, an array as NumPy saves it; the name may be left out for a model with one
  input.

Values are read by their exact type, as the server does: no 1.5 for an integer, no null for a
number. What is made here are the bytes that get hashed, so that the receipt can be compared.
"""

from __future__ import annotations

import ast
import math
import struct
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assay.canonical import as_list, as_object, as_text, parse_json
from assay.cli.files import read_file
from assay.errors import FormatError, MisuseError
from assay.limits import LIMITS
from assay.tensors import CODES, DATATYPES, MAGIC, Tensor, decode_tensors, encode_bytes

MAX_JSON = 64 * 2**20
_NPY = b"\x93NUMPY"
_NPY_TYPES = {
    **dict(zip(("|b1", "|i1", "|u1"), ("BOOL", "INT8", "UINT8"), strict=True)),
    **{f"<f{size}": f"FP{size * 8}" for size in (2, 4, 8)},
    **{f"<i{size}": f"INT{size * 8}" for size in (2, 4, 8)},
    **{f"<u{size}": f"UINT{size * 8}" for size in (2, 4, 8)},
}
_NPY_HEADER = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """An input that a model takes; -1 in `shape` is a dimension that the caller chooses."""

    name: str
    datatype: str
    shape: tuple[int, ...]


# Asks for the inputs of the model; only some forms need them.
Ports = Callable[[], Sequence[Port]]


def read_inputs(given: Iterable[str], ports: Ports) -> list[Tensor]:
    """Return the tensors in what was given as `--input`, in any of the forms above.

    Raises:
        MisuseError: nothing, a name that the model does not have, or none where it is needed.
        FormatError: not one of the forms, or values of another type.
        UnavailableError: a file cannot be read.
    """
    tensors = [tensor for item in given for tensor in _read(item, ports)]
    if not tensors and ports():
        raise MisuseError("give the inputs: --input FILE, as often as needed; - reads JSON")
    return tensors


def _read(item: str, ports: Ports) -> list[Tensor]:
    if item == "-":
        return _from_json(sys.stdin.buffer.read(MAX_JSON + 1), ports)
    name, sign, path = item.partition("=")
    if sign and not Path(item).exists():
        data = read_file(Path(path), LIMITS.tensor_bytes)
        if not data.startswith(_NPY):
            raise MisuseError(f"{path} is no array of NumPy, which is what takes a name")
        return [parse_npy(data, name)]
    data = read_file(Path(item), LIMITS.tensor_bytes)
    if data.startswith(MAGIC):
        return decode_tensors(data)
    if data.startswith(_NPY):
        return [parse_npy(data, _only(ports(), item).name)]
    return _from_json(data, ports)


def _only(ports: Sequence[Port], item: str) -> Port:
    if len(ports) != 1:
        names = ", ".join(port.name for port in ports)
        raise MisuseError(f"say which input {item} is, as NAME={item}: the model takes {names}")
    return ports[0]


# ------------------------------------------------------------------ JSON


def _from_json(data: bytes, ports: Ports) -> list[Tensor]:
    value = parse_json(data, max_bytes=MAX_JSON, path="input")
    if not isinstance(value, dict):
        raise FormatError("is neither {'inputs': […]} nor {name: values}", "input")
    items = value.get("inputs")
    if isinstance(items, list) and items and all(isinstance(item, dict) for item in items):
        return [_protocol_tensor(item, f"inputs[{i}]") for i, item in enumerate(items)]
    known = {port.name: port for port in ports()}
    for name in value:
        if name not in known:
            raise MisuseError(f"the model takes {', '.join(known)}, and no {name!r}")
    return [_named_tensor(known[name], values) for name, values in value.items()]


def _protocol_tensor(value: object, path: str) -> Tensor:
    extra = tuple(value) if isinstance(value, dict) else ()
    fields = as_object(value, path, required=("name", "datatype", "shape", "data"), optional=extra)
    shape = tuple(as_list(fields["shape"], f"{path}.shape"))
    if any(not isinstance(item, int) or isinstance(item, bool) or item < 0 for item in shape):
        raise FormatError("is no list of whole numbers", f"{path}.shape")
    name = as_text(fields["name"], f"{path}.name")
    datatype = as_text(fields["datatype"], f"{path}.datatype")
    own, flat = _flatten(fields["data"], name)
    if own not in (shape, (len(flat),)) or math.prod(shape) != len(flat):
        raise FormatError(f"the data has the shape {list(own)}, not {list(shape)}", name)
    return _packed(name, datatype, shape, flat)


def _named_tensor(port: Port, values: object) -> Tensor:
    own, flat = _flatten(values, port.name)
    if len(own) != len(port.shape) and len(own) < 2:
        own = _fitted(port, len(flat))
    return _packed(port.name, port.datatype, own, flat)


def _fitted(port: Port, count: int) -> tuple[int, ...]:
    """Return the model's shape for `count` elements; its one open dimension follows from them."""
    fixed = math.prod(item for item in port.shape if item >= 0)
    open_ones = sum(item < 0 for item in port.shape)
    if open_ones == 0 and fixed == count:
        return port.shape
    if open_ones == 1 and fixed and count % fixed == 0:
        return tuple(count // fixed if item < 0 else item for item in port.shape)
    raise FormatError(f"{count} values do not fill {list(port.shape)}: nest the lists", port.name)


def _flatten(value: object, name: str) -> tuple[tuple[int, ...], list[object]]:
    """Return the shape of nested lists and their elements in order."""
    shape: list[int] = []
    level = [value]
    while level and all(isinstance(item, list) for item in level):
        lists: list[list[object]] = [item for item in level if isinstance(item, list)]
        if len(shape) == LIMITS.tensor_rank or len({len(item) for item in lists}) != 1:
            raise FormatError("the lists are nested too deep, or of different lengths", name)
        shape.append(len(lists[0]))
        level = [element for item in lists for element in item]
    if any(isinstance(item, list) for item in level):
        raise FormatError("the lists are of different depths", name)
    return tuple(shape), level


def _packed(name: str, datatype: str, shape: tuple[int, ...], flat: list[object]) -> Tensor:
    if datatype not in DATATYPES:
        raise FormatError(f"the datatype {datatype[:64]!r} is unknown", name)
    if datatype not in CODES and datatype != "BYTES":
        raise FormatError(f"JSON carries no {datatype}: give a file of tensors", name)
    for place, item in enumerate(flat):
        if not _is_of(item, datatype):
            raise FormatError(f"element {place} is no {datatype}", name)
    try:
        data = _bytes_of(datatype, flat)
    except (struct.error, OverflowError) as error:
        raise FormatError(f"a value is out of the range of {datatype}: {error}", name) from error
    return Tensor(name=name, datatype=datatype, shape=shape, data=data)


def _is_of(item: object, datatype: str) -> bool:
    if datatype == "BYTES":
        return isinstance(item, str)
    if datatype == "BOOL":
        return isinstance(item, bool)
    if isinstance(item, bool):
        return False
    return isinstance(item, int | float if datatype.startswith("FP") else int)


def _bytes_of(datatype: str, flat: list[Any]) -> bytes:
    if datatype == "BYTES":
        return encode_bytes(item.encode("utf-8") for item in flat)
    return struct.pack(f"<{len(flat)}{CODES[datatype]}", *flat)


# ------------------------------------------------------------------ NumPy's format


def parse_npy(data: bytes, name: str) -> Tensor:
    """Return the array in `data`, a file of NumPy's format (NEP 1), as a tensor called `name`.

    Raises:
        FormatError: not the format, a type without a name in the protocol, big-endian, in Fortran
            order, or another number of bytes than type and shape say.
    """
    header, start = _npy_header(data, name)
    descr, fortran, shape = (header.get(key) for key in ("descr", "fortran_order", "shape"))
    if not isinstance(shape, tuple) or any(type(item) is not int or item < 0 for item in shape):
        raise FormatError("the array's shape is no tuple of whole numbers", name)
    if not isinstance(descr, str) or descr not in _NPY_TYPES:
        raise FormatError(f"arrays of {str(descr)[:32]!r} are not taken: use another dtype", name)
    if fortran is not False and len(shape) > 1:
        raise FormatError("the array is in Fortran order: numpy.ascontiguousarray mends it", name)
    tensor = Tensor(name=name, datatype=_NPY_TYPES[descr], shape=shape, data=data[start:])
    if tensor.elements * (DATATYPES[tensor.datatype] or 1) != len(tensor.data):
        raise FormatError("the file ends too early, or goes on after the array", name)
    return tensor


def _npy_header(data: bytes, name: str) -> tuple[dict[str, object], int]:
    width = 2 if data[6:7] == b"\x01" else 4
    start = 8 + width
    end = start + int.from_bytes(data[8:start], "little")
    if data[6:7] not in (b"\x01", b"\x02", b"\x03") or end > min(len(data), _NPY_HEADER):
        raise FormatError("the file is no array of NumPy", name)
    try:
        header = ast.literal_eval(data[start:end].decode("utf-8").strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise FormatError("the array's header is no literal", name) from error
    if not isinstance(header, dict):
        raise FormatError("the array's header is no dictionary", name)
    return header, end


def ports_of(value: object) -> list[Port]:
    """Return the inputs in a model's metadata.

    Raises:
        FormatError: not its form.
    """
    extra = tuple(value) if isinstance(value, dict) else ()
    whole = as_object(value, "metadata", required=("inputs",), optional=extra)
    ports = []
    for index, item in enumerate(as_list(whole["inputs"], "metadata.inputs")):
        path = f"metadata.inputs[{index}]"
        more = tuple(item) if isinstance(item, dict) else ()
        fields = as_object(item, path, required=("name", "datatype", "shape"), optional=more)
        shape = as_list(fields["shape"], f"{path}.shape")
        if any(not isinstance(dim, int) or isinstance(dim, bool) for dim in shape):
            raise FormatError("is no shape", f"{path}.shape")
        port = Port(
            name=as_text(fields["name"], f"{path}.name"),
            datatype=as_text(fields["datatype"], f"{path}.datatype"),
            shape=tuple(shape),
        )
        ports.append(port)
    return ports
