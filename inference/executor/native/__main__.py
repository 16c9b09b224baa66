"""The model process of the native kind: the frames of the portable one, on descriptor 0.

It is started inside a jail, imports what it needs, gives up every file there is, and says that it
is ready. Models come as bytes. Requests arrive one at a time; `stop` may come while one is under
way. A run is asked to stop at its deadline; a kernel that does not notice is for the supervisor,
which ends the process half a second later. When the socket ends, so does the process.
"""

from __future__ import annotations

import os
import queue
import socket
import threading
import time
from typing import Any

import onnxruntime as ort

from assay.canonical import as_list
from inference.executor.jail import landlock
from inference.executor.native.session import AnswerError, NativeModel
from inference.executor.protocol import MAX_BLOB_BYTES, Frame, ProtocolError, Stream, send
from inference.executor.values import parse_tensors

MAX_OUTPUT_BYTES = 256 * 2**20
_WORDS = 2_000
_IDLE_S, _ASK_AGAIN_S = 3_600.0, 0.05


class Process:
    """The loop of one process: a reader of frames, and one thread that works."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stream = Stream(connection)
        self._models: dict[str, NativeModel] = {}
        self._requests: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._guard = threading.Condition()
        self._current: tuple[str, float] | None = None  # the model, and when its time is over
        self._looks_at = 0.0  # when the clock thread wakes next

    def serve(self) -> None:
        """Answer requests until the connection ends."""
        threading.Thread(target=self._work, daemon=True).start()
        threading.Thread(target=self._watch_clock, daemon=True).start()
        send(self._connection, Frame(header={"ready": True}))
        while True:
            frame = self._stream.frame(MAX_BLOB_BYTES)
            if frame.header["op"] == "stop":
                self._stop("stopped")
            else:
                self._requests.put(frame)

    def _work(self) -> None:
        operations = {"load": self._load, "run": self._run, "drop": self._drop}
        while True:
            frame = self._requests.get()
            key = frame.header["key"]
            if frame.header["op"] != "drop":
                self._begin(key, frame.header["deadline_ms"] / 1000)
            try:
                header, parts = operations[frame.header["op"]](frame)
            except AnswerError as error:
                header, parts = _failure("failed", error), []
            except MemoryError as error:
                header, parts = _failure("memory", error) | {"gone": True}, []
            except Exception as error:  # noqa: BLE001 (whatever a stranger's model makes the runtime raise)
                full = "bad_alloc" in str(error) or "allocate memory" in str(error)
                header, parts = _failure("memory" if full else "failed", error), []
            if header.get("gone") is True:
                self._models.pop(key, None)
            self._finish(header, parts)

    def _begin(self, key: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._guard:
            self._current = (key, until)
            if until < self._looks_at:
                self._guard.notify()  # mostly it wakes early enough by itself

    def _watch_clock(self) -> None:
        while True:
            with self._guard:
                now = time.monotonic()
                late = self._current is not None and now >= self._current[1]
                until = now + _IDLE_S if self._current is None or late else self._current[1]
                self._looks_at = until
                if not late:
                    self._guard.wait(until - now)
            if late:
                self._stop("deadline")
                time.sleep(_ASK_AGAIN_S)

    def _finish(self, header: dict[str, Any], parts: list[bytes]) -> None:
        with self._guard:
            self._current = None
        send(self._connection, Frame(header={"gone": False, **header}, parts=parts))

    def _stop(self, code: str) -> None:
        """End what is under way; an answer that leaves now says why."""
        with self._guard:
            current = self._current
            if current is None:
                return
            model = self._models.get(current[0])
        if model is None:
            os._exit(1)  # a load cannot be ended otherwise
        model.stop(code)

    def _load(self, frame: Frame) -> tuple[dict[str, Any], list[bytes]]:
        header = frame.header
        size = header["graph_size"]
        external = []
        offset = size
        for item in as_list(header["external"], "external"):
            external.append((item["path"], frame.tail[offset : offset + item["size"]]))
            offset += item["size"]
        model = NativeModel(frame.tail[:size], external)
        self._models = {header["key"]: model}  # one at a time: two strangers share no process
        return model.signature(), []

    def _run(self, frame: Frame) -> tuple[dict[str, Any], list[bytes]]:
        model = self._models.get(frame.header["key"])
        if model is None:
            return _failure("failed", "the model is not loaded") | {"gone": True}, []
        inputs = parse_tensors(frame.header["inputs"], frame.tail, "inputs")
        try:
            outputs = model.run(inputs, frame.header["outputs"], MAX_OUTPUT_BYTES)
        except ort.capi.onnxruntime_pybind11_state.Fail:
            if model.stopped:
                return _failure(model.stopped, ""), []
            raise
        described = [{**item.header(), "size": len(item.data)} for item in outputs]
        return {"outputs": described, "memory": 0}, [item.data for item in outputs]

    def _drop(self, frame: Frame) -> tuple[dict[str, Any], list[bytes]]:
        self._models.pop(frame.header["key"], None)
        return {"ok": True}, []


def _failure(code: str, message: object) -> dict[str, Any]:
    return {"error": {"code": code, "message": str(message)[:_WORDS]}}


def _sees_a_network() -> bool:
    """Tell whether there is more than a loopback: onnxruntime's own wheel would report home."""
    return {name for _, name in socket.if_nameindex()} != {"lo"}


def main() -> int:
    """Serve the socket on descriptor 0."""
    ort.disable_telemetry_events()
    if _sees_a_network() or not landlock([]):
        return 1  # without these walls no stranger's model comes in here
    try:
        Process(socket.socket(fileno=0)).serve()
    except ProtocolError:
        return 0
    raise AssertionError("unreachable")


if __name__ == "__main__":
    os._exit(main())  # threads may be inside a kernel that never ends
