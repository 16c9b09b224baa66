"""Time and memory: a model that will not stop, or wants everything, and its neighbours."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from socket import socketpair

import pytest

from assay.tensors import Tensor
from inference.client import ExecutorClient, ExecutorError
from inference.executor.protocol import CallerGoneError, Frame, connect, send
from tests.inference.executor.corpus import fold_expand
from tests.inference.executor.models import (
    INT64,
    Revision,
    add,
    constant,
    endless,
    floats,
    model,
    node,
    value,
)
from tests.inference.executor.running import Running, wait_until


def test_an_endless_loop_meets_its_deadline_and_its_neighbour_goes_on(
    supervisor: Running, client: ExecutorClient
) -> None:
    before = sorted(supervisor.children())
    note = supervisor.log.checkpoint()
    good, bad = Revision.of(add()), Revision.of(endless())
    client.infer(good.request(note, floats("x", 1)), good.read)
    codes: list[str] = []

    def run_the_loop() -> None:
        with pytest.raises(ExecutorError) as caught:
            supervisor.client().infer(bad.request(note, floats("x", 1), deadline_s=1.5), bad.read)
        codes.append(caught.value.code)

    thread = threading.Thread(target=run_the_loop)
    begun = time.monotonic()
    thread.start()
    answers = 0
    while thread.is_alive():
        client.infer(good.request(note, floats("x", 1)), good.read)
        answers += 1
    assert codes == ["deadline"]
    assert 1.4 < time.monotonic() - begun < 4
    assert answers > 20
    assert sorted(supervisor.children()) == before


def test_a_tiny_deadline_is_kept(supervisor: Running, client: ExecutorClient) -> None:
    bad = Revision.of(endless())
    begun = time.monotonic()
    asked = bad.request(supervisor.log.checkpoint(), floats("x", 1), deadline_s=0.001)
    with pytest.raises(ExecutorError) as caught:
        client.infer(asked, bad.read)
    assert caught.value.code == "deadline"
    assert time.monotonic() - begun < 1.5


def test_a_loop_that_hoards_memory_is_stopped(supervisor: Running, client: ExecutorClient) -> None:
    bad = Revision.of(endless(scan=True))
    asked = bad.request(supervisor.log.checkpoint(), floats("x", 1), deadline_s=1)
    with pytest.raises(ExecutorError) as caught:
        client.infer(asked, bad.read)
    assert caught.value.code in {"deadline", "model_failed"}


def test_a_folding_bomb_is_refused_at_load(supervisor: Running, client: ExecutorClient) -> None:
    before = sorted(supervisor.children())
    bad = Revision.of(fold_expand())
    with pytest.raises(ExecutorError, match="memory limit") as caught:
        client.infer(bad.request(supervisor.log.checkpoint(), floats("x", 1)), bad.read)
    assert (caught.value.code, caught.value.retry) == ("load_memory", False)
    assert sorted(supervisor.children()) == before


def test_an_input_that_asks_for_too_much_memory_fails_cleanly(
    supervisor: Running, client: ExecutorClient
) -> None:
    nodes = [node("Expand", ["x", "size"], ["e"]), node("ReduceSum", ["e"], ["y"], keepdims=0)]
    inputs = [value("x"), value("size", INT64, (1,))]
    graph = model(nodes, inputs, [value("y", shape=())]).SerializeToString()
    revision = Revision.of(graph)
    note = supervisor.log.checkpoint()
    for size, works in ((2**29, False), (4, True)):
        sizes = constant("size", [size], "int64").raw_data
        asked = revision.request(
            note,
            floats("x", 1),
            Tensor(name="size", datatype="INT64", shape=(1,), data=sizes),
        )
        if works:
            assert client.infer(asked, revision.read).outputs == (floats("y", 4, shape=()),)
        else:
            with pytest.raises(ExecutorError, match="memory limit") as caught:
                client.infer(asked, revision.read)
            assert caught.value.code == "model_failed"


def test_when_every_slot_is_taken_the_next_caller_is_told_to_come_back(
    supervisor: Running, client: ExecutorClient
) -> None:
    note = supervisor.log.checkpoint()
    bad, good = Revision.of(endless()), Revision.of(add())

    def run_the_loop() -> None:
        with pytest.raises(ExecutorError):
            supervisor.client().infer(bad.request(note, floats("x", 1), deadline_s=2.5), bad.read)

    threads = [threading.Thread(target=run_the_loop) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_until(lambda: client.status().free == 0)
    with pytest.raises(ExecutorError) as caught:
        client.infer(good.request(note, floats("x", 1), slot_wait_s=0.1), good.read)
    assert (caught.value.code, caught.value.retry) == ("busy", True)
    for thread in threads:
        thread.join()
    client.infer(good.request(note, floats("x", 1)), good.read)


def test_a_caller_who_hangs_up_stops_the_run(supervisor: Running, client: ExecutorClient) -> None:
    before = sorted(supervisor.children())
    bad = Revision.of(endless())
    client.load(bad.target, bad.read)
    asked = bad.request(supervisor.log.checkpoint(), floats("x", 1), deadline_s=60)
    connection = connect(supervisor.socket)
    send(connection, Frame(header=asked.header(), tail=asked.inputs[0].data))
    wait_until(lambda: client.status().free == 1)
    connection.close()
    wait_until(lambda: client.status().free == 2)
    assert sorted(supervisor.children()) == before


def test_a_visitor_who_closes_the_page_stops_the_run(
    supervisor: Running, client: ExecutorClient
) -> None:
    bad = Revision.of(endless())
    asked = bad.request(supervisor.log.checkpoint(), floats("x", 1), deadline_s=60)
    visitor, web = socketpair()
    gone: list[type[BaseException]] = []

    def run_the_loop() -> None:
        with pytest.raises(CallerGoneError) as caught:
            supervisor.client().infer(asked, bad.read, caller=web)
        gone.append(caught.type)

    thread = threading.Thread(target=run_the_loop)
    thread.start()
    wait_until(lambda: client.status().free == 1)
    visitor.close()
    thread.join(10)
    web.close()
    assert gone == [CallerGoneError]
    wait_until(lambda: client.status().free == 2)


def many_outputs() -> bytes:
    names = [f"y{number}" for number in range(257)]
    nodes = [node("Identity", ["x"], [name]) for name in names]
    built = model(nodes, [value("x")], [value(name) for name in names])
    return bytes(built.SerializeToString())


def deep() -> bytes:
    """y = x with 17 dimensions: one more than a tensor set can name."""
    built = model(
        [node("Reshape", ["x", "shape"], ["y"])],
        [value("x")],
        [value("y", shape=[1] * 17)],
        [constant("shape", [1] * 17, "int64")],
    )
    return bytes(built.SerializeToString())


@pytest.mark.parametrize(
    ("build", "words"),
    [(many_outputs, "more than 256"), (deep, "16 dimensions")],
)
def test_an_answer_that_cannot_be_told_costs_no_process(
    supervisor: Running, client: ExecutorClient, build: Callable[[], bytes], words: str
) -> None:
    before = sorted(supervisor.children())
    revision = Revision.of(build())
    with pytest.raises(ExecutorError, match=words) as caught:
        client.infer(revision.request(supervisor.log.checkpoint(), floats("x", 1)), revision.read)
    assert caught.value.code == "model_failed"
    assert sorted(supervisor.children()) == before
