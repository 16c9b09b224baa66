"""The model processes of one runtime: who runs what, restarts, quarantine, backpressure.

One keeper thread for each slot starts a process, waits for its end and starts the next, with a
back-off from 0.1 to 30 s. A request takes a free process, rather one that has the model warm, else
the one with most room. Three deaths of one graph within ten minutes quarantine that graph, not the
pool.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from socket import socket
from typing import TypeVar

from assay.errors import UnavailableError
from assay.statements import Runtime
from assay.tensors import Tensor
from inference.executor.hosts import Host, HostDied, Loaded, ModelBytes, ModelError
from inference.executor.limits import (
    BACKOFF_S,
    BOOT_S,
    DEATHS,
    DEATHS_WINDOW_S,
    MAX_BACKOFF_S,
    RECYCLE_BYTES,
    RECYCLE_RUNS,
    WAITING_PER_SLOT,
    Limits,
)
from inference.executor.programs import Program
from inference.executor.protocol import Refusal
from inference.executor.spawn import Spawner

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One request to a pool; times are on the monotonic clock.

    `fetch` returns the model's bytes or raises `Refusal` or a demand for them; it is called only
    when the process that was found does not have the model.
    """

    key: str
    fetch: Callable[[], ModelBytes]
    slot_wait_s: float
    run_s: float
    caller: socket | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """The answer of a model and its times: seconds since the epoch, and milliseconds."""

    outputs: list[Tensor]
    started: float
    finished: float
    run_ms: float
    queue_ms: float
    cold: bool


class Pool:
    """The slots of one runtime."""

    def __init__(
        self,
        program: Program,
        runtime: Runtime,
        spawner: Spawner,
        *,
        slots: int,
        limits: Limits,
        lazy: bool = False,
    ) -> None:
        """`lazy`: its processes are started when the first request comes."""
        self.started = not lazy
        self.runtime = runtime
        self.program = program
        self.slots = slots
        self.restarts = 0
        self._limits = limits
        self._spawner = spawner
        self._condition = threading.Condition()
        self._hosts: list[Host | None] = [None] * slots
        self._waiting = 0
        self._deaths: dict[str, deque[float]] = {}
        self._closing = threading.Event()

    def start(self) -> None:
        """Start the keepers, unless it is lazy; processes are ready some time later."""
        if self.started:
            self._start_keepers()

    def _start_keepers(self) -> None:
        for slot in range(self.slots):
            threading.Thread(target=self._keep, args=(slot,), daemon=True).start()

    def close(self) -> None:
        """End every process."""
        self._closing.set()
        with self._condition:
            hosts = [host for host in self._hosts if host is not None]
            self._condition.notify_all()
        for host in hosts:
            host.child.process.kill()

    def processes(self) -> list[dict[str, object]]:
        """Return the id of each process that is ready, and whether it runs a model."""
        with self._condition:
            hosts = [host for host in self._hosts if host is not None]
            return [{"pid": host.child.process.pid, "busy": host.busy} for host in hosts]

    @property
    def free(self) -> int:
        """How many processes are ready and idle."""
        with self._condition:
            return sum(host is not None and not host.busy for host in self._hosts)

    def warm(self) -> list[str]:
        """Return the graphs that some process has loaded."""
        with self._condition:
            return sorted({key for host in self._hosts if host for key in host.warm})

    def load(self, task: Task) -> Loaded:
        """Load a model and return its signature.

        Raises:
            Refusal: as `run`.
        """
        deadline = time.monotonic() + task.slot_wait_s + task.run_s
        return self._attempt(task, lambda host: self._loaded(host, task, deadline)[0])

    def run(self, task: Task, prepare: Callable[[Loaded], tuple[list[Tensor], list[str]]]) -> Ran:
        """Run a model on what `prepare` returns for its signature: inputs, names of outputs.

        Raises:
            Refusal: busy, quarantined, unavailable, deadline, model_failed, load_failed,
                load_memory, load_time, or what `fetch` and `prepare` raise.
            CallerGone: nobody waits any more.
        """
        asked = time.monotonic()

        def work(host: Host) -> Ran:
            taken = time.monotonic()
            deadline = taken + task.run_s
            loaded, cold = self._loaded(host, task, deadline)
            inputs, names = prepare(loaded)
            began, started = time.monotonic(), time.time()
            try:
                outputs = host.run(task.key, inputs, names, deadline, task.caller)
            except ModelError as error:
                raise _run_refusal(error) from error
            ended = time.monotonic()
            self._recycle(host, task.key, loaded)
            return Ran(
                outputs=outputs,
                started=started,
                finished=time.time(),
                run_ms=(ended - began) * 1000,
                queue_ms=(taken - asked) * 1000,
                cold=cold,
            )

        return self._attempt(task, work)

    def _attempt(self, task: Task, work: Callable[[Host], T]) -> T:
        """Do `work` on a free process; once more on another when that one dies under it."""
        until = time.monotonic() + task.slot_wait_s
        last = False
        while True:
            self._check_quarantine(task.key)
            with self._slot(task.key, until) as host:
                if not self.program.shared and host.models and task.key not in host.models:
                    host.child.kill()  # another model's process: its successor is a fresh one
                    continue
                try:
                    return work(host)
                except HostDied as died:
                    _log.warning("a model process ended under graph %s: %s", task.key, died)
                    self._record_death(task.key)
                    if died.late:
                        raise _deadline() from died
                    if last:
                        raise Refusal(
                            "unavailable", f"the model process ended: {died}", retry=True
                        ) from died
                    last, until = True, time.monotonic() + task.slot_wait_s

    def _loaded(self, host: Host, task: Task, deadline: float) -> tuple[Loaded, bool]:
        """Return the model's signature in `host`, and whether it had to be loaded."""
        found = host.models.get(task.key)
        if found is not None:
            return found, False
        model = task.fetch()
        room = self._limits.memory_bytes // self.slots - model.cost
        while host.models and host.used > room:
            host.drop(next(iter(host.models)))
        begun = time.monotonic()
        limit = begun + self._limits.load_s
        try:
            return host.load(model, min(deadline, limit), task.caller), True
        except ModelError as error:
            raise _load_refusal(error, late=time.monotonic() >= limit) from error

    def _recycle(self, host: Host, key: str, loaded: Loaded) -> None:
        """WebAssembly memory never shrinks: start afresh now and then."""
        if loaded.runs >= RECYCLE_RUNS or loaded.memory > RECYCLE_BYTES:
            host.drop(key)

    @contextmanager
    def _slot(self, key: str, until: float) -> Iterator[Host]:
        host = self._acquire(key, until)
        try:
            yield host
        finally:
            with self._condition:
                host.busy = False
                host.warm = tuple(host.models)
                self._condition.notify()

    def _acquire(self, key: str, until: float) -> Host:
        with self._condition:
            if self._waiting >= WAITING_PER_SLOT * self.slots:
                raise Refusal("busy", "too many requests are waiting for a slot", retry=True)
            self._waiting += 1
            if not self.started:
                self.started = True
                self._start_keepers()
                until = max(until, time.monotonic() + BOOT_S)
            try:
                while True:
                    host = self._choose(key)
                    if host is not None:
                        host.busy = True
                        return host
                    left = until - time.monotonic()
                    if left <= 0 or self._closing.is_set():
                        raise self._nobody()
                    self._condition.wait(left)
            finally:
                self._waiting -= 1

    def _choose(self, key: str) -> Host | None:
        idle = [host for host in self._hosts if host and not host.busy and not host.gone]
        return min(idle, key=lambda host: (key not in host.models, host.used), default=None)

    def _nobody(self) -> Refusal:
        if any(self._hosts):
            return Refusal("busy", "no slot became free in time", retry=True)
        return Refusal("unavailable", "no model process is ready", retry=True)

    def _check_quarantine(self, key: str) -> None:
        with self._condition:
            deaths = self._deaths.get(key)
            if deaths is None:
                return
            while deaths and deaths[0] < time.monotonic() - DEATHS_WINDOW_S:
                deaths.popleft()
            if len(deaths) >= DEATHS:
                raise Refusal(
                    "quarantined",
                    f"this model ended its process {len(deaths)} times within "
                    f"{DEATHS_WINDOW_S / 60:.0f} minutes",
                )

    def _record_death(self, key: str) -> None:
        with self._condition:
            self._deaths.setdefault(key, deque()).append(time.monotonic())

    def _keep(self, slot: int) -> None:
        """Keep one slot filled, until the pool closes."""
        delay = BACKOFF_S
        while not self._closing.is_set():
            host = self._start_host()
            if host is not None:
                with self._condition:
                    self._hosts[slot] = host
                    self._condition.notify()
                host.child.process.wait()
                with self._condition:
                    self._hosts[slot] = None
                    self.restarts += 1
            if host is not None and (host.busy or host.served):
                delay = BACKOFF_S  # it works; what ended it was a model
            self._closing.wait(delay)
            delay = min(delay * 2, MAX_BACKOFF_S)

    def _start_host(self) -> Host | None:
        try:
            # The statement names the files by digest: what runs must be what was hashed.
            if self.program.runtime() != self.runtime:
                raise UnavailableError(f"the files of {self.runtime.name} have changed")
            host = Host.start(self._spawner, self.program)
        except (HostDied, OSError, RuntimeError, UnavailableError) as error:
            _log.error("a model process does not start: %s", error)
            return None
        if self._closing.is_set():
            host.child.process.kill()
        return host


def _deadline() -> Refusal:
    return Refusal("deadline", "the deadline passed before the model had answered")


def _load_refusal(error: ModelError, *, late: bool) -> Refusal:
    match error.code:
        case "memory":
            return Refusal("load_memory", "loading the model met the memory limit")
        case "deadline" if late:
            return Refusal("load_time", "loading the model took too long")
        case "deadline":
            return _deadline()
    return Refusal("load_failed", f"the runtime refuses the model: {error.message}")


def _run_refusal(error: ModelError) -> Refusal:
    match error.code:
        case "memory":
            return Refusal("model_failed", "the model met the memory limit on this input")
        case "deadline":
            return _deadline()
    return Refusal("model_failed", f"the model failed on this input: {error.message}")
