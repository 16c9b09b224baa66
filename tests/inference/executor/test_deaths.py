"""Processes that die: model processes, the supervisor, and what is left of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from inference.client import ExecutorError, ExecutorUnavailableError
from inference.executor.protocol import listen
from tests.inference.executor.models import Revision, add, endless, floats, identity, network
from tests.inference.executor.running import (
    RUNTIME,
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
    asked = revision.request(
        own.log.checkpoint(), floats("x", *[0.3] * 64, shape=(1, 64)), slot_wait_s=15
    )
    first = client.infer(asked, revision.read)
    wait_until(lambda: is_ready(client))
    victims = own.children()
    for pid in victims:
        kill(pid)
    # A killed leader is a zombie while its other threads still end and hold the socket open: only
    # one that was reaped is gone for good.
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in victims))
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
                with contextlib.suppress(ProcessLookupError):  # it may have died of the last one
                    if process["busy"]:
                        kill(process["pid"])
            thread.join(0.05)
    assert codes == ["unavailable", "quarantined"]
    with pytest.raises(ExecutorError, match="3 times within 10 minutes") as caught:
        client.infer(asked, bad.read)
    (item,) = client.status().quarantined
    assert (item["key"], item["kind"]) == (bad.target.key, "portable")
    assert item["reason"] == caught.value.message
    assert 0 < item["until"] - time.time() <= 600
    wait_until(lambda: is_ready(client))
    assert client.infer(good.request(note, floats("x", 1)), good.read).outputs


def test_a_killed_supervisor_leaves_no_orphan(own: Running) -> None:
    client, bad = own.client(), Revision.of(endless())
    wait_until(lambda: is_ready(client))
    asked = bad.request(own.log.checkpoint(), floats("x", 1), deadline_s=60)

    def run_the_loop() -> None:
        with pytest.raises(ExecutorUnavailableError):
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
    with pytest.raises(ExecutorUnavailableError, match="no executor answers"):
        client.status()
    second = start_supervisor(tmp_path)
    assert client.status().fingerprint == first.fingerprint
    client.close()
    second.stop()


def test_a_host_that_never_gets_ready_is_said_to_be_unavailable(tmp_path: Path) -> None:
    script = tmp_path / "broken.mjs"
    script.write_text("process.exit(1);")
    running = start_supervisor(arguments=["--host-script", str(script)], wait=False)
    revision = Revision.of(add())
    asked = revision.request(running.log.checkpoint(), floats("x", 1), slot_wait_s=0.1)
    with pytest.raises(ExecutorError, match="no model process is ready") as caught:
        running.client().infer(asked, revision.read)
    assert (caught.value.code, caught.value.retry) == ("unavailable", True)
    assert running.stop() == 0


def test_a_runtime_that_was_changed_is_not_started_again(tmp_path: Path) -> None:
    copy = tmp_path / "runtime"
    shutil.copytree(RUNTIME, copy)
    running = start_supervisor(arguments=["--runtime", str(copy), "--slots", "1"])
    with (copy / "ort.wasm.min.mjs").open("ab") as file:
        file.write(b"// changed")
    kill(running.children()[0])
    client, revision = running.client(), Revision.of(add())
    wait_until(lambda: client.status().restarts == 1)
    asked = revision.request(running.log.checkpoint(), floats("x", 1), slot_wait_s=1)
    with pytest.raises(ExecutorError, match="no model process is ready"):
        client.infer(asked, revision.read)
    running.stop()


def test_a_model_may_say_much_and_still_run() -> None:
    """An old opset makes the runtime print a warning; where that goes must not matter."""
    built = onnx.load_model_from_string(identity("FP32"))
    built.opset_import[0].version = 6
    built.ir_version = 3
    revision = Revision.of(bytes(built.SerializeToString()))
    running = start_supervisor(arguments=["--verbose"])
    sent = floats("x", 2, shape=(1, 1))
    asked = revision.request(running.log.checkpoint(), sent)
    assert running.client().infer(asked, revision.read).outputs[0].data == sent.data
    running.stop()


def test_a_socket_may_lie_deep(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    running = start_supervisor(deep)
    assert len(os.fsencode(running.socket)) > 108
    assert running.client().identity().fingerprint == running.fingerprint
    running.stop()
