"""JSON to bytes and back: every silent conversion of numpy is an error that says where."""

from __future__ import annotations

import math
import secrets
import struct
from typing import Any

import pytest

from assay.tensors import Tensor
from inference.errors import BadTensorError
from inference.services.values import flatten, pack, unpack


@pytest.mark.parametrize(
    ("datatype", "values", "where", "words"),
    [
        ("FP32", [1.0, None], 1, "null"),
        ("INT64", [1, 2, 1.5], 2, "a number"),
        ("INT64", [True], 0, "a boolean"),
        ("UINT8", [0, 1, 256], 2, "out of the range of UINT8"),
        ("INT8", [-129], 0, "out of the range of INT8"),
        ("INT64", [2**63], 0, "out of the range of INT64"),
        ("FP32", ["1.5"], 0, "a string"),
        ("FP32", [False], 0, "a boolean"),
        ("FP32", [0.0, 1e39], 1, "out of the range of FP32"),
        ("FP64", [0.0, 0.0, math.inf], 2, "out of the range of FP64"),
        ("FP64", [10**400], 0, "out of the range of FP64"),
        ("FP32", [10**400], 0, "out of the range of FP32"),
        ("BOOL", [True, "false"], 1, "a string"),
        ("BOOL", [1], 0, "an integer"),
        ("BYTES", ["a", 1], 1, "an integer"),
        ("BYTES", ["ok", "\ud800"], 1, "surrogate"),
        ("FP32", [[1.0]], 0, "an array"),
        ("INT32", [{}], 0, "an object"),
    ],
)
def test_what_numpy_would_swallow_is_refused_with_its_position(
    datatype: str, values: list[Any], where: int, words: str
) -> None:
    with pytest.raises(BadTensorError, match=words) as caught:
        pack("x", datatype, values)
    assert caught.value.detail == {"tensor": "x", "element": where}


def test_null_names_the_way_out() -> None:
    with pytest.raises(BadTensorError, match="binary data"):
        pack("x", "FP32", [None])


@pytest.mark.parametrize("datatype", ["FP16", "BF16"])
def test_half_floats_do_not_travel_in_json(datatype: str) -> None:
    with pytest.raises(BadTensorError, match="send binary data"):
        pack("x", datatype, [1.0])
    tensor = Tensor(name="y", datatype=datatype, shape=(1,), data=b"\x00\x3c")
    with pytest.raises(BadTensorError, match="ask for binary data"):
        unpack(tensor)


@pytest.mark.parametrize(
    ("datatype", "values"),
    [
        ("BOOL", [True, False]),
        ("INT8", [-128, 127]),
        ("UINT16", [0, 65535]),
        ("INT64", [-(2**63), 2**63 - 1]),
        ("UINT64", [2**64 - 1]),
        ("FP64", [0.1, -0.0, 5e-324, 1.7976931348623157e308]),
        ("BYTES", ["é", "", "a\x01b"]),
    ],
)
def test_values_come_back_exactly(datatype: str, values: list[Any]) -> None:
    data = pack("x", datatype, values)
    tensor = Tensor(name="x", datatype=datatype, shape=(len(values),), data=data)
    assert unpack(tensor) == values
    assert pack("x", datatype, unpack(tensor)) == data


def test_a_thousand_random_floats_keep_their_bits_through_json() -> None:
    data = b"".join(
        bits
        for bits in (secrets.token_bytes(4) for _ in range(1_000))
        if math.isfinite(struct.unpack("<f", bits)[0])
    )
    tensor = Tensor(name="x", datatype="FP32", shape=(len(data) // 4,), data=data)
    values = [float(repr(value)) for value in unpack(tensor)]
    assert pack("x", "FP32", values) == data


def test_a_tenth_is_written_as_the_double_that_it_is() -> None:
    tensor = Tensor(name="y", datatype="FP32", shape=(1,), data=pack("x", "FP32", [0.1]))
    assert repr(unpack(tensor)) == "[0.10000000149011612]"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_never_becomes_null(value: float) -> None:
    data = struct.pack("<ff", 1.0, value)
    with pytest.raises(BadTensorError, match=r"Element 1 .* ask for binary data") as caught:
        unpack(Tensor(name="y", datatype="FP32", shape=(2,), data=data))
    assert caught.value.detail["element"] == 1


def test_bytes_that_are_no_text_are_for_binary() -> None:
    with pytest.raises(BadTensorError, match="not text"):
        unpack(Tensor(name="y", datatype="BYTES", shape=(1,), data=b"\x01\x00\x00\x00\xff"))


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        ([1, 2, 3, 4, 5, 6], [2, 3]),
        ([[1, 2, 3], [4, 5, 6]], [2, 3]),
        ([[[1], [2], [3]], [[4], [5], [6]]], [2, 3, 1]),
    ],
)
def test_data_may_be_flat_or_nested(data: list[Any], shape: list[int]) -> None:
    assert flatten("x", data, shape) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("data", [[], [[], []]])
def test_nothing_is_a_tensor_too(data: list[Any]) -> None:
    assert flatten("x", data, [2, 0]) == []


def test_a_scalar_is_one_value_in_an_array() -> None:
    assert flatten("x", [7], []) == [7]
    with pytest.raises(BadTensorError, match="0 elements"):
        flatten("x", [], [])


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        ([[1, 2], [3, 4], [5, 6]], [2, 3]),
        ([[1, 2, 3], [4, 5]], [2, 3]),
        ([[1, 2, 3], 4], [2, 3]),
        ([1, 2, 3], [2, 3]),
        ([[1, 2, 3, 4, 5, 6]], [2, 3]),
        ([1], [2**40]),
        ("123456", [6]),
    ],
)
def test_another_nesting_than_the_shape_is_refused(data: Any, shape: list[int]) -> None:
    with pytest.raises(BadTensorError, match="'x'"):
        flatten("x", data, shape)
