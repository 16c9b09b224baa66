"""A replay gives the same bits, other bits, or no verdict; it never runs what a stranger sent."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from assay.digests import sha256_hex
from assay.errors import FormatError, MisuseError, UnavailableError, VerificationError
from assay.manifest import Manifest
from assay.replay import (
    Job,
    Registry,
    differences,
    material_from_registry,
    read_model,
    replay,
)
from assay.replay.onnx_data import external_locations
from assay.statements import ExecutionPredicate, Graph
from assay.tensors import Tensor, decode_tensors, encode_bytes, encode_tensors
from tests.assay import claims
from tests.assay.bench import MATERIAL


class Simulated:
    """A `Runner` that answers `tensors`, or fails with `error`."""

    def __init__(self, tensors: list[Tensor], error: str = "") -> None:
        self.tensors = tensors
        self.error = error
        self.jobs: list[Job] = []

    def run(self, job: Job) -> list[Tensor]:
        self.jobs.append(job)
        if self.error:
            raise UnavailableError(self.error)
        return self.tensors


def honest() -> Simulated:
    return Simulated(decode_tensors(claims.OUTPUT))


def test_the_same_bits_are_exact() -> None:
    runner = honest()
    result = replay(claims.execution(), MATERIAL, runner)
    assert result.verdict == "exact"
    assert result.claimed == result.found == sha256_hex(claims.OUTPUT)
    assert result.output == claims.OUTPUT
    (job,) = runner.jobs
    assert [tensor.name for tensor in job.inputs] == ["x", "y"]
    assert job.runtime == claims.runtime()


def test_one_other_bit_is_divergence_and_is_shown() -> None:
    probabilities, total = decode_tensors(claims.OUTPUT)
    bent = replace(total, data=struct.pack("<3f", 1.5, 2.5, 2))
    result = replay(
        claims.execution(),
        MATERIAL,
        Simulated([bent, probabilities]),
        claimed_output=claims.OUTPUT,
    )
    assert result.verdict == "diverged"
    assert [item.name for item in result.differences] == ["sum"]
    assert result.differences[0].detail == (
        "1 of 3 elements differ, the first at 1: claimed 2.25 (40100000), replayed 2.5 (40200000)"
    )
    blind = replay(claims.execution(), MATERIAL, Simulated([bent, probabilities]))
    assert (blind.verdict, blind.differences) == ("diverged", ())


def test_what_cannot_run_says_nothing_about_the_receipt() -> None:
    result = replay(claims.execution(), MATERIAL, Simulated([], error="out of memory"))
    assert (result.verdict, result.reason, result.output) == ("unrunnable", "out of memory", None)


def test_only_the_outputs_that_were_asked_for_are_compared() -> None:
    total = decode_tensors(claims.OUTPUT)[1]
    asked = encode_tensors([total])
    execution = claims.execution(
        output=replace(claims.execution().output, sha256=sha256_hex(asked))
    )
    assert replay(execution, MATERIAL, honest(), claimed_output=asked).verdict == "exact"
    assert replay(execution, MATERIAL, honest()).verdict == "diverged"
    missing = Simulated([replace(total, name="other")])
    result = replay(execution, MATERIAL, missing, claimed_output=asked)
    assert [item.detail for item in result.differences] == [
        "the replay has no such output",
        "the receipt has no such output",
    ]


def test_mallory_may_not_exchange_graph_input_or_output() -> None:
    for material in (replace(MATERIAL, graph=b""), replace(MATERIAL, input=claims.OUTPUT)):
        with pytest.raises(VerificationError, match="of the receipt"):
            replay(claims.execution(), material, honest())
    with pytest.raises(VerificationError, match="not the output"):
        replay(claims.execution(), MATERIAL, honest(), claimed_output=claims.INPUT)


def test_a_private_execution_needs_its_salts() -> None:
    private = claims.execution(
        input=claims.private_set(claims.INPUT), output=claims.private_set(claims.OUTPUT)
    )
    salts = {"input_salt": claims.SALT, "output_salt": claims.SALT}
    assert replay(private, MATERIAL, honest(), **salts).verdict == "exact"
    with pytest.raises(MisuseError, match="salt"):
        replay(private, MATERIAL, honest())


@pytest.mark.parametrize(
    ("claimed", "replayed", "detail"),
    [
        (
            Tensor(name="a", datatype="INT8", shape=(1,), data=b"\x01"),
            Tensor(name="a", datatype="INT8", shape=(), data=b"\x01"),
            "claimed INT8 [1], replayed INT8 []",
        ),
        (
            Tensor(name="a", datatype="BYTES", shape=(1,), data=encode_bytes([b"a"])),
            Tensor(name="a", datatype="BYTES", shape=(1,), data=encode_bytes([b"b"])),
            "other strings",
        ),
        (
            Tensor(name="a", datatype="BF16", shape=(2,), data=b"\x00\x00\x80\x3f"),
            Tensor(name="a", datatype="BF16", shape=(2,), data=b"\x00\x01\x81\x3f"),
            "2 of 2 elements differ, the first at 0: claimed 0000, replayed 0100",
        ),
    ],
)
def test_differences_are_said_in_words(claimed: Tensor, replayed: Tensor, detail: str) -> None:
    assert [item.detail for item in differences([claimed], [replayed])] == [detail]
    assert list(differences([claimed], [claimed])) == []


# ------------------------------------------------------------------ external data


def field(number: int, data: bytes) -> bytes:
    return (
        bytes([number << 3 & 0x7F | 2 | (0x80 if number > 15 else 0)])
        + (bytes([number >> 4]) if number > 15 else b"")
        + bytes([len(data) & 0x7F | 0x80, len(data) >> 7])
        + data
    )


def external(location: bytes) -> bytes:
    entry = field(1, b"location") + field(2, location)
    return field(13, entry) + field(13, field(1, b"offset") + field(2, b"0"))


WITH_DATA = (
    b"\x08\x08\x15\x00\x00\x00\x00\x11"
    + bytes(8)
    + field(
        7,
        field(5, external(b"w.bin"))
        + field(1, field(5, field(6, field(5, external(b"sub/v.bin")))))
        + field(15, field(1, external(b"w.bin"))),
    )
)


def test_the_files_a_graph_reads_are_found() -> None:
    assert external_locations(WITH_DATA) == ["sub/v.bin", "w.bin"]
    assert external_locations(claims.MODEL.read_bytes()) == []


def nested(depth: int) -> bytes:
    graph = b""
    for _ in range(depth):
        graph = field(1, field(5, field(6, graph)))
    return field(7, graph)


@pytest.mark.parametrize(
    "lie",
    [
        b"\x80",
        b"\xff" * 11,
        b"\x3a\x05a",
        b"\x0b",
        b"\x15\x00",
        field(7, field(5, external(b"\xff"))),
        nested(80),
    ],
)
def test_a_graph_that_is_no_protobuf(lie: bytes) -> None:
    with pytest.raises(FormatError):
        external_locations(lie)


# ------------------------------------------------------------------ files and registry


def laid_out(
    *, graph_path: str = "add.onnx", graph: bytes = b""
) -> tuple[dict[str, bytes], ExecutionPredicate, Manifest]:
    """A model folder, an execution of it, and its manifest."""
    files = {graph_path: graph or MATERIAL.graph, "w.bin": b"weights", "sub/v.bin": b"more"}
    manifest = Manifest.from_pairs((name, sha256_hex(data)) for name, data in files.items())
    predicate = claims.execution(
        graph=Graph(path=graph_path, sha256=sha256_hex(files[graph_path])),
        manifest=manifest.digest,
    )
    return files, predicate, manifest


def memory(pages: dict[str, bytes]) -> Callable[..., bytes]:
    def fetch(url: str, *, limit: int, timeout_s: float) -> bytes:
        assert limit > 0
        assert timeout_s > 0
        if url not in pages:
            raise UnavailableError(f"{url} answered 404")
        return pages[url]

    return fetch


def pages_of(files: dict[str, bytes], manifest: Manifest) -> dict[str, bytes]:
    blob = json.dumps(manifest.to_list(), sort_keys=True, separators=(",", ":")).encode()
    blobs = {sha256_hex(data): data for data in (*files.values(), blob)}
    return {f"http://r/sha256/{digest}": data for digest, data in blobs.items()} | {
        f"http://r/executions/{claims.EXECUTION_ID}/input.tensors": claims.INPUT
    }


def test_alice_gets_everything_from_the_registry() -> None:
    files, predicate, manifest = laid_out(graph=WITH_DATA)
    registry = Registry("http://r/", memory(pages_of(files, manifest)))
    material = material_from_registry(predicate, registry)
    assert material.graph == WITH_DATA
    assert material.external == {"w.bin": b"weights", "sub/v.bin": b"more"}
    assert material.input == claims.INPUT
    given = material_from_registry(predicate, registry, input_tensors=b"mine")
    assert given.input == b"mine"


def test_the_registry_may_not_send_other_blobs() -> None:
    files, predicate, manifest = laid_out()
    pages = pages_of(files, manifest)
    pages[f"http://r/sha256/{predicate.graph.sha256}"] = b"other"
    with pytest.raises(VerificationError, match="another blob"):
        material_from_registry(predicate, Registry("http://r", memory(pages)))


@pytest.mark.parametrize(
    ("location", "error"),
    [(b"absent.bin", VerificationError), (b"../../etc/passwd", FormatError)],
)
def test_a_graph_reads_listed_files_only(location: bytes, error: type[Exception]) -> None:
    graph = field(7, field(5, external(location)))
    files, predicate, manifest = laid_out(graph=graph)
    with pytest.raises(error):
        material_from_registry(predicate, Registry("http://r", memory(pages_of(files, manifest))))


def test_alice_has_the_folder_or_the_file(tmp_path: Path) -> None:
    files, predicate, manifest = laid_out(graph_path="onnx/model.onnx", graph=WITH_DATA)
    files = {**files, "onnx/w.bin": b"weights", "onnx/sub/v.bin": b"more"}
    manifest = Manifest.from_pairs((name, sha256_hex(data)) for name, data in files.items())
    predicate = replace(predicate, manifest=manifest.digest)
    for name, data in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    graph, external_files = read_model(predicate, tmp_path, manifest)
    assert graph == WITH_DATA
    assert external_files == {"w.bin": b"weights", "sub/v.bin": b"more"}
    with pytest.raises(UnavailableError, match="whole model folder"):
        read_model(predicate, tmp_path / "onnx" / "model.onnx", None)
    with pytest.raises(VerificationError, match="another model"):
        read_model(replace(predicate, manifest="0" * 64), tmp_path, manifest)
    (tmp_path / "onnx" / "w.bin").write_bytes(b"altered meanwhile")
    with pytest.raises(VerificationError, match=r"w\.bin is not the file"):
        read_model(predicate, tmp_path, manifest)
    (tmp_path / "onnx" / "w.bin").unlink()
    with pytest.raises(UnavailableError, match="cannot read"):
        read_model(predicate, tmp_path, manifest)
