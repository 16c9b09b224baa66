"""Inputs of a run: what people have becomes the bytes that get hashed, or is refused by name."""

from __future__ import annotations

import io
import json
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from assay.cli.inputs import Port, parse_npy, ports_of, read_inputs
from assay.cli.values import as_json, in_words
from assay.errors import AssayError, FormatError, MisuseError
from assay.tensors import Tensor, encode_bytes, encode_tensors
from tests.assay import claims

PORTS = [
    Port(name="row", datatype="FP32", shape=(-1, 3)),
    Port(name="one", datatype="INT64", shape=(2,)),
    Port(name="free", datatype="FP64", shape=(-1, -1)),
    Port(name="text", datatype="BYTES", shape=(1,)),
    Port(name="flag", datatype="BOOL", shape=(1,)),
    Port(name="half", datatype="FP16", shape=(1,)),
    Port(name="brain", datatype="BF16", shape=(1,)),
    Port(name="odd", datatype="INT4", shape=(1,)),
    Port(name="scalar", datatype="UINT8", shape=()),
    Port(name="grid", datatype="INT8", shape=(2, 2)),
]


def read(value: Any, folder: Path, ports: Sequence[Port] = PORTS) -> list[Tensor]:
    path = folder / "in.json"
    path.write_text(json.dumps(value))
    return read_inputs([str(path)], lambda: ports)


def shapes(tensors: list[Tensor]) -> dict[str, tuple[int, ...]]:
    return {tensor.name: tensor.shape for tensor in tensors}


def test_values_take_the_shape_that_they_have_or_that_the_model_leaves_open(
    tmp_path: Path,
) -> None:
    given = {
        "row": [1, 2, 3, 4, 5, 6],
        "one": [1, -1],
        "free": [[1.5], [2]],
        "text": ["é"],
        "flag": [True],
        "half": [0.5],
        "scalar": 7,
        "grid": [1, 2, 3, 4],
    }
    found = read(given, tmp_path)
    assert shapes(found) == {
        "row": (2, 3),
        "one": (2,),
        "free": (2, 1),
        "text": (1,),
        "flag": (1,),
        "half": (1,),
        "scalar": (),
        "grid": (2, 2),
    }
    data = {tensor.name: tensor.data for tensor in found}
    assert data["one"] == struct.pack("<2q", 1, -1)
    assert data["text"] == encode_bytes(["é".encode()])
    assert data["half"] == b"\x00\x38"
    assert encode_tensors(found)


def test_the_protocols_own_form_is_read_as_it_is(tmp_path: Path) -> None:
    item = {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1, 2], "parameters": {}}
    (found,) = read({"id": "a", "inputs": [item]}, tmp_path)
    assert (found.shape, found.data) == ((1, 2), struct.pack("<2f", 1, 2))
    (nested,) = read({"inputs": [{**item, "data": [[1, 2]]}]}, tmp_path)
    assert nested == found


def test_an_input_may_be_called_inputs(tmp_path: Path) -> None:
    port = Port(name="inputs", datatype="FP32", shape=(2,))
    (found,) = read({"inputs": [1, 2]}, tmp_path, [port])
    assert found.shape == (2,)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "is neither"),
        ({"nobody": 1}, "and no 'nobody'"),
        ({"row": [1, 2]}, "do not fill"),
        ({"row": [[1, 2], [3]]}, "of different lengths"),
        ({"row": [1, [2]]}, "of different depths"),
        ({"free": [1, 2]}, "nest the lists"),
        ({"one": [1, 2.5]}, "one: element 1 is no INT64"),
        ({"one": [True, 1]}, "element 0 is no INT64"),
        ({"row": [1, None, 2]}, "element 1 is no FP32"),
        ({"row": [1e39, 0, 0]}, "out of the range of FP32"),
        ({"scalar": 300}, "out of the range of UINT8"),
        ({"flag": [1]}, "element 0 is no BOOL"),
        ({"text": [1]}, "element 0 is no BYTES"),
        ({"brain": [1]}, "JSON carries no BF16"),
        ({"odd": [1]}, "'INT4' is unknown"),
        ({"row": [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}, "nested too deep"),
        ({"inputs": [{"name": "x"}]}, "inputs[0]"),
        ({"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1], "data": []}]}, "shape"),
        ({"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [1]}]}, "not [2]"),
    ],
)
def test_what_no_model_can_take_is_named(tmp_path: Path, value: Any, words: str) -> None:
    with pytest.raises(AssayError) as caught:
        read(value, tmp_path)
    assert words in str(caught.value)


# ------------------------------------------------------------------ NumPy's files


def npy(header: str, data: bytes = b"", version: int = 1) -> bytes:
    text = header.encode()
    length = len(text).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def header(descr: object = "<f4", order: object = False, shape: object = (2,)) -> str:
    return repr({"descr": descr, "fortran_order": order, "shape": shape}) + "   \n"


@pytest.mark.parametrize("version", [1, 2, 3])
def test_an_array_is_read_as_numpy_saved_it(version: int) -> None:
    found = parse_npy(npy(header(), struct.pack("<2f", 1, 2), version), "x")
    assert (found.datatype, found.shape, found.data) == ("FP32", (2,), struct.pack("<2f", 1, 2))
    column = parse_npy(npy(header("|u1", order=True), b"ab"), "x")
    assert (column.datatype, column.data) == ("UINT8", b"ab")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (npy(header(">f4"), bytes(8)), "'>f4' are not taken"),
        (npy(header([("a", "<f4")]), bytes(8)), "are not taken"),
        (npy(header(order=True, shape=(1, 2)), bytes(8)), "Fortran order"),
        (npy(header(shape=[2]), bytes(8)), "no tuple of whole numbers"),
        (npy(header(shape=(True,)), bytes(4)), "no tuple of whole numbers"),
        (npy(header(), bytes(9)), "goes on after the array"),
        (npy(header(), bytes(7)), "ends too early"),
        (npy("[]"), "no dictionary"),
        (npy("__import__('os')"), "no literal"),
        (npy(header())[:20], "no array of NumPy"),
        (npy(header(), version=9), "no array of NumPy"),
    ],
)
def test_an_array_that_is_none_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_npy(data, "x")
    assert words in str(caught.value)


def test_a_name_stands_before_the_file_unless_the_model_takes_one_input(tmp_path: Path) -> None:
    array = npy(header(shape=(1, 3)), struct.pack("<3f", 1, 2, 3))
    (tmp_path / "a.npy").write_bytes(array)
    (tmp_path / "set.tensors").write_bytes(claims.INPUT)
    (tmp_path / "with=sign.npy").write_bytes(array)
    path = str(tmp_path / "a.npy")
    (named,) = read_inputs([f"row={path}"], lambda: PORTS)
    (alone,) = read_inputs([path], lambda: PORTS[:1])
    (signed,) = read_inputs([str(tmp_path / "with=sign.npy")], lambda: PORTS[:1])
    assert named == alone == signed
    with pytest.raises(MisuseError, match="NAME="):
        read_inputs([path], lambda: PORTS)
    with pytest.raises(MisuseError, match="is no array"):
        read_inputs([f"row={tmp_path / 'set.tensors'}"], lambda: PORTS)
    assert len(read_inputs([str(tmp_path / "set.tensors"), path], lambda: PORTS[:1])) == 3


def test_a_dash_reads_what_another_program_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'{"one": [1, 2]}')))
    (found,) = read_inputs(["-"], lambda: PORTS)
    assert found.name == "one"


def test_a_model_may_take_nothing() -> None:
    assert read_inputs([], list) == []


@pytest.mark.parametrize(
    "value", [[], {"inputs": 1}, {"inputs": [{"name": "x", "datatype": "FP32", "shape": ["n"]}]}]
)
def test_metadata_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(FormatError):
        ports_of(value)


# ------------------------------------------------------------------ values, shown


def tensor(datatype: str, data: bytes, *shape: int) -> Tensor:
    return Tensor(name="x", datatype=datatype, shape=shape, data=data)


@pytest.mark.parametrize(
    ("shown", "words", "listed"),
    [
        (tensor("FP32", struct.pack("<2f", 0.1, float("nan")), 2), "0.100000001 nan", "NaN"),
        (tensor("FP64", struct.pack("<d", 0.1), 1), "FP64 [1]  0.1", 0.1),
        (tensor("FP32", struct.pack("<f", float("-inf")), 1), "-inf", "-Infinity"),
        (tensor("BF16", b"\x80\x3f", 1), "BF16 [1]  1", 1.0),
        (tensor("FP16", b"\x00\x3c", 1), "FP16 [1]  1", 1.0),
        (tensor("BOOL", b"\1\0", 2), "true false", False),
        (tensor("INT64", struct.pack("<q", -(2**60)), 1), str(-(2**60)), str(-(2**60))),
        (tensor("BYTES", encode_bytes([b"a b", "é".encode()]), 2), "'a b' 'é'", "é"),
        (tensor("UINT8", bytes(12), 12), "0 0 0 0 0 0 0 0 0 0 … and 2 more", 0),
    ],
)
def test_values_are_shown_for_people_and_listed_for_programs(
    shown: Tensor, words: str, listed: object
) -> None:
    assert words in in_words(shown)
    value = as_json(shown)
    assert (value["data"][-1], value["whole"]) == (listed, True)


def test_a_long_list_says_that_it_is_not_whole() -> None:
    value = as_json(tensor("UINT8", bytes(1_001), 1_001))
    assert (len(value["data"]), value["whole"]) == (1_000, False)
