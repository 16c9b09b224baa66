"""Alice audits a registry: she draws, replays, signs, and finds whoever lied."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from assay.audit import Plan, Result, draw, seed_of
from assay.cli import audit_site
from assay.digests import sha256_hex
from assay.dsse import parse_envelope, verify_envelope
from assay.manifest import Resource
from assay.note import COSIGNATURE, parse_note, vkey_for
from assay.statements import Graph, ReplayPredicate, TensorSet, parse_predicate, parse_statement
from tests.assay import claims, onnxfile as onnx
from tests.assay.auditing import (
    AUDITOR,
    EXECUTOR,
    GRAPH,
    VENDOR,
    Office,
    office,
    uuid,
    y,
)
from tests.assay.bench import program
from tests.assay.claims import floats
from tests.assay.logbook import cosigned, fingerprint, public
from tests.assay.views import LOG, ORIGIN
from tests.assay.watching import WITNESS, WITNESS_NAME

LIE = floats("y", 2.5, 99.0)
OTHER = GRAPH.replace(  # the same graph with another weight
    onnx.floats("w", [2, 2], [1.0, -1.0, 0.5, 3.0]), onnx.floats("w", [2, 2], [1.0, -1.0, 0.5, 4.0])
)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    with office(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def real(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """The same with a real Node, for what is traced."""
    with office(tmp_path, monkeypatch, real=True) as made:
        yield made


def test_alice_replays_everything_and_one_node_does_for_all(desk: Office) -> None:
    for number in range(6):
        desk.execute(number)
        desk.book.fill(len(desk.book.bodies) + 1)  # what is no execution is not drawn
    desk.publish()
    assert desk.outcomes() == dict.fromkeys(range(6), "exact")
    assert desk.site.asked.count(f"/sha256/{sha256_hex(GRAPH)}") == 1
    # The log, the history of the round, the registry: a connection or a few each, none a request.
    assert desk.site.connections < 12 < len(desk.site.asked)
    assert "6  exact: the same bits" in desk.text()
    assert desk.site.posted == []  # without a key nothing is signed or sent


def test_what_was_audited_is_not_audited_again(desk: Office) -> None:
    desk.execute(1)
    desk.publish()
    desk.audit("--all")
    again = desk.audit("--all")
    assert (again.exit_code, "No execution from entry 1 on" in again.stdout) == (0, True)
    desk.execute(2)
    desk.publish(1)
    events = desk.events("--all")
    assert [event["drawn"] for event in events if event["event"] == "round"] == [[1]]
    events = desk.events("--all", "--since", 0)
    assert [event["drawn"] for event in events if event["event"] == "round"] == [[0, 1]]
    assert len(desk.report()["rounds"]) == 3


def test_a_sample_is_drawn_from_the_root_and_anybody_draws_it_again(desk: Office) -> None:
    for number in range(20):
        desk.execute(number)
    desk.publish()
    result = desk.audit("--sample", 4)
    assert (result.exit_code, "20 executions, 4 drawn by root" in result.stdout) == (0, True)
    (told,) = desk.report()["rounds"]
    note = parse_note(told["checkpoint"].encode())
    again = draw(seed_of(note.text, bytes.fromhex(told["nonce"])), range(20), 4)
    assert [item["index"] for item in told["drawn"]] == again
    assert (
        told["root"]
        == json.loads(desk.audit("--json", "--since", 0).stdout.splitlines()[0])["root"]
    )


def test_alice_signs_what_she_found_and_hands_it_in(desk: Office) -> None:
    desk.execute(3)
    desk.publish()
    desk.register()
    events = desk.events("--all", "--key", desk.key)
    assert [event["event"] for event in events] == [
        *("first contact", "round", "result", "sent", "ended")
    ]
    ((path, body),) = desk.site.posted
    assert (path, body["key"]) == ("/api/v1/replays", fingerprint(AUDITOR))
    envelope = parse_envelope(body["envelope"])
    verify_envelope(envelope, public(AUDITOR))
    said = parse_predicate(parse_statement(envelope.payload))
    assert isinstance(said, ReplayPredicate)
    assert (said.execution, said.verdict, said.first_divergence) == (uuid(3), "exact", None)
    assert said.statement_sha256 == desk.ran[0].pae_sha256.hex()
    assert said.observed.tree_size == 1
    assert desk.result(3)["sent"] == {"taken": True, "reason": "entry 77"}


def test_without_submitting_the_statements_wait_for_the_next_run(desk: Office) -> None:
    desk.execute(3)
    desk.publish()
    desk.events("--all", "--key", desk.key, "--no-submit")
    assert desk.site.posted == []
    assert desk.result(3)["sent"] is None
    desk.register()
    events = desk.events("--all", "--key", desk.key)
    assert [event["event"] for event in events] == ["round", "sent", "ended"]
    assert len(desk.site.posted) == 1


# ------------------------------------------------------------------ lies


def test_a_lie_is_found_and_the_operators_own_trace_names_the_node(real: Office) -> None:
    for number in (1, 2):
        real.execute(number)
    real.execute(7, floats("y", 8.5, 1.25))
    real.publish()
    real.register()
    real.show_traces(7, real.trace(7, OTHER))
    assert real.outcomes("--key", real.key, code=1) == {1: "exact", 2: "exact", 7: "diverged"}
    found = real.result(7)
    assert (found["firstDivergence"], found["basis"]) == ('node 0 (MatMul "mul")', "trace")
    folder = real.state / found["evidence"]
    assert {path.name for path in folder.iterdir()} == {
        *("receipt.json", "input.tensors", "claimed.tensors", "replayed.tensors"),
        *("mine.trace.json", "theirs.trace.json", "capsule.zip", "statement.json"),
    }
    said = [body["envelope"] for _, body in real.site.posted][-1]
    statement = parse_statement(parse_envelope(said).payload)
    assert statement.predicate["firstDivergence"] == 'node 0 (MatMul "mul")'
    assert "by the operator's own trace: node 0" in real.text()


def test_a_lie_without_a_trace_is_named_by_the_signed_output(real: Office) -> None:
    real.execute(1, LIE)
    real.publish()
    result = real.audit("--all")
    assert result.exit_code == 1
    assert "first diverging node, by the output: node 4 (Add)" in result.stderr
    assert "the registry gave no trace" in real.result(1)["reason"]
    assert real.result(1)["envelope"] is None


def test_an_honest_trace_contradicts_the_lie(real: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_site, "_LOOK_S", 0.0)
    real.execute(1, LIE)
    real.publish()
    real.site.post = lambda path, body: (202, made())
    place = f"/api/v1/executions/{uuid(1)}/traces"
    looks: list[str] = []

    def made(state: str = "queued") -> dict[str, Any]:
        return {"id": "9", "state": state, "trace_url": f"{place}/9/trace.json"}

    def look(path: str) -> None:
        looks.append(path)
        if path == f"{place}/9":
            real.site.pages[path] = json.dumps(made("done")).encode()

    real.site.before = look
    real.site.pages[place] = b'{"items": [], "next": ""}'
    real.site.pages[f"{place}/9/trace.json"] = real.trace(1).render()
    real.audit("--all")
    assert real.site.posted == [(f"/api/v1/executions/{uuid(1)}/trace", {})]
    assert f"{place}/9" in looks
    found = real.result(1)
    assert (found["basis"], found["firstDivergence"]) == ("output", "node 4 (Add)")
    assert "does not lead to the output that was signed" in found["reason"]
    assert (real.state / found["evidence"] / "theirs.trace.json").exists()


def test_a_trace_of_something_else_names_nothing(real: Office) -> None:
    real.execute(1, LIE)
    real.publish()
    real.show_traces(1, real.trace(2))
    real.audit("--all")
    assert "a trace of the registry is none of this run" in real.result(1)["reason"]


def test_a_graph_that_cannot_be_traced_diverges_all_the_same(desk: Office) -> None:
    """The quick Node knows of no values in the middle."""
    desk.execute(1, LIE)
    desk.publish()
    assert desk.outcomes(code=1) == {1: "diverged"}
    found = desk.result(1)
    assert found["firstDivergence"] == "node 4 (Add)"
    assert "no capsule of the step" in found["reason"]


def test_a_graph_that_is_none_to_us_diverges_without_a_step(desk: Office) -> None:
    """The runtime reads it and we do not: the verdict stands, and no step is named."""
    graph = b"\x08\x0a"
    desk.execute(1, LIE, graph=Graph(path="model.onnx", sha256=sha256_hex(graph)))
    desk.publish()
    desk.site.pages[f"/sha256/{sha256_hex(graph)}"] = graph
    assert desk.outcomes(code=1) == {1: "diverged"}
    assert "the step could not be found" in desk.result(1)["reason"]


def test_a_trace_names_the_step_though_the_output_is_withheld(real: Office) -> None:
    real.execute(7, floats("y", 8.5, 1.25))
    real.publish()
    real.show_traces(7, real.trace(7, OTHER))
    del real.site.pages[f"/executions/{uuid(7)}/output.tensors"]
    assert real.outcomes(code=1) == {7: "diverged"}
    found = real.result(7)
    assert (found["basis"], found["firstDivergence"]) == ("trace", 'node 0 (MatMul "mul")')
    assert (real.state / found["evidence"] / "capsule.zip").exists()


def test_a_receipt_under_a_newer_tree_is_of_the_same_history(desk: Office) -> None:
    desk.execute(1)
    desk.publish()
    older = desk.site.pages["/log/checkpoint"]
    desk.execute(2)
    desk.publish(1)
    desk.site.pages["/log/checkpoint"] = older
    assert desk.outcomes() == {1: "exact"}


def test_a_receipt_that_is_not_the_logs_entry_is_refused(desk: Office) -> None:
    for number in (1, 2):
        desk.execute(number)
    desk.publish()
    place = f"/executions/{uuid(1)}/receipt"
    desk.site.pages[place] = desk.site.pages[f"/executions/{uuid(2)}/receipt"]
    assert desk.outcomes(code=1) == {1: "refused", 2: "exact"}
    assert "another statement than the log's entry" in desk.result(1)["reason"]
    desk.site.pages[place] = b"{}"
    assert desk.outcomes("--since", 0, code=1)[1] == "refused"
    assert "REFUSED: not what was signed" in desk.text()


def test_an_entry_that_tells_of_no_execution_is_refused(desk: Office) -> None:
    desk.execute(1)
    said = json.loads(desk.ran[0].payload)
    del said["predicate"]["graph"]
    desk.book.add(json.dumps(said, separators=(",", ":"), sort_keys=True).encode(), EXECUTOR)
    desk.publish()
    assert desk.outcomes(code=1) == {1: "exact", 0: "refused"}
    assert "unreadable of ?" in desk.text()


def test_what_is_served_is_compared_with_what_was_signed(desk: Office) -> None:
    for number in (1, 2):
        desk.execute(number)
    desk.publish()
    desk.site.pages[f"/executions/{uuid(1)}/output.tensors"] = b"another"
    desk.site.pages[f"/executions/{uuid(2)}/input.tensors"] = b"another"
    assert desk.outcomes(code=1) == {1: "refused", 2: "refused"}
    assert "the output that is served is not the one" in desk.result(1)["reason"]


def test_a_receipt_of_another_history_is_a_fork(desk: Office) -> None:
    desk.execute(1)
    desk.execute(2)
    desk.publish()
    fork = desk.book.copy()
    fork.bodies[1] = fork.bodies[0]
    path = f"/executions/{uuid(1)}/receipt"
    desk.site.pages[path] = desk.receipt(0, desk.ran[0], fork)
    result = desk.audit("--all")
    assert (result.exit_code, "ALARM, split view" in result.stderr) == (1, True)
    assert list((desk.state / "evidence").glob("split-view-*.json"))


def test_a_log_that_shrinks_is_an_alarm(desk: Office) -> None:
    desk.execute(1)
    desk.execute(2)
    desk.publish()
    desk.audit("--all")
    del desk.book.bodies[1], desk.ran[1]
    desk.publish()
    result = desk.audit("--all")
    assert (result.exit_code, "rollback" in result.stderr) == (1, True)


# ------------------------------------------------------------------ what cannot be checked


def test_what_cannot_be_had_is_unchecked_and_says_why(desk: Office) -> None:
    for number in range(6):
        desk.execute(number)
    hidden = TensorSet(form="commitment", sha256="ab" * 32)
    desk.execute(6, input=hidden, output=hidden)
    desk.execute(
        7, runtime=claims.runtime(version="9", files=(Resource(name="a", sha256="ab" * 32),))
    )
    desk.execute(8, key=AUDITOR)
    desk.publish()
    pages, place = desk.site.pages, "/executions/"
    del pages[f"{place}{uuid(1)}/receipt"]
    pages[f"{place}{uuid(2)}/receipt"] = (403, {}, b"{}")
    pages[f"{place}{uuid(3)}/input.tensors"] = (410, {}, b"{}")
    del pages[f"{place}{uuid(4)}/output.tensors"]  # which is not needed where the bits agree
    found = desk.outcomes(code=3)
    assert found == {0: "exact", 4: "exact", 5: "exact"} | dict.fromkeys(
        (1, 2, 3, 6, 7, 8), "unchecked"
    )
    words = {
        1: "404",
        2: "403",
        3: "410",
        6: "only its caller has the salts",
        7: "is not known here",
        8: "is not pinned here: `assay trust init` again",
    }
    for number, word in words.items():
        assert word in desk.result(number)["reason"]


def test_of_several_outputs_nobody_knows_which_were_asked_for(desk: Office) -> None:
    """Without the claimed output, a set with one tensor too many proves nothing."""
    two = [y(1), floats("z", 1.0, 2.0)]
    head = [{**tensor.header(), "size": 8} for tensor in two]
    data = json.dumps({"outputs": head}).encode() + b"\n" + b"".join(t.data for t in two)
    body = (
        "import json\nwhile line := sys.stdin.buffer.readline():\n"
        "    sys.stdin.buffer.read(json.loads(line)['graph'] + 8)\n"
        f"    sys.stdout.buffer.write({data!r})\n    sys.stdout.flush()\n"
    )
    program(desk.folder, "node", body)
    desk.execute(1)
    desk.publish()
    assert desk.outcomes() == {1: "exact"}
    del desk.site.pages[f"/executions/{uuid(1)}/output.tensors"]
    assert desk.outcomes("--since", 0, code=3) == {1: "unchecked"}
    assert (
        "nobody can tell which outputs were asked for"
        in desk.report()["rounds"][1]["drawn"][0]["reason"]
    )


def test_one_output_that_is_withheld_accuses_all_the_same(desk: Office) -> None:
    desk.execute(1, LIE)
    desk.publish()
    del desk.site.pages[f"/executions/{uuid(1)}/output.tensors"]
    assert desk.outcomes(code=1) == {1: "diverged"}
    assert "nothing tells which step differs" in desk.result(1)["reason"]


def test_the_readers_own_runtime_folder_is_used_and_accuses_nobody(desk: Office) -> None:
    desk.execute(1)
    desk.publish()
    assert desk.outcomes("--runtime", VENDOR) == {1: "exact"}
    empty = desk.folder / "empty"
    empty.mkdir()
    assert desk.outcomes("--runtime", empty, "--since", 0, code=3) == {1: "unchecked"}


def test_a_model_that_the_runtime_refuses_is_unrunnable_and_stated(desk: Office) -> None:
    program(
        desk.folder,
        "node",
        'while sys.stdin.buffer.readline():\n    print(\'{"error":"no memory"}\', flush=True)\n',
    )
    desk.execute(1)
    desk.publish()
    desk.register()
    assert desk.outcomes("--key", desk.key, code=3) == {1: "unrunnable"}
    said = parse_statement(parse_envelope(desk.site.posted[0][1]["envelope"]).payload)
    assert (said.predicate["verdict"], said.predicate["output"]) == ("unrunnable", None)


def test_silence_is_no_finding_and_the_same_command_goes_on(desk: Office) -> None:
    for number in (1, 2):
        desk.execute(number)
    desk.publish()
    path = f"/executions/{uuid(2)}/receipt"
    kept = desk.site.pages[path]
    desk.site.pages[path] = (500, {}, b"{}")
    result = desk.audit("--all")
    assert (result.exit_code, "the same command goes on" in result.stderr) == (3, True)
    assert [type(line) for line in desk.lines()] == [Plan, Result]
    desk.site.pages[path] = kept
    assert desk.outcomes() == {1: "exact", 2: "exact"}
    assert len(desk.report()["rounds"]) == 1


def test_a_log_that_does_not_answer_is_exit_code_three(desk: Office) -> None:
    desk.execute(1)
    desk.publish()
    desk.site.pages["/log/checkpoint"] = (500, {}, b"")
    assert desk.audit("--all").exit_code == 3
    assert "nothing was drawn yet" in desk.text()


def test_a_tree_without_its_witnesses_is_not_audited(desk: Office) -> None:
    desk.execute(1)
    desk.publish()
    ask_for_witness(desk)
    result = desk.audit("--all")
    assert (result.exit_code, "has no quorum of witnesses yet" in result.stderr) == (3, True)


def ask_for_witness(desk: Office) -> None:
    policy = desk.folder / "config" / "assay" / ORIGIN / "policy.txt"
    witness = vkey_for(WITNESS_NAME, WITNESS.public_key(), COSIGNATURE)
    policy.write_text(f"log {LOG}\nwitness w {witness}\nquorum w\n")


def test_a_receipt_that_waits_for_its_witnesses_accuses_nobody(desk: Office) -> None:
    ask_for_witness(desk)
    desk.execute(1)
    early = desk.receipt(0, desk.ran[0])
    desk.cosign = lambda note: cosigned(note, (WITNESS_NAME, WITNESS))
    desk.publish()
    path = f"/executions/{uuid(1)}/receipt"
    late, desk.site.pages[path] = desk.site.pages[path], early
    result = desk.audit("--all")
    assert (result.exit_code, "no quorum of witnesses yet" in result.stderr) == (3, True)
    desk.site.pages[path] = late
    assert desk.outcomes() == {1: "exact"}
