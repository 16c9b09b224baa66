"""Step 8: external data: plain files of the same revision, no overlap, nothing hidden."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from assay.errors import FormatError
from assay.manifest import check_path
from inference.executor.inspect import constants as c
from inference.executor.inspect.findings import RejectedError
from inference.executor.inspect.payload import EXTERNAL, TYPES, size_of
from inference.executor.inspect.wire import Message

_KEYS = {"location", "offset", "length", "checksum"}
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The bytes of one tensor in one file: [start, end)."""

    path: str
    start: int
    end: int
    place: str


def check_external(tensors: list[Message], graph: str, files: Mapping[str, int]) -> list[str]:
    """Check the external data of `tensors` and return the files that hold it, sorted.

    `graph` is the path of the graph in its revision, `files` the sizes of the revision's files in
    bytes by path. Paths in a model are relative to the folder of the graph.

    Raises:
        RejectedError: external.
    """
    spans = []
    for tensor in tensors:
        if tensor.number("data_location") == EXTERNAL:
            spans.append(_span(tensor, PurePosixPath(graph).parent, files))
        elif tensor.list("external_data"):
            raise _wrong(tensor.place, "external data of a tensor that has its data inside")
    spans.sort()
    names = sorted({span.path for span in spans})
    for name in names:
        _check_gaps([span for span in spans if span.path == name], files[name])
    return names


def _span(tensor: Message, folder: PurePosixPath, files: Mapping[str, int]) -> Span:
    place = tensor.place
    entries: dict[str, str] = {}
    for entry in tensor.list("external_data"):
        key = entry.text("key")
        if key not in _KEYS or key in entries:
            raise _wrong(place, f"keys are {', '.join(sorted(_KEYS))}, each once")
        entries[key] = entry.text("value")
    location = entries.get("location", "")
    try:
        check_path(location)
    except FormatError as error:
        raise _wrong(place, f"the location is no plain relative path: {error}") from error
    path = str(folder / location)
    if path not in files:
        raise _wrong(place, f"the revision has no file {path[:200]}")
    kind = TYPES.get(tensor.number("data_type"))
    if kind is not None and kind.name == "BYTES":
        raise _wrong(place, "strings cannot be external")
    wanted = size_of(tensor)
    start = _decimal(place, entries.get("offset", "0"))
    length = _decimal(place, entries.get("length", str(files[path] - start if start else wanted)))
    if length != wanted or start + length > files[path]:
        raise _wrong(place, f"{wanted} bytes from {start} are not what the file has")
    return Span(path, start, start + length, place)


def _check_gaps(spans: list[Span], size: int) -> None:
    """Nothing may overlap, and no large part of the file may belong to nobody."""
    end = 0
    for span in spans:
        if span.start < end:
            raise _wrong(span.place, "two tensors share bytes of the file")
        if span.start - end > c.MAX_EXTERNAL_GAP:
            raise _wrong(span.place, f"a gap of more than {c.MAX_EXTERNAL_GAP} bytes before it")
        end = span.end
    if size - end > c.MAX_EXTERNAL_GAP:
        raise _wrong(spans[-1].place, f"more than {c.MAX_EXTERNAL_GAP} bytes after the last tensor")


def _decimal(place: str, text: str) -> int:
    if _DECIMAL.fullmatch(text) is None:
        raise _wrong(place, "offset and length are plain decimals")
    return int(text)


def _wrong(place: str, remedy: str) -> RejectedError:
    return RejectedError("external", place, remedy)
