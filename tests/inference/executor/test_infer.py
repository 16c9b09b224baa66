from __future__ import annotations

import json
import struct

import pytest

from assay.dsse import load_public_key, parse_compact, verify_envelope
from assay.manifest import Manifest
from assay.statements import ExecutionPredicate, parse_predicate, parse_statement
from assay.tensors import DATATYPES, Tensor, commitment, encode_bytes, tensor_digest
from inference.client import ExecutorClient, ExecutorError, InferRequest
from tests.inference.executor.models import (
    Revision,
    add,
    external,
    floats,
    identity,
    network,
    scalar,
    sha,
)
from tests.inference.executor.running import Running, TestLog

# The promise of the portable runtime: these digests hold on every machine.
NETWORK_INPUT = "aeaefbd2506af3abc3b3d03f4b62803bab611f828a425e07b3469679a91c9558"
NETWORK_OUTPUT = "1de45e9ecacc4890a1bb056a81bf49ad6a512c6ecde0eb4218680241833a9ee3"

VALUES = {
    "BOOL": bytes([0, 1, 1, 0]),
    "INT8": struct.pack("<4b", -128, -1, 0, 127),
    "INT16": struct.pack("<4h", -(2**15), -1, 0, 2**15 - 1),
    "INT32": struct.pack("<4i", -(2**31), -1, 0, 2**31 - 1),
    "INT64": struct.pack("<4q", -(2**63), -1, 0, 2**63 - 1),
    "UINT8": struct.pack("<4B", 0, 1, 128, 255),
    "UINT16": struct.pack("<4H", 0, 1, 2, 2**16 - 1),
    "UINT32": struct.pack("<4I", 0, 1, 2, 2**32 - 1),
    "UINT64": struct.pack("<4Q", 0, 1, 2**53 + 1, 2**64 - 1),
    "FP16": bytes.fromhex("0000 0080 007c 0100"),
    "FP32": bytes.fromhex("00000000 00000080 0000807f 01000000"),
    "FP64": bytes.fromhex("0000000000000000 0000000000000080 000000000000f07f 0100000000000000"),
    "BYTES": encode_bytes(
        [b"", "Gr\u00fc\u00dfe \U0001f600".encode(), b"\xef\xbb\xbfmark", b"a b"]
    ),
}


def request(running: Running, graph: bytes, *inputs: Tensor) -> tuple[InferRequest, Revision]:
    revision = Revision.of(graph)
    return revision.request(running.log.checkpoint(), *inputs), revision


def predicate_of(running: Running, envelope: str) -> ExecutionPredicate:
    parsed = parse_compact(envelope)
    verify_envelope(parsed, load_public_key(running.public_key))
    predicate = parse_predicate(parse_statement(parsed.payload))
    assert isinstance(predicate, ExecutionPredicate)
    return predicate


@pytest.mark.parametrize("datatype", sorted(DATATYPES.keys() - {"BF16"}))
def test_every_datatype_makes_the_round_trip(
    supervisor: Running, client: ExecutorClient, datatype: str
) -> None:
    sent = Tensor(name="x", datatype=datatype, shape=(2, 2), data=VALUES[datatype])
    asked, revision = request(supervisor, identity(datatype), sent)
    (answered,) = client.infer(asked, revision.read).outputs
    assert answered == Tensor(name="y", datatype=datatype, shape=(2, 2), data=sent.data)


@pytest.mark.parametrize("datatype", ["FP32", "INT64", "BYTES"])
def test_a_tensor_may_be_empty(supervisor: Running, client: ExecutorClient, datatype: str) -> None:
    sent = Tensor(name="x", datatype=datatype, shape=(0, 4), data=b"")
    asked, revision = request(supervisor, identity(datatype), sent)
    (answered,) = client.infer(asked, revision.read).outputs
    assert (answered.shape, answered.data) == ((0, 4), b"")


def test_a_tensor_may_be_a_scalar(supervisor: Running, client: ExecutorClient) -> None:
    asked, revision = request(supervisor, scalar(), floats("x", 21, shape=()))
    assert client.infer(asked, revision.read).outputs == (floats("y", 42, shape=()),)


def test_nans_are_made_canonical_before_they_are_hashed(
    supervisor: Running, client: ExecutorClient
) -> None:
    strange = Tensor(name="x", datatype="FP32", shape=(1, 1), data=bytes.fromhex("0100a0ff"))
    quiet = bytes.fromhex("0000c07f")
    asked, revision = request(supervisor, identity("FP32"), strange)
    result = client.infer(asked, revision.read)
    assert result.outputs[0].data == quiet
    assert result.input_digest == tensor_digest(
        [Tensor(name="x", datatype="FP32", shape=(1, 1), data=quiet)]
    )


def test_the_bits_are_those_of_every_other_machine(
    supervisor: Running, client: ExecutorClient
) -> None:
    image = floats("x", *(i * 7 % 17 / 16 for i in range(128)), shape=(2, 64))
    asked, revision = request(supervisor, network(), image)
    first, second = (client.infer(asked, revision.read) for _ in range(2))
    assert (first.input_digest, first.output_digest) == (NETWORK_INPUT, NETWORK_OUTPUT)
    assert first.outputs == second.outputs


def test_the_statement_says_what_ran(supervisor: Running, client: ExecutorClient) -> None:
    asked, revision = request(supervisor, add(), floats("x", 2))
    result = client.infer(asked, revision.read)
    predicate = predicate_of(supervisor, result.envelope)
    assert predicate.input.sha256 == tensor_digest([floats("x", 2)]) == result.input_digest
    assert predicate.output.sha256 == tensor_digest([floats("y", 3)]) == result.output_digest
    assert predicate.manifest == Manifest.from_pairs(revision.target.resources).digest
    assert (predicate.graph.path, predicate.graph.sha256) == ("model.onnx", sha(add()))
    assert (predicate.model, predicate.revision) == ("alice/model", "a" * 40)
    assert predicate.runtime.to_dict() == client.status().runtimes[0]
    assert (predicate.observed.origin, predicate.observed.tree_size) == ("log.example", 7)
    assert predicate.started_on <= predicate.finished_on
    (subject,) = parse_statement(parse_compact(result.envelope).payload).subjects
    assert (subject.name, subject.sha256) == ("output.tensors", result.output_digest)


def test_a_private_execution_shows_commitments_only(
    supervisor: Running, client: ExecutorClient
) -> None:
    revision = Revision.of(add())
    asked = revision.request(supervisor.log.checkpoint(), floats("x", 2), private=True)
    first, second = (client.infer(asked, revision.read) for _ in range(2))
    predicate = predicate_of(supervisor, first.envelope)
    assert first.salts is not None
    assert first.salts != second.salts
    assert predicate.input.form == predicate.output.form == "commitment"
    assert predicate.input.sha256 == commitment(first.salts[0], first.input_digest)
    assert predicate.output.sha256 == commitment(first.salts[1], first.output_digest)
    statement = parse_compact(first.envelope).payload.decode()
    assert first.input_digest not in statement
    assert first.output_digest not in statement
    assert json.loads(statement)["subject"][0]["digest"]["sha256"] == predicate.output.sha256


def test_a_caller_chooses_outputs(supervisor: Running, client: ExecutorClient) -> None:
    revision = Revision.of(network())
    image = floats("x", *[0.5] * 64, shape=(1, 64))
    asked = revision.request(supervisor.log.checkpoint(), image, outputs=("c", "y"))
    assert [item.name for item in client.infer(asked, revision.read).outputs] == ["c", "y"]


def test_files_are_sent_once_and_only_when_they_are_needed(
    supervisor: Running, client: ExecutorClient
) -> None:
    weights = struct.pack("<3f", 1, 2, 3)
    graph = external(weights)
    revision = Revision(
        {"model.onnx": graph, "weights.bin": weights, "other.bin": b"not asked for"},
        external=("weights.bin",),
    )
    asked = revision.request(supervisor.log.checkpoint(), floats("x", 1, 1, 1))
    first = client.infer(asked, revision.read)
    second = client.infer(asked, revision.read)
    assert first.outputs == second.outputs == (floats("y", 2, 3, 4),)
    assert (first.cold, second.cold) == (True, False)
    assert sorted(revision.asked) == sorted([sha(graph), sha(weights)])


def test_mallory_may_not_slip_in_other_bytes(supervisor: Running, client: ExecutorClient) -> None:
    graph = external(b"\x00" * 8)
    revision = Revision({"model.onnx": graph, "weights.bin": b"\x00" * 8}, ("weights.bin",))
    asked = revision.request(supervisor.log.checkpoint(), floats("x", 1, 1))
    with pytest.raises(ExecutorError, match="not those of the digest") as caught:
        client.infer(asked, lambda _: add())
    assert (caught.value.code, caught.value.retry) == ("bad_input", False)


@pytest.mark.parametrize(
    ("inputs", "code", "words"),
    [
        ([], "bad_input", "'x' is missing"),
        ([floats("z", 1)], "bad_input", "'x' is missing"),
        ([floats("x", 1), floats("z", 1)], "bad_input", "no input 'z'"),
        ([floats("x", 1), floats("x", 1)], "bad_input", "twice"),
        ([floats("x", 1, 2)], "model_failed", "invalid dimensions"),
        ([floats("x", 1, shape=(1, 1))], "model_failed", "Invalid rank"),
        (
            [Tensor(name="x", datatype="FP64", shape=(1,), data=bytes(8))],
            "bad_input",
            "is FP32, not FP64",
        ),
        (
            [Tensor(name="x", datatype="BF16", shape=(1,), data=bytes(2))],
            "bad_input",
            "native only",
        ),
        ([Tensor(name="x", datatype="FP32", shape=(2,), data=bytes(4))], "bad_input", "8 bytes"),
        ([Tensor(name="x", datatype="BOOL", shape=(1,), data=b"\x02")], "bad_input", "0 or 1"),
        ([Tensor(name="x", datatype="FP32", shape=(2**40,), data=bytes(4))], "bad_input", "more"),
        ([Tensor(name="x", datatype="FP32", shape=(-1,), data=bytes(4))], "bad_input", "number of"),
        (
            [Tensor(name="x", datatype="BYTES", shape=(1,), data=b"\xff\xff\xff\xff")],
            "bad_input",
            "longer",
        ),
        (
            [Tensor(name="x", datatype="BYTES", shape=(1,), data=encode_bytes([b"a\0b"]))],
            "bad_input",
            "NUL",
        ),
        (
            [Tensor(name="x", datatype="BYTES", shape=(1,), data=encode_bytes([b"\xff"]))],
            "bad_input",
            "UTF-8",
        ),
        (
            [Tensor(name="x", datatype="BYTES", shape=(1_000_001,), data=bytes(4_000_004))],
            "bad_input",
            "more than 1000000",
        ),
    ],
)
def test_a_wrong_input_gets_a_clear_error(
    supervisor: Running, client: ExecutorClient, inputs: list[Tensor], code: str, words: str
) -> None:
    asked, revision = request(supervisor, add(), *inputs)
    with pytest.raises(ExecutorError, match=words) as caught:
        client.infer(asked, revision.read)
    assert (caught.value.code, caught.value.retry) == (code, False)
    assert "/onnxruntime_src" not in caught.value.message


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"outputs": ("nothing",)}, "no output 'nothing'"),
        ({"outputs": ("y", "y")}, "distinct"),
        ({"execution": "1"}, "execution"),
        ({"model": "no owner"}, "model"),
        ({"revision": "main"}, "revision"),
        ({"deadline_s": 0.0}, "time limit"),
        ({"deadline_s": 1e9}, "time limit"),
        ({"checkpoint": "hello"}, "checkpoint"),
        ({"checkpoint": TestLog(origin="other.example").checkpoint()}, "checkpoint"),
    ],
)
def test_a_wrong_request_gets_a_clear_error(
    supervisor: Running, client: ExecutorClient, fields: dict[str, object], words: str
) -> None:
    revision = Revision.of(add())
    asked = revision.request(supervisor.log.checkpoint(), floats("x", 1), **fields)
    with pytest.raises(ExecutorError, match=words) as caught:
        client.infer(asked, revision.read)
    assert caught.value.code == "bad_input"


@pytest.mark.parametrize("fields", [{"kind": "native"}, {"runtime": "0" * 64}])
def test_what_is_not_here_is_unavailable(
    supervisor: Running, client: ExecutorClient, fields: dict[str, object]
) -> None:
    revision = Revision.of(add())
    asked = revision.request(supervisor.log.checkpoint(), floats("x", 1), **fields)
    with pytest.raises(ExecutorError, match="this executor") as caught:
        client.infer(asked, revision.read)
    assert caught.value.code == "unavailable"


def test_a_file_that_is_no_model_fails_to_load(supervisor: Running, client: ExecutorClient) -> None:
    asked, revision = request(supervisor, b"this is no model", floats("x", 1))
    with pytest.raises(ExecutorError) as caught:
        client.infer(asked, revision.read)
    assert caught.value.code == "load_failed"


def test_a_model_can_be_warmed_up(supervisor: Running, client: ExecutorClient) -> None:
    revision = Revision.of(network())
    signature = client.load(revision.target, revision.read)
    assert [(item.name, item.datatype, item.shape) for item in signature.inputs] == [
        ("x", "FP32", (-1, 64))
    ]
    assert [item.name for item in signature.outputs] == ["y", "c"]
    assert sha(network()) in client.status().models
