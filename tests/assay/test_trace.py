"""A trace says what every step gave; two of them say at which step somebody lied."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from assay.canonical import canonical_json
from assay.errors import FormatError, VerificationError
from assay.limits import LIMITS
from assay.protobuf import fields, put, put_varint, varint
from assay.tensors import Tensor
from assay.trace import (
    Step,
    Trace,
    Value,
    compare,
    expose,
    graph as graphs,
    in_groups,
    parse_model,
    parse_trace,
    record,
    step_of,
    value_of,
)
from tests.assay import onnxfile as onnx
from tests.assay.claims import floats

A, B, C = (letter * 64 for letter in "abc")


def tensor(name: str, digest: str = A) -> Value:
    return Value(name=name, datatype="FP32", shape=(1, 2), sha256=digest)


def step(index: int, op: str, inputs: Sequence[str], *outputs: Value) -> Step:
    return Step(index=index, name="", op_type=op, domain="", inputs=tuple(inputs), outputs=outputs)


def trace(**fields: Any) -> Trace:
    whole: dict[str, Any] = {
        "graph": A,
        "input": B,
        "runtime": {"kind": "portable"},
        "inputs": (tensor("x"),),
        "nodes": (
            step(0, "MatMul", ["x", "w"], tensor("a")),
            step(1, "Relu", ["a"], tensor("r")),
            step(4, "Add", ["r", "b"], tensor("y")),
        ),
        "outputs": (tensor("y"),),
    }
    return Trace(**{**whole, **fields})


def told(**changed: str) -> Trace:
    """Return the trace of somebody who claims other digests for the values named."""
    honest = trace()
    nodes = [
        replace(
            item,
            outputs=tuple(replace(v, sha256=changed.get(v.name, A)) for v in item.outputs),
        )
        for item in honest.nodes
    ]
    return trace(nodes=tuple(nodes), outputs=(tensor("y", changed.get("y", A)),))


# ------------------------------------------------------------------ the graph


def test_a_graph_is_read_down_to_its_nodes() -> None:
    model = parse_model(onnx.chain())
    assert [item.op_type for item in model.nodes] == ["MatMul", "Relu", "Sin", "Constant", "Add"]
    assert (list(model.inputs), list(model.outputs)) == (["x"], ["y"])
    assert list(model.initializers) == ["w"]
    assert [item.index for item in model.reaching()] == [0, 1, 4]
    assert [item.place for item in model.reaching()] == [
        'node 0 (MatMul "mul")',
        'node 1 (Relu "act")',
        "node 4 (Add)",
    ]


def test_a_node_reads_what_its_bodies_take_from_outside() -> None:
    chosen = parse_model(onnx.branches()).nodes[1]
    assert chosen.inputs == ("c", "x", "s")
    assert [item.op_type for item in parse_model(onnx.branches()).reaching()] == ["Sqrt", "If"]


def test_a_body_may_hand_on_what_it_did_not_make() -> None:
    inner = onnx.graph([], [], [onnx.value("s")])
    nodes = [onnx.node("If", ["c"], ["y"], onnx.body("then_branch", inner))]
    inputs = [onnx.value("c"), onnx.value("s")]
    built = onnx.model(onnx.graph(nodes, inputs, [onnx.value("y")]))
    assert parse_model(built).nodes[0].inputs == ("c", "s")


def test_more_outputs_leave_the_file_as_it_was() -> None:
    exposed = expose(onnx.chain(), ["a", "r"])
    assert exposed.startswith(onnx.chain())
    more = list(fields(memoryview(exposed)))[-1]
    assert more.number == 7
    names = [bytes(next(iter(fields(item.data))).data) for item in fields(more.data)]
    assert names == [b"a", b"r"]


def random(*, seed: bool) -> bytes:
    attributes = [onnx.integer("seed", 7)] if seed else []
    return onnx.node("RandomNormal", [], ["n"], *attributes)


def test_what_draws_without_a_seed_has_no_trace() -> None:
    ends = [onnx.value("n")]
    parse_model(onnx.model(onnx.graph([random(seed=True)], [], ends))).refuse_random()
    with pytest.raises(FormatError, match=r"node 0 \(RandomNormal\) draws numbers"):
        parse_model(onnx.model(onnx.graph([random(seed=False)], [], ends))).refuse_random()
    inner = onnx.body("then_branch", onnx.graph([random(seed=False)], [], ends))
    nodes = [onnx.node("If", ["c"], ["y"], inner)]
    whole = onnx.graph(nodes, [onnx.value("c")], [onnx.value("y")])
    with pytest.raises(FormatError, match=r"node 0 \(If\) draws numbers"):
        parse_model(onnx.model(whole)).refuse_random()
    calm = onnx.graph([onnx.node("f", ["c"], ["y"], domain="d")], [onnx.value("c")], [])
    with pytest.raises(FormatError, match="a function of the model draws"):
        parse_model(onnx.model(calm, put(7, random(seed=False))))
    assert parse_model(onnx.model(calm, put(7, random(seed=True)) + onnx.text(1, "f"))).nodes


def test_somebody_elses_operators_may_have_those_names() -> None:
    nodes = [
        onnx.node("RandomNormal", [], ["n"], domain="d"),
        onnx.node("Constant", [], ["k"], domain="d"),
    ]
    model = parse_model(onnx.model(onnx.graph(nodes, [], [onnx.value("n"), onnx.value("k")])))
    model.refuse_random()
    assert len(model.reaching()) == 2


X, Y = [onnx.value("x")], [onnx.value("y")]
SQRT = onnx.node("Sqrt", ["x"], ["y"])
BAD = {
    "nothing": (b"", "the model is empty"),
    "two graphs": (onnx.chain() + put(7, b""), "has 2 graphs"),
    "a graph that is a number": (put_varint(7, 1), "of wire type 0"),
    "cut": (onnx.chain()[:-1], "ends inside"),
    "cut in a number": (b"\x08\xff", "ends inside a number"),
    "a cut double": (b"\x09\x00", "ends inside a field"),
    "an endless number": (b"\x08" + b"\xff" * 10 + b"\x01", "more than 64 bits"),
    "a group": (b"\x0b", "wire type 3"),
    "no text": (onnx.model(put(1, put(4, b"\xff"))), "not UTF-8"),
    "two names": (onnx.model(put(1, onnx.text(4, "Sqrt") * 2)), "twice in one message"),
    "twice an input": (onnx.model(onnx.graph([], X * 2, [])), "stands twice"),
    "a value from nowhere": (onnx.model(onnx.graph([SQRT], [], Y)), "nothing before gives"),
    "a value given twice": (onnx.model(onnx.graph([SQRT] * 2, X, Y)), "there already"),
    "an output from nowhere": (onnx.model(onnx.graph([], X, Y)), "nothing gives the output"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_two_readers_could_read_differently_is_refused(case: str) -> None:
    data, words = BAD[case]
    with pytest.raises(FormatError, match=words):
        parse_model(data)


def test_bodies_nest_only_so_deep_and_nodes_are_only_so_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inner = onnx.graph([], [], [])
    for _ in range(33):
        inner = onnx.graph([onnx.node("If", [], [], onnx.body("then_branch", inner))], [], [])
    with pytest.raises(FormatError, match="nest deeper than 32"):
        parse_model(onnx.model(inner))
    monkeypatch.setattr(graphs, "MAX_NODES", 4)
    with pytest.raises(FormatError, match="more than 4 nodes"):
        parse_model(onnx.chain())


def test_a_sparse_weight_has_the_name_of_its_values() -> None:
    sparse = put(1, onnx.floats("w", [1], [2.0])) + put_varint(3, 9)
    whole = onnx.graph([onnx.node("Add", ["x", "w"], ["y"])], X, Y, sparse=[sparse])
    assert list(parse_model(onnx.model(whole)).initializers) == ["w"]


def test_numbers_have_one_form_on_the_wire() -> None:
    for number in (0, 1, 127, 128, 300, 2**63):
        assert varint(memoryview(put_varint(1, number)), 1)[0] == number
    double = b"\x09" + bytes(8) + b"\x15" + bytes(4)
    assert [(f.number, f.wire, len(f.data)) for f in fields(memoryview(double))] == [
        (1, 1, 8),
        (2, 5, 4),
    ]


# ------------------------------------------------------------------ groups


class FullError(Exception):
    pass


def test_values_that_do_not_fit_together_are_asked_for_in_smaller_groups() -> None:
    asked: list[int] = []

    def run(names: Sequence[str]) -> list[Tensor]:
        asked.append(len(names))
        if len(names) > 3:
            raise FullError
        return [floats(name, 1.0) for name in names]

    names = [f"v{number}" for number in range(10)]
    found = list(in_groups(names, run, size=8, full=FullError))
    assert [item.name for item in found] == names
    assert asked == [8, 4, 2, 2, 2, 2, 2]
    assert list(in_groups([], run, size=8, full=FullError)) == []


def test_a_value_that_does_not_fit_alone_is_the_callers_to_tell() -> None:
    def run(names: Sequence[str]) -> list[Tensor]:
        raise FullError

    with pytest.raises(FullError):
        list(in_groups(["a", "b", "c"], run, size=8, full=FullError))


# ------------------------------------------------------------------ the format


def test_a_trace_has_one_form() -> None:
    made = trace()
    data = made.render()
    assert parse_trace(data) == made
    assert parse_trace(data).digest == made.digest
    assert made.step(4).op_type == "Add"
    assert json.loads(data)["nodes"][1] == {
        "index": 1,
        "name": "",
        "op_type": "Relu",
        "domain": "",
        "inputs": ["a"],
        "outputs": [{"name": "r", "datatype": "FP32", "shape": [1, 2], "sha256": A}],
    }
    with pytest.raises(FormatError, match="no node 3"):
        made.step(3)


def test_what_is_no_tensor_is_listed_without_a_digest() -> None:
    node = parse_model(onnx.chain()).nodes[0]
    assert step_of(node, {}).outputs == (Value(name="a"),)
    assert step_of(node, {"a": tensor("a")}).outputs == (tensor("a"),)
    made = trace(nodes=(step(0, "SequenceEmpty", [], Value(name="s")),), outputs=())
    assert parse_trace(made.render()) == made


def test_every_nan_has_the_same_digest() -> None:
    one, other = (
        Tensor(name="a", datatype="FP32", shape=(1,), data=bytes.fromhex(text))
        for text in ("0000c07f", "010080ff")
    )
    assert value_of(one) == value_of(other)
    assert value_of(one) != value_of(replace(one, data=bytes(4)))


Change = Callable[[dict[str, Any]], Any]
FORGED: dict[str, tuple[Change, str]] = {
    "another format": (lambda t: t.update(format="assay-trace-v2"), "is not assay-trace-v1"),
    "no runtime": (lambda t: t.update(runtime=None), "runtime: is not an object"),
    "another field": (lambda t: t.update(signed=True), "unknown"),
    "nodes out of order": (lambda t: t["nodes"].reverse(), "out of order"),
    "a node twice": (lambda t: t["nodes"].append(t["nodes"][-1]), "out of order"),
    "a value twice": (lambda t: t["nodes"][1]["outputs"][0].update(name="a"), "given twice"),
    "an input given again": (lambda t: t["nodes"][1]["outputs"][0].update(name="x"), "twice"),
    "another end": (lambda t: t["outputs"][0].update(sha256=C), "not what its node gave"),
    "half a value": (lambda t: t["inputs"][0].update(sha256=None), "64 lower-case hex"),
    "no datatype": (lambda t: t["inputs"][0].update(datatype="FP8"), "is no datatype"),
    "a shape below nothing": (lambda t: t["inputs"][0].update(shape=[-1]), "no number from 0"),
    "a shape of truths": (lambda t: t["inputs"][0].update(shape=[True]), "no number from 0"),
    "many dimensions": (lambda t: t["inputs"][0].update(shape=[1] * 17), "more than 16"),
    "an index in words": (lambda t: t["nodes"][0].update(index="0"), "no number from 0"),
}


@pytest.mark.parametrize("case", FORGED)
def test_mallory_may_not_forge_a_trace_that_contradicts_itself(case: str) -> None:
    value = trace().to_dict()
    change, words = FORGED[case]
    change(value)
    with pytest.raises(FormatError, match=words):
        parse_trace(canonical_json(value))


def test_a_second_spelling_is_refused() -> None:
    with pytest.raises(FormatError, match="not in RFC 8785 form"):
        parse_trace(json.dumps(trace().to_dict()).encode())


def test_a_trace_is_only_so_large(monkeypatch: pytest.MonkeyPatch) -> None:
    data = trace().render()
    monkeypatch.setattr(record, "MAX_NODES", 2)
    with pytest.raises(FormatError, match="more than 2 nodes"):
        parse_trace(data)
    monkeypatch.setattr(record, "_NAMES", 0)
    with pytest.raises(FormatError, match="more than 0 values"):
        parse_trace(trace(nodes=()).render())
    monkeypatch.setattr(record, "MAX_TRACE_BYTES", 10)
    with pytest.raises(FormatError, match="at most 10 bytes"):
        trace().render()
    assert LIMITS.tensor_rank == 16


# ------------------------------------------------------------------ which step went wrong


def test_two_honest_traces_are_the_same() -> None:
    found = compare(trace(), trace())
    assert (found.verdict, found.first, found.differing, found.same_runtime) == (
        "same",
        None,
        0,
        True,
    )


def test_mallory_who_altered_the_relu_is_found_at_the_relu() -> None:
    found = compare(told(r=C, y=C), trace())
    assert found.verdict == "diverged"
    assert found.first is not None
    assert (found.first.place, found.values) == ("node 1 (Relu)", ("r",))
    # What follows from the lie differs too, and is nobody's fault.
    assert (found.differing, found.origins, found.nodes, found.blind) == (2, 1, 3, False)


def test_two_lies_are_two_origins() -> None:
    def wide(**digests: str) -> Trace:
        values = {name: digests.get(name, A) for name in "ab"}
        nodes = tuple(
            step(index, "Sqrt", ["x"], tensor(name, digest))
            for index, (name, digest) in enumerate(values.items())
        )
        return trace(nodes=nodes, outputs=())

    found = compare(wide(), wide(a=C, b=C))
    assert (found.origins, found.differing) == (2, 2)


def test_a_step_behind_a_sequence_is_named_with_a_caveat() -> None:
    def behind(digest: str) -> Trace:
        nodes = (
            step(0, "SequenceConstruct", ["x"], Value(name="s")),
            step(1, "ConcatFromSequence", ["s"], tensor("y", digest)),
        )
        return trace(nodes=nodes, outputs=(tensor("y", digest),))

    found = compare(behind(A), behind(C))
    assert (found.first and found.first.index, found.blind) == (1, True)


def test_traces_under_two_runtimes_say_so() -> None:
    assert compare(trace(), trace(runtime={"kind": "native"})).same_runtime is False


def test_traces_of_two_things_are_not_compared() -> None:
    with pytest.raises(VerificationError, match="traces of two graphs"):
        compare(trace(), trace(graph=C))
    with pytest.raises(VerificationError, match="traces of two inputs"):
        compare(trace(), trace(input=C))
    for other in (trace(inputs=(tensor("z"),)), trace(nodes=trace().nodes[:2])):
        with pytest.raises(VerificationError, match="cannot be traces of one graph"):
            compare(trace(), other)
    bent = (*trace().nodes[:2], replace(trace().nodes[2], op_type="Sub"))
    with pytest.raises(VerificationError, match=r"node 4 \(Add\) and node 4 \(Sub\) are not one"):
        compare(trace(), trace(nodes=bent))
