"""One Node for many runs: the same bits as one each, and nothing of one model reaches another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from assay.errors import UnavailableError
from assay.replay import (
    Job,
    KeptNode,
    NodeRunner,
    files_from_folder,
    find_node,
    kept as kept_module,
)
from assay.tensors import encode_tensors
from tests.assay import claims, onnxfile as onnx
from tests.assay.auditing import FAKE, GRAPH, VENDOR, x, y
from tests.assay.bench import program

PAUSE = "import signal; signal.pause()"
COUNTED = "open(__file__ + '.starts', 'a').write('x')\n"


def job(number: int = 1, graph: bytes = GRAPH) -> Job:
    return Job(runtime=claims.runtime(), graph=graph, external={}, inputs=[x(number)])


def starts(node: Path) -> int:
    return len(node.with_name(f"{node.name}.starts").read_text())


def test_many_runs_of_one_graph_start_one_node(tmp_path: Path) -> None:
    node = program(tmp_path, "node", COUNTED + FAKE)
    with KeptNode(node=node, files={}) as kept:
        assert [kept.run(job(number)) for number in range(5)] == [[y(n)] for n in range(5)]
        assert starts(node) == 1
        kept.run(job(graph=GRAPH + b"\x12\x00"))
        assert starts(node) == 2
        kept.run(replace(job(), external={"w": b"1"}))
    assert starts(node) == 3
    kept.close()  # once more does no harm


def test_the_pinned_runtime_gives_the_same_bits_again_and_again() -> None:
    files = files_from_folder(claims.runtime(), VENDOR)
    other = onnx.model(
        onnx.graph(
            [onnx.node("Sqrt", ["x"], ["y"])],
            [onnx.value("x", [1, 2])],
            [onnx.value("y", [1, 2])],
        )
    )
    jobs = [job(1), job(2), replace(job(3), tensors_only=True), job(4, other)]
    node = find_node()
    with KeptNode(node=node, files=files) as kept:
        found = [encode_tensors(kept.run(item)) for item in jobs]
    assert found[:3] == [encode_tensors([y(number)]) for number in (1, 2, 3)]
    assert found[3] == encode_tensors(NodeRunner(node=node, files=files).run(jobs[3]))


def test_after_a_refusal_the_next_job_gets_a_node_of_its_own(tmp_path: Path) -> None:
    files = files_from_folder(claims.runtime(), VENDOR)
    with KeptNode(node=find_node(), files=files) as kept:
        with pytest.raises(UnavailableError, match=r"refused the model.*Hardmu"):
            kept.run(job(graph=GRAPH.replace(b"MatMul", b"Hardmu")))
        assert kept.run(job(2)) == [y(2)]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("sys.stderr.write('no such option'); sys.exit(9)", "ended with 9: no such option"),
        (f"print('nonsense', flush=True); {PAUSE}", "makes no sense"),
        ("sys.stdin.buffer.read(4); print(end='{'); sys.exit(3)", "ended with 3"),
        (
            'print(\'{"outputs":[{"name":"y","datatype":"INT8","shape":[9],"size":9}]}\', "a")',
            "makes no sense|ended with 0",
        ),
        (
            'print(\'{"outputs":[{"name":"y","datatype":"INT8","shape":[9],"size":9}]}\')',
            "ended with 0",
        ),
        (PAUSE, "has not finished after 0.3 s"),
    ],
)
def test_a_node_that_misbehaves_gives_no_answer(
    tmp_path: Path, body: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = program(tmp_path, "node", body)
    timeout_s = 0.3 if body == PAUSE else 60
    monkeypatch.setattr(kept_module, "_END_S", 0.05 if "nonsense" in body else 20)
    with (
        KeptNode(node=node, files={}, timeout_s=timeout_s) as kept,
        pytest.raises(UnavailableError, match=message),
    ):
        kept.run(job())


def test_an_answer_that_is_cut_off_is_none(tmp_path: Path) -> None:
    body = 'print(\'{"outputs":[{"name":"y","datatype":"INT8","shape":[9],"size":9}]}\')'
    with pytest.raises(UnavailableError, match="cut off"):
        NodeRunner(node=program(tmp_path, "node", body), files={}).run(job())


def test_what_is_not_node_is_not_kept(tmp_path: Path) -> None:
    vanishing = tmp_path / "node"
    vanishing.write_text('#!/bin/sh\nrm -- "$0"\necho v24.1.0\n')
    vanishing.chmod(0o755)
    for node in (tmp_path / "absent", vanishing):
        with (
            KeptNode(node=node, files={}) as kept,
            pytest.raises(UnavailableError, match="cannot run"),
        ):
            kept.run(job())
