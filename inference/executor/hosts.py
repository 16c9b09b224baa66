"""One model process, seen from the supervisor.

Whatever it answers is checked like a stranger's: the models it runs are strangers. It is given T
seconds; it ends the thread itself then, and the supervisor ends the process half a second later.
"""

from __future__ import annotations

import os
import re
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Any

from assay.errors import FormatError
from assay.limits import LIMITS
from assay.tensors import Tensor, check_tensor
from inference.executor.limits import (
    BOOT_S,
    GRACE_S,
    MEASURE_RUNS,
    RECYCLE_BYTES,
    THREAD_BYTES,
    pages_for,
)
from inference.executor.priority import LONG_S, confine, done, lower, restore
from inference.executor.programs import Program
from inference.executor.protocol import (
    MAX_TENSOR_BYTES,
    CallerGoneError,
    DeadlinePassedError,
    Frame,
    ProtocolError,
    is_quiet,
    send,
)
from inference.executor.spawn import Child, Spawner
from inference.executor.values import Value, parse_tensors, parse_values
from inference.failpoints import reach

_PREFIX = re.compile(r"^.*?ERROR_MESSAGE: ")
_BUILD_PATH = re.compile(r"/\S*/onnxruntime/(?=\w)")


class HostDiedError(Exception):
    """The process went away, or was ended because it lied or (`late`) would not stop.

    `too_slow`: it had all the time that a load may take.
    """

    def __init__(self, reason: str, *, late: bool = False) -> None:
        super().__init__(reason)
        self.late = late
        self.too_slow = False


class ModelError(Exception):
    """The model process refused: `code` is failed, memory, deadline or stopped."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelBytes:
    """What is loaded: the graph, and the external files by the path that the graph uses.

    `level` is the graph optimisation level; only a trace asks for another one than the runtime's.
    """

    key: str
    graph: bytes
    external: tuple[tuple[str, bytes], ...] = ()
    level: str = "all"

    @property
    def size(self) -> int:
        """All bytes together."""
        return len(self.graph) + sum(len(data) for _, data in self.external)

    @property
    def cost(self) -> int:
        """What it takes in a process, in bytes, about: a thread, the bytes twice, a copy to run."""
        return THREAD_BYTES + 3 * self.size


@dataclass(slots=True, kw_only=True)
class Loaded:
    """A model in a process: its signature, what it costs in bytes, how often it ran, and when.

    `memory` is what the process says that the model takes; 0 when it does not say.
    """

    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    cost: int
    runs: int = 0
    memory: int = 0
    used_at: float = field(default_factory=time.monotonic)


class Host:
    """A model process that answered it is ready. One request at a time; not thread-safe."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.models: OrderedDict[str, Loaded] = OrderedDict()  # least recently used first
        self.warm: tuple[str, ...] = ()  # the keys of `models` when it was last idle
        self.busy = False
        self.served = 0
        self.reserved = 0  # bytes of a model that is being loaded
        self.doomed = False  # it was killed; its keeper has not noticed yet
        self._yields = True  # it boots; see `priority`

    @classmethod
    def start(cls, spawner: Spawner, program: Program, cpu_s: int | None = None) -> Host:
        """Start a process and wait until it is ready.

        Raises:
            HostDiedError: it was not within 20 s.
            OSError: it cannot be started at all.
        """
        host = cls(spawner.start(program.command(), program.jail(cpu_s)))
        confine(host.child.process.pid)
        try:
            answer = host._receive(time.monotonic() + BOOT_S, 0, None)
        finally:
            done(host.child.process.pid)
        if answer.header != {"ready": True}:
            raise host._end("it did not say that it is ready")
        return host

    @property
    def used(self) -> int:
        """The cost in bytes of what is loaded, or about to be."""
        # Another thread may be running here: the copy is made in one step.
        models = tuple(self.models.values())
        return self.reserved + sum(max(one.cost, THREAD_BYTES + one.memory) for one in models)

    @property
    def oldest_use(self) -> float:
        """When the model that was used least recently was used, on the monotonic clock."""
        return min((one.used_at for one in tuple(self.models.values())), default=0.0)

    @property
    def load_order(self) -> tuple[bool, int, float]:
        """What a new model prefers: an empty process, much room, models that nobody used long."""
        return bool(self.models), self.used, self.oldest_use

    def is_stale(self, key: str, most_runs: int) -> bool:
        """Whether a model ran often enough, or has grown: wasm memory never shrinks."""
        model = self.models.get(key)
        if model is None:
            return False
        grown = model.memory > RECYCLE_BYTES + model.cost - THREAD_BYTES
        return grown or model.runs >= most_runs

    def holds_only(self, key: str) -> bool:
        """Whether no other model than `key` is in the process."""
        return self.models.keys() <= {key}

    @property
    def has_grown(self) -> bool:
        """Whether the process has grown far beyond its models; looked at now and then."""
        if not self.served or self.served % MEASURE_RUNS:
            return False
        return resident(self.child.process.pid) > RECYCLE_BYTES + self.used

    @property
    def ended(self) -> bool:
        """Whether the process has ended, as far as its keeper knows."""
        return self.child.process.returncode is not None

    @property
    def idle(self) -> bool:
        """Whether the process can take a request."""
        return not self.busy and not self.doomed and not self.ended and not self.gone

    @property
    def gone(self) -> bool:
        """Whether an idle process has ended, or speaks without being asked."""
        if is_quiet(self.child.connection):
            return False
        self.child.process.kill()
        return True

    def load(self, model: ModelBytes, deadline: float, caller: socket | None = None) -> Loaded:
        """Load a model; `deadline` is on the monotonic clock.

        Raises:
            ModelError: the runtime refused it, or met its time or memory.
            HostDiedError: the process is gone.
            CallerGoneError: nobody waits any more; the thread was ended.
        """
        header = {
            "op": "load",
            "key": model.key,
            "graph_size": len(model.graph),
            "level": model.level,
            "external": [{"path": path, "size": len(data)} for path, data in model.external],
            "pages": pages_for(model.size),
        }
        parts = (model.graph, *(data for _, data in model.external))
        answer = self._ask(header, parts, deadline, caller)
        try:
            loaded = Loaded(
                inputs=parse_values(answer.header.get("inputs"), "inputs"),
                outputs=parse_values(answer.header.get("outputs"), "outputs"),
                cost=model.cost,
            )
        except FormatError as error:
            raise self._end(str(error)) from error
        self.models[model.key] = loaded
        return loaded

    def run(
        self,
        key: str,
        inputs: Sequence[Tensor],
        outputs: Sequence[str],
        deadline: float,
        caller: socket | None = None,
    ) -> list[Tensor]:
        """Run a loaded model and return the tensors named `outputs`, in that order.

        Raises:
            ModelError: as `load`, or it gave what no tensor set can hold.
            HostDiedError, CallerGoneError: as `load`.
        """
        if len(outputs) > LIMITS.tensors:
            raise ModelError("failed", f"more than {LIMITS.tensors} outputs are asked for")
        header = {
            "op": "run",
            "key": key,
            "inputs": [{**item.header(), "size": len(item.data)} for item in inputs],
            "outputs": list(outputs),
        }
        answer = self._ask(header, [item.data for item in inputs], deadline, caller)
        loaded = self.models[key]
        declared = {value.name: value.datatype for value in loaded.outputs}
        try:
            tensors = parse_tensors(answer.header.get("outputs"), answer.tail, "outputs")
            for name, tensor in zip(outputs, tensors, strict=True):
                if (tensor.name, tensor.datatype) != (name, declared[name]):
                    raise FormatError("another output than was asked for", name)
                _check_answer(tensor)
        except (FormatError, ValueError) as error:
            raise self._end(f"it answered what cannot be: {error}") from error
        memory = answer.header.get("memory")
        loaded.memory = memory if isinstance(memory, int) else 0
        loaded.runs += 1
        loaded.used_at = time.monotonic()
        self.served += 1
        self.models.move_to_end(key)
        return tensors

    def drop(self, key: str) -> None:
        """Unload a model.

        Raises:
            HostDiedError: the process is gone.
        """
        self.models.pop(key, None)
        try:
            send(self.child.connection, Frame(header={"op": "drop", "key": key}))
        except ProtocolError as error:
            raise self._end(str(error)) from error
        self._receive(time.monotonic() + BOOT_S, 0, None)

    def _ask(
        self, header: dict[str, Any], parts: Sequence[bytes], deadline: float, caller: socket | None
    ) -> Frame:
        left = max(deadline - time.monotonic(), 0.0)
        frame = Frame(header={**header, "deadline_ms": round(left * 1000) or 1}, parts=parts)
        self._prepare(long=header["op"] == "load")
        try:
            send(self.child.connection, frame)
            if header["op"] == "run":
                reach("executor-mid-run")
                reach("model-mid-run", self.child.process.pid)
            answer = self._answer(deadline + GRACE_S, caller)
        except ProtocolError as error:
            raise self._end(str(error)) from error
        except CallerGoneError:
            self._stop()
            self.models.pop(header["key"], None)
            raise
        finally:
            done(self.child.process.pid)
        if answer.header.get("gone") is True:
            self.models.pop(header["key"], None)
        fault = answer.header.get("error")
        if isinstance(fault, dict):
            raise ModelError(str(fault.get("code")), _words(fault.get("message", "")))
        return answer

    def _prepare(self, *, long: bool) -> None:
        """Let others go first while a model is loaded; a run begins like everybody's work.

        What a load leaves to be tidied in the process still yields: only the next run ends it.
        """
        if long:
            confine(self.child.process.pid)
        elif self._yields:
            restore(self.child.process.pid)
        self._yields = long

    def _answer(self, deadline: float, caller: socket | None) -> Frame:
        """Wait for an answer; what takes long lets others go first."""
        stream = self.child.stream
        stream.deadline, stream.caller = min(deadline, time.monotonic() + LONG_S), caller
        with suppress(DeadlinePassedError):
            stream.wait()
            return self._receive(deadline, MAX_TENSOR_BYTES, caller)
        if not self._yields:
            lower(self.child.process.pid)
            self._yields = True
        return self._receive(deadline, MAX_TENSOR_BYTES, caller)

    def _stop(self) -> None:
        """End the request under way; the process survives if it obeys within the grace."""
        try:
            send(self.child.connection, Frame(header={"op": "stop"}))
            self._receive(time.monotonic() + GRACE_S, MAX_TENSOR_BYTES, None)
        except (ProtocolError, HostDiedError):
            self.child.kill()

    def _receive(self, deadline: float, limit: int, caller: socket | None) -> Frame:
        stream = self.child.stream
        stream.deadline, stream.caller = deadline, caller
        try:
            return stream.frame(limit)
        except (ProtocolError, DeadlinePassedError) as error:
            # A process that ends itself at its deadline, as it cannot stop otherwise, is late too.
            late = isinstance(error, DeadlinePassedError) or time.monotonic() >= deadline - GRACE_S
            reason = "it did not answer in time" if late else str(error)
            raise self._end(reason, late=late) from error

    def _end(self, reason: str, *, late: bool = False) -> HostDiedError:
        self.child.kill()
        self.models.clear()
        return HostDiedError(reason, late=late)


def _check_answer(tensor: Tensor) -> None:
    """Check an output whose name and datatype are those that were asked for.

    Raises:
        ModelError: an honest process can give that too, for a model which makes such values.
        FormatError: no honest process gives that.
    """
    try:
        check_tensor(tensor)
    except FormatError as error:
        if tensor.datatype in ("BOOL", "BYTES") or len(tensor.shape) > LIMITS.tensor_rank:
            raise ModelError("failed", f"the output cannot be told: {error}") from error
        raise


def resident(pid: int) -> int:
    """Return the bytes of memory that a process has; 0 when it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def _words(text: object) -> str:
    """Return a runtime's message without its prefix and the paths of its build machine."""
    message = _PREFIX.sub("", printable(text))
    return _BUILD_PATH.sub("onnxruntime/", message)


def printable(text: object) -> str:
    """Return a stranger's text for people: one line of at most 1,000 printable letters."""
    words = "".join(letter if letter.isprintable() else " " for letter in str(text)[:4_000])
    return " ".join(words.split())[:1_000]
