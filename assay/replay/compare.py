"""Where two sets of tensors differ, in words for people; the verdict needs only the digests."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from assay.tensors import CODES, DATATYPES, Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One output that differs, and how."""

    name: str
    detail: str


def differences(claimed: Sequence[Tensor], replayed: Sequence[Tensor]) -> Iterator[Difference]:
    """Yield what differs between two sets, in the order of the claimed one."""
    found = {tensor.name: tensor for tensor in replayed}
    for tensor in claimed:
        other = found.pop(tensor.name, None)
        if other is None:
            yield Difference(name=tensor.name, detail="the replay has no such output")
        elif (detail := _difference(tensor, other)) is not None:
            yield Difference(name=tensor.name, detail=detail)
    for name in found:
        yield Difference(name=name, detail="the receipt has no such output")


def _difference(claimed: Tensor, replayed: Tensor) -> str | None:
    kinds = [f"{item.datatype} {list(item.shape)}" for item in (claimed, replayed)]
    if kinds[0] != kinds[1]:
        return f"claimed {kinds[0]}, replayed {kinds[1]}"
    if claimed.data == replayed.data:
        return None
    size = DATATYPES[claimed.datatype]
    if size is None:
        return "other strings"
    first, count = -1, 0
    for index in range(claimed.elements):
        place = slice(index * size, (index + 1) * size)
        if claimed.data[place] != replayed.data[place]:
            first, count = (index if first < 0 else first), count + 1
    values = [_value(item, first, size) for item in (claimed, replayed)]
    return (
        f"{count} of {claimed.elements} elements differ, the first at {first}: "
        f"claimed {values[0]}, replayed {values[1]}"
    )


def _value(tensor: Tensor, index: int, size: int) -> str:
    data = tensor.data[index * size : (index + 1) * size]
    code = CODES.get(tensor.datatype)
    if code is None:
        return data[::-1].hex()
    (value,) = struct.unpack(f"<{code}", data)
    return f"{value!r} ({data[::-1].hex()})"
