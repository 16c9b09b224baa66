"""Tensors against the model: each error names the tensor, nothing is allocated for a lie."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest

from assay.errors import FormatError
from inference.errors import BadTensorError, InferenceError, NotOfferedError
from inference.services.request import Declared, Given, check_inputs, check_outputs, declared

X = Declared(name="x", datatype="FP32", shape=(-1, 2))
N = Declared(name="n", datatype="INT64", shape=())
OUTPUTS = (Declared(name="y", datatype="FP32", shape=(1,)), N)


def given(**fields: Any) -> Given:
    return Given(**{"name": "x", "datatype": "FP32", "shape": (1, 2), "data": [1, 2]} | fields)


def test_what_fits_becomes_bytes() -> None:
    (tensor,) = check_inputs([X], [given(data=[[1.5, 2]])])
    assert tensor.data == struct.pack("<2f", 1.5, 2.0)
    (same,) = check_inputs([X], [given(data=struct.pack("<2f", 1.5, 2.0))])
    assert same == tensor


def test_nans_are_made_one() -> None:
    odd = struct.pack("<I", 0xFFC12345) + struct.pack("<f", 1.0)
    (tensor,) = check_inputs([X], [given(data=odd)])
    assert tensor.data[:4] == bytes.fromhex("0000c07f")
    assert math.isnan(struct.unpack("<f", tensor.data[:4])[0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "z"}, "no input 'z'; it takes 'x'"),
        ({"datatype": "FP64"}, "'x' is FP32, not FP64"),
        ({"shape": (1,)}, r"'x' has the shape \[-1, 2\]"),
        ({"shape": (1, 3)}, r"'x' has the shape \[-1, 2\]"),
        ({"shape": (1, 2) * 50}, "'x' has the shape"),
        ({"shape": (2**40, 2)}, "'x' would have more than"),
        ({"shape": (2**40, 2), "data": b"abcd"}, "'x' would have more than"),
        ({"data": b"1234"}, "'x' has 4 bytes"),
        ({"data": [1]}, "'x' has 1 elements"),
    ],
)
def test_what_does_not_fit_names_the_tensor(change: dict[str, Any], words: str) -> None:
    with pytest.raises(BadTensorError, match=words):
        check_inputs([X], [given(**change)])


def test_missing_twice_and_extra_inputs_are_refused() -> None:
    with pytest.raises(BadTensorError, match="'n' is missing"):
        check_inputs([X, N], [given()])
    with pytest.raises(BadTensorError, match="'x' stands twice"):
        check_inputs([X], [given(), given()])


@pytest.mark.parametrize(
    "data", [b"\x02", b"\x04\x00\x00\x00ab", b"\x01\x00\x00\x00\xff", b"\x01\x00\x00\x00\x00"]
)
def test_bytes_are_text_without_nul(data: bytes) -> None:
    words = Declared(name="x", datatype="BYTES", shape=(1,))
    with pytest.raises(BadTensorError, match="x"):
        check_inputs([words], [given(datatype="BYTES", shape=(1,), data=data)])


def test_a_binary_boolean_is_zero_or_one() -> None:
    flag = Declared(name="x", datatype="BOOL", shape=(2,))
    with pytest.raises(BadTensorError, match="0 or 1"):
        check_inputs([flag], [given(datatype="BOOL", shape=(2,), data=b"\x00\x02")])


@pytest.mark.parametrize("datatype", ["BF16", "FP8E4M3FN", "seq(FP32)", "COMPLEX64"])
def test_types_without_a_name_here_are_not_offered(datatype: str) -> None:
    strange = Declared(name="x", datatype=datatype, shape=(1, 2))
    with pytest.raises(NotOfferedError, match="'x'"):
        check_inputs([strange], [given()])
    with pytest.raises(NotOfferedError, match="'x'"):
        check_outputs([strange], None)


def test_outputs_default_to_all_in_the_models_order() -> None:
    assert check_outputs(OUTPUTS, None) == ("y", "n")
    assert check_outputs(OUTPUTS, ("n",)) == ("n",)


@pytest.mark.parametrize("names", [("z",), ("y", "y")])
def test_unknown_and_doubled_outputs_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(BadTensorError, match=f"'{names[0]}'"):
        check_outputs(OUTPUTS, names)


def test_symbols_are_free_and_an_unknown_rank_takes_any() -> None:
    named, open_ = declared(
        [
            {"name": "x", "datatype": "FP32", "shape": ["batch", 2]},
            {"name": "x", "datatype": "FP32", "shape": None},
        ]
    )
    assert (named.shape, named.to_dict()["shape"]) == ((-1, 2), [-1, 2])
    assert (open_.shape, open_.to_dict()["shape"]) == (None, [-1])
    assert check_inputs([open_], [given(shape=(2,))])[0].shape == (2,)
    assert check_inputs([open_], [given(shape=(1, 1, 2))])[0].shape == (1, 1, 2)


def test_long_names_are_cut_in_the_answer() -> None:
    with pytest.raises(InferenceError) as caught:
        check_inputs([X], [given(name="z" * 10_000)])
    assert len(caught.value.message) < 400
    assert not isinstance(caught.value, FormatError)
