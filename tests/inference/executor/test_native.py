"""The native kind: the same frames, other engine, harder walls. Speed is opt-in, trust is not."""

from __future__ import annotations

import dataclasses
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from socket import socketpair

import pytest
from onnx import TensorProto

from assay.dsse import load_public_key, parse_compact, verify_envelope
from assay.receipt import execution_of
from assay.statements import ExecutionPredicate, parse_statement
from assay.tensors import DATATYPES, Tensor
from inference.client import ExecutorClient, ExecutorError, InferRequest
from inference.executor.protocol import CallerGoneError
from tests.inference.executor.corpus import fold_concat, kernel
from tests.inference.executor.models import (
    Revision,
    add,
    endless,
    external,
    floats,
    identity,
    model,
    network,
    node,
    scalar,
    value,
)
from tests.inference.executor.running import Running, start_supervisor, wait_until
from tests.inference.executor.test_infer import VALUES

NATIVE_VALUES = {**VALUES, "BF16": bytes.fromhex("0000 0080 807f 803f")}


@pytest.fixture(scope="module")
def native() -> Iterator[Running]:
    """A supervisor with one process of each kind."""
    running = start_supervisor(arguments=["--slots", "1", "--native-slots", "1"])
    yield running
    assert running.stop() == 0


@pytest.fixture
def fast(native: Running) -> Iterator[ExecutorClient]:
    connected = native.client()
    yield connected
    connected.close()


def asked(
    running: Running, graph: bytes, *inputs: Tensor, deadline_s: float = 10
) -> tuple[InferRequest, Revision]:
    revision = Revision.of(graph)
    request = revision.request(running.log.checkpoint(), *inputs, deadline_s=deadline_s)
    return dataclasses.replace(request, kind="native", slot_wait_s=20), revision


def said(running: Running, envelope: str) -> ExecutionPredicate:
    parsed = parse_compact(envelope)
    verify_envelope(parsed, load_public_key(running.public_key))
    return execution_of(parse_statement(parsed.payload))


def native_pid(running: Running) -> int:
    """Return the process of the native kind, once it runs."""

    def found() -> list[int]:
        return [
            pid
            for pid in running.children()
            if b"inference.executor.native" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]

    wait_until(lambda: len(found()) == 1)
    return found()[0]


@pytest.mark.parametrize("datatype", sorted(DATATYPES))
def test_every_datatype_makes_the_round_trip_bf16_too(
    native: Running, fast: ExecutorClient, datatype: str
) -> None:
    sent = Tensor(name="x", datatype=datatype, shape=(2, 2), data=NATIVE_VALUES[datatype])
    request, revision = asked(native, identity(datatype), sent)
    (answered,) = fast.infer(request, revision.read).outputs
    assert answered == Tensor(name="y", datatype=datatype, shape=(2, 2), data=sent.data)


@pytest.mark.parametrize("datatype", ["FP32", "BF16", "BYTES"])
def test_a_tensor_may_be_empty(native: Running, fast: ExecutorClient, datatype: str) -> None:
    sent = Tensor(name="x", datatype=datatype, shape=(0, 4), data=b"")
    request, revision = asked(native, identity(datatype), sent)
    (answered,) = fast.infer(request, revision.read).outputs
    assert (answered.shape, answered.data) == ((0, 4), b"")


def test_a_tensor_may_be_a_scalar(native: Running, fast: ExecutorClient) -> None:
    request, revision = asked(native, scalar(), floats("x", 21, shape=()))
    assert fast.infer(request, revision.read).outputs == (floats("y", 42, shape=()),)


def test_weights_beside_the_graph_are_found(native: Running, fast: ExecutorClient) -> None:
    data = struct.pack("<f", 41)
    files = {"model.onnx": external(data), "weights.bin": data}
    revision = Revision(files, external=("weights.bin",))
    request = revision.request(native.log.checkpoint(), floats("x", 1))
    answer = fast.infer(dataclasses.replace(request, kind="native", slot_wait_s=20), revision.read)
    assert answer.outputs == (floats("y", 42),)


def test_the_statement_names_library_and_instruction_sets(
    native: Running, fast: ExecutorClient
) -> None:
    request, revision = asked(native, add(), floats("x", 2))
    predicate = said(native, fast.infer(request, revision.read).envelope)
    runtime = predicate.runtime
    assert (runtime.kind, runtime.name, runtime.level, runtime.threads) == (
        *("native", "onnxruntime"),
        *("all", 1),
    )
    assert any(item.name.startswith("libonnxruntime.so") for item in runtime.files)
    assert runtime.isa
    assert runtime.to_dict() in fast.status().runtimes


def test_the_same_run_gives_the_same_bits_in_a_fresh_process(
    native: Running, fast: ExecutorClient
) -> None:
    image = floats("x", *(i * 7 % 17 / 16 for i in range(128)), shape=(2, 64))
    request, revision = asked(native, network(), image)
    first = fast.infer(request, revision.read)
    os.kill(native_pid(native), 9)
    second = fast.infer(request, revision.read)
    assert first.outputs == second.outputs


def test_two_models_never_share_a_process(native: Running, fast: ExecutorClient) -> None:
    for graph, inputs in (
        (add(), floats("x", 1)),
        (identity("FP32"), floats("x", 1, shape=(1, 1))),
    ):
        request, revision = asked(native, graph, inputs)
        fast.infer(request, revision.read)
        first = native_pid(native)
        fast.infer(request, revision.read)
        assert native_pid(native) == first
    request, revision = asked(native, add(), floats("x", 1))
    fast.infer(request, revision.read)
    assert native_pid(native) != first


def test_an_endless_loop_meets_its_deadline_and_the_process_lives(
    native: Running, fast: ExecutorClient
) -> None:
    request, revision = asked(native, endless(), floats("x", 1), deadline_s=0.5)
    for _ in range(2):
        with pytest.raises(ExecutorError) as caught:
            fast.infer(request, revision.read)
        assert caught.value.code == "deadline"
    before = native_pid(native)
    with pytest.raises(ExecutorError, match="deadline"):
        fast.infer(request, revision.read)
    assert native_pid(native) == before


def test_one_long_kernel_is_killed_half_a_second_after_its_deadline(
    native: Running, fast: ExecutorClient
) -> None:
    request, revision = asked(native, kernel(), floats("x", 1), deadline_s=1)
    begun = time.monotonic()
    with pytest.raises(ExecutorError) as caught:
        fast.infer(request, revision.read)
    assert caught.value.code in {"deadline", "load_failed", "load_memory"}
    assert time.monotonic() - begun < 6


def test_a_folding_bomb_meets_the_cap_and_the_other_kind_does_not_notice(
    native: Running, fast: ExecutorClient
) -> None:
    portable = Revision.of(add())
    before = [item["pid"] for item in fast.status().processes]
    request, revision = asked(native, fold_concat(), floats("x", 1))
    with pytest.raises(ExecutorError):
        fast.infer(request, revision.read)
    answer = fast.infer(portable.request(native.log.checkpoint(), floats("x", 1)), portable.read)
    assert answer.outputs == (floats("y", 2),)
    assert before[0] in [item["pid"] for item in fast.status().processes]


def test_a_caller_who_hangs_up_stops_the_run(native: Running, fast: ExecutorClient) -> None:
    request, revision = asked(native, endless(), floats("x", 1), deadline_s=20)
    near, far = socketpair()
    near.close()
    with far, pytest.raises(CallerGoneError):
        fast.infer(request, revision.read, caller=far)
    request, revision = asked(native, add(), floats("x", 1))
    assert fast.infer(request, revision.read).outputs == (floats("y", 2),)


def test_a_broken_model_is_refused_in_words(native: Running, fast: ExecutorClient) -> None:
    request, revision = asked(native, b"no model at all", floats("x", 1))
    with pytest.raises(ExecutorError) as caught:
        fast.infer(request, revision.read)
    assert caught.value.code == "load_failed"
    assert "/" not in str(caught.value).replace("onnxruntime/", "")


def test_the_portable_kind_says_that_bf16_is_not_its_own(
    native: Running, fast: ExecutorClient
) -> None:
    sent = Tensor(name="x", datatype="BF16", shape=(2, 2), data=NATIVE_VALUES["BF16"])
    revision = Revision.of(identity("BF16"))
    with pytest.raises(ExecutorError):
        fast.infer(revision.request(native.log.checkpoint(), sent), revision.read)


def test_the_supervisor_itself_never_holds_the_runtime(native: Running) -> None:
    maps = Path(f"/proc/{native.process.pid}/maps").read_text()
    assert "onnxruntime" not in maps
    one = Path(f"/proc/{native_pid(native)}/maps")
    wait_until(lambda: "onnxruntime" in one.read_text())  # it may be on its way up


def test_a_sealed_process_opens_no_file() -> None:
    script = (
        "from inference.executor.jail import landlock, no_new_privileges\n"
        "assert no_new_privileges() and landlock([])\n"
        "try:\n    open('/etc/hostname')\nexcept PermissionError:\n    print('sealed')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "sealed\n"


def test_without_the_kind_an_executor_says_so(supervisor: Running, client: ExecutorClient) -> None:
    request, revision = asked(supervisor, add(), floats("x", 1))
    with pytest.raises(ExecutorError, match="native") as caught:
        client.infer(request, revision.read)
    assert caught.value.code == "unavailable"


def string_with_nul() -> bytes:
    """y = a string that holds a NUL, which no request may bring."""
    weights = TensorProto(name="w", data_type=TensorProto.STRING, dims=[1], string_data=[b"a\0b"])
    nodes = [node("Identity", ["w"], ["y"])]
    built = model(nodes, [value("x")], [value("y", TensorProto.STRING)], [weights])
    return bytes(built.SerializeToString())


def test_an_answer_that_cannot_be_told_costs_no_process(
    native: Running, fast: ExecutorClient
) -> None:
    request, revision = asked(native, string_with_nul(), floats("x", 1))
    for _ in range(2):
        with pytest.raises(ExecutorError, match="holds a NUL") as caught:
            fast.infer(request, revision.read)
        assert caught.value.code == "model_failed"
    assert not fast.status().quarantined
