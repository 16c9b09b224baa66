"""The whole inspection, through the socket: jailed walk, checker, load and trial run."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from inference.client import ExecutorClient, ExecutorError, Inspection, RevisionFile
from inference.executor.inspect.checker import check
from inference.executor.inspection import Inspector
from inference.executor.limits import Limits
from inference.executor.protocol import Frame
from inference.executor.spawn import Spawner
from tests.inference.executor import corpus
from tests.inference.executor.models import (
    Revision,
    add,
    endless,
    external,
    floats,
    network,
    sha,
)
from tests.inference.executor.running import Running, program

EXAMPLES = Path(__file__).parents[3] / "examples"
OTHER = RevisionFile(name="README.md", size=10, sha256="0" * 64)


def no_blob(sha256: str) -> bytes:
    raise AssertionError(f"{sha256} was asked for")


def inspect(client: ExecutorClient, data: bytes) -> Inspection:
    return client.inspect(data, graph="model.onnx", files=[OTHER], read_blob=no_blob)


def codes(report: Inspection) -> list[str]:
    return [item.code for item in report.findings if item.level != "note"]


def test_an_honest_model_passes(client: ExecutorClient) -> None:
    report = inspect(client, network())
    assert (report.verdict, codes(report)) == ("passed", [])
    assert report.facts is not None
    assert report.facts["operators"] == {"MatMul": 2, "Softmax": 1, "Tanh": 1}
    assert report.facts["parameters"] == 64 * 32 + 32 * 10
    assert report.trial is not None
    assert (report.trial["ok"], report.trial["reason"]) == (True, "")
    assert report.trial["load_ms"] > 0
    assert report.trial["run_ms"] > 0


@pytest.mark.parametrize("name", ["digits", "wine", "diabetes"])
def test_the_example_models_pass_and_run(client: ExecutorClient, name: str) -> None:
    # Two of them have a free dimension without a name, which converters write.
    data = (EXAMPLES / name / "model.onnx").read_bytes()
    found = inspect(client, data)
    assert found.verdict == "passed"
    assert found.trial is not None
    assert found.trial["ok"] is True


@pytest.mark.parametrize(
    ("build", "code"),
    [
        (lambda: b"", "malformed"),
        (lambda: corpus.nested(3000), "depth"),
        (lambda: corpus.alloc(None), "checker"),
        (corpus.fold_expand, "load_memory"),
        (corpus.fold_tile, "load_memory"),
        (corpus.fold_range, "load_memory"),
        (corpus.fold_constant, "load_memory"),
        (corpus.fold_concat, "load_memory"),
    ],
    ids=["empty", "nested", "checker", "expand", "tile", "range", "constant", "concat"],
)
def test_a_hostile_model_is_refused_and_the_neighbour_stays(
    supervisor: Running, client: ExecutorClient, build: Callable[[], bytes], code: str
) -> None:
    before = [item["pid"] for item in client.status().processes]
    report = inspect(client, build())
    assert (report.verdict, codes(report)) == ("failed", [code])
    revision = Revision.of(add())
    asked = revision.request(supervisor.log.checkpoint(), floats("x", 1))
    assert client.infer(asked, revision.read).outputs == (floats("y", 2),)
    assert [item["pid"] for item in client.status().processes] == before


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (endless, {"run_time"}),
        (lambda: endless(scan=True), {"run_time", "run_memory"}),
        (corpus.kernel, {"run_time"}),
        (lambda: corpus.alloc(("A", "B", "C")), {"run_failed", "run_memory"}),
    ],
    ids=["loop", "loop with scan", "kernel", "alloc"],
)
def test_a_model_that_cannot_run_is_published_with_words(
    client: ExecutorClient, build: Callable[[], bytes], expected: set[str]
) -> None:
    report = inspect(client, build())
    assert report.verdict == "flagged"
    assert expected & set(codes(report))
    assert report.trial is not None
    assert not report.trial["ok"]
    assert report.trial["reason"]


def test_the_checker_is_asked_about_the_file_and_not_about_its_folder() -> None:
    assert check(external(bytes(8))) == {"findings": []}
    (finding,) = check(corpus.alloc(None))["findings"]
    assert (finding["code"], finding["level"]) == ("checker", "failed")
    (finding,) = check(b"no model")["findings"]
    assert finding["code"] == "checker"


def test_a_native_model_is_not_tried_here(client: ExecutorClient) -> None:
    report = inspect(client, corpus.foreign("Gelu", "com.microsoft"))
    assert (report.verdict, codes(report), report.trial) == ("flagged", ["domain"], None)


def test_external_data_is_asked_for_once(client: ExecutorClient) -> None:
    weights = struct.pack("<2f", 1, 2)
    files = [OTHER, RevisionFile(name="weights.bin", size=8, sha256=sha(weights))]
    asked: list[str] = []

    def read(sha256: str) -> bytes:
        asked.append(sha256)
        return weights

    data = external(weights)
    report = client.inspect(data, graph="model.onnx", files=files, read_blob=read)
    assert (report.verdict, codes(report)) == ("passed", [])
    assert report.trial is not None
    assert report.trial["ok"]
    assert asked == [sha(weights)]


@pytest.mark.parametrize("header", [{}, {"graph": "m", "files": [{"name": "a"}]}])
def test_a_wrong_request_gets_a_clear_error(supervisor: Running, header: dict[str, object]) -> None:
    with pytest.raises(ExecutorError) as caught:
        supervisor.client()._call({"op": "inspect", **header})
    assert caught.value.code == "bad_input"


@pytest.fixture(scope="module")
def jail() -> Iterator[Inspector]:
    """The jail alone, with short limits: nothing was walked or checked before."""
    spawner = Spawner()
    yield Inspector(program(), spawner, Limits(load_s=4, load_cpu_s=3, trial_s=0.5))
    spawner.close()


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda: corpus.chain(3000), {"load_failed", "load_crash", "load_time", ""}),
        (lambda: corpus.double(20), {"load_time", "load_memory", "load_failed"}),
        (corpus.ring, {"load_failed"}),
        (corpus.sparse, {"load_memory", "load_time", "load_failed"}),
        (lambda: corpus.fan(20_000), {"load_time", "run_time"}),
        (lambda: corpus.wrong_dims(10**6, 10**6), {"load_failed"}),
        (lambda: corpus.foreign("Evil", "com.evil"), {"load_failed"}),
        (lambda: external(bytes(8), location="../../../etc/passwd"), {"load_failed"}),
        (lambda: external(bytes(8), location="*/_ORT_MEM_ADDR_/*"), {"load_failed"}),
        (lambda: b"\x0b" * 100_000, {"load_failed"}),
        (corpus.big_string, {"", "load_memory", "run_failed", "run_memory", "run_time"}),
        (endless, {"run_time"}),
    ],
    ids=[
        "chain",
        "double",
        "ring",
        "sparse",
        "fan",
        "dims",
        "domain",
        "traversal",
        "marker",
        "groups",
        "string",
        "loop",
    ],
)
def test_the_jail_alone_contains_it(
    jail: Inspector, build: Callable[[], bytes], expected: set[str]
) -> None:
    revision = Revision.of(build())
    report = jail.trial(revision.to_load())
    found = {item["code"] for item in report["findings"]} or {""}
    assert found <= expected | {"load_time"}  # on a busy machine


def test_an_inspection_that_takes_too_long_is_a_verdict() -> None:
    spawner = Spawner()
    hurried = Inspector(program(), spawner, Limits(load_s=0.001))
    request = Frame(header={"graph": "model.onnx", "files": []}, tail=network())
    report = hurried.inspect(request, lambda _: None)
    assert report["verdict"] == "failed"
    assert [item["code"] for item in report["findings"]] == ["limits"]
    spawner.close()
