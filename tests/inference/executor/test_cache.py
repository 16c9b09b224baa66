"""What is kept in memory, and what goes first."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.tensors import Tensor
from inference.executor.blobs import BlobCache, Pinned
from inference.executor.limits import BACKOFF_S, MEASURE_RUNS, RECYCLE_RUNS
from inference.executor.pool import next_delay
from inference.executor.protocol import Frame, RefusalError, connect, send
from tests.inference.executor.models import (
    INT64,
    Revision,
    add,
    constant,
    endless,
    floats,
    identity,
    model,
    node,
    sha,
    value,
)
from tests.inference.executor.running import (
    is_running,
    start_liar,
    start_supervisor,
    wait_until,
)

MIB = 2**20


def test_the_least_recently_used_file_goes_first() -> None:
    cache = BlobCache(10)
    for letter in (b"a", b"b"):
        cache.put(sha(letter * 4), letter * 4)
    assert cache.get(sha(b"aaaa")) == b"aaaa"
    cache.put(sha(b"cccc"), b"cccc")
    assert cache.get(sha(b"bbbb")) is None
    assert cache.get(sha(b"aaaa")) == b"aaaa"


def test_a_file_larger_than_the_cache_lives_as_long_as_its_request() -> None:
    cache = BlobCache(3)
    pinned = Pinned(cache)
    pinned.put(sha(b"four"), b"four")
    assert pinned.get(sha(b"four")) == b"four"
    pinned.clear()
    assert pinned.get(sha(b"four")) is None


def test_a_file_is_kept_by_its_own_digest_only() -> None:
    pinned = Pinned(BlobCache(10))
    for digest in (sha(b"other"), None, 7):
        with pytest.raises(RefusalError, match="digest"):
            pinned.put(digest, b"four")
    assert pinned.get(sha(b"other")) is None


def plus(number: int) -> Revision:
    """A model of its own for each number."""
    nodes, weights = [node("Add", ["x", "w"], ["y"])], [constant("w", [number])]
    graph = model(nodes, [value("x")], [value("y")], weights).SerializeToString()
    return Revision.of(bytes(graph))


def test_the_least_recently_used_model_of_all_processes_goes_first() -> None:
    """Each model takes 80 MiB: three fit, whichever processes hold them."""
    running = start_supervisor(arguments=["--memory-bytes", str(300 * MIB)])
    client, note = running.client(), running.log.checkpoint()

    def cold(number: int) -> bool:
        revision = plus(number)
        return client.infer(revision.request(note, floats("x", 1)), revision.read).cold

    assert [cold(number) for number in (1, 2, 3)] == [True, True, True]
    assert [cold(number) for number in (1, 3, 2)] == [False, False, False]
    assert cold(4)
    assert set(client.status().models) == {plus(number).target.key for number in (2, 3, 4)}
    counted = client.status().counters
    assert (counted["loads"], counted["evictions"]) == (4, 1)
    assert (counted["hits"], counted["misses"]) == (3, 4)
    running.stop()


def test_a_model_that_runs_is_not_unloaded_for_another() -> None:
    running = start_supervisor(arguments=["--memory-bytes", str(100 * MIB)])
    client, note, bad = running.client(), running.log.checkpoint(), Revision.of(endless())
    client.load(bad.target, bad.read)
    asked = bad.request(note, floats("x", 1), deadline_s=60)
    connection = connect(running.socket)
    send(connection, Frame(header=asked.header(), tail=asked.inputs[0].data))
    wait_until(lambda: client.status().free == 1)
    good = plus(1)
    assert client.infer(good.request(note, floats("x", 1)), good.read).cold
    assert set(client.status().models) == {bad.target.key, good.target.key}
    assert client.status().counters["evictions"] == 0
    connection.close()
    running.stop()


def test_a_model_that_ran_often_is_started_afresh_after_its_answer() -> None:
    assert RECYCLE_RUNS == 1_000
    running = start_supervisor(arguments=["--slots", "1", "--recycle-runs", "40"])
    client, revision = running.client(), plus(1)
    asked = revision.request(running.log.checkpoint(), floats("x", 1), slot_wait_s=10)
    cold = [client.infer(asked, revision.read).cold for _ in range(42)]
    assert cold == [True] + [False] * 41  # it was loaded again before the next one
    counted = client.status().counters
    assert (counted["recycled"], counted["loads"], counted["runs"]) == (1, 2, 42)
    running.stop()


def test_a_process_that_has_grown_is_replaced(tmp_path: Path) -> None:
    running = start_liar(tmp_path)
    client, revision = running.client(), Revision.of(b"hoard")
    (first,) = running.children()
    asked = revision.request(running.log.checkpoint(), outputs=("hoard",), slot_wait_s=20)
    for _ in range(MEASURE_RUNS):
        assert is_running(first)
        client.infer(asked, revision.read)
    wait_until(lambda: not is_running(first))
    assert client.infer(asked, revision.read).outputs == (floats("hoard", 1),)
    assert client.status().counters["recycled"] == 1
    assert client.status().counters["deaths"] == 0
    running.stop()


def test_each_start_that_fails_makes_the_next_one_wait_longer() -> None:
    waits = [BACKOFF_S]
    for _ in range(10):
        waits.append(next_delay(waits[-1]))
    assert waits[:4] == [0.1, 0.2, 0.4, 0.8]
    assert waits[-2:] == [30.0, 30.0]


def test_models_make_room_for_each_other() -> None:
    running = start_supervisor(arguments=["--slots", "1", "--memory-bytes", str(100 * MIB)])
    client, note = running.client(), running.log.checkpoint()
    one, two = Revision.of(add()), Revision.of(identity("FP32"))
    pairs = [(one, floats("x", 1)), (two, floats("x", 1, shape=(1, 1)))]
    cold = []
    for revision, tensor in [*pairs, *pairs, pairs[1]]:
        cold.append(client.infer(revision.request(note, tensor), revision.read).cold)
    assert cold == [True, True, True, True, False]
    assert client.status().models == (sha(identity("FP32")),)
    assert one.asked == [sha(add())]  # the file itself was kept
    running.stop()


def test_a_model_whose_memory_grew_is_started_afresh() -> None:
    running = start_supervisor(arguments=["--slots", "1"])
    nodes = [node("Expand", ["x", "n"], ["e"]), node("ReduceSum", ["e"], ["y"], keepdims=0)]
    inputs = [value("x"), value("n", INT64, (1,))]
    revision = Revision.of(bytes(model(nodes, inputs, [value("y", shape=())]).SerializeToString()))
    client = running.client()
    cold = []
    for elements in (1, 1, 2**27, 1):
        data = constant("n", [elements], "int64").raw_data
        tensor = Tensor(name="n", datatype="INT64", shape=(1,), data=data)
        asked = revision.request(running.log.checkpoint(), floats("x", 1), tensor)
        cold.append(client.infer(asked, revision.read).cold)
    # It had grown to half a GiB: it was loaded again before the last request got it.
    assert cold == [True, False, False, False]
    assert client.status().counters["recycled"] == 1
    assert client.status().counters["loads"] == 2
    running.stop()
