"""Processes that die: model processes, the supervisor, and what is left of them."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.client import ExecutorError, ExecutorUnavailable
from inference.executor.protocol import listen
from tests.inference.executor.models import Revision, add, endless, floats, network
from tests.inference.executor.running import (
    Running,
    is_ready,
    is_running,
    kill,
    start_supervisor,
    wait_until,
)


@pytest.fixture
def own() -> Iterator[Running]:
    """A supervisor that the test may harm."""
    running = start_supervisor()
    yield running
    if running.process.poll() is None:
        running.stop()


def test_killed_model_processes_cost_no_answer_and_no_bit(own: Running) -> None:
    client, revision = own.client(), Revision.of(network())
    asked = revision.request(own.log.checkpoint(), floats("x", *[0.3] * 64, shape=(1, 64)))
    first = client.infer(asked, revision.read)
    wait_until(lambda: is_ready(client))
    for pid in own.children():
        kill(pid)
    second = client.infer(asked, revision.read)
    assert second.outputs == first.outputs
    assert second.cold
    wait_until(lambda: is_ready(client))
    assert client.status().restarts == 2


def test_a_model_whose_processes_die_is_quarantined_and_no_other(own: Running) -> None:
    client, note = own.client(), own.log.checkpoint()
    bad, good = Revision.of(endless()), Revision.of(add())
    asked = bad.request(note, floats("x", 1), deadline_s=60, slot_wait_s=10)
    codes: list[str] = []

    def run_the_loop() -> None:
        with pytest.raises(ExecutorError) as caught:
            own.client().infer(asked, bad.read)
        codes.append(caught.value.code)

    for _ in range(2):  # two deaths each, the second request is not tried again
        thread = threading.Thread(target=run_the_loop)
        thread.start()
        while thread.is_alive():
            for process in client.status().processes:
                if process["busy"]:
                    kill(process["pid"])
            thread.join(0.05)
    assert codes == ["unavailable", "quarantined"]
    with pytest.raises(ExecutorError, match="3 times within 10 minutes"):
        client.infer(asked, bad.read)
    wait_until(lambda: is_ready(client))
    assert client.infer(good.request(note, floats("x", 1)), good.read).outputs


def test_a_killed_supervisor_leaves_no_orphan(own: Running) -> None:
    client, bad = own.client(), Revision.of(endless())
    wait_until(lambda: is_ready(client))
    asked = bad.request(own.log.checkpoint(), floats("x", 1), deadline_s=60)

    def run_the_loop() -> None:
        with pytest.raises(ExecutorUnavailable):
            own.client().infer(asked, bad.read)

    thread = threading.Thread(target=run_the_loop)
    thread.start()
    wait_until(lambda: client.status().free == 1)
    children = own.children()
    assert len(children) == 2
    own.kill()
    wait_until(lambda: not any(map(is_running, children)), limit_s=2)
    thread.join(5)


def test_a_supervisor_that_is_asked_to_stop_leaves_nothing(own: Running) -> None:
    children = own.children()
    assert stat.S_IMODE(own.socket.stat().st_mode) == 0o700
    assert own.stop() == 0
    assert not own.socket.exists()
    wait_until(lambda: not any(map(is_running, children)), limit_s=2)


def test_a_stale_socket_is_replaced_and_the_key_kept(tmp_path: Path) -> None:
    first = start_supervisor(tmp_path)
    first.kill()
    assert first.socket.exists()
    second = start_supervisor(tmp_path)
    try:
        assert second.fingerprint == first.fingerprint
        assert stat.S_IMODE((tmp_path / "executor.pem").stat().st_mode) == 0o600
        with pytest.raises(FileExistsError, match="already answers"):
            listen(second.socket)
    finally:
        second.stop()


def test_a_kept_connection_survives_a_restart_of_the_supervisor(tmp_path: Path) -> None:
    first = start_supervisor(tmp_path)
    client = first.client()
    client.status()
    first.kill()
    with pytest.raises(ExecutorUnavailable, match="no executor answers"):
        client.status()
    second = start_supervisor(tmp_path)
    assert client.status().fingerprint == first.fingerprint
    client.close()
    second.stop()


def test_a_socket_may_lie_deep(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    running = start_supervisor(deep)
    assert len(os.fsencode(running.socket)) > 108
    assert running.client().identity().fingerprint == running.fingerprint
    running.stop()
