"""The replay itself, with the real runtimes: what is exact, close, diverged, and cannot be run."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from assay.errors import UnavailableError
from assay.manifest import Resource
from assay.note import VKey
from assay.replay import Job
from assay.statements import Runtime
from assay.tensors import Tensor
from inference import runtimes
from inference.choices import Verdict
from inference.executor.programs import Portable
from inference.executor.runtime import load_native
from inference.models import Execution
from inference.services import expiry, plan as plans
from inference.services.replays import rerun as module
from inference.services.replays.native import NativeRunner
from inference.services.replays.rerun import Found, NotYetError, rerun
from inference.services.request import Given
from ledger import services as ledger
from registry.models import Key, RevisionFile
from registry.storage import blobs
from tests.flush import triggers_off
from tests.inference.auditing import SALTS, execute, floats
from tests.inference.builders import fp32, pairs, plan, publish, two
from tests.inference.executor.models import add, external, network
from tests.ledger.builders import sequence
from tests.ledger.witness import trust, witness
from tests.people import Person

ROW = [((i * 37) % 101) / 50 - 1 for i in range(64)]


@pytest.fixture(autouse=True)
def _log(db: None, opened: None) -> None:
    plans._signature.cache_clear()


def added(person: Person, claimed: float = 2.0, **fields: Any) -> Execution:
    """Return an execution of y = x + 1 on 1, which an executor says to be `claimed`."""
    publish(person, "add", add())
    row = execute(plan("alice/add", [fp32("x", 1.0)]), [floats("y", claimed)], **fields)
    sequence()
    return row


def test_a_lie_is_told_in_numbers(alice: Person) -> None:
    found = rerun(added(alice, claimed=2.5))
    assert found.verdict == Verdict.DIVERGED
    assert found.reason.endswith("claimed 2.5 (40200000), replayed 2.0 (40000000)")


def test_only_the_outputs_that_were_asked_for_are_compared(alice: Person) -> None:
    publish(alice, "two", two())
    given = [fp32("a", 1.5), Given(name="b", datatype="INT64", shape=(1,), data=[7])]
    row = execute(plan("alice/two", given, outputs=("a_out",)), [floats("a_out", 1.5)])
    sequence()
    assert rerun(row).verdict == Verdict.EXACT


def test_weights_beside_the_graph_are_taken_by_the_manifest(alice: Person) -> None:
    weights = struct.pack("<2f", 10.0, 20.0)
    publish(alice, "beside", external(weights), extra={"weights.bin": weights})
    made = plan("alice/beside", [fp32("x", 1.0, 1.0)])
    row = execute(made, [floats("y", 11.0, 21.0)])
    sequence()
    found = rerun(row)
    assert (found.verdict, found.runtime) == (Verdict.EXACT, runtimes.current().runtime)
    with triggers_off():
        RevisionFile.objects.filter(path="README.md").delete()
    assert "another manifest" in rerun(Execution.objects.get(pk=row.pk)).reason


def test_a_private_execution_is_replayed_and_nothing_of_it_is_told(alice: Person) -> None:
    publish(alice, "add", add())
    asked = [fp32("x", 1.0)]
    honest = execute(plan("alice/add", asked, alice.user, private=True), [floats("y", 2.0)])
    lied = execute(plan("alice/add", asked, alice.user, private=True), [floats("y", 5.0)])
    sequence()
    assert rerun(honest).verdict == Verdict.EXACT
    found = rerun(lied)
    assert (found.verdict, found.reason) == (
        Verdict.DIVERGED,
        "the replayed output has other bits",
    )
    Execution.objects.filter(pk=honest.pk).update(salts=None)
    assert rerun(Execution.objects.get(pk=honest.pk)).reason == "the tensors are not kept any more"
    assert SALTS[0].hex() not in found.reason


def test_what_the_runtime_said_about_a_private_input_stays_private(alice: Person) -> None:
    publish(alice, "pairs", pairs())
    made = plan("alice/pairs", [fp32("x", 1.0, 2.0, 3.0)], alice.user, private=True)
    private = execute(made, [Tensor(name="y", datatype="FP32", shape=(1, 2), data=bytes(8))])
    public = execute(
        plan("alice/pairs", [fp32("x", 1.0, 2.0, 3.0)]),
        [Tensor(name="y", datatype="FP32", shape=(1, 2), data=bytes(8))],
    )
    sequence()
    assert rerun(private) == Found(verdict=Verdict.UNRUNNABLE, reason="it could not be run")
    assert rerun(public).reason.startswith("the runtime refused the model: ")


# ------------------------------------------------------------------ what is not there


def test_tensors_that_were_dropped_cannot_be_replayed(alice: Person) -> None:
    row = added(alice)
    expiry.drop(row.finished_at.replace(year=2100) if row.finished_at else None)
    found = rerun(Execution.objects.get(pk=row.pk))
    assert (found.verdict, found.reason) == (
        Verdict.UNRUNNABLE,
        "the tensors are not kept any more",
    )


def test_a_runtime_that_is_not_kept_is_said(alice: Person) -> None:
    gone = replace(runtimes.current().runtime, files=(Resource(name="a.wasm", sha256="11" * 32),))
    found = rerun(added(alice, runtime=gone))
    assert found.verdict == Verdict.UNRUNNABLE
    assert "is not kept here" in found.reason


def test_a_model_file_that_is_gone_is_said(alice: Person) -> None:
    row = added(alice)
    graph = dict(plans.signature_of(row.revision).ref.resources)[row.graph_path]
    blobs().delete(graph)
    found = rerun(row)
    assert found.verdict == Verdict.UNRUNNABLE
    assert found.reason.startswith("a file of the model cannot be read here")


def test_a_graph_that_the_receipt_does_not_name_is_never_run(
    alice: Person, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    row = added(alice)
    graph = dict(plans.signature_of(row.revision).ref.resources)[row.graph_path]
    (path,) = settings.BLOBS_DIR.rglob(graph)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    found = rerun(row)
    assert found.verdict == Verdict.UNRUNNABLE
    assert found.reason.startswith("what is stored is not what was signed")
    assert str(row.pk) in caplog.text


# ------------------------------------------------------------------ the receipt


def test_a_receipt_that_does_not_verify_is_noted_and_not_replayed(
    alice: Person, caplog: pytest.LogCaptureFixture
) -> None:
    row = added(alice)
    with triggers_off():
        Key.objects.filter(pk=row.executor).update(role="publisher")
    found = rerun(row)
    assert found.verdict == Verdict.UNRUNNABLE
    assert found.reason.startswith("the receipt does not verify: ")
    assert "does not verify" in caplog.text


def test_the_receipt_of_another_execution_is_none(alice: Person) -> None:
    row = added(alice)
    other = execute(plan("alice/add", [fp32("x", 1.0)]), [floats("y", 2.0)])
    sequence()
    row.entry_id = other.entry_id
    assert "another execution" in rerun(row).reason


def test_a_receipt_waits_for_its_witnesses(alice: Person, settings: Settings) -> None:
    with witness("wanda", VKey.parse(ledger.log_vkey())) as wanda:
        row = added(alice)
        trust(settings.WITNESS_POLICY, wanda)
        with pytest.raises(NotYetError):
            rerun(row)
        sequence()
        assert rerun(row).verdict == Verdict.EXACT


# ------------------------------------------------------------------ native


def scored(person: Person, runtime: Runtime, *, off: float = 0.0) -> Execution:
    """Return a native execution of a small network; its first number is `off` what came out."""
    publish(person, "net", network())
    made = plan("alice/net", [Given(name="x", datatype="FP32", shape=(1, 64), data=ROW)])
    graph = module._Stored(made.execution.revision).blob(
        dict(made.target.signature.ref.resources)[made.execution.graph_path]
    )
    job = Job(runtime=runtime, graph=graph, external={}, inputs=list(made.inputs))
    outputs = NativeRunner(timeout_s=30).run(job)
    shifted = []
    for tensor in outputs:
        (first,) = struct.unpack_from("<f", tensor.data)
        data = struct.pack("<f", first * (1 + off)) + tensor.data[4:]
        shifted.append(replace(tensor, data=data))
    made.execution.executor_kind = "native"
    row = execute(made, shifted, runtime=runtime)
    sequence()
    return row


def test_a_native_run_is_not_repeated_unless_the_operator_wants_it(
    alice: Person, settings: Settings
) -> None:
    settings.AUDIT_NATIVE = False
    found = rerun(scored(alice, load_native()))
    assert found == Found(verdict=Verdict.UNRUNNABLE, reason=module.UNTOLD)


def test_the_same_library_on_the_same_processor_gives_the_same_bits(
    alice: Person, settings: Settings
) -> None:
    settings.AUDIT_NATIVE = True
    found = rerun(scored(alice, load_native()))
    assert (found.verdict, found.runtime) == (Verdict.EXACT, load_native())


def test_there_a_millionth_is_a_lie(alice: Person, settings: Settings) -> None:
    settings.AUDIT_NATIVE = True
    assert rerun(scored(alice, load_native(), off=1e-6)).verdict == Verdict.DIVERGED


def test_on_other_instruction_sets_a_millionth_is_rounding(
    alice: Person, settings: Settings
) -> None:
    settings.AUDIT_NATIVE = True
    elsewhere = replace(load_native(), isa=("avx",))
    found = rerun(scored(alice, elsewhere, off=1e-6))
    assert (found.verdict, found.runtime) == (Verdict.CLOSE, load_native())
    assert "of what the operators allow" in found.reason


def test_and_half_as_much_again_is_a_lie_everywhere(alice: Person, settings: Settings) -> None:
    settings.AUDIT_NATIVE = True
    found = rerun(scored(alice, replace(load_native(), isa=("avx",)), off=0.5))
    assert found.verdict == Verdict.DIVERGED
    assert "what the operators of the graph allow" in found.reason


def test_another_version_of_the_library_is_another_runtime(
    alice: Person, settings: Settings
) -> None:
    settings.AUDIT_NATIVE = True
    found = rerun(scored(alice, replace(load_native(), version="1.2.3")))
    assert (found.verdict, "1.2.3 is not here" in found.reason) == (Verdict.UNRUNNABLE, True)


def test_another_shape_is_no_rounding(alice: Person, settings: Settings) -> None:
    settings.AUDIT_NATIVE = True
    publish(alice, "add", add())
    made = plan("alice/add", [fp32("x", 1.0)])
    made.execution.executor_kind = "native"
    elsewhere = replace(load_native(), isa=("avx",))
    row = execute(made, [floats("y", 2.0, 2.0)], runtime=elsewhere)
    sequence()
    assert "another datatype or shape" in rerun(row).reason


def test_a_native_model_that_fails_is_unrunnable(alice: Person, settings: Settings) -> None:
    settings.AUDIT_NATIVE = True
    publish(alice, "pairs", pairs())
    made = plan("alice/pairs", [fp32("x", 1.0, 2.0, 3.0)])
    made.execution.executor_kind = "native"
    output = Tensor(name="y", datatype="FP32", shape=(1, 2), data=bytes(8))
    row = execute(made, [output], runtime=load_native())
    sequence()
    assert rerun(row).reason.startswith("the runtime refused the model: ")


def test_a_native_process_that_ends_at_once_is_unrunnable(tmp_path: Path) -> None:
    nothing = Portable(node=Path(sys.executable), folder=tmp_path)
    job = Job(runtime=load_native(), graph=b"", external={}, inputs=[])
    with pytest.raises(UnavailableError, match="the process that ran it ended"):
        NativeRunner(timeout_s=5, program=nothing).run(job)
