"""Steps 4 to 9 of the inspection, on every hostile file that they must refuse."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Any

import pytest
from onnx import TensorProto, helper

from inference.executor.inspect.steps import walk
from tests.inference.executor import corpus
from tests.inference.executor.models import add, constant, external, model, node, value

WEIGHTS = struct.pack("<4f", 1, 2, 3, 4)
FILES = {"model.onnx": 100, "weights.bin": 16, "part/more.bin": 16, "large.bin": 10**6}


def codes(data: bytes, files: dict[str, int] | None = None) -> list[tuple[str, str]]:
    report = walk(data, "model.onnx", FILES if files is None else files)
    return [(item["level"], item["code"]) for item in report["findings"]]


def noise(length: int) -> bytes:
    blocks = (hashlib.sha256(b"%d" % i).digest() for i in range(length // 32))
    return b"".join(blocks)


def two_tensors(*offsets: int) -> bytes:
    tensors = []
    for index, offset in enumerate(offsets):
        tensor = TensorProto(name=f"w{index}", data_type=1, dims=[2])
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights.bin")
        tensor.external_data.add(key="offset", value=str(offset))
        tensor.external_data.add(key="length", value="8")
        tensors.append(tensor)
    nodes = [node("Add", ["w0", "w1"], ["y"])]
    return bytes(model(nodes, [], [value("y", shape=[2])], tensors).SerializeToString())


def in_tensor(data: bytes) -> bytes:
    """A model whose only initializer is `data`."""
    return corpus.field(7, corpus.field(5, data))


def tensor_field(number: int, data: bytes) -> bytes:
    return in_tensor(corpus.field(number, data))


def twice_the_graph() -> bytes:
    evil = corpus.foreign("Evil", "com.evil")
    return add() + evil


def bad_name() -> bytes:
    return add().replace(b"Add", b"\xff\xfe\xfd")


def both_dimensions() -> bytes:
    both = b"\x08\x01" + corpus.field(2, b"N")
    shape = corpus.field(1, both)
    kind = corpus.field(1, b"\x08\x01" + corpus.field(2, shape))
    entry = corpus.field(1, b"x") + corpus.field(2, kind)
    return corpus.field(7, corpus.field(11, entry))


def added(tensor: TensorProto) -> bytes:
    nodes = [node("Add", ["x", "w"], ["y"])]
    return bytes(model(nodes, [value("x")], [value("y")], [tensor]).SerializeToString())


def raw_and_typed() -> bytes:
    tensor = constant("w", [1])
    tensor.float_data.append(1)
    return added(tensor)


def typed_too_short() -> bytes:
    tensor = TensorProto(name="w", data_type=1, dims=[3], float_data=[1, 2])
    return added(tensor)


def sparse_attribute() -> bytes:
    values, indices = constant("v", [1]), constant("i", [0], "int64")
    tensor = helper.make_sparse_tensor(values, indices, [2**28])
    nodes = [node("Constant", [], ["y"], sparse_value=tensor)]
    return bytes(model(nodes, [], [value("y", shape=None)]).SerializeToString())


def with_opset(version: int, ir: int = 10) -> bytes:
    built = model([node("Identity", ["x"], ["y"])], [value("x")], [value("y")])
    built.opset_import[0].version = version
    built.ir_version = ir
    return bytes(built.SerializeToString())


def many_entries() -> bytes:
    built = model([node("Identity", ["x"], ["y"])], [value("x")], [value("y")])
    for index in range(257):
        built.metadata_props.add(key=f"k{index}", value="v")
    return bytes(built.SerializeToString())


REFUSED: list[tuple[str, Callable[[], bytes], str]] = [
    ("chain of 33 functions", lambda: corpus.chain(33), "function_depth"),
    ("chain of 3000 functions", lambda: corpus.chain(3000), "function_depth"),
    ("doubling 14 times", lambda: corpus.double(14), "function_work"),
    ("doubling 16 times", lambda: corpus.double(16), "function_work"),
    ("doubling 64 times", lambda: corpus.double(64), "function_work"),
    ("doubling 13 times in branches", lambda: corpus.double(13, branches=True), "function_work"),
    ("ring", corpus.ring, "function_ring"),
    ("self", corpus.calls_itself, "function_ring"),
    ("twin", lambda: corpus.twin(overloads=False), "malformed"),
    ("sparse initializer", corpus.sparse, "sparse"),
    ("sparse attribute", sparse_attribute, "sparse"),
    ("10001 constants", lambda: corpus.constants(10_001), "initializers"),
    ("fan of 2049", lambda: corpus.fan(2_049), "arity"),
    ("50001 nodes", lambda: corpus.nodes_in_a_chain(50_001), "nodes"),
    ("10^6 x 10^6 over 16 bytes", lambda: corpus.wrong_dims(10**6, 10**6), "tensor_size"),
    ("2^62 x 4 over 16 bytes", lambda: corpus.wrong_dims(2**62, 4), "tensor_size"),
    ("negative dimension", lambda: corpus.wrong_dims(-4), "tensor_size"),
    ("raw and typed data", raw_and_typed, "tensor_size"),
    ("typed data too short", typed_too_short, "tensor_size"),
    ("17 nested branches", lambda: corpus.nested(17), "depth"),
    ("3000 nested branches", lambda: corpus.nested(3000), "depth"),
    ("rank 1000", corpus.rank, "rank"),
    ("custom domain", lambda: corpus.foreign("Evil", "com.evil"), "domain"),
    ("PyOp", lambda: corpus.foreign("PyOp", "ai.onnx.contrib"), "domain"),
    ("opset 6", lambda: with_opset(6), "opset"),
    ("opset 27", lambda: with_opset(27), "opset"),
    ("IR version 14", lambda: with_opset(20, 14), "opset"),
    ("IR version 2", lambda: with_opset(20, 2), "opset"),
    ("empty", lambda: b"", "malformed"),
    ("cut", lambda: add()[:-7], "malformed"),
    ("noise", lambda: noise(4096), "malformed"),
    ("varint of 12 bytes", lambda: b"\x08" + b"\xff" * 12, "malformed"),
    ("varint of 10 bytes above 64 bits", lambda: b"\x08" + b"\xff" * 9 + b"\x02", "malformed"),
    ("length 2^32 - 1", lambda: b"\x3a\xff\xff\xff\xff\x0f", "malformed"),
    ("groups", lambda: b"\x0b" * 100_000, "malformed"),
    ("field number 0", lambda: b"\x00\x00", "malformed"),
    ("two graphs", twice_the_graph, "malformed"),
    ("name not UTF-8", bad_name, "malformed"),
    ("two members of a oneof", both_dimensions, "malformed"),
    ("known field, other wire type", lambda: b"\x38\x01", "malformed"),
    ("no graph", lambda: b"\x08\x0a", "malformed"),
    ("one unknown group", lambda: add() + b"\xa3\x06", "malformed"),
    ("packed numbers cut", lambda: tensor_field(7, b"\x01\x80"), "malformed"),
    ("packed number too long", lambda: tensor_field(7, b"\xff" * 10 + b"\x01"), "malformed"),
    ("packed floats cut", lambda: tensor_field(4, b"\x00" * 5), "malformed"),
    ("dims as text", lambda: tensor_field(1, b"\x80"), "malformed"),
    ("scalar of another type", lambda: in_tensor(b"\x38\x01\x3d\x00\x00\x00\x00"), "malformed"),
    ("unknown fields", lambda: add() + corpus.field(999, bytes(70_000)), "unknown"),
    ("string of 64 MiB", corpus.big_string, "text"),
    ("metadata of 8 MiB", lambda: corpus.with_metadata("a" * 2**23), "text"),
    ("metadata of 100 kB", lambda: corpus.with_metadata("a" * 100_000), "text"),
    ("257 metadata entries", many_entries, "text"),
    ("producer of 5000 bytes", lambda: corpus.with_metadata("", "a" * 5_000), "text"),
    ("pickle", lambda: b"\x80\x04\x95\x10" + bytes(30), "malformed"),
    ("zip", lambda: b"PK\x03\x04" + bytes(30), "malformed"),
    ("ELF", lambda: b"\x7fELF\x02\x01\x01" + bytes(30), "malformed"),
    ("HTML", lambda: b"<!doctype html><script>alert(1)</script>", "malformed"),
]


@pytest.mark.parametrize(
    ("build", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_a_hostile_file_is_refused(build: Callable[[], bytes], code: str) -> None:
    assert codes(build()) == [("failed", code)]


@pytest.mark.parametrize(
    "entries",
    [
        {"location": "../../../etc/passwd"},
        {"location": "/etc/passwd"},
        {"location": "a/../../x"},
        {"location": "*/_ORT_MEM_ADDR_/*"},
        {"location": "./weights.bin"},
        {"location": ""},
        {"location": "another-revision.bin"},
        {"location": "WEIGHTS.BIN"},
        {"location": "weights.bin "},
        {"location": "weights.bin."},
        {"location": "weights.bin::$DATA"},
        {"location": "C:/weights.bin"},
        {"location": "con"},
        {"location": "aux.bin"},
        {"offset": "-8"},
        {"offset": "+0"},
        {"offset": " 0"},
        {"offset": "4"},
        {"offset": "\u0660"},
        {"length": str(2**40)},
        {"length": "8"},
        {"__class__": "x"},
        {"location": "large.bin", "offset": "100000", "length": "16"},
        {"location": "large.bin", "length": "16"},
    ],
    ids=repr,
)
def test_external_data_stays_in_its_place(entries: dict[str, str]) -> None:
    assert codes(external(WEIGHTS, **entries)) == [("failed", "external")]


def test_external_data_is_named_once() -> None:
    doubled = external(WEIGHTS, checksum="weights.bin").replace(b"checksum", b"location")
    assert codes(doubled) == [("failed", "external")]


@pytest.mark.parametrize("offsets", [(0, 0), (0, 4), (8, 4)])
def test_tensors_do_not_share_external_bytes(offsets: tuple[int, int]) -> None:
    assert codes(two_tensors(*offsets)) == [("failed", "external")]


@pytest.mark.parametrize(
    "data",
    [external(WEIGHTS), external(WEIGHTS, length="16"), two_tensors(8, 0)],
    ids=["whole file", "with length", "two tensors"],
)
def test_good_external_data_passes(data: bytes) -> None:
    report = walk(data, "model.onnx", FILES)
    assert report["findings"] == []
    assert report["facts"]["external"] == ["weights.bin"]


def test_external_paths_are_relative_to_the_graph() -> None:
    data = external(WEIGHTS, location="more.bin")
    assert walk(data, "part/model.onnx", FILES)["facts"]["external"] == ["part/more.bin"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (corpus.chain(32), []),
        (corpus.double(13), []),
        (corpus.twin(overloads=True), []),
        (corpus.nested(16), [("note", "control_flow")]),
        (corpus.random(), [("flag", "random")]),
        (corpus.random(seed=1.0), []),
        (corpus.loop_by_input(), [("flag", "control_flow")]),
        (corpus.sized_by_input("ConstantOfShape"), [("flag", "data_dependent")]),
        (corpus.sized_by_input("Tile"), [("flag", "data_dependent")]),
        (corpus.sized_by_input("Expand"), [("flag", "data_dependent")]),
        (corpus.foreign("Gelu", "com.microsoft"), [("flag", "domain")]),
        (corpus.with_metadata("see HTTPS://example.com"), [("flag", "metadata")]),
        (corpus.with_metadata("QUJD" * 80), [("flag", "metadata")]),
        (corpus.with_metadata("<script>=1+1\x1b[31m\u202e", "<b>"), []),
    ],
    ids=[
        "32 functions",
        "doubling 13 times",
        "overloads",
        "16 branches",
        "random",
        "seeded",
        "loop",
        "sized",
        "tile",
        "expand",
        "native only",
        "address",
        "base64",
        "markup",
    ],
)
def test_an_odd_file_is_published_with_words(data: bytes, expected: list[tuple[str, str]]) -> None:
    assert codes(data) == expected


@pytest.mark.parametrize(
    "build",
    [
        lambda: corpus.constants(10_000),
        lambda: corpus.fan(2_048),
        lambda: corpus.nodes_in_a_chain(50_000),
    ],
    ids=["10000 constants", "fan of 2048", "50000 nodes"],
)
def test_a_large_honest_file_passes(build: Callable[[], bytes]) -> None:
    assert codes(build()) == []


def test_the_facts_are_those_of_the_file() -> None:
    weights = [constant("w", [[1, 2], [3, 4]]), constant("b", [1, 2])]
    built = model(
        [node("MatMul", ["x", "w"], ["m"]), node("Add", ["m", "b"], ["y"])],
        [value("x", shape=("N", 2)), *(value(item.name, shape=item.dims) for item in weights)],
        [value("y", shape=(None, 2))],
        weights,
        domains=[("ai.onnx.ml", 3)],
        producer_name="lab",
        producer_version="1.2",
    )
    facts: dict[str, Any] = walk(built.SerializeToString(), "model.onnx", {})["facts"]
    assert facts == {
        "ir_version": 10,
        "opsets": {"ai.onnx": 20, "ai.onnx.ml": 3},
        "producer": "lab 1.2",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": ["N", 2]}],
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 2]}],
        "operators": {"Add": 1, "MatMul": 1},
        "nodes": 2,
        "parameters": 6,
        "initializers_bytes": 24,
        "functions": 0,
        "external": [],
    }


def test_what_is_no_tensor_is_described_in_words() -> None:
    probabilities = helper.make_value_info(
        "p",
        helper.make_sequence_type_proto(
            helper.make_map_type_proto(
                TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, None)
            )
        ),
    )
    nodes = [node("ZipMap", ["x"], ["p"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])]
    built = model(nodes, [value("x", shape=(1, 2))], [probabilities], domains=[("ai.onnx.ml", 3)])
    facts = walk(built.SerializeToString(), "model.onnx", {})["facts"]
    assert facts["outputs"] == [{"name": "p", "datatype": "seq(map(INT64,FP32))", "shape": None}]
    assert facts["operators"] == {"ai.onnx.ml.ZipMap": 1}


def test_every_element_type_is_measured() -> None:
    kinds = [number for number in range(1, 27) if number != TensorProto.STRING]
    for number in kinds:
        tensor = helper.make_tensor("w", number, [3], [1, 0, 1])
        built = model([node("Identity", ["w"], ["y"])], [], [value("y", number, (3,))], [tensor])
        assert codes(built.SerializeToString()) == [], number


def test_few_unknown_fields_pass() -> None:
    unknown = b"\xa0\x06\x01" + b"\xa5\x06" + bytes(4) + b"\xa1\x06" + bytes(8)
    assert codes(add() + unknown + corpus.field(100, b"text")) == []


def test_unpacked_numbers_are_counted_too() -> None:
    numbers = b"".join(b"\x25" + struct.pack("<f", 1) for _ in range(2))
    tensor = b"\x08\x02\x10\x01" + numbers + corpus.field(8, b"w")
    graph = corpus.field(5, tensor) + corpus.field(12, value("w", shape=(2,)).SerializeToString())
    facts = walk(b"\x08\x0a" + corpus.field(7, graph), "model.onnx", {})["facts"]
    assert (facts["parameters"], facts["initializers_bytes"]) == (2, 8)


def test_other_kinds_of_values_are_described_too() -> None:
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, None)
    optional = helper.make_value_info("o", helper.make_optional_type_proto(tensor))
    sparse = helper.make_sparse_tensor_value_info("s", TensorProto.FLOAT, [1])
    built = model([], [value("x"), optional, sparse], [])
    described = walk(built.SerializeToString(), "model.onnx", {})["facts"]["inputs"]
    assert [item["datatype"] for item in described] == ["FP32", "optional(FP32)", "unknown"]


def test_a_finding_shows_a_strangers_name_harmlessly() -> None:
    name = "a\x1b[31m\n" + "b" * 500
    built = model([node("Evil", ["x"], ["y"], domain="e", name=name)], [value("x")], [value("y")])
    (finding,) = walk(built.SerializeToString(), "model.onnx", {})["findings"]
    assert finding["code"] == "domain"
    assert len(finding["place"]) <= 300
    assert finding["place"].isprintable()
