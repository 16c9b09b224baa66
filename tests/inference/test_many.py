"""Several executions in one frame: each runs, is signed and is refused for itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from socket import socketpair
from typing import Any

import pytest

from assay.dsse import load_public_key, parse_compact, verify_envelope
from assay.errors import FormatError
from inference.bulk import BulkClient
from inference.client import ExecutorError, ExecutorUnavailableError, InferRequest, InferResult
from inference.executor import many
from inference.executor.many import infer_many, joined, split
from inference.executor.protocol import CallerGoneError, Frame, RefusalError
from inference.ids import uuid7
from tests.inference.conftest import LOG
from tests.inference.executor.models import Revision, add, endless, floats
from tests.inference.executor.running import Running


class MissingError(Exception):
    """How the executor of these tests asks for files."""


@pytest.fixture
def client(running: Running) -> Iterator[BulkClient]:
    connected = BulkClient(running.socket)
    yield connected
    connected.close()


def requests(revision: Revision, *values: float) -> list[InferRequest]:
    made = [revision.request(LOG.checkpoint(), floats("x", value)) for value in values]
    return [replace(one, execution=str(uuid7())) for one in made]


def test_each_execution_has_a_statement_of_its_own(client: BulkClient, running: Running) -> None:
    revision = Revision.of(add())
    asked = requests(revision, 1.0, 2.0, 3.0)
    alone = [client.infer(one, revision.read) for one in requests(revision, 1.0, 2.0, 3.0)]
    together = client.infer_many(asked, revision.read, stop_after_s=20)
    for one, result, single in zip(asked, together, alone, strict=True):
        assert isinstance(result, InferResult)
        assert result.outputs == single.outputs
        assert (result.input_digest, result.output_digest) == (
            single.input_digest,
            single.output_digest,
        )
        envelope = parse_compact(result.envelope)
        verify_envelope(envelope, load_public_key(client.identity().public_key))
        assert one.execution.encode() in envelope.payload
    assert len({result.envelope for result in together if isinstance(result, InferResult)}) == 3


def test_a_bad_input_is_its_own_refusal_and_nobody_elses(client: BulkClient) -> None:
    revision = Revision.of(add())
    asked = requests(revision, 1.0, 2.0, 3.0)
    asked[1] = replace(asked[1], inputs=(floats("y", 2.0),))
    good, bad, other = client.infer_many(asked, revision.read, stop_after_s=20)
    assert isinstance(bad, ExecutorError)
    assert bad.code == "bad_input"
    assert isinstance(good, InferResult)
    assert isinstance(other, InferResult)


def test_who_hangs_up_stops_the_run(client: BulkClient) -> None:
    revision = Revision.of(endless())
    near, far = socketpair()
    timer = threading.Timer(0.3, near.close)
    timer.start()
    with pytest.raises(CallerGoneError), far:
        client.infer_many(requests(revision, 1.0, 2.0), revision.read, stop_after_s=20, caller=far)
    timer.join()


@pytest.mark.parametrize("lie", [{}, {"items": []}, {"items": [{"tail": 3}]}, {"items": [{}]}])
def test_an_answer_that_makes_no_sense_is_no_answer(
    client: BulkClient, monkeypatch: pytest.MonkeyPatch, lie: dict[str, Any]
) -> None:
    revision = Revision.of(add())
    asked = requests(revision, 1.0, 2.0)
    monkeypatch.setattr(client, "_call", lambda *_, **__: Frame(header={"ok": True, **lie}))
    with pytest.raises(ExecutorUnavailableError, match="makes no sense"):
        client.infer_many(asked, revision.read, stop_after_s=20)


def test_another_number_of_answers_is_no_answer(
    client: BulkClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = Revision.of(add())
    one = Frame(header={"items": [{"tail": 0, **RefusalError("busy", "full").to_header()}]})
    monkeypatch.setattr(client, "_call", lambda *_, **__: one)
    with pytest.raises(ExecutorUnavailableError, match="another number"):
        client.infer_many(requests(revision, 1.0, 2.0), revision.read, stop_after_s=20)


# ------------------------------------------------------------------ the supervisor's side


def frame(count: int, stop_after_s: float = 60.0) -> Frame:
    shared = {"kind": "portable", **dict.fromkeys(many.SHARED)}
    made = joined(
        [
            Frame(header={**shared, "execution": str(number)}, parts=[b"%d" % number])
            for number in range(count)
        ],
        stop_after_s,
    )
    return replace(made, tail=b"".join(made.parts))


def answers(request: Frame, infer: Callable[[Frame], Frame]) -> list[Any]:
    """Return the code of each refusal, and the bytes of each answer."""
    answer = infer_many(request, infer, missing=MissingError)
    items = split(replace(answer, tail=b"".join(answer.parts)))
    return [item.header["error"]["code"] if "error" in item.header else item.tail for item in items]


def echo(request: Frame) -> Frame:
    return Frame(header={"ok": True}, parts=[request.tail, b"!"])


def test_items_come_whole_and_in_their_order() -> None:
    assert answers(frame(3), echo) == [b"0!", b"1!", b"2!"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RefusalError("model_failed", "no"), "model_failed"),
        (FormatError("no"), "bad_input"),
        (MemoryError(), "internal"),
        (MissingError(), "busy"),
    ],
)
def test_what_one_item_meets_the_others_do_not(error: Exception, code: str) -> None:
    def infer(request: Frame) -> Frame:
        if request.tail == b"1":
            raise error
        return echo(request)

    assert answers(frame(3), infer) == [b"0!", code, b"2!"]


def test_files_are_asked_for_before_anything_has_run() -> None:
    def infer(request: Frame) -> Frame:
        raise MissingError

    with pytest.raises(MissingError):
        answers(frame(2), infer)


def test_when_the_time_is_over_the_rest_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter((0.0, 0.5, 2.0))
    monkeypatch.setattr(many, "time", _Clock(clock))
    assert answers(frame(3, stop_after_s=1.0), echo) == [b"0!", b"1!", "busy"]


class _Clock:
    def __init__(self, times: Iterator[float]) -> None:
        self._times = times

    def monotonic(self) -> float:
        return next(self._times)


def test_when_the_answers_are_large_enough_the_rest_is_not_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(many, "MAX_ANSWER_BYTES", 3)
    assert answers(frame(3), echo) == [b"0!", b"1!", "busy"]


@pytest.mark.parametrize(
    "change",
    [
        {"stop_after_s": None},
        {"stop_after_s": True},
        {"items": None},
        {"items": []},
        {"items": [{"tail": 1}] * (many.MAX_ITEMS + 1)},
        {"items": [{"tail": -1}]},
        {"items": [{"tail": True}]},
        {"items": [{"tail": 99}]},
        {"items": [{"tail": 1}]},
        {"items": ["item"]},
    ],
)
def test_a_frame_that_is_none_is_refused(change: dict[str, Any]) -> None:
    request = frame(2)
    with pytest.raises(FormatError):
        answers(replace(request, header={**request.header, **change}), echo)


def test_what_differs_between_items_is_not_shared() -> None:
    """Two callers, two names of one model: each item keeps its own."""
    fields: Sequence[str] = ("execution", "model", "party", "private", "outputs", "deadline_s")
    assert not set(fields) & set(many.SHARED)
