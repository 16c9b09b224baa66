r"""`assay-tensors-v1`: one byte string, and so one digest, for one set of named tensors.

    assay-tensors-v1\n
    {"tensors":[{"datatype":"FP32","name":"x","shape":[1,2]}]}\n
    <bytes of each tensor, in that order>

The header is RFC 8785 JSON with the tensors sorted by name (code points). The bytes are the binary
representation of the Open Inference Protocol: little-endian, row-major, BOOL one byte, each element
of BYTES a 4-byte little-endian length and the element. Every NaN is written as the quiet NaN of its
type, because the bits of a NaN are the one thing that WebAssembly leaves open.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from assay.canonical import as_list, as_object, as_text, canonical_json, parse_json
from assay.digests import parse_hex, sha256_hex
from assay.errors import FormatError, MisuseError
from assay.limits import LIMITS

MAGIC = b"assay-tensors-v1\n"
COMMITMENT_MAGIC = b"assay-commitment-v1\n"
SALT_BYTES = 32

DATATYPES: dict[str, int | None] = {
    "BOOL": 1,
    "INT8": 1,
    "INT16": 2,
    "INT32": 4,
    "INT64": 8,
    "UINT8": 1,
    "UINT16": 2,
    "UINT32": 4,
    "UINT64": 8,
    "FP16": 2,
    "BF16": 2,
    "FP32": 4,
    "FP64": 8,
    "BYTES": None,
}
# The codes of `struct` and `array`, for the datatypes that Python can read.
CODES = {
    "BOOL": "?",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}

# The exponent bits, the mantissa bits, the quiet NaN; turned to little-endian.
_NANS = {
    datatype: tuple(bytes.fromhex(text)[::-1] for text in patterns)
    for datatype, patterns in {
        "FP16": ("7c00", "03ff", "7e00"),
        "BF16": ("7f80", "007f", "7fc0"),
        "FP32": ("7f800000", "007fffff", "7fc00000"),
        "FP64": ("7ff0000000000000", "000fffffffffffff", "7ff8000000000000"),
    }.items()
}
_FEW, _SHORT = 16, 256  # tensors, letters of a name: what is remembered stays small
_NAN_CHUNK = 2**20  # elements that are looked at together; bounds the memory of the masks


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A named tensor: `data` holds the product of `shape` elements, little-endian, row-major."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: bytes

    @property
    def elements(self) -> int:
        """The number of elements; 1 for a scalar, whose shape is ()."""
        return math.prod(self.shape)

    def header(self) -> dict[str, Any]:
        """Return the tensor's item of the JSON header."""
        return {"datatype": self.datatype, "name": self.name, "shape": list(self.shape)}


def encode_tensors(tensors: Iterable[Tensor]) -> bytes:
    """Return the bytes of `tensors`, in any order; NaNs are made canonical on the way.

    Raises:
        FormatError: a tensor that `check_tensor` refuses, a name twice, too many tensors.
    """
    ordered = sorted(tensors, key=lambda tensor: tensor.name)
    _check_names(ordered)
    for tensor in ordered:
        check_tensor(tensor)
    described = tuple((tensor.datatype, tensor.name, tuple(tensor.shape)) for tensor in ordered)
    short = len(described) <= _FEW and all(len(name) <= _SHORT for _, name, _ in described)
    header = (_header if short else _header.__wrapped__)(described)
    parts = [MAGIC, header, b"\n", *(canonical_nan(tensor).data for tensor in ordered)]
    return b"".join(parts)


@lru_cache(maxsize=256)
def _header(described: tuple[tuple[str, str, tuple[int, ...]], ...]) -> bytes:
    """Return the header line: one model's tensors have the same again and again."""
    items = [
        {"datatype": datatype, "name": name, "shape": list(shape)}
        for datatype, name, shape in described
    ]
    return canonical_json({"tensors": items})


def tensor_digest(tensors: Iterable[Tensor]) -> str:
    """Return the hex SHA-256 of `encode_tensors(tensors)`: the tensor digest of the set."""
    return sha256_hex(encode_tensors(tensors))


def decode_tensors(data: bytes) -> list[Tensor]:
    """Return the tensors in `data`, sorted by name.

    Raises:
        FormatError: not the format, a second spelling of the same tensors (order, header, NaN),
            or bytes after the end.
    """
    if not data.startswith(MAGIC):
        raise FormatError("does not start with assay-tensors-v1")
    end = data.find(b"\n", len(MAGIC))
    if end < 0:
        raise FormatError("the header has no end")
    header = data[len(MAGIC) : end]
    value = parse_json(header, path="header")
    if canonical_json(value) != header:
        raise FormatError("the header is not in RFC 8785 form", "header")
    items = as_list(as_object(value, "header", required=("tensors",))["tensors"], "tensors")
    tensors, offset = [], end + 1
    for index, item in enumerate(items):
        empty = _parse_header(item, f"tensors[{index}]")
        size = _size_in(empty, data, offset)
        tensor = replace(empty, data=data[offset : offset + size])
        offset += size
        check_tensor(tensor)
        if canonical_nan(tensor) is not tensor:
            raise FormatError("holds a NaN that is not the canonical one", tensor.name)
        tensors.append(tensor)
    if offset != len(data):
        raise FormatError(f"{len(data) - offset} bytes after the last tensor")
    _check_names(tensors)
    return tensors


def check_tensor(tensor: Tensor) -> None:
    """Check that the bytes are what name, datatype and shape say.

    Raises:
        FormatError: an unknown datatype, a negative or absurd shape, another number of bytes, a
            BOOL that is neither 0 nor 1, a BYTES element that is not UTF-8 or holds a NUL (the
            runtime cuts a string there, so what ran would not be what was hashed).
    """
    size = _check_type(tensor)
    if size is None:
        decode_bytes(tensor.data, tensor.elements, path=tensor.name)
        return
    expected = tensor.elements * size
    if len(tensor.data) != expected:
        raise FormatError(
            f"{tensor.datatype} {list(tensor.shape)} is {expected} bytes, not {len(tensor.data)}",
            tensor.name,
        )
    if tensor.datatype == "BOOL" and tensor.data.translate(None, b"\x00\x01"):
        raise FormatError("a BOOL is 0 or 1", tensor.name)


def encode_bytes(elements: Iterable[bytes]) -> bytes:
    """Return the data of a BYTES tensor: each element behind its 4-byte little-endian length."""
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def decode_bytes(data: bytes, count: int, *, path: str = "") -> list[bytes]:
    """Return the `count` elements of a BYTES tensor's `data`.

    Raises:
        FormatError: another number of elements, one too long, one that is not UTF-8, or a NUL.
    """
    elements = []
    offset = 0
    for start, end in _bytes_spans(data, 0, count, path):
        element = data[start:end]
        try:
            element.decode("utf-8")
        except UnicodeDecodeError as error:
            raise FormatError("a BYTES element is not UTF-8", path) from error
        if b"\x00" in element:
            raise FormatError("a BYTES element holds a NUL", path)
        elements.append(element)
        offset = end
    if offset != len(data):
        raise FormatError(f"{len(data) - offset} bytes after the last element", path)
    return elements


def canonical_nan(tensor: Tensor) -> Tensor:
    """Return `tensor` with every NaN replaced by the quiet NaN of its type.

    The same object comes back when nothing changes. The work is done on whole byte planes, so it
    costs a few copies of the data, not a Python step for each element.
    """
    if tensor.datatype not in _NANS:
        return tensor
    exponent, mantissa, quiet = _NANS[tensor.datatype]
    step = _NAN_CHUNK * len(quiet)
    view, chunks, changed = memoryview(tensor.data), [], False
    for start in range(0, len(view), step):
        chunk = bytes(view[start : start + step])
        fixed = _fix_nans(chunk, exponent, mantissa, quiet)
        changed = changed or fixed != chunk
        chunks.append(fixed)
    return replace(tensor, data=b"".join(chunks)) if changed else tensor


def commitment(salt: bytes, digest_hex: str) -> str:
    """Return the hex commitment to a tensor digest: what a private execution shows of it.

    Raises:
        MisuseError: the salt is not 32 bytes.
        FormatError: the digest is not 64 hex digits.
    """
    if len(salt) != SALT_BYTES:
        raise MisuseError(f"a salt is {SALT_BYTES} random bytes, not {len(salt)}")
    return sha256_hex(COMMITMENT_MAGIC + salt + parse_hex(digest_hex))


def _fix_nans(chunk: bytes, exponent: bytes, mantissa: bytes, quiet: bytes) -> bytes:
    """Return the little-endian floats of `chunk`, each NaN written as `quiet`.

    A NaN has all exponent bits set and some mantissa bit. Byte plane k holds byte k of every
    element; a mask is a plane of ff (NaN) and 00. Whole planes are combined as one big integer.
    """
    width = len(quiet)
    planes = [chunk[k::width] for k in range(width)]
    mask = -1
    for k in range(width - 1, -1, -1):  # the top byte tells most floats from a NaN
        if exponent[k]:
            mask &= _mask(planes[k], _all_set(exponent[k]))
            if not mask:
                return chunk
    some = 0
    for k in range(width):
        some |= _mask(planes[k], _any_set(mantissa[k]))
    mask &= some
    if not mask:
        return chunk
    count = len(planes[0])
    result = bytearray(len(chunk))
    keep = int.from_bytes(b"\xff" * count, "little") ^ mask
    for k in range(width):
        nan = int.from_bytes(quiet[k : k + 1] * count, "little")
        fixed = (int.from_bytes(planes[k], "little") & keep) | (nan & mask)
        result[k::width] = fixed.to_bytes(count, "little")
    return bytes(result)


def _mask(plane: bytes, table: bytes) -> int:
    return int.from_bytes(plane.translate(table), "little")


@lru_cache(maxsize=256)
def _all_set(bits: int) -> bytes:
    return bytes(0xFF if value & bits == bits else 0 for value in range(256))


@lru_cache(maxsize=256)
def _any_set(bits: int) -> bytes:
    return bytes(0xFF if value & bits else 0 for value in range(256))


def _check_names(ordered: Sequence[Tensor]) -> None:
    if len(ordered) > LIMITS.tensors:
        raise FormatError(f"more than {LIMITS.tensors} tensors")
    for before, after in itertools.pairwise(ordered):
        if before.name == after.name:
            raise FormatError("the name stands twice", after.name)
        if before.name > after.name:
            raise FormatError("the tensors are not sorted by name", after.name)


def _check_type(tensor: Tensor) -> int | None:
    """Check name, datatype and shape; return the bytes of an element, None for BYTES."""
    name = tensor.name
    if not name or len(name.encode("utf-8", "replace")) > LIMITS.tensor_name:
        raise FormatError(f"a name has 1 to {LIMITS.tensor_name} bytes", name[:64])
    if tensor.datatype not in DATATYPES:
        raise FormatError(f"the datatype {tensor.datatype[:64]!r} is unknown", name)
    if len(tensor.shape) > LIMITS.tensor_rank:
        raise FormatError(f"more than {LIMITS.tensor_rank} dimensions", name)
    if any(not 0 <= dimension <= LIMITS.tensor_dim for dimension in tensor.shape):
        raise FormatError("a dimension is negative or too large", name)
    size = DATATYPES[tensor.datatype]
    if tensor.elements * (size or 1) > LIMITS.tensor_bytes:
        raise FormatError(f"more than {LIMITS.tensor_bytes} bytes", name)
    if size is None and tensor.elements > LIMITS.bytes_elements:
        raise FormatError(f"more than {LIMITS.bytes_elements} elements", name)
    return size


def _parse_header(value: object, path: str) -> Tensor:
    fields = as_object(value, path, required=("datatype", "name", "shape"))
    shape = as_list(fields["shape"], f"{path}.shape")
    for dimension in shape:
        if not isinstance(dimension, int) or isinstance(dimension, bool):
            raise FormatError("a dimension is an integer", f"{path}.shape")
    return Tensor(
        name=as_text(fields["name"], f"{path}.name"),
        datatype=as_text(fields["datatype"], f"{path}.datatype"),
        shape=tuple(shape),
        data=b"",
    )


def _size_in(tensor: Tensor, data: bytes, offset: int) -> int:
    """Return how many bytes of `data` from `offset` belong to `tensor`."""
    size = _check_type(tensor)
    if size is not None:
        return tensor.elements * size
    end = offset
    for _, element_end in _bytes_spans(data, offset, tensor.elements, tensor.name):
        end = element_end
    return end - offset


def _bytes_spans(data: bytes, offset: int, count: int, path: str) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of `count` length-prefixed elements."""
    for _ in range(count):
        if offset + 4 > len(data):
            raise FormatError("BYTES data ends inside an element", path)
        (length,) = struct.unpack_from("<I", data, offset)
        start = offset + 4
        offset = start + length
        if length > LIMITS.bytes_element:
            raise FormatError(f"a BYTES element is longer than {LIMITS.bytes_element} bytes", path)
        if offset > len(data):
            raise FormatError("BYTES data ends inside an element", path)
        yield start, offset
