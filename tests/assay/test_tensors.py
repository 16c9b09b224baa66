"""One byte string for one set of tensors, whoever wrote it down."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from assay import tensors as codec
from assay.digests import sha256_hex
from assay.errors import FormatError, MisuseError
from assay.limits import LIMITS
from assay.tensors import (
    DATATYPES,
    Tensor,
    canonical_nan,
    check_tensor,
    commitment,
    decode_bytes,
    decode_tensors,
    encode_bytes,
    encode_tensors,
    tensor_digest,
)

X = Tensor(name="x", datatype="FP32", shape=(1, 2), data=struct.pack("<2f", 1, 2))
WORDS = Tensor(name="b", datatype="BYTES", shape=(2,), data=encode_bytes([b"one", b""]))


def test_the_format_is_what_the_page_shows() -> None:
    data = encode_tensors([X, WORDS])
    assert data == (
        b'assay-tensors-v1\n{"tensors":[{"datatype":"BYTES","name":"b","shape":[2]},'
        b'{"datatype":"FP32","name":"x","shape":[1,2]}]}\n'
        b"\x03\x00\x00\x00one\x00\x00\x00\x00"
        b"\x00\x00\x80\x3f\x00\x00\x00\x40"
    )
    assert decode_tensors(data) == [WORDS, X]
    assert tensor_digest([X, WORDS]) == sha256_hex(data)


def test_no_tensors_and_scalars_are_fine() -> None:
    assert decode_tensors(encode_tensors([])) == []
    scalar = Tensor(name="s", datatype="INT8", shape=(), data=b"\x01")
    empty = Tensor(name="e", datatype="FP64", shape=(3, 0), data=b"")
    assert decode_tensors(encode_tensors([scalar, empty])) == [empty, scalar]


@pytest.mark.parametrize(
    "lie",
    [
        replace(X, data=X.data + b"\x00"),
        replace(X, datatype="FP8"),
        replace(X, shape=(-1, 2)),
        replace(X, shape=(LIMITS.tensor_dim + 1, 0)),
        replace(X, shape=(1,) * (LIMITS.tensor_rank + 1)),
        replace(X, shape=(2**30, 2)),
        replace(X, name=""),
        replace(X, name="x" * (LIMITS.tensor_name + 1)),
        Tensor(name="t", datatype="BOOL", shape=(2,), data=b"\x01\x02"),
        replace(WORDS, shape=(1,)),
        replace(WORDS, shape=(3,)),
        replace(WORDS, data=WORDS.data[:-1]),
        replace(WORDS, shape=(1,), data=struct.pack("<I", 3) + b"ab"),
        replace(WORDS, shape=(1,), data=struct.pack("<I", LIMITS.bytes_element + 1)),
        replace(WORDS, shape=(1,), data=encode_bytes([b"\xff"])),
        replace(WORDS, shape=(1,), data=encode_bytes([b"a\x00b"])),
        replace(WORDS, shape=(LIMITS.bytes_elements + 1,)),
    ],
)
def test_a_tensor_that_is_not_what_it_says(lie: Tensor) -> None:
    with pytest.raises(FormatError):
        check_tensor(lie)
    with pytest.raises(FormatError):
        encode_tensors([lie])


def test_a_name_stands_once_and_sets_are_bounded() -> None:
    with pytest.raises(FormatError, match="twice"):
        encode_tensors([X, X])
    many = [replace(X, name=f"x{number}") for number in range(LIMITS.tensors + 1)]
    with pytest.raises(FormatError, match="more than"):
        encode_tensors(many)


def written(tensors: list[Tensor], **header: object) -> bytes:
    value = {"tensors": [tensor.header() for tensor in tensors]} | header
    text = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    return codec.MAGIC + text + b"\n" + b"".join(tensor.data for tensor in tensors)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        codec.MAGIC.replace(b"v1", b"v2") + b"{}\n",
        codec.MAGIC + b'{"tensors":[]}',
        codec.MAGIC + b'{"tensors": []}\n',
        codec.MAGIC + b'{"tensors":[]}\n\x00',
        written([X], note=1),
        written([X, WORDS]),
        written([X]) + b"\x00",
        written([X])[:-1],
        written([WORDS])[:-2],
        written([X]).replace(b"[1,2]", b"[true,2]"),
        written([X]).replace(b"[1,2]", b"[1,2.5]"),
        written([X]).replace(b"[1,2]", b'"12"'),
        written([replace(X, data=bytes.fromhex("0100c07f0000803f"))]),
    ],
)
def test_mallorys_second_spelling_is_malformed(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode_tensors(data)


NANS = {
    "FP16": ("7c01", "fc01", "7fff", "7e00"),
    "BF16": ("7f81", "ff81", "7fff", "7fc0"),
    "FP32": ("7f800001", "ff800001", "7fffffff", "7fc00000"),
    "FP64": ("7ff0000000000001", "fff0000000000001", "7fffffffffffffff", "7ff8000000000000"),
}
KEPT = {
    "FP16": ("7c00", "fc00", "7bff", "0001", "8000"),
    "BF16": ("7f80", "ff80", "7f7f", "0001", "8000"),
    "FP32": ("7f800000", "ff800000", "7f7fffff", "00000001", "80000000"),
    "FP64": ("7ff0000000000000", "fff0000000000000", "7fefffffffffffff", "8000000000000000"),
}


@pytest.mark.parametrize("datatype", NANS)
def test_every_nan_becomes_the_quiet_one_and_nothing_else_moves(datatype: str) -> None:
    values = [bytes.fromhex(text)[::-1] for text in (*NANS[datatype], *KEPT[datatype])]
    quiet = bytes.fromhex(NANS[datatype][-1])[::-1]
    tensor = Tensor(name="n", datatype=datatype, shape=(len(values),), data=b"".join(values))
    fixed = canonical_nan(tensor)
    kept = values[len(NANS[datatype]) :]
    assert fixed.data == quiet * len(NANS[datatype]) + b"".join(kept)
    assert canonical_nan(fixed) is fixed
    check_tensor(fixed)


@pytest.mark.parametrize("datatype", KEPT)
def test_infinities_alone_are_left_alone(datatype: str) -> None:
    infinity = bytes.fromhex(KEPT[datatype][0])[::-1]
    tensor = Tensor(name="n", datatype=datatype, shape=(1,), data=infinity)
    assert canonical_nan(tensor) is tensor


def test_integers_are_left_alone() -> None:
    tensor = Tensor(name="i", datatype="INT32", shape=(1,), data=b"\xff\xff\xff\xff")
    assert canonical_nan(tensor) is tensor


def test_chunks_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "_NAN_CHUNK", 2)
    data = struct.pack("<5f", 1, math.nan, 2, 3, math.nan)
    tensor = Tensor(
        name="x", datatype="FP32", shape=(5,), data=data.replace(b"\xc0\x7f", b"\xc1\x7f")
    )
    assert canonical_nan(tensor).data == data


@pytest.mark.property
@given(
    datatype=st.sampled_from(sorted(NANS)),
    data=st.binary(max_size=256),
)
def test_nans_agree_with_a_naive_reading(datatype: str, data: bytes) -> None:
    size = DATATYPES[datatype]
    assert size is not None
    data = data[: len(data) // size * size]
    tensor = Tensor(name="n", datatype=datatype, shape=(len(data) // size,), data=data)
    exponent = int(KEPT[datatype][0], 16)
    sign = 1 << (size * 8 - 1)
    expected = b""
    for start in range(0, len(data), size):
        word = int.from_bytes(data[start : start + size], "little")
        is_nan = word & ~sign > exponent
        expected += (int(NANS[datatype][-1], 16) if is_nan else word).to_bytes(size, "little")
    assert canonical_nan(tensor).data == expected


@pytest.mark.property
@given(
    words=st.lists(st.text(st.characters(exclude_characters="\x00", codec="utf-8")), max_size=5),
    name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
)
def test_strings_survive_the_round_trip(words: list[str], name: str) -> None:
    elements = [word.encode() for word in words]
    tensor = Tensor(name=name, datatype="BYTES", shape=(len(words),), data=encode_bytes(elements))
    assert decode_tensors(encode_tensors([tensor])) == [tensor]
    assert decode_bytes(tensor.data, len(words)) == elements


def test_a_commitment_hides_the_digest_under_a_salt() -> None:
    digest = sha256_hex(b"output")
    expected = sha256_hex(b"assay-commitment-v1\n" + bytes(32) + bytes.fromhex(digest))
    assert commitment(bytes(32), digest) == expected
    with pytest.raises(MisuseError):
        commitment(bytes(31), digest)
    with pytest.raises(FormatError):
        commitment(bytes(32), digest.upper())
