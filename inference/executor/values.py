"""Names, datatypes and shapes as they travel in headers, read like a stranger's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from assay.canonical import as_list, as_object, as_text
from assay.errors import FormatError
from assay.limits import LIMITS
from assay.tensors import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """An input or output of a graph: -1 in `shape` is a free dimension.

    `datatype` is an Open Inference Protocol name; None for what is no tensor (a sequence, a map),
    another word for a tensor that the portable runtime cannot take or give.
    """

    name: str
    datatype: str | None
    shape: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


def parse_values(value: object, path: str) -> tuple[Value, ...]:
    """Read a model process's list of inputs or outputs.

    Raises:
        FormatError: not that.
    """
    result = []
    for index, item in enumerate(as_list(value, path)):
        where = f"{path}[{index}]"
        fields = as_object(item, where, required=("name", "datatype", "shape"))
        datatype = fields["datatype"]
        result.append(
            Value(
                name=as_text(fields["name"], f"{where}.name"),
                datatype=None if datatype is None else as_text(datatype, f"{where}.datatype"),
                shape=_shape(fields["shape"], f"{where}.shape", lowest=-1),
            )
        )
    return tuple(result)


def model_key(sha256: str, files: Sequence[tuple[str, str]]) -> str:
    """Return the name of what gets loaded: the graph's digest, and its external files' if any."""
    return ":".join([sha256, *(f"{name}={digest}" for name, digest in files)])


def beside(
    graph: str, external: Sequence[str], digests: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Return the external files as the graph names them, with their SHA-256.

    `graph` is the graph's path in its revision, `external` are those of files beside it.

    Raises:
        KeyError, ValueError: one is no file of the revision, or not beside the graph.
    """
    folder = PurePosixPath(graph).parent
    names = sorted(map(str, external))
    return tuple((str(PurePosixPath(name).relative_to(folder)), digests[name]) for name in names)


def parse_tensors(value: object, tail: bytes, path: str) -> list[Tensor]:
    """Cut `tail` into the tensors that the list of headers `value` describes, in that order.

    Each header is `{"name", "datatype", "shape", "size"}`, `size` in bytes. Whether the bytes fit
    datatype and shape is for `check_tensor`.

    Raises:
        FormatError: not that form, too many, or the sizes are not the tail's.
    """
    items = as_list(value, path)
    if len(items) > LIMITS.tensors:
        raise FormatError(f"more than {LIMITS.tensors} tensors", path)
    tensors = []
    offset = 0
    for index, item in enumerate(items):
        where = f"{path}[{index}]"
        fields = as_object(item, where, required=("name", "datatype", "shape", "size"))
        size = _integer(fields["size"], f"{where}.size", 0)
        if offset + size > len(tail):
            raise FormatError("more bytes than were sent", where)
        tensors.append(
            Tensor(
                name=as_text(fields["name"], f"{where}.name"),
                datatype=as_text(fields["datatype"], f"{where}.datatype"),
                shape=_shape(fields["shape"], f"{where}.shape", lowest=0),
                data=tail[offset : offset + size],
            )
        )
        offset += size
    if offset != len(tail):
        raise FormatError(f"{len(tail) - offset} bytes belong to no tensor", path)
    return tensors


def _shape(value: object, path: str, *, lowest: int) -> tuple[int, ...]:
    return tuple(_integer(item, path, lowest) for item in as_list(value, path))


def _integer(value: object, path: str, lowest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
        raise FormatError("is no number of elements or bytes", path)
    return value
