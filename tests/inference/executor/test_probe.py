"""`probe`: the same model on the same input, several times, in fresh processes; nothing signed."""

from __future__ import annotations

import dataclasses

import pytest

from assay.tensors import Tensor, tensor_digest
from inference.client import ExecutorClient, ExecutorError, ExecutorUnavailableError
from inference.executor.protocol import Frame
from inference.probing import Probe, probe
from tests.inference.executor.models import (
    Revision,
    endless,
    floats,
    model,
    network,
    node,
    value,
)
from tests.inference.executor.running import Running


def probed(
    client: ExecutorClient, graph: bytes, *inputs: Tensor, deadline_s: float = 20.0
) -> Probe:
    revision = Revision.of(graph)
    return probe(
        client, revision.target, inputs, revision.read, kind="portable", deadline_s=deadline_s
    )


def noisy() -> bytes:
    """y = x + noise, with noise that nobody seeded."""
    nodes = [
        node("RandomUniformLike", ["x"], ["noise"]),
        node("Add", ["x", "noise"], ["y"]),
    ]
    return bytes(
        model(nodes, [value("x", shape=(4,))], [value("y", shape=(4,))]).SerializeToString()
    )


def test_an_honest_model_gives_the_same_bits_in_every_process(
    supervisor: Running, client: ExecutorClient
) -> None:
    x = floats("x", *(index / 64 for index in range(64)), shape=(1, 64))
    before = client.status()
    found = probed(client, network(), x)
    assert [len(digests) for digests in found.digests] == [3, 3]
    assert len({digest for digests in found.digests for digest in digests}) == 1
    assert found.input_digest == tensor_digest([x])
    assert found.runtime.kind == "portable"
    after = client.status()
    assert (after.models, after.restarts) == (before.models, before.restarts)


def test_unseeded_noise_shows_at_once(supervisor: Running, client: ExecutorClient) -> None:
    found = probed(client, noisy(), floats("x", 1, 2, 3, 4))
    assert len({digest for digests in found.digests for digest in digests}) > 1


def test_a_run_that_does_not_end_is_ended(supervisor: Running, client: ExecutorClient) -> None:
    with pytest.raises(ExecutorError) as told:
        probed(client, endless(), floats("x", 1), deadline_s=2.0)
    assert told.value.code == "deadline"


def test_what_does_not_load_or_run_is_said(supervisor: Running, client: ExecutorClient) -> None:
    with pytest.raises(ExecutorError) as told:
        probed(client, b"no model", floats("x", 1))
    assert told.value.code == "load_failed"
    with pytest.raises(ExecutorError) as told:
        probed(client, network(), floats("x", 1, 2, shape=(1, 2)))
    assert told.value.code == "model_failed"


@pytest.mark.parametrize("seconds", [0, -1, 10**6, True])
def test_a_probe_has_a_time_limit(
    seconds: float, supervisor: Running, client: ExecutorClient
) -> None:
    with pytest.raises(ExecutorError) as told:
        probed(client, network(), deadline_s=seconds)
    assert told.value.code == "bad_input"


def test_an_answer_that_makes_no_sense_is_none(
    supervisor: Running, client: ExecutorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = floats("x", *[0.0] * 64, shape=(1, 64))
    answer = dataclasses.asdict(probed(client, network(), x))
    monkeypatch.setattr(client, "trace", lambda *_: Frame(header={"digests": ["00"], **answer}))
    with pytest.raises(ExecutorUnavailableError, match="makes no sense"):
        probed(client, network(), x)
