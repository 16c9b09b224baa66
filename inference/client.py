"""The web's end of the executor's socket: plain Python, no Django.

A small pool of persistent connections, one request at a time on each. A kept connection that turns
out dead before a byte of the answer came is replaced once; afterwards the request may have run, so
the caller decides. Closing the connection stops a run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Any, Self

from assay.errors import FormatError
from assay.tensors import Tensor
from inference.executor.protocol import (
    MAX_TENSOR_BYTES,
    ConnectionEndedError,
    DeadlinePassedError,
    Frame,
    ProtocolError,
    Stream,
    connect,
    is_quiet,
    send,
)
from inference.executor.values import Value, beside, model_key, parse_tensors, parse_values
from inference.failpoints import reach

_KEPT = 16
_SLACK_S = 5.0
_INSPECT_S = 150.0
_SKETCH_S = 60.0
_MAX_NEEDS = 3


class ExecutorError(Exception):
    """The executor refused: a stable `code`, a `message` for people, whether to `retry`.

    Codes: busy, deadline, model_failed, load_failed, load_memory, load_time, quarantined,
    bad_input, unavailable, internal.
    """

    def __init__(self, code: str, message: str, *, retry: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retry = retry


class ExecutorUnavailableError(Exception):
    """Nobody answers at the socket, or the connection broke in the middle of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """A file of a revision that runs: the manifest's (name, SHA-256) pairs, the graph's path.

    `external` are the paths of the files with the graph's external data.
    """

    resources: tuple[tuple[str, str], ...]
    graph: str
    external: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The name under which an executor keeps it warm, or out."""
        digests = dict(self.resources)
        return model_key(digests[self.graph], beside(self.graph, self.external, digests))

    def header(self) -> dict[str, Any]:
        """Return the fields of a request."""
        return {
            "resources": [list(pair) for pair in self.resources],
            "graph": self.graph,
            "external": list(self.external),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class InferRequest:
    """One execution. `checkpoint` is the newest signed note; `outputs` None means all of them.

    `deadline_s` bounds load and run, `slot_wait_s` the wait for a free process before; `runtime`
    is a runtime's digest, None for the executor's default. Private executions get commitments.
    `party` is who asks: a caller's id or "anonymous"; waiting parties are served in turn.
    """

    execution: str
    model: str
    revision: str
    target: ModelRef
    checkpoint: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...] | None = None
    deadline_s: float = 45.0
    slot_wait_s: float = 2.0
    kind: str = "portable"
    runtime: str | None = None
    private: bool = False
    party: str = ""

    def header(self) -> dict[str, Any]:
        """Return the header of the request."""
        return {
            "op": "infer",
            "execution": self.execution,
            "model": self.model,
            "revision": self.revision,
            **self.target.header(),
            "checkpoint": self.checkpoint,
            "inputs": [{**item.header(), "size": len(item.data)} for item in self.inputs],
            "outputs": None if self.outputs is None else list(self.outputs),
            "deadline_s": self.deadline_s,
            "slot_wait_s": self.slot_wait_s,
            "kind": self.kind,
            "runtime": self.runtime,
            "private": self.private,
            "party": self.party,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class InferResult:
    """What ran: the signed statement in compact form, digests in hex, the tensors, times.

    `salts` are those of input and output (32 bytes each) of a private execution.
    """

    envelope: str
    input_digest: str
    output_digest: str
    outputs: tuple[Tensor, ...]
    run_ms: float
    queue_ms: float
    cold: bool
    salts: tuple[bytes, bytes] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The executor's public key (PEM) and its fingerprint."""

    public_key: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What an executor says of itself; `jail` are the layers and whether they hold.

    `runtimes` are runtime objects, `processes` have `pid`, `kind`, `busy` and `models`, the keys
    that they held when they were last idle; `kinds` has the `slots`, the `free` ones and the
    requests `waiting` of each kind. `quarantined` are the models that are kept out: `key` (see
    `ModelRef`), `kind`, `reason`, `until` in epoch seconds; `unrunnable` those that did not load
    when last tried: `key`, `kind`, `reason`. `counters` is what `executor.counters` counts.
    """

    runtimes: tuple[dict[str, Any], ...]
    slots: int
    free: int
    kinds: Mapping[str, Mapping[str, int]]
    models: tuple[str, ...]
    processes: tuple[dict[str, Any], ...]
    restarts: int
    fingerprint: str
    jail: Mapping[str, bool]
    quarantined: tuple[dict[str, Any], ...]
    unrunnable: tuple[dict[str, Any], ...]
    counters: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a loaded model takes and gives; -1 is a free dimension."""

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Warmth:
    """Whether a model is loaded and ran on zeros; if not, the refusal's code and words."""

    runnable: bool
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding of an inspection; `level` is failed, flag or note."""

    code: str
    place: str
    remedy: str
    level: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """The verdict (passed, flagged, failed), its findings, the facts, the trial run.

    `facts` is None when the file could not be read, `trial` when nothing was loaded.
    """

    verdict: str
    findings: tuple[Finding, ...]
    facts: dict[str, Any] | None
    trial: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionFile:
    """A file of a revision: path, size in bytes, SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(slots=True)
class _Connections:
    """Idle connections, the freshest on top."""

    path: Path
    idle: list[socket] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, timeout_s: float) -> tuple[socket, bool]:
        """Return a connection, and whether it was kept from before."""
        while True:
            with self.lock:
                kept = self.idle.pop() if self.idle else None
            if kept is None:
                break
            if is_quiet(kept):
                return kept, True
            kept.close()
        try:
            return connect(self.path, timeout_s), False
        except OSError as error:
            raise ExecutorUnavailableError(f"no executor answers: {error.strerror}") from error

    def give_back(self, connection: socket) -> None:
        """Keep a connection that is between two requests."""
        with self.lock:
            if len(self.idle) < _KEPT:
                self.idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close what is idle."""
        with self.lock:
            idle, self.idle = self.idle, []
        for connection in idle:
            connection.close()


class ExecutorClient:
    """Thread-safe; `timeout` bounds a request that does not run a model, in seconds."""

    def __init__(self, socket_path: Path | str, timeout: float = 10.0) -> None:
        self._connections = _Connections(Path(socket_path))
        self._timeout = timeout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections."""
        self._connections.close()

    def status(self) -> Status:
        """Return what runs there.

        Raises:
            ExecutorError, ExecutorUnavailableError.
        """
        header = self._call({"op": "status"}).header
        return Status(
            runtimes=tuple(header["runtimes"]),
            slots=header["slots"],
            free=header["free"],
            kinds=header["kinds"],
            models=tuple(header["models"]),
            processes=tuple(header["processes"]),
            restarts=header["restarts"],
            fingerprint=header["fingerprint"],
            jail=header["jail"],
            quarantined=tuple(header["quarantined"]),
            unrunnable=tuple(header["unrunnable"]),
            counters=header["counters"],
        )

    def identity(self) -> Identity:
        """Return the executor's key."""
        header = self._call({"op": "identity"}).header
        return Identity(public_key=header["public_key"], fingerprint=header["fingerprint"])

    def register(self, *, owner: str, checkpoint: str) -> str:
        """Return the statement that registers the executor's key, in compact form."""
        request = {"op": "register", "owner": owner, "checkpoint": checkpoint}
        envelope: str = self._call(request).header["envelope"]
        return envelope

    def load(
        self, target: ModelRef, read_blob: Callable[[str], bytes], *, deadline_s: float = 45.0
    ) -> Signature:
        """Warm a model up; `read_blob` returns a file by its SHA-256."""
        request = {"op": "load", **target.header(), "deadline_s": deadline_s}
        answer = self._call(request, read_blob=read_blob, patience_s=deadline_s + _SLACK_S)
        return Signature(
            inputs=parse_values(answer.header.get("inputs"), "inputs"),
            outputs=parse_values(answer.header.get("outputs"), "outputs"),
        )

    def warm(
        self, target: ModelRef, read_blob: Callable[[str], bytes], *, deadline_s: float = 45.0
    ) -> Warmth:
        """Load a model and run it once on zeros, so that its first caller does not wait.

        Raises:
            ExecutorError, ExecutorUnavailableError: try again later.
        """
        request = {"op": "warm", **target.header(), "deadline_s": deadline_s, "party": "warm"}
        answer = self._call(request, read_blob=read_blob, patience_s=deadline_s + _SLACK_S).header
        return Warmth(runnable=answer["runnable"], code=answer["code"], reason=answer["reason"])

    def infer(
        self,
        request: InferRequest,
        read_blob: Callable[[str], bytes],
        *,
        caller: socket | None = None,
    ) -> InferResult:
        """Run a model; `read_blob` returns a file by its SHA-256 when the executor lacks it.

        When the other end of `caller` closes, nobody waits any more: the run is stopped.

        Raises:
            CallerGoneError: that happened.
            ExecutorError: the executor's refusal.
            ExecutorUnavailableError: no answer; the model may have run, nothing was signed for us.
        """
        answer = self._call(
            request.header(),
            [tensor.data for tensor in request.inputs],
            read_blob=read_blob,
            patience_s=request.deadline_s + request.slot_wait_s * 2 + _SLACK_S,
            caller=caller,
        )
        try:
            return self._result(answer)
        except (FormatError, KeyError, TypeError, ValueError) as error:
            raise ExecutorUnavailableError(
                f"the executor's answer makes no sense: {error}"
            ) from error

    @staticmethod
    def _result(answer: Frame) -> InferResult:
        header = answer.header
        salts = header["salts"]
        return InferResult(
            envelope=header["envelope"],
            input_digest=header["input_digest"],
            output_digest=header["output_digest"],
            outputs=tuple(parse_tensors(header["outputs"], answer.tail, "outputs")),
            run_ms=header["run_ms"],
            queue_ms=header["queue_ms"],
            cold=header["cold"],
            salts=salts and (bytes.fromhex(salts["input"]), bytes.fromhex(salts["output"])),
        )

    def trace(
        self, header: dict[str, Any], parts: Sequence[bytes], read_blob: Callable[[str], bytes]
    ) -> Frame:
        """Send a `trace` or `probe` request that another module made, and return the answer."""
        patience = header["deadline_s"] + 2 * _SLACK_S
        return self._call(header, parts, read_blob=read_blob, patience_s=patience)

    def inspect(
        self,
        data: bytes,
        *,
        graph: str,
        files: Sequence[RevisionFile],
        read_blob: Callable[[str], bytes],
    ) -> Inspection:
        """Check the ONNX file `data`, which lies at the path `graph` of a revision with `files`."""
        listed = [{"name": item.name, "size": item.size, "sha256": item.sha256} for item in files]
        header = self._call(
            {"op": "inspect", "graph": graph, "files": listed},
            [data],
            read_blob=read_blob,
            patience_s=_INSPECT_S,
        ).header
        return Inspection(
            verdict=header["verdict"],
            findings=tuple(Finding(**finding) for finding in header["findings"]),
            facts=header["facts"],
            trial=header["trial"],
        )

    def sketch(self, sha256: str, read_blob: Callable[[str], bytes]) -> Frame:
        """Return the answer with `skeleton` and `reason` of the graph with this SHA-256."""
        request = {"op": "sketch", "sha256": sha256}
        return self._call(request, read_blob=read_blob, patience_s=_SKETCH_S)

    def _call(
        self,
        header: dict[str, Any],
        parts: Sequence[bytes] = (),
        *,
        read_blob: Callable[[str], bytes] | None = None,
        patience_s: float | None = None,
        caller: socket | None = None,
    ) -> Frame:
        """Send a request, and the files that it turns out to need; return the answer."""
        patience = patience_s or self._timeout
        request = Frame(header=header, parts=tuple(parts))
        connection, kept = self._connections.take(patience)
        try:
            try:
                answer = _exchange(connection, request, patience, caller)
            except ConnectionEndedError:
                if not kept:
                    raise
                connection.close()
                self._connections.close()  # its companions ended with it
                connection, _ = self._connections.take(patience)
                answer = _exchange(connection, request, patience, caller)
            for _ in range(_MAX_NEEDS):
                if "need" not in answer.header or read_blob is None:
                    break
                _send_blobs(connection, answer.header["need"], read_blob, patience)
                answer = _exchange(connection, request, patience, caller)
        except (ProtocolError, DeadlinePassedError, FormatError) as error:
            connection.close()
            raise ExecutorUnavailableError(f"the executor gave no answer: {error}") from error
        except BaseException:
            connection.close()
            raise
        self._connections.give_back(connection)
        _check(answer)
        return answer


def _exchange(
    connection: socket, request: Frame, patience_s: float, caller: socket | None = None
) -> Frame:
    connection.settimeout(patience_s)
    try:
        send(connection, request)
    except ProtocolError as error:
        raise ConnectionEndedError(str(error)) from error
    if request.header["op"] in ("infer", "infer_many"):
        reach("mid-run")
    stream = Stream(connection)
    if caller is not None:
        stream.caller, stream.deadline = caller, time.monotonic() + patience_s
    return stream.frame(MAX_TENSOR_BYTES)


def _send_blobs(
    connection: socket,
    need: Sequence[Mapping[str, str]],
    read_blob: Callable[[str], bytes],
    patience_s: float,
) -> None:
    for item in need:
        blob = Frame(
            header={"op": "blob", "sha256": item["sha256"]}, tail=read_blob(item["sha256"])
        )
        _check(_exchange(connection, blob, patience_s))


def _check(answer: Frame) -> None:
    """Turn a refusal into an exception."""
    error = answer.header.get("error")
    if error is not None:
        raise ExecutorError(error["code"], error["message"], retry=error["retry"])
    if "need" in answer.header:
        raise ExecutorError("internal", "the executor asks for files again and again")
