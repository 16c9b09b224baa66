"""The synchronous road: what is answered is durable, signed and logged; a lie is never stored."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, OperationalError, connection
from django.db.models.functions import Now

from assay.dsse import compact, parse_compact, public_key_of, sign
from assay.errors import FormatError, VerificationError
from assay.statements import Graph, Observed
from assay.tensors import decode_tensors, tensor_digest
from inference.choices import ExecutionState
from inference.client import ExecutorClient, InferResult
from inference.errors import (
    DeadlineError,
    EndedError,
    ExecutorAwayError,
    IdempotencyMismatchError,
    ModelFailedError,
    NotRunnableError,
    StillRunningError,
)
from inference.executor.protocol import Frame
from inference.models import INLINE_BYTES, Execution, Tensors
from inference.selectors import executor_keys, tensor_bytes
from inference.services import asking, finisher, outcomes, run as running
from inference.services.outcomes import Ending
from inference.services.queue import claim, sweep
from inference.services.run import infer
from inference.services.statement import Expected, check
from inference.services.submit import submit
from inference.services.work import work
from ledger import services as ledger
from ledger.errors import LogBusyError
from registry.choices import KeyState
from registry.errors import NotReleasedError
from registry.models import Key, Revision
from tests.flush import triggers_off
from tests.inference.builders import draft, fp32, identities, pairs, plan, private_key, publish
from tests.inference.conftest import Site
from tests.inference.executor.models import add, endless
from tests.ledger.builders import sequence
from tests.people import Person


def test_alice_gets_an_answer_that_is_durable_signed_and_logged(site: Site, alice: Person) -> None:
    publish(alice, "add", add())
    outcome = infer(plan("alice/add", [fp32("x", 2.5)], alice.user))
    row = Execution.objects.get(pk=outcome.execution.pk)
    assert (row.state, row.attempts, row.caller) == (ExecutionState.SUCCEEDED, 1, alice.user)
    assert row.id.version == 7
    assert row.executor == site.executor_key
    assert row.output is not None
    assert tuple(decode_tensors(tensor_bytes(row.output))) == outcome.outputs
    assert row.output_id == tensor_digest(outcome.outputs)
    assert parse_compact(row.receipt).payload
    sequence()
    status = ledger.entry_status(int(row.entry_id or 0))
    assert status.included
    assert row.entry_id is not None
    assert row.entry is not None
    assert row.entry.model == "alice/add"


def test_an_unsigned_revision_does_not_run(site: Site, alice: Person) -> None:
    draft(alice, "add", add())
    with pytest.raises(NotReleasedError):
        plan("alice/add", [fp32("x", 1)])


def test_a_release_without_a_graph_does_not_run(site: Site, alice: Person) -> None:
    publish(alice, "add", add())
    Revision.objects.update(report={})
    with pytest.raises(NotRunnableError):
        plan("alice/add", [fp32("x", 1)])


def test_large_tensors_go_to_the_blobs(site: Site, alice: Person) -> None:
    publish(alice, "big", identities(x="FP32"))
    count = INLINE_BYTES // 4
    outcome = infer(plan("alice/big", [fp32("x", *[0.5] * count)]))
    row = Execution.objects.get(pk=outcome.execution.pk)
    assert row.output is not None
    assert (row.input.inline, row.output.inline) == (None, None)
    (tensor,) = decode_tensors(tensor_bytes(row.input))
    assert len(tensor.data) == 4 * count
    again = infer(plan("alice/big", [fp32("x", *[0.5] * count)]))
    assert again.execution.pk != outcome.execution.pk
    assert Tensors.objects.count() == 2


def test_a_model_that_fails_leaves_a_failed_row_and_no_entry(site: Site, alice: Person) -> None:
    publish(alice, "reshape", pairs())
    with pytest.raises(ModelFailedError):
        infer(plan("alice/reshape", [fp32("x", 1, 2, 3)]))
    row = Execution.objects.get()
    assert (row.state, row.error_code, row.entry_id) == ("failed", "model_failed", None)


def test_words_of_a_model_that_no_row_can_keep_end_the_execution_all_the_same(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(alice, "add", add())

    def quoting(*_: Any, **__: Any) -> Any:
        raise ModelFailedError("Node 'a\0b' failed.")

    monkeypatch.setattr(running, "ask", quoting)
    monkeypatch.setattr("inference.services.work.ask_many", quoting)
    with pytest.raises(ModelFailedError):
        infer(plan("alice/add", [fp32("x", 1)]))
    submit(plan("alice/add", [fp32("x", 1)]))
    work(*claim(1))
    assert {row.error_message for row in Execution.objects.all()} == {
        "Node 'a\N{REPLACEMENT CHARACTER}b' failed."
    }
    assert {row.state for row in Execution.objects.all()} == {"failed"}


def test_the_deadline_stops_an_endless_model(site: Site, alice: Person) -> None:
    publish(alice, "endless", endless())
    with pytest.raises(DeadlineError):
        infer(plan("alice/endless", [fp32("x", 1)], timeout_s=0.3))
    assert Execution.objects.get().state == ExecutionState.TIMED_OUT


def test_without_an_executor_nothing_is_written(site: Site, alice: Person, settings: Any) -> None:
    publish(alice, "add", add())
    settings.EXECUTOR_SOCKET = settings.DATA / "nobody.sock"
    with pytest.raises(ExecutorAwayError):
        infer(plan("alice/add", [fp32("x", 1)]))
    assert not Execution.objects.exists()


# ------------------------------------------------------------------ lies


def _lie(monkeypatch: pytest.MonkeyPatch, change: Any) -> None:
    """Let the executor answer honestly, and somebody on the way change it."""
    honest = asking.executor()

    class Between:
        def infer(self, *args: Any, **named: Any) -> InferResult:
            result: InferResult = change(honest.infer(*args, **named))
            return result

    monkeypatch.setattr(asking, "executor", Between)


def test_mallory_may_not_swap_the_output(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(alice, "add", add())

    def swap(result: InferResult) -> InferResult:
        (output,) = result.outputs
        return replace(result, outputs=(replace(output, data=bytes(4)),))

    _lie(monkeypatch, swap)
    with pytest.raises(ExecutorAwayError, match="believed"):
        infer(plan("alice/add", [fp32("x", 1)]))
    assert not Execution.objects.exists()


def test_mallory_may_not_show_an_older_statement(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(alice, "add", add())
    earlier = infer(plan("alice/add", [fp32("x", 1)])).execution.receipt
    _lie(monkeypatch, lambda result: replace(result, envelope=earlier))
    with pytest.raises(ExecutorAwayError, match="believed"):
        infer(plan("alice/add", [fp32("x", 1)]))
    assert Execution.objects.count() == 1


def test_mallory_may_not_leave_outputs_out(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(alice, "two", identities(a="FP32", b="FP32"))
    _lie(monkeypatch, lambda result: replace(result, outputs=result.outputs[:1]))
    with pytest.raises(ExecutorAwayError, match="believed"):
        infer(plan("alice/two", [fp32("a", 1), fp32("b", 2)]))


def test_a_revoked_executor_is_not_believed(site: Site, alice: Person) -> None:
    publish(alice, "add", add())
    Key.objects.filter(pk=site.executor_key).update(state=KeyState.REVOKED)
    with pytest.raises(ExecutorAwayError, match="believed"):
        infer(plan("alice/add", [fp32("x", 1)]))
    assert not Execution.objects.exists()


def test_every_field_of_the_statement_is_compared(site: Site, alice: Person) -> None:
    publish(alice, "add", add())
    asked = plan("alice/add", [fp32("x", 1)])
    row = infer(asked).execution
    digests = dict(asked.target.signature.ref.resources)
    expected = Expected(
        execution=str(row.pk),
        model="alice/add",
        revision=row.revision_id,
        manifest=row.manifest,
        graph=Graph(path="model.onnx", sha256=digests["model.onnx"]),
        input_digest=row.input_id,
        output_digest=str(row.output_id),
        kind="portable",
        observed=ledger.observed(),
    )
    assert check(row.receipt, expected, executor_keys()).key.fingerprint == site.executor_key
    changes: list[dict[str, Any]] = [
        {"execution": str(uuid.uuid4())},
        {"model": "mallory/add"},
        {"revision": "0" * 40},
        {"manifest": "0" * 64},
        {"graph": Graph(path="model.onnx", sha256="0" * 64)},
        {"input_digest": "0" * 64},
        {"output_digest": "0" * 64},
        {"kind": "native"},
        {"observed": Observed(origin="localhost", tree_size=9, root_hash="0" * 64)},
    ]
    for change in changes:
        with pytest.raises(VerificationError, match="something else"):
            check(row.receipt, replace(expected, **change), executor_keys())
    with pytest.raises(VerificationError, match="registered executor"):
        check(row.receipt, expected, [public_key_of(private_key("mallory").public_key())])
    envelope = parse_compact(row.receipt)
    other = envelope.payload.replace(b'"output.tensors"', b'"input.tensors"')
    for payload, words in (
        (other, "subject"),
        (envelope.payload.replace(b'"input":{"digest"', b'"input":{"commitment"'), "else"),
    ):
        forged = compact(sign(payload, private_key("mallory")))
        with pytest.raises((VerificationError, FormatError), match=words):
            check(forged, expected, [public_key_of(private_key("mallory").public_key())])


# ------------------------------------------------------------------ idempotency


def test_the_same_key_gives_the_same_bytes_and_one_execution(site: Site, alice: Person) -> None:
    publish(alice, "add", add())
    asked: dict[str, Any] = {"user": alice.user, "idempotency_key": "k"}
    first = infer(plan("alice/add", [fp32("x", 1)], **asked))
    second = infer(plan("alice/add", [fp32("x", 1)], **asked))
    assert second.execution.receipt == first.execution.receipt
    assert second.outputs == first.outputs
    assert Execution.objects.count() == 1


def test_one_key_for_other_content_is_refused(site: Site, alice: Person) -> None:
    publish(alice, "add", add())
    asked: dict[str, Any] = {"user": alice.user, "idempotency_key": "k"}
    infer(plan("alice/add", [fp32("x", 1)], **asked))
    with pytest.raises(IdempotencyMismatchError):
        infer(plan("alice/add", [fp32("x", 2)], **asked))


def test_a_key_belongs_to_its_caller(site: Site, alice: Person, bob: Person) -> None:
    publish(alice, "add", add())
    for user in (alice.user, bob.user, None, None):
        infer(plan("alice/add", [fp32("x", 1)], user=user, idempotency_key="k"))
    assert Execution.objects.count() == 4


def test_a_failure_is_repeated_and_a_missing_executor_is_not(
    site: Site, alice: Person, settings: Any
) -> None:
    publish(alice, "reshape", pairs())
    asked: dict[str, Any] = {"user": alice.user, "idempotency_key": "k"}
    settings.EXECUTOR_SOCKET = settings.DATA / "nobody.sock"
    with pytest.raises(ExecutorAwayError):
        infer(plan("alice/reshape", [fp32("x", 1, 2, 3)], **asked))
    settings.EXECUTOR_SOCKET = site.running.socket
    for _ in range(2):
        with pytest.raises(ModelFailedError):
            infer(plan("alice/reshape", [fp32("x", 1, 2, 3)], **asked))
    assert sorted(Execution.objects.values_list("error_code", "idempotency_key")) == [
        ("executor_away", None),
        ("model_failed", "k"),
    ]


def test_a_cancelled_execution_under_the_key_says_how_it_ended(site: Site, alice: Person) -> None:
    publish(alice, "add", add())
    asked = plan("alice/add", [fp32("x", 1)], user=alice.user, idempotency_key="k")
    infer(asked)
    with triggers_off():
        Execution.objects.update(state="cancelled", output_id=None, entry_id=None)
    with pytest.raises(EndedError, match="cancelled"):
        infer(plan("alice/add", [fp32("x", 1)], user=alice.user, idempotency_key="k"))


def test_a_request_waits_for_the_execution_that_its_key_has_started(
    site: Site, alice: Person
) -> None:
    publish(alice, "add", add())
    asked: dict[str, Any] = {"user": alice.user, "idempotency_key": "k"}
    started = submit(plan("alice/add", [fp32("x", 1)], **asked)).execution
    with pytest.raises(StillRunningError):
        infer(plan("alice/add", [fp32("x", 1)], timeout_s=0.05, **asked))
    work(*claim(1))
    outcome = infer(plan("alice/add", [fp32("x", 1)], **asked))
    assert outcome.execution.pk == started.pk
    assert outcome.outputs[0].data == bytes.fromhex("00000040")


def test_a_full_log_gives_the_key_back(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(alice, "add", add())
    asked: dict[str, Any] = {"user": alice.user, "idempotency_key": "k"}

    def busy(*_: Any, **__: Any) -> int:
        raise LogBusyError("Too many entries wait.")

    with monkeypatch.context() as patch:
        patch.setattr("inference.services.outcomes.append_many", busy)
        with pytest.raises(LogBusyError):
            infer(plan("alice/add", [fp32("x", 1)], **asked))
    assert infer(plan("alice/add", [fp32("x", 1)], **asked)).execution.state == "succeeded"


def test_who_lost_the_lease_does_not_answer(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(alice, "add", add())
    honest = asking.ask

    def slow(*args: Any, **named: Any) -> Any:
        Execution.objects.update(lease_until=Now())
        sweep()
        return honest(*args, **named)

    monkeypatch.setattr("inference.services.run.ask", slow)
    with pytest.raises(StillRunningError, match="taken over"):
        infer(plan("alice/add", [fp32("x", 1)], user=alice.user, idempotency_key="k"))
    assert Execution.objects.get().state == ExecutionState.QUEUED


def test_an_answer_that_makes_no_sense_is_the_executors_fault_and_not_the_callers(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(alice, "add", add())
    honest = ExecutorClient._result

    def bent(answer: Frame) -> InferResult:
        outputs = [{**item, "shape": [7]} for item in answer.header["outputs"]]
        return honest(replace(answer, header={**answer.header, "outputs": outputs}))

    for change in (bent, lambda answer: honest(replace(answer, header={}))):
        monkeypatch.setattr(ExecutorClient, "_result", staticmethod(change))
        with pytest.raises(ExecutorAwayError):
            infer(plan("alice/add", [fp32("x", 1)]))
    assert not Execution.objects.exists()


class Commits:
    """The next COMMIT of the finishing transaction happens, or not, and its answer is lost."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, happens: bool) -> None:
        self.lost = 0
        honest = outcomes.write

        def write(endings: Sequence[Ending]) -> list[Ending]:
            lost = honest(endings)
            if not self.lost:
                self.lost += 1
                commit = connection.connection.commit if happens else connection.connection.rollback
                connection.run_on_commit.clear()
                commit()
                raise OperationalError("server closed the connection unexpectedly")
            return lost

        monkeypatch.setattr(finisher, "write", write)


@pytest.mark.parametrize("way", ["keyed", "queued"])
def test_a_commit_whose_answer_was_lost_is_looked_up(
    committed: Site, alice: Person, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    publish(alice, "add", add())
    asked: dict[str, Any] = {"user": alice.user, "idempotency_key": "k"}
    lost = Commits(monkeypatch, happens=True)
    if way == "keyed":
        assert infer(plan("alice/add", [fp32("x", 1)], **asked)).execution.state == "succeeded"
    else:
        submit(plan("alice/add", [fp32("x", 1)], **asked))
        work(*claim(1))
    assert lost.lost == 1
    row = Execution.objects.get()
    assert (row.state, row.attempts, row.entry_id is not None) == ("succeeded", 1, True)


def test_a_commit_that_did_not_happen_gives_the_key_back(
    committed: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(alice, "add", add())
    asked: dict[str, Any] = {"user": alice.user, "idempotency_key": "k"}
    lost = Commits(monkeypatch, happens=False)
    with pytest.raises(OperationalError):
        infer(plan("alice/add", [fp32("x", 1)], **asked))
    assert lost.lost == 1
    assert not Execution.objects.filter(state="succeeded").exists()
    assert infer(plan("alice/add", [fp32("x", 1)], **asked)).execution.state == "succeeded"


def test_who_waits_for_a_key_reads_and_does_not_write(
    site: Site, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(alice, "add", add())
    asked: dict[str, Any] = {"user": alice.user, "idempotency_key": "k"}
    submit(plan("alice/add", [fp32("x", 1)], **asked))
    claim(1)

    def written(*_: Any) -> bool:
        raise AssertionError("an INSERT at each look")

    monkeypatch.setattr(running, "insert_keyed", written)
    with pytest.raises(StillRunningError):
        infer(plan("alice/add", [fp32("x", 1)], timeout_s=0.2, **asked))


def test_fifty_racing_requests_with_one_key_are_one_execution(
    committed: Site, alice: Person
) -> None:
    publish(alice, "add", add())
    receipts: set[str] = set()
    barrier = threading.Barrier(10)

    def ask() -> None:
        try:
            barrier.wait()
            for _ in range(5):
                asked = plan("alice/add", [fp32("x", 1)], user=alice.user, idempotency_key="k")
                receipts.add(infer(asked).execution.receipt)
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receipts) == 1
    assert Execution.objects.count() == 1


# ------------------------------------------------------------------ the state table


@pytest.mark.parametrize(
    "change",
    [
        {
            "state": "running",
            "finished_at": None,
            "lease_until": Now(),
            "output_id": None,
            "entry_id": None,
        },
        {"run_ms": 0},
        {"receipt": ""},
        {"idempotency_key": "other"},
        {"deadline": Now()},
    ],
)
def test_the_end_is_the_end(site: Site, alice: Person, change: dict[str, Any]) -> None:
    publish(alice, "add", add())
    infer(plan("alice/add", [fp32("x", 1)]))
    with pytest.raises(IntegrityError, match="is the end"):
        Execution.objects.update(**change)


def test_an_execution_is_never_deleted(site: Site, alice: Person) -> None:
    publish(alice, "add", add())
    infer(plan("alice/add", [fp32("x", 1)]))
    with pytest.raises(DatabaseError, match="never deleted"):
        Execution.objects.all().delete()
