"""The executor's trace: every value of a run hashed, whatever the graph holds."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest
from onnx import helper

from assay.capsule import Capsule, judge, make_capsule
from assay.errors import FormatError
from assay.replay import Material, NodeRunner, find_node
from assay.replay.runtimes import NAMES
from assay.replay.tracing import check_capsule, trace_again
from assay.tensors import Tensor, encode_bytes, encode_tensors
from assay.trace import Trace, Value, compare
from inference.client import ExecutorClient, ExecutorError, ExecutorUnavailableError
from inference.executor import trace as tracer, trace_child
from inference.executor.protocol import Frame
from inference.executor.runtime import load_runtime
from inference.tracing import TraceRequest, make_trace, node_alone
from tests.inference.executor.models import (
    BOOL,
    FLOAT,
    INT64,
    Revision,
    add,
    constant,
    endless,
    external,
    floats,
    model,
    network,
    node,
    value,
)
from tests.inference.executor.running import RUNTIME


def request(revision: Revision, *inputs: Tensor, deadline_s: float = 60.0) -> TraceRequest:
    return TraceRequest(target=revision.target, inputs=inputs, deadline_s=deadline_s)


def trace(client: ExecutorClient, revision: Revision, *inputs: Tensor) -> Trace:
    return make_trace(client, request(revision, *inputs), revision.read)[0]


def runner() -> NodeRunner:
    files = {name: (RUNTIME / name).read_bytes() for name in NAMES}
    return NodeRunner(node=find_node(), files=files)


ROW = floats("x", *[number / 17 - 1 for number in range(64)], shape=(1, 64))


def test_the_executors_trace_is_the_readers_own(client: ExecutorClient) -> None:
    revision = Revision.of(network())
    made, outputs = make_trace(client, request(revision, ROW), revision.read)
    material = Material(graph=network(), input=encode_tensors([ROW]))
    mine, own = trace_again(material, load_runtime(RUNTIME), runner())
    assert made == mine
    assert made.digest == mine.digest
    assert {item.name: item.data for item in outputs} == {item.name: item.data for item in own}
    assert [item.op_type for item in made.nodes] == ["MatMul", "Tanh", "MatMul", "Softmax"]
    assert compare(made, mine).verdict == "same"


def test_many_values_are_exposed_in_groups(client: ExecutorClient) -> None:
    steps = 2 * tracer._GROUP + 3
    nodes = [node("Sqrt", [f"v{i}" if i else "x"], [f"v{i + 1}"]) for i in range(steps)]
    graph = model(nodes, [value("x")], [value(f"v{steps}")]).SerializeToString()
    made = trace(client, Revision.of(graph), floats("x", 16.0))
    assert len(made.nodes) == steps
    assert made.nodes[0].outputs[0].sha256 == hashlib.sha256(struct.pack("<f", 4.0)).hexdigest()


def test_strings_sequences_and_bodies_are_traced_as_far_as_they_are_tensors(
    client: ExecutorClient,
) -> None:
    then = helper.make_graph([node("Add", ["x", "x"], ["t"])], "then", [], [value("t", shape=None)])
    other = helper.make_graph([node("Neg", ["x"], ["e"])], "else", [], [value("e", shape=None)])
    nodes = [
        node("If", ["c"], ["chosen"], then_branch=then, else_branch=other),
        node("SequenceConstruct", ["chosen", "x"], ["pair"]),
        node("ConcatFromSequence", ["pair"], ["y"], axis=0),
        node("Sin", ["x"], ["nobody reads it"]),
        node("Identity", ["s"], ["inner"]),
        node("Identity", ["inner"], ["words"]),
    ]
    inputs = [value("x"), value("c", BOOL), value("s", 8, ("N",))]
    outputs = [value("y", FLOAT, (2,)), value("words", 8, ("N",))]
    graph = model(nodes, inputs, outputs).SerializeToString()
    cat = Tensor(name="s", datatype="BYTES", shape=(1,), data=encode_bytes([b"cat"]))
    yes = Tensor(name="c", datatype="BOOL", shape=(1,), data=b"\x01")
    made = trace(client, Revision.of(graph), floats("x", 3.0), yes, cat)
    found = {v.name: v for step in made.nodes for v in step.outputs}
    assert found["chosen"].sha256 == hashlib.sha256(struct.pack("<f", 6.0)).hexdigest()
    assert found["pair"] == Value(name="pair")
    assert found["inner"].sha256 == hashlib.sha256(cat.data).hexdigest()
    assert "nobody reads it" not in found
    assert made.step(0).inputs == ("c", "x")


def test_external_weights_are_traced_and_packed(client: ExecutorClient) -> None:
    weights = np.arange(4, dtype="<f4").tobytes()
    files = {"model.onnx": external(weights, length="16"), "weights.bin": weights}
    revision = Revision(files, external=("weights.bin",))
    x = floats("x", 1.0, 1.0, 1.0, 1.0)
    made = trace(client, revision, x)
    alone = node_alone(client, request(revision, x), 0, revision.read)
    capsule = make_capsule(alone, [("executor", made)], 0)
    assert judge(capsule, alone.outputs)[0].verdict == "exact"
    again = Capsule.parse(capsule.render())
    assert [one.verdict for one in check_capsule(again, runner())] == ["exact"]


def test_each_step_alone_gives_its_own_bits_again(client: ExecutorClient) -> None:
    revision = Revision.of(network())
    made = trace(client, revision, ROW)
    for step in (made.nodes[0], made.nodes[3]):
        alone = node_alone(client, request(revision, ROW), step.index, revision.read)
        (one,) = check_capsule(make_capsule(alone, [("a", made)], step.index), runner())
        assert (step.op_type, one.verdict) == (step.op_type, "exact")


def code(
    client: ExecutorClient, revision: Revision, *inputs: Tensor, index: int | None = None
) -> str:
    asked = request(revision, *inputs)
    with pytest.raises(ExecutorError) as caught:
        client.trace(asked.header(index), [item.data for item in inputs], revision.read)
    return f"{caught.value.code}: {caught.value.message}"


def test_what_cannot_be_traced_is_refused_in_words(client: ExecutorClient) -> None:
    drawn = model([node("RandomNormal", [], ["n"], shape=[1])], [], [value("n")])
    words = code(client, Revision.of(drawn.SerializeToString()))
    assert words.startswith("bad_input: this graph cannot be traced: node 0 (RandomNormal)")
    assert code(client, Revision.of(b"\x0b")).startswith("bad_input: this graph cannot be traced")
    plain = Revision.of(add())
    assert code(client, plain).startswith("model_failed")
    assert "no node 7" in code(client, plain, floats("x", 1.0), index=7)
    dead = [node("Sin", ["x"], ["d"]), node("Cos", ["x"], ["y"])]
    unread = Revision.of(model(dead, [value("x")], [value("y")]).SerializeToString())
    assert "depends on" in code(client, unread, floats("x", 1.0), index=0)
    unknown = model([node("Evil", ["x"], ["y"], domain="d")], [value("x")], [value("y")])
    assert code(client, Revision.of(unknown.SerializeToString()), floats("x", 1.0)).startswith(
        "load_failed"
    )


def test_a_trace_ends_at_its_deadline(client: ExecutorClient) -> None:
    revision = Revision.of(endless())
    with pytest.raises(ExecutorError) as caught:
        make_trace(client, request(revision, floats("x", 1.0), deadline_s=2.0), revision.read)
    assert caught.value.code == "deadline"


def test_a_value_too_large_for_the_memory_is_the_models_fault(client: ExecutorClient) -> None:
    nodes = [node("Expand", ["x", "shape"], ["wide"]), node("ReduceSum", ["wide"], ["y"])]
    weights = [constant("shape", [2**28], "int64")]
    graph = model(nodes, [value("x")], [value("y", shape=None)], weights).SerializeToString()
    assert code(client, Revision.of(graph), floats("x", 1.0)).startswith("model_failed: one value")


@pytest.mark.parametrize(
    "change", [{"deadline_s": 0}, {"deadline_s": "soon"}, {"node": "first"}, {"node": True}]
)
def test_a_request_of_another_form_is_refused(
    client: ExecutorClient, change: dict[str, object]
) -> None:
    revision = Revision.of(add())
    header = {**request(revision, floats("x", 1.0)).header(None), "deadline_s": 5.0}
    patience = {**header, **change}
    with pytest.raises(ExecutorError, match="bad_input"):
        client._call(patience, [floats("x", 1.0).data], read_blob=revision.read)


# ------------------------------------------------------------------ an executor that lies


class Bent(ExecutorClient):
    """A client whose executor answers `frame`."""

    def __init__(self, frame: Frame) -> None:
        super().__init__("/nowhere")
        self.frame = frame

    def trace(self, *_: object) -> Frame:
        return self.frame


def test_an_executors_answer_is_read_like_a_strangers(client: ExecutorClient) -> None:
    revision = Revision.of(network())
    asked = request(revision, ROW)
    made, outputs = make_trace(client, asked, revision.read)
    data = made.render()
    heads = [{**t.header(), "size": len(t.data)} for t in outputs]
    tail = data + b"".join(t.data for t in outputs)
    lies = [
        Frame(header={"outputs": []}, tail=data),
        Frame(header={"trace_size": len(data) + 1, "outputs": []}, tail=data),
        Frame(header={"trace_size": len(data) - 1, "outputs": []}, tail=data),
        Frame(header={"trace_size": len(data), "outputs": heads}, tail=tail[:-1] + b"\x00"),
    ]
    for frame in lies:
        with pytest.raises(ExecutorUnavailableError):
            make_trace(Bent(frame), asked, revision.read)
    other = Revision.of(add())
    honest = Frame(header={"trace_size": len(data), "outputs": heads}, tail=tail)
    with pytest.raises(ExecutorUnavailableError, match="something else"):
        make_trace(Bent(honest), request(other, ROW), other.read)
    with pytest.raises(ExecutorUnavailableError, match="makes no sense"):
        node_alone(Bent(Frame(header={})), asked, 0, revision.read)


# ------------------------------------------------------------------ the jailed child


def test_the_child_tells_what_is_wrong_with_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    header: dict[str, object] = {"step": "nodes", "node": None, "given": []}
    assert trace_child.answer(Frame(header=header, tail=b"")).header["error"] == "graph"
    told = trace_child.answer(Frame(header=header, tail=network()))
    assert told.header == {"ok": True}
    assert b'"op_type":"Softmax"' in told.tail

    def full(_: bytes) -> None:
        raise MemoryError

    monkeypatch.setattr(trace_child, "parse_model", full)
    assert trace_child.answer(Frame(header=header, tail=b"")).header["error"] == "memory"


def test_the_child_packs_one_step() -> None:
    weights = bytes(16)
    graph = external(weights)
    shape = {"name": "x", "datatype": "FP32", "shape": [4]}
    header: dict[str, object] = {
        "step": "node",
        "node": 0,
        "graph_size": len(graph),
        "external": [{"path": "weights.bin", "size": 16}],
        "inputs": [shape],
        "outputs": [{**shape, "name": "y"}],
    }
    told = trace_child.answer(Frame(header=header, tail=graph + weights))
    assert told.header == {"ok": True, "bound": {"ulps": 1.0, "floor": 0.0, "k": 0}}
    assert weights in told.tail


@pytest.mark.parametrize("index", ["first", None])
def test_what_the_child_tells_is_read_like_a_strangers(index: object) -> None:
    item = {"index": index, "name": "", "op_type": "", "domain": "", "inputs": [], "outputs": []}
    with pytest.raises(FormatError, match="is no number"):
        tracer._read_node(item, "nodes[0]")


def test_an_integer_input_is_an_input_like_any_other(client: ExecutorClient) -> None:
    nodes = [node("Cast", ["n"], ["f"], to=FLOAT), node("Sqrt", ["f"], ["y"])]
    graph = model(nodes, [value("n", INT64)], [value("y")]).SerializeToString()
    nine = Tensor(name="n", datatype="INT64", shape=(1,), data=struct.pack("<q", 9))
    made = trace(client, Revision.of(graph), nine)
    assert made.outputs[0].sha256 == hashlib.sha256(struct.pack("<f", 3.0)).hexdigest()
