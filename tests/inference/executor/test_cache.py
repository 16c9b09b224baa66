"""What is kept in memory, and what goes first."""

from __future__ import annotations

import pytest

from assay.tensors import Tensor
from inference.executor.blobs import BlobCache, Pinned
from inference.executor.protocol import Refusal
from tests.inference.executor.models import (
    INT64,
    Revision,
    add,
    constant,
    floats,
    identity,
    model,
    node,
    sha,
    value,
)
from tests.inference.executor.running import start_supervisor

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
        with pytest.raises(Refusal, match="digest"):
            pinned.put(digest, b"four")
    assert pinned.get(sha(b"other")) is None


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
    assert cold == [True, False, False, True]
    running.stop()
