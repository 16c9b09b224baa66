"""Alice traces a run on her machine, finds the step that mallory altered, and anybody checks it."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from assay.capsule import Capsule
from assay.cli import app
from assay.digests import sha256_hex
from assay.errors import FormatError, UnavailableError, VerificationError
from assay.replay import Job, Material, NodeRunner, find_node
from assay.replay.runtimes import NAMES
from assay.replay.tracing import check_capsule, node_again, trace_again
from assay.statements import Graph, TensorSet
from assay.tensors import Tensor, commitment, encode_tensors
from assay.trace import Trace, Value, parse_trace
from tests.assay import claims, onnxfile as onnx
from tests.assay.claims import floats

VENDOR = Path(__file__).parent.parent.parent / "static" / "vendor" / "onnxruntime-web-1.30.0"
X, Y = floats("x", 1.0, 2.0), floats("y", 2.5, 5.25)
RUN = ("--runtime", str(VENDOR))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader who has pinned nothing."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("ASSAY_TRUST", raising=False)
    monkeypatch.delenv("NODE_BINARY", raising=False)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(item) for item in arguments])


@pytest.fixture
def runner() -> NodeRunner:
    files = {name: (VENDOR / name).read_bytes() for name in NAMES}
    return NodeRunner(node=find_node(), files=files)


class Bench:
    """Alice's files: a model of three steps, what was put in and what is claimed to come out."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.graph = self.write("model.onnx", onnx.chain())
        self.input = self.write("input.tensors", encode_tensors([X]))
        self.output = self.write("output.tensors", encode_tensors([Y]))
        self.receipt = folder / "receipt.json"
        self.sign()

    def write(self, name: str, data: bytes) -> Path:
        (self.folder / name).write_bytes(data)
        return self.folder / name

    def sign(self, **changed: Any) -> None:
        graph = Graph(path="model.onnx", sha256=sha256_hex(self.graph.read_bytes()))
        sets = {
            "input": TensorSet(form="digest", sha256=sha256_hex(self.input.read_bytes())),
            "output": TensorSet(form="digest", sha256=sha256_hex(self.output.read_bytes())),
        }
        predicate = claims.execution(**{"graph": graph, **sets, **changed})
        self.receipt.write_bytes(claims.receipt_of(predicate))

    def trace(self, *options: object, out: str = "trace.json") -> Result:
        return run(
            *("trace", self.receipt, "--model", self.graph, "--input", self.input, *RUN),
            *("--out", self.folder / out, *options),
        )

    def made(self, name: str = "trace.json") -> Trace:
        return parse_trace((self.folder / name).read_bytes())

    def lied(self, **digests: str) -> Path:
        """Write the trace of somebody who claims other digests for the values named."""
        honest = self.made()

        def bend(value: Value) -> Value:
            return replace(value, sha256=digests.get(value.name, value.sha256))

        nodes = tuple(
            replace(item, outputs=tuple(map(bend, item.outputs))) for item in honest.nodes
        )
        bent = replace(honest, nodes=nodes, outputs=tuple(map(bend, honest.outputs)))
        return self.write("lie.json", bent.render())

    def capsule(self, first: Path, second: Path, *options: object) -> Result:
        return run(
            *("capsule", "make", first, second, "--graph", self.graph, "--input", self.input),
            *(*RUN, "--out", self.folder / "capsule.zip", *options),
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_alice_traces_a_run_and_its_end_is_the_claimed_one(bench: Bench) -> None:
    result = bench.trace("--json")
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    made = bench.made()
    assert (value["verdict"], value["trace"], value["nodes"]) == ("exact", made.digest, 3)
    assert made.runtime["options"] == {"graphOptimizationLevel": "disabled", "threads": 1}
    relu = made.step(1).outputs[0]
    assert relu.sha256 == sha256_hex(struct.pack("<2f", 2, 5))
    assert "the end   exact" in bench.trace("--blob", bench.output).stdout


def test_a_claim_that_lies_far_off_is_exit_code_one(bench: Bench) -> None:
    bench.output.write_bytes(encode_tensors([floats("y", 2.5, 5.5)]))
    bench.sign()
    unknown = bench.trace("--json")
    assert (unknown.exit_code, json.loads(unknown.stdout)["verdict"]) == (0, "unknown")
    told = bench.trace("--blob", bench.output)
    assert (told.exit_code, "the end   diverged: y, element 1" in told.stdout) == (1, True)


def test_mallory_may_not_exchange_graph_input_or_output(bench: Bench) -> None:
    other = bench.write("other.tensors", encode_tensors([floats("x", 9.0, 9.0)]))
    for options in (("--input", other), ("--blob", other), ("--model", claims.MODEL)):
        result = bench.trace(*options)
        assert result.exit_code == 1
        assert "of the receipt" in result.stderr
        assert not (bench.folder / "trace.json").exists()


def test_a_private_run_is_traced_by_whoever_has_the_salts(bench: Bench) -> None:
    sets = {
        name: TensorSet(
            form="commitment",
            sha256=commitment(claims.SALT, sha256_hex(file.read_bytes())),
        )
        for name, file in (("input", bench.input), ("output", bench.output))
    }
    bench.sign(**sets)
    assert bench.trace().exit_code == 2
    salt = claims.SALT.hex()
    half = bench.trace("--input-salt", salt, "--json")
    assert json.loads(half.stdout)["verdict"] == "unknown"
    whole = bench.trace("--input-salt", salt, "--output-salt", salt, "--json")
    assert json.loads(whole.stdout)["verdict"] == "exact"


def test_a_trace_that_cannot_be_written_is_exit_code_three(bench: Bench) -> None:
    result = bench.trace(out="no/where.json")
    assert (result.exit_code, "cannot write" in result.stderr) == (3, True)


def test_two_honest_traces_are_the_same(bench: Bench) -> None:
    bench.trace()
    bench.trace(out="again.json")
    result = run("compare", bench.folder / "trace.json", bench.folder / "again.json")
    assert (result.exit_code, result.stdout) == (0, "The same: 3 nodes\n")
    packed = bench.capsule(bench.folder / "trace.json", bench.folder / "again.json")
    assert (packed.exit_code, "no step differs" in packed.stderr) == (2, True)


def test_mallory_who_altered_the_relu_is_found_and_the_capsule_says_so(bench: Bench) -> None:
    bench.trace()
    lie = bench.lied(r="a" * 64, y="b" * 64)
    compared = run("compare", lie, bench.folder / "trace.json")
    assert (compared.exit_code, 'Diverged at node 1 (Relu "act")' in compared.stdout) == (1, True)
    value = json.loads(run("compare", lie, bench.folder / "trace.json", "--json").stdout)
    assert (value["first"]["op_type"], value["differing"], value["origins"]) == ("Relu", 2, 1)
    packed = bench.capsule(lie, bench.folder / "trace.json")
    assert packed.exit_code == 0, packed.output
    capsule = bench.folder / "capsule.zip"
    checked = run("capsule", "check", capsule, *RUN)
    assert checked.exit_code == 1
    assert "first      does not hold: other bits" in checked.stdout
    assert "second     holds: the same bits" in checked.stdout
    told = json.loads(run("capsule", "check", capsule, *RUN, "--json").stdout)
    assert [one["verdict"] for one in told["claims"]] == ["other", "exact"]


def test_an_honest_claim_alone_holds(bench: Bench, runner: NodeRunner) -> None:
    bench.trace()
    bench.capsule(bench.lied(r="a" * 64), bench.folder / "trace.json")
    whole = Capsule.parse((bench.folder / "capsule.zip").read_bytes())
    honest = replace(whole, claims=whole.claims[1:])
    file = bench.write("honest.zip", honest.render())
    result = run("capsule", "check", file, *RUN)
    assert (result.exit_code, "holds: the same bits" in result.stdout) == (0, True)
    bytes_of_a_lie = (floats("r", 2.0, 6.0),)
    bent = replace(
        honest.claims[0],
        tensors=bytes_of_a_lie,
        outputs=(replace(honest.claims[0].outputs[0], sha256=sha256_hex(bytes_of_a_lie[0].data)),),
    )
    file = bench.write("lie.zip", replace(honest, claims=(bent,)).render())
    result = run("capsule", "check", file, *RUN)
    assert result.exit_code == 1
    assert "does not hold: further off than rounding explains" in result.stdout
    assert "r, element 1" in result.stdout
    assert "No claim holds" in result.stdout
    assert [one.place for one in check_capsule(Capsule.parse(file.read_bytes()), runner)] == [1]


def test_a_trace_of_something_else_is_not_packed(bench: Bench) -> None:
    bench.trace()
    lie = bench.lied(r="a" * 64)
    for option in ("--graph", "--input"):
        other = claims.MODEL if option == "--graph" else bench.write("o", claims.INPUT)
        result = bench.capsule(lie, bench.folder / "trace.json", option, other)
        assert (result.exit_code, "of the traces" in result.stderr) == (1, True)
    result = bench.capsule(lie, bench.folder / "trace.json", "--out", bench.folder / "no" / "c.zip")
    assert (result.exit_code, "cannot write" in result.stderr) == (3, True)


def test_traces_under_two_runtimes_are_compared_with_a_word(bench: Bench) -> None:
    bench.trace()
    honest = bench.made()
    other = bench.write("other.json", replace(honest, runtime={"kind": "native"}).render())
    result = run("compare", bench.folder / "trace.json", other)
    assert (result.exit_code, "different runtimes" in result.stdout) == (0, True)


def test_a_step_behind_a_sequence_is_told_with_a_word(bench: Bench) -> None:
    bench.trace()
    honest = bench.made()
    blank = replace(honest.nodes[0], outputs=(Value(name="a"),))
    lie = bench.lied(r="a" * 64)
    paths = [
        bench.write(name, replace(made, nodes=(blank, *made.nodes[1:])).render())
        for name, made in (("one.json", honest), ("two.json", parse_trace(lie.read_bytes())))
    ]
    result = run("compare", *paths)
    assert (result.exit_code, "is no tensor, which a trace does not show" in result.stdout) == (
        1,
        True,
    )


def test_external_data_are_read_beside_the_graph(bench: Bench) -> None:
    weight = onnx.outside("w", [2, 2], location="w.bin")
    nodes = [
        onnx.node("MatMul", ["x", "w"], ["a"]),
        onnx.node("Relu", ["a"], ["y"]),
    ]
    whole = onnx.graph(nodes, [onnx.value("x", [1, 2])], [onnx.value("y", [1, 2])], [weight])
    bench.write("w.bin", struct.pack("<4f", 1, -1, 0.5, 3))
    bench.write("model.onnx", onnx.model(whole))
    material = Material(
        graph=bench.graph.read_bytes(),
        input=encode_tensors([X]),
        external={"w.bin": (bench.folder / "w.bin").read_bytes()},
    )
    files = {name: (VENDOR / name).read_bytes() for name in NAMES}
    honest, _ = trace_again(material, claims.runtime(), NodeRunner(node=find_node(), files=files))
    bench.write("trace.json", honest.render())
    packed = bench.capsule(bench.lied(a="a" * 64), bench.folder / "trace.json")
    assert packed.exit_code == 0, packed.output
    told = json.loads(run("capsule", "check", bench.folder / "capsule.zip", *RUN, "--json").stdout)
    assert [one["verdict"] for one in told["claims"]] == ["other", "exact"]


# ------------------------------------------------------------------ without Node


MATERIAL = Material(graph=onnx.chain(), input=encode_tensors([X]))
KNOWN = {
    "a": floats("a", 2.0, 5.0),
    "r": floats("r", 2.0, 5.0),
    "y": Y,
}


class Simulated:
    """A `Runner` with little memory, which gives what it knows of the outputs asked for."""

    def __init__(self, room: int = 100, error: str = "std::bad_alloc", **changed: Tensor) -> None:
        self.room = room
        self.error = error
        self.known = {**KNOWN, **changed}
        self.jobs: list[Job] = []

    def run(self, job: Job) -> list[Tensor]:
        self.jobs.append(job)
        exposed = [name for name in "ar" if onnx.text(1, name) in job.graph[len(onnx.chain()) :]]
        if len(exposed) > self.room:
            raise UnavailableError(self.error)
        return [self.known[name] for name in ("y", *exposed) if name in self.known]


def names(jobs: Sequence[Job]) -> list[int]:
    return [job.graph.count(onnx.put(12, onnx.text(1, "a"))) for job in jobs]


def test_a_runtime_with_little_memory_is_asked_for_less_at_a_time() -> None:
    small = Simulated(room=1)
    made, outputs = trace_again(MATERIAL, claims.runtime(), small)
    assert made == trace_again(MATERIAL, claims.runtime(), Simulated())[0]
    assert outputs == [Y]
    assert names(small.jobs) == [1, 1, 0]
    assert {job.runtime.level for job in small.jobs} == {"disabled"}
    with pytest.raises(UnavailableError, match="bad_alloc"):
        trace_again(MATERIAL, claims.runtime(), Simulated(room=0))
    with pytest.raises(UnavailableError, match="not finished"):
        trace_again(MATERIAL, claims.runtime(), Simulated(room=0, error="not finished"))


def test_a_run_that_never_gives_the_same_has_no_trace() -> None:
    class Moody(Simulated):
        def run(self, job: Job) -> list[Tensor]:
            self.known["y"] = floats("y", float(len(self.jobs)), 0.0)
            return super().run(job)

    with pytest.raises(VerificationError, match="changes from run to run"):
        trace_again(MATERIAL, claims.runtime(), Moody(room=1))


def test_a_graph_whose_outputs_are_all_there_is_needs_one_run() -> None:
    whole = onnx.graph(
        [onnx.node("Sqrt", ["x"], ["y"])], [onnx.value("x", [1, 2])], [onnx.value("y", [1, 2])]
    )
    material = Material(graph=onnx.model(whole), input=encode_tensors([X]))
    runner = Simulated()
    made, _ = trace_again(material, claims.runtime(), runner)
    assert ([item.op_type for item in made.nodes], len(runner.jobs)) == (["Sqrt"], 1)


def test_a_value_that_the_runtime_cannot_tell_is_listed_without_a_digest() -> None:
    blind = Simulated()
    del blind.known["a"]
    made, _ = trace_again(MATERIAL, claims.runtime(), blind)
    assert made.step(0).outputs == (Value(name="a"),)
    with pytest.raises(FormatError, match="which is no tensor"):
        node_again(MATERIAL, claims.runtime(), blind, 1)
    with pytest.raises(FormatError, match="no node 9"):
        node_again(MATERIAL, claims.runtime(), blind, 9)
