"""A capsule is one step and two claims; whoever has it can tell who is right, and nobody can forge
one that says something else than it seems to."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from assay.canonical import canonical_json, parse_json
from assay.capsule import (
    Alone,
    Capsule,
    Claim,
    Subject,
    archive,
    compare_final,
    judge,
    make_capsule,
    node_bound,
    one_node,
    wanted,
)
from assay.closeness import Bound, exact, reduction, ulp
from assay.digests import sha256_hex
from assay.errors import FormatError, VerificationError
from assay.tensors import Tensor, encode_bytes
from assay.trace import Step, Trace, Value, parse_model, value_of
from tests.assay import onnxfile as onnx
from tests.assay.claims import floats

A, B, C = (letter * 64 for letter in "abc")
SUBJECT = Subject(graph=A, input=B, index=1, name="act", op_type="Relu", domain="")
READ, GAVE, LIE = floats("a", -1.0, 2.0), floats("r", 0.0, 2.0), floats("r", 0.0, 2.5)


def claim(label: str, tensor: Tensor, *, known: bool = True) -> Claim:
    return Claim(
        label=label, trace=C, outputs=(value_of(tensor),), tensors=(tensor,) if known else ()
    )


def capsule(*claims: Claim, **fields: Any) -> Capsule:
    whole: dict[str, Any] = {
        "subject": SUBJECT,
        "runtime": {"kind": "portable"},
        "bound": exact(),
        "model": b"onnx",
        "inputs": (READ,),
        "claims": claims or (claim("first", GAVE), claim("second", LIE)),
    }
    return Capsule(**{**whole, **fields})


# ------------------------------------------------------------------ one node


def test_one_node_takes_its_weights_along_and_leaves_the_rest() -> None:
    model = parse_model(onnx.chain())
    x, a = floats("x", 1.0, 2.0), floats("a", 2.0, 5.0)
    assert wanted(model, 0, ["x"]) == []
    alone = parse_model(one_node(model, 0, [x], [a], {}))
    assert [item.op_type for item in alone.nodes] == ["MatMul"]
    assert (list(alone.inputs), list(alone.outputs)) == (["x"], ["a"])
    assert list(alone.initializers) == ["w"]


def test_a_constant_comes_along_as_a_constant() -> None:
    model = parse_model(onnx.chain())
    r, y = floats("r", 0.0, 5.0), floats("y", 0.5, 5.25)
    assert wanted(model, 4, ["x"]) == ["r"]
    alone = parse_model(one_node(model, 4, [r], [y], {}))
    assert [item.op_type for item in alone.nodes] == ["Constant", "Add"]
    assert list(alone.inputs) == ["r"]


def test_what_a_body_reads_is_an_input_of_its_node() -> None:
    model = parse_model(onnx.branches())
    assert wanted(model, 1, ["x", "c"]) == ["s"]
    condition = Tensor(name="c", datatype="BOOL", shape=(1,), data=b"\x01")
    given = [condition, floats("x", 1.0), floats("s", 1.0)]
    alone = parse_model(one_node(model, 1, given, [floats("y", 2.0)], {}))
    assert list(alone.inputs) == ["c", "x", "s"]
    with pytest.raises(FormatError, match=r"node 1 \(If\) reads 's', which is no tensor"):
        one_node(model, 1, given[:2], [], {})


@pytest.mark.parametrize("index", [-1, 3, 5])
def test_there_is_no_capsule_of_what_is_no_step(index: int) -> None:
    with pytest.raises(FormatError, match="no node"):
        wanted(parse_model(onnx.chain()), index, ["x"])


def add(weight: bytes, *, listed: bool = False, sparse: bytes | None = None) -> bytes:
    inputs = [onnx.value("x", [2]), *([onnx.value("w", [2])] if listed else [])]
    node = onnx.node("Add", ["x", "w"], ["y"])
    weights, thin = ([], [sparse]) if sparse is not None else ([weight], [])
    return onnx.model(onnx.graph([node], inputs, [onnx.value("y", [2])], weights, sparse=thin))


def test_a_weight_that_may_be_fed_stays_one_that_may_be_fed() -> None:
    model = parse_model(add(onnx.floats("w", [1, 2], [1, 2]), listed=True))
    x, y, w = floats("x", 1.0, 2.0), floats("y", 2.0, 4.0), floats("w", 3.0, 4.0)
    unfed = parse_model(one_node(model, 0, [x], [y], {}))
    assert (sorted(unfed.inputs), list(unfed.initializers)) == (["w", "x"], ["w"])
    fed = parse_model(one_node(model, 0, [x, w], [y], {}))
    assert (sorted(fed.inputs), list(fed.initializers)) == (["w", "x"], ["w"])


def test_a_sparse_weight_comes_along_as_it_is() -> None:
    sparse = onnx.put(1, onnx.floats("w", [1], [2.0])) + onnx.put_varint(3, 2)
    model = parse_model(add(b"", sparse=sparse))
    x, y = floats("x", 1.0, 2.0), floats("y", 2.0, 4.0)
    alone = parse_model(one_node(model, 0, [x], [y], {}))
    assert list(alone.initializers) == ["w"]
    assert node_bound(model, 0, [x], [y]) == ulp(1)


FILE = bytes(8) + bytes.fromhex("0000803f00000040") + bytes(4)


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ({"location": "w.bin", "offset": "8", "length": "8"}, FILE[8:16]),
        ({"location": "w.bin", "offset": "12"}, FILE[12:]),
        ({"location": "w.bin"}, FILE),
    ],
)
def test_external_data_go_into_the_capsule(entries: dict[str, str], found: bytes) -> None:
    model = parse_model(add(onnx.outside("w", [2], **entries)))
    x, y = floats("x", 1.0, 2.0), floats("y", 2.0, 4.0)
    alone = parse_model(one_node(model, 0, [x], [y], {"w.bin": FILE}))
    inner = {f.number: bytes(f.data) for f in onnx.fields(alone.initializers["w"].data)}
    assert (inner[9], inner[8]) == (found, b"w")
    assert not {13, 14} & set(inner)


@pytest.mark.parametrize(
    "entries",
    [
        {"location": "other.bin"},
        {"location": "w.bin", "offset": "x"},
        {"location": "w.bin", "offset": "-8"},
        {"location": "w.bin", "offset": "16", "length": "8"},
        {"location": "w.bin", "offset": "99"},
    ],
)
def test_external_data_that_are_not_there_are_missed(entries: dict[str, str]) -> None:
    model = parse_model(add(onnx.outside("w", [2], **entries)))
    with pytest.raises(FormatError, match="external data"):
        one_node(model, 0, [floats("x", 1.0)], [], {"w.bin": FILE})


def shaped(name: str, *shape: int) -> Tensor:
    return Tensor(name=name, datatype="FP32", shape=shape, data=bytes(4 * math.prod(shape)))


@pytest.mark.parametrize(
    ("op", "inputs", "output", "bound"),
    [
        ("Relu", [(2, 2)], (2, 2), exact()),
        ("Conv", [(1, 3, 8, 8), (16, 3, 5, 5)], (1, 16, 4, 4), reduction(75)),
        ("MatMul", [(4, 7), (7, 3)], (4, 3), reduction(7)),
        ("Gemm", [(7, 4), (7, 3)], (4, 3), reduction(7)),
        ("Softmax", [(2, 10)], (2, 10), ulp(33)),
        ("Sum", [(2,), (2,), (2,)], (2,), reduction(3)),
        ("ReduceSum", [(2, 50)], (2,), reduction(50)),
        ("GlobalAveragePool", [(1, 3, 7, 7)], (1, 3, 1, 1), reduction(49)),
        ("ConvTranspose", [(1, 3, 8, 8), (3, 16, 5, 5)], (1, 16, 4, 4), reduction(4608)),
    ],
)
def test_the_bound_of_a_step_follows_from_its_shapes(
    op: str, inputs: list[tuple[int, ...]], output: tuple[int, ...], bound: Bound
) -> None:
    names = [f"i{number}" for number in range(len(inputs))]
    values = [onnx.value(name) for name in names]
    built = onnx.graph([onnx.node(op, names, ["y"])], values, [onnx.value("y")])
    model = parse_model(onnx.model(built))
    tensors = [shaped(name, *shape) for name, shape in zip(names, inputs, strict=True)]
    assert node_bound(model, 0, tensors, [shaped("y", *output)]) == bound


def test_the_shape_of_a_weight_is_read_from_the_graph() -> None:
    for weight in (onnx.floats("w", [1, 3, 2, 2], [0.0] * 12), onnx.outside("w", [1, 3, 2, 2])):
        node = onnx.node("Conv", ["x", "w"], ["y"])
        whole = onnx.graph([node], [onnx.value("x")], [onnx.value("y")], [weight])
        model = parse_model(onnx.model(whole))
        assert node_bound(model, 0, [shaped("x", 1, 3, 4, 4)], []) == reduction(12)


def test_without_a_shape_a_long_sum_is_assumed() -> None:
    node = onnx.node("MatMul", ["s", "w"], ["y"])
    values = [onnx.value("s"), onnx.value("w")]
    model = parse_model(onnx.model(onnx.graph([node], values, [onnx.value("y")])))
    assert node_bound(model, 0, [], []) == reduction(4608)


# ------------------------------------------------------------------ the archive


def test_a_capsule_has_one_form() -> None:
    data = capsule().render()
    again = Capsule.parse(data)
    assert again == capsule()
    assert again.render() == data
    assert again.subject.place == 'node 1 (Relu "act")'
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        names = [item.filename for item in opened.infolist()]
        head = parse_json(opened.read("capsule.json"))
    assert names == [
        "capsule.json",
        "node.onnx",
        "inputs.tensors",
        "claim-0.tensors",
        "claim-1.tensors",
    ]
    assert head["files"]["node.onnx"] == sha256_hex(b"onnx")
    assert head["bound"] == {"ulps": 0, "floor": 0, "k": 0}


def test_outputs_come_back_in_the_order_of_the_claim() -> None:
    pair = (floats("z", 1.0), floats("a", 2.0))
    both = Claim(label="first", trace=C, outputs=tuple(map(value_of, pair)), tensors=pair)
    bound = ulp(3, 2**-10).looser(reduction(9))
    made = capsule(both, bound=bound, subject=replace(SUBJECT, name=""))
    again = Capsule.parse(made.render())
    assert again.claims == (both,)
    assert again.bound == bound
    assert again.subject.place == "node 1 (Relu)"


def test_a_claim_may_be_known_by_its_digest_alone() -> None:
    made = capsule(claim("first", GAVE, known=False))
    assert Capsule.parse(made.render()) == made


def test_nobody_packs_what_is_no_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    bent = replace(claim("first", GAVE), tensors=(LIE,))
    with pytest.raises(FormatError, match="not those of the claim"):
        capsule(bent).render()
    for claims in ((), (claim("a", GAVE),) * 3):
        with pytest.raises(FormatError, match="1 to 2 claims"):
            replace(capsule(), claims=claims).render()
    data = capsule().render()
    monkeypatch.setattr(archive, "MAX_CAPSULE_BYTES", 10)
    with pytest.raises(FormatError, match="at most 10 bytes"):
        capsule().render()
    monkeypatch.setattr(archive, "MAX_CAPSULE_BYTES", -(2**16))
    with pytest.raises(FormatError, match="at most"):
        Capsule.parse(data)


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return {item.filename: opened.read(item) for item in opened.infolist()}


def repacked(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as opened:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system, info.external_attr, info.compress_type = 3, 0o100644 << 16, method
            opened.writestr(info, data)
    return buffer.getvalue()


def bent(change: Callable[[dict[str, Any]], Any]) -> bytes:
    files = unpacked(capsule().render())
    head = parse_json(files["capsule.json"])
    change(head)
    return repacked({**files, "capsule.json": canonical_json(head)})


def test_the_fixture_packs_as_the_format_does() -> None:
    assert bent(lambda head: None) == capsule().render()


HEADS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "another format": (lambda h: h.update(format="assay-capsule-v2"), "is not assay-capsule-v1"),
    "no runtime": (lambda h: h.update(runtime=[]), "runtime: is not an object"),
    "another model": (lambda h: h["files"].update({"node.onnx": A}), "not those of capsule.json"),
    "an index of truth": (lambda h: h["node"].update(index=True), "node.index"),
    "a bound below zero": (lambda h: h["bound"].update(ulps=-1), "bound.ulps"),
    "a bound in words": (lambda h: h["bound"].update(floor="all"), "bound.floor"),
    "half a term": (lambda h: h["bound"].update(k=0.5), "bound.k"),
    "a term and a half": (lambda h: h["bound"].update(k=1.5), "bound.k"),
    "no claim": (lambda h: h.update(claims=[]), "1 to 2 claims"),
    "another output": (
        lambda h: h["claims"][0]["outputs"][0].update(sha256=A),
        "not those of the claim",
    ),
    "another field": (lambda h: h.update(signed=1), "unknown"),
}


@pytest.mark.parametrize("case", HEADS)
def test_mallory_may_not_bend_what_a_capsule_says(case: str) -> None:
    change, words = HEADS[case]
    with pytest.raises(FormatError, match=words):
        Capsule.parse(bent(change))


def test_mallory_may_not_hide_anything_in_the_archive() -> None:
    good = capsule().render()
    files = unpacked(good)
    listed = parse_json(files["capsule.json"])
    more = {**files, "notes.txt": b"hello"}
    listed["files"]["notes.txt"] = sha256_hex(b"hello")
    cases = {
        "no ZIP": b"hello",
        "is no ZIP archive": good[:-10],
        "another spelling": good + b"\x00",
        "is compressed": repacked(files, zipfile.ZIP_DEFLATED),
        "the archive has too many files": repacked({**more, "more.txt": b""}),
        "the files are not those": repacked({**files, "node.onnx": b"other"}),
        "not strict JSON": repacked({}),
    }
    for words, data in cases.items():
        with pytest.raises(FormatError, match=words):
            Capsule.parse(data)
    hidden = {name: data for name, data in more.items() if name != "claim-1.tensors"}
    listed["files"].pop("claim-1.tensors")
    with pytest.raises(FormatError, match="another spelling"):
        Capsule.parse(repacked({**hidden, "capsule.json": canonical_json(listed)}))
    reordered = dict(reversed(files.items()))
    with pytest.raises(FormatError, match="another spelling"):
        Capsule.parse(repacked(reordered))


def test_a_capsule_without_its_node_is_none() -> None:
    files = unpacked(capsule().render())
    head = parse_json(files["capsule.json"])
    del files["node.onnx"], head["files"]["node.onnx"]
    with pytest.raises(FormatError, match="the node or its inputs are missing"):
        Capsule.parse(repacked({**files, "capsule.json": canonical_json(head)}))


# ------------------------------------------------------------------ who lied


def test_the_honest_claim_holds_and_the_lie_does_not() -> None:
    honest, liar = judge(capsule(), [GAVE])
    assert (honest.label, honest.verdict, honest.holds) == ("first", "exact", True)
    assert (liar.label, liar.verdict, liar.holds) == ("second", "diverged", False)
    assert (liar.value, liar.place, liar.worst) == ("r", 1, math.inf)


def test_rounding_within_the_bound_is_no_lie() -> None:
    near = replace(GAVE, data=GAVE.data[:4] + bytes.fromhex("02000040"))
    (one,) = judge(capsule(claim("first", near), bound=ulp(4)), [GAVE])
    assert (one.verdict, one.worst, one.holds) == ("close", 0.5, True)
    (one,) = judge(capsule(claim("first", near), bound=ulp(1)), [GAVE])
    assert (one.verdict, one.holds) == ("diverged", False)


def test_of_a_digest_only_its_being_another_is_known() -> None:
    (one,) = judge(capsule(claim("first", LIE, known=False)), [GAVE])
    assert (one.verdict, one.place, one.holds) == ("other", None, False)


def test_another_shape_or_no_answer_is_no_rounding() -> None:
    loose = capsule(claim("first", LIE), bound=ulp(1, 10.0))
    assert judge(loose, [GAVE])[0].verdict == "close"
    for found in ([], [replace(GAVE, shape=(2,))], [replace(GAVE, datatype="INT32")]):
        assert judge(loose, found)[0].verdict == "diverged"


def test_the_worst_of_several_outputs_decides() -> None:
    good, bad = floats("p", 1.0), floats("q", 1.0)
    blank = Value(name="s")
    both = Claim(
        label="first",
        trace=C,
        outputs=(blank, value_of(good), value_of(bad)),
        tensors=(),
    )
    (one,) = judge(capsule(both), [good, floats("q", 2.0)])
    assert (one.verdict, one.value) == ("other", "q")
    (one,) = judge(capsule(both), [good, bad])
    assert one.verdict == "exact"
    wide = Claim(
        label="first", trace=C, outputs=(value_of(good), value_of(bad)), tensors=(good, bad)
    )
    (one,) = judge(capsule(wide, bound=ulp(0, 8.0)), [floats("p", 3.0), floats("q", 2.0)])
    assert (one.value, one.worst) == ("p", 0.25)


# ------------------------------------------------------------------ from traces


def step(*outputs: Value) -> Step:
    return Step(index=1, name="act", op_type="Relu", domain="", inputs=("a",), outputs=outputs)


def trace(gave: Tensor, read: Tensor = READ) -> Trace:
    first = Step(
        index=0, name="", op_type="Sqrt", domain="", inputs=("x",), outputs=(value_of(read),)
    )
    return Trace(
        graph=A,
        input=B,
        runtime={},
        inputs=(value_of(floats("x", 1.0, 2.0)),),
        nodes=(first, step(value_of(gave))),
        outputs=(value_of(gave),),
    )


ALONE = Alone(model=b"onnx", bound=exact(), runtime={}, inputs=(READ,), outputs=(GAVE,))


def test_the_bytes_of_a_claim_are_there_where_the_run_gave_them() -> None:
    made = make_capsule(ALONE, [("first", trace(GAVE)), ("second", trace(LIE))], 1)
    assert made.subject == SUBJECT
    assert [item.tensors for item in made.claims] == [(GAVE,), ()]
    assert [item.trace for item in made.claims] == [trace(GAVE).digest, trace(LIE).digest]
    assert [one.verdict for one in judge(made, [GAVE])] == ["exact", "other"]


def test_a_run_that_read_other_values_cannot_speak_for_a_trace() -> None:
    other = trace(GAVE, read=floats("a", 3.0, 3.0))
    with pytest.raises(VerificationError, match="an earlier node has to be looked at first"):
        make_capsule(ALONE, [("first", trace(GAVE)), ("second", other)], 1)


def test_a_value_that_no_trace_lists_is_the_runs_own() -> None:
    read = (READ, floats("unlisted", 1.0))
    assert make_capsule(replace(ALONE, inputs=read), [("first", trace(GAVE))], 1).inputs == read


# ------------------------------------------------------------------ the end of a traced run


def test_the_end_of_a_traced_run_is_compared_with_the_claim() -> None:
    made = trace(GAVE)
    assert compare_final(made, [GAVE], [GAVE]).verdict == "exact"
    one = compare_final(made, [GAVE], [LIE])
    assert one.verdict == "diverged"
    assert one.detail == "r, element 1: 2.1e+06 times what rounding may do"
    near = replace(GAVE, data=GAVE.data[:4] + bytes.fromhex("02000040"))
    softer = replace(made, nodes=(replace(made.nodes[0], op_type="Exp"), made.nodes[1]))
    found = compare_final(softer, [GAVE], [near])
    assert (found.verdict, found.detail) == (
        "close",
        "r, element 1: 0.0625 times what rounding may do",
    )
    worst = compare_final(softer, [GAVE, floats("q", 1.0)], [near, floats("q", 2.0), near])
    assert (worst.verdict, worst.detail.startswith("q")) == ("diverged", True)
    lost = compare_final(made, [], [GAVE])
    assert (lost.verdict, lost.detail) == ("diverged", "r: the traced run has no such output")
    words = Tensor(name="w", datatype="BYTES", shape=(1,), data=encode_bytes([b"cat"]))
    dog = replace(words, data=encode_bytes([b"dog"]))
    assert compare_final(made, [words], [dog]).detail == "w: inf times what rounding may do"
