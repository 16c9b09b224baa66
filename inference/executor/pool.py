"""The model processes of one runtime: who runs what, what stays loaded, restarts.

One keeper thread for each slot starts a process, waits for its end and starts the next, with a
back-off from 0.1 to 30 s. A request takes a free process, rather one that has the model warm, else
the one with most room; `lobby` says who is next when none is free, `quarantine` which models are
kept out. A model under which a process has ended runs alone in a process from then on, so that its
next victim is no neighbour. Loaded models are bounded by their bytes over all processes: the least
recently used one that is not running goes first. A model that ran 1,000 times or has grown is
started afresh, a process that has grown is ended, both after the answer has left.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from socket import socket
from typing import TypeVar

from assay.errors import UnavailableError
from assay.statements import Runtime
from assay.tensors import Tensor
from inference.executor.counters import Counters
from inference.executor.hosts import Host, HostDiedError, Loaded, ModelBytes, ModelError
from inference.executor.limits import (
    BACKOFF_S,
    BLAME_S,
    BOOT_S,
    LOOK_S,
    MAX_BACKOFF_S,
    WAITING_PER_SLOT,
    Limits,
)
from inference.executor.lobby import Lobby, Ticket
from inference.executor.programs import Program
from inference.executor.protocol import CallerGoneError, RefusalError, is_quiet
from inference.executor.quarantine import Quarantine
from inference.executor.refusals import load_refusal, load_time, run_refusal, too_late
from inference.executor.spawn import Spawner

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One request to a pool; times are on the monotonic clock.

    `fetch` returns the model's bytes or raises `RefusalError` or a demand for them; it is called
    only when the process that was found does not have the model.
    """

    key: str
    fetch: Callable[[], ModelBytes]
    slot_wait_s: float
    run_s: float
    caller: socket | None = None
    party: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """The answer of a model and its times: seconds since the epoch, and milliseconds."""

    outputs: list[Tensor]
    started: float
    finished: float
    run_ms: float
    queue_ms: float
    cold: bool


def next_delay(delay: float) -> float:
    """Return for how long to wait before a start after one that came `delay` after its end."""
    return min(delay * 2, MAX_BACKOFF_S)


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
        counters: Counters,
        lazy: bool = False,
    ) -> None:
        """`lazy`: its processes are started when the first request comes."""
        self.started = not lazy
        self.runtime = runtime
        self.program = program
        self.slots = slots
        self.restarts = 0
        self.quarantine = Quarantine()
        self._limits = limits
        self._counters = counters
        self._spawner = spawner
        self._lock = threading.Lock()
        self._hosts: list[Host | None] = [None] * slots
        self._lobby = Lobby(WAITING_PER_SLOT * slots)
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
        with self._lock:
            hosts = [host for host in self._hosts if host is not None]
        for host in hosts:
            host.child.process.kill()

    def processes(self) -> list[dict[str, object]]:
        """Return the id of each process that is ready, and whether it runs a model."""
        with self._lock:
            hosts = [host for host in self._hosts if host is not None]
        return [
            {
                "pid": host.child.process.pid,
                "kind": self.runtime.kind,
                "busy": host.busy,
                "models": list(host.warm),
            }
            for host in hosts
        ]

    @property
    def free(self) -> int:
        """How many processes are ready and idle."""
        with self._lock:
            return sum(host is not None and not host.busy for host in self._hosts)

    @property
    def waiting(self) -> int:
        """How many requests wait for a process."""
        with self._lock:
            return len(self._lobby)

    def warm(self) -> list[str]:
        """Return the graphs that some process has loaded."""
        with self._lock:
            return sorted({key for host in self._hosts if host for key in host.warm})

    def holds(self, key: str) -> bool:
        """Tell whether some process has the model, as far as is known without asking."""
        with self._lock:
            return any(key in host.models for host in self._hosts if host)

    def load(self, task: Task) -> Loaded:
        """Load a model and return its signature.

        Raises:
            RefusalError: as `run`.
        """
        deadline = time.monotonic() + task.slot_wait_s + task.run_s
        return self._attempt(task, lambda host: self._loaded(host, task, deadline)[0])

    def run(self, task: Task, prepare: Callable[[Loaded], tuple[list[Tensor], list[str]]]) -> Ran:
        """Run a model on what `prepare` returns for its signature: inputs, names of outputs.

        Raises:
            RefusalError: busy, quarantined, unavailable, deadline, model_failed, load_failed,
                load_memory, load_time, or what `fetch` and `prepare` raise.
            CallerGoneError: nobody waits any more.
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
                raise run_refusal(error) from error
            ended = time.monotonic()
            self._counters.add("runs")
            self._counters.took("run", ended - began)
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
        try:
            return self._try(task, work)
        except RefusalError as refusal:
            self._counters.fail(refusal.code)
            raise

    def _try(self, task: Task, work: Callable[[Host], T]) -> T:
        """Do `work` on a free process; once more on another when that one dies under it."""
        ticket, last = Ticket(party=task.party, key=task.key), False
        until = time.monotonic() + task.slot_wait_s
        while True:
            self.quarantine.check(task.key)
            with self._slot(ticket, task, until) as host:
                if not self.program.shared and host.models and task.key not in host.models:
                    self._counters.add("evictions")
                    host.child.kill()  # another model's process: its successor is a fresh one
                    ticket = Ticket(party=task.party, key=task.key, again=True)
                    continue
                try:
                    if self.quarantine.suspects(task.key):
                        self._seclude(host, task.key)
                    return work(host)
                except HostDiedError as died:
                    self._blame(task, died)
                    if died.late:
                        raise (load_time() if died.too_slow else too_late()) from died
                    if last:
                        raise RefusalError(
                            "unavailable", f"the model process ended: {died}", retry=True
                        ) from died
            ticket, last = Ticket(party=task.party, key=task.key), True
            until = time.monotonic() + task.slot_wait_s

    def _blame(self, task: Task, died: HostDiedError) -> None:
        """Count a death against the model, unless the caller gave it hardly any time."""
        _log.warning("a model process ended under graph %s: %s", task.key, died)
        self._counters.add("deaths")
        if not died.late or died.too_slow or task.run_s >= BLAME_S:
            self.quarantine.died(task.key, str(died))

    def _loaded(self, host: Host, task: Task, deadline: float) -> tuple[Loaded, bool]:
        """Return the model's signature in `host`, and whether it had to be loaded."""
        found = host.models.get(task.key)
        if found is not None:
            self._counters.add("hits")
            return found, False
        self._counters.add("misses")
        model = task.fetch()
        self._make_room(host, model.cost)
        begun = time.monotonic()
        limit = begun + self._limits.load_s
        try:
            loaded = host.load(model, min(deadline, limit), task.caller)
        except ModelError as error:
            refusal = load_refusal(error, late=time.monotonic() >= limit)
            if refusal.code != "deadline":
                self.quarantine.load_refused(task.key, refusal)
            raise refusal from error
        except HostDiedError as died:
            died.too_slow = died.late and time.monotonic() >= limit
            raise
        finally:
            host.reserved = 0
        self._counters.add("loads")
        self._counters.took("load", time.monotonic() - begun)
        self.quarantine.loaded(task.key)
        return loaded, True

    def _make_room(self, host: Host, cost: int) -> None:
        """Unload what was used least recently and is not running, until `cost` bytes fit.

        A model that is larger than the whole budget is loaded all the same, alone.
        """
        while True:
            with self._lock:
                hosts = [one for one in self._hosts if one is not None]
                if sum(one.used for one in hosts) + cost <= self._limits.memory_bytes:
                    host.reserved = cost
                    return
                victim = min(
                    (one for one in hosts if one.models and (one is host or one.idle)),
                    key=lambda one: one.oldest_use,
                    default=None,
                )
                if victim is None:
                    host.reserved = cost
                    return
                victim.busy = True
            self._evict(victim, release=victim is not host)

    def _evict(self, victim: Host, *, release: bool) -> None:
        try:
            victim.drop(next(iter(victim.models)))
            self._counters.add("evictions")
        except HostDiedError as died:
            _log.warning("a model process ended while it was tidied: %s", died)
            if not release:
                raise
        finally:
            if release:
                self._release(victim)

    def _tidy(self, host: Host, task: Task) -> None:
        """Start a model afresh that ran long enough, and let its process go on; its own thread."""
        try:
            host.drop(task.key)
            self._counters.add("recycled")
            self._loaded(host, task, time.monotonic() + self._limits.load_s)
        except HostDiedError as died:
            _log.warning("a model process ended while it was tidied: %s", died)
        except Exception as error:  # noqa: BLE001 (the next request loads the model, or says why not)
            _log.info("graph %s is not loaded again at once: %r", task.key, error)
        self._release(host)

    @contextmanager
    def _slot(self, ticket: Ticket, task: Task, until: float) -> Iterator[Host]:
        host = self._acquire(ticket, task, until)
        try:
            yield host
        finally:
            self._leave(host, task)

    def _leave(self, host: Host, task: Task) -> None:
        """Give a process back after a request; what it needs before the next one is done aside."""
        if not host.ended and host.has_grown:
            self._counters.add("recycled")
            host.doomed = True
            host.child.process.kill()  # the keeper starts another
        elif not host.ended and host.is_stale(task.key, self._limits.recycle_runs):
            again = replace(task, caller=None)
            threading.Thread(target=self._tidy, args=(host, again), daemon=True).start()
            return
        self._release(host)

    def _release(self, host: Host) -> None:
        with self._lock:
            host.busy = False
            host.warm = tuple(host.models)
            self._call()

    def _acquire(self, ticket: Ticket, task: Task, until: float) -> Host:
        """Return a process that is now `task`'s alone.

        Raises:
            RefusalError: busy, unavailable.
            CallerGoneError: nobody waits any more.
        """
        asked = time.monotonic()
        with self._lock:
            if not self.started:
                self.started = True
                self._start_keepers()
                until = max(until, asked + BOOT_S)
            if ticket.again:
                self._lobby.rejoin(ticket)
            else:
                self._lobby.join(ticket)
            self._call()
        try:
            host = self._wait(ticket, task.caller, until)
        except BaseException:
            with self._lock:
                self._lobby.leave(ticket)
            if ticket.host is not None:  # it came at the last moment
                self._release(ticket.host)
            raise
        self._counters.took("wait", time.monotonic() - asked)
        return host

    def _wait(self, ticket: Ticket, caller: socket | None, until: float) -> Host:
        while not ticket.called.is_set():
            left = until - time.monotonic()
            if left <= 0 or self._closing.is_set():
                raise self._nobody()
            ticket.called.wait(min(left, LOOK_S))
            if caller is not None and not is_quiet(caller):
                raise CallerGoneError
        if ticket.host is None:
            raise RefusalError(
                "busy", "others wait too, and you had more than your share", retry=True
            )
        return ticket.host

    def _call(self) -> None:
        """Give free processes to those who wait, in their order. The lock is held."""
        for ticket in self._lobby.order():
            host = self._choose(ticket.key)
            if host is None:
                continue  # it may wait for an empty process; the next one need not
            host.busy = True
            ticket.host = host
            self._lobby.take(ticket)
            ticket.called.set()

    def _choose(self, key: str) -> Host | None:
        free = [host for host in self._hosts if host and host.idle]
        if self.quarantine.suspects(key) and self._starts():
            free = [host for host in free if host.holds_only(key)]
        return min(free, key=lambda host: (key not in host.models, *host.load_order), default=None)

    def _starts(self) -> bool:
        """Whether a process is about to start, which will be empty."""
        return any(host is None or host.doomed or host.ended for host in self._hosts)

    def _seclude(self, host: Host, key: str) -> None:
        """Unload what shares a process with a model under which processes have ended."""
        for other in [held for held in host.models if held != key]:
            host.drop(other)
            self._counters.add("evictions")

    def _nobody(self) -> RefusalError:
        if any(self._hosts):
            return RefusalError("busy", "no slot became free in time", retry=True)
        return RefusalError("unavailable", "no model process is ready", retry=True)

    def _keep(self, slot: int) -> None:
        """Keep one slot filled, until the pool closes."""
        delay = BACKOFF_S
        while not self._closing.is_set():
            host = self._start_host()
            if host is not None:
                with self._lock:
                    self._hosts[slot] = host
                    self._call()
                host.child.process.wait()
                with self._lock:
                    self._hosts[slot] = None
                    self.restarts += 1
            worked = host is not None and bool(host.busy or host.served)
            delay = BACKOFF_S if worked else delay
            self._closing.wait(delay)
            delay = next_delay(delay)

    def _check_runtime(self) -> None:
        if self.program.runtime() != self.runtime:
            raise UnavailableError(f"the files of {self.runtime.name} have changed")

    def _start_host(self) -> Host | None:
        try:
            # The statement names the files by digest: what runs must be what was hashed. The
            # process reads them once, between the first look and the second.
            self._check_runtime()
            host = Host.start(self._spawner, self.program)
            try:
                self._check_runtime()
            except UnavailableError:
                host.child.kill()
                raise
        except (HostDiedError, OSError, RuntimeError, UnavailableError) as error:
            _log.error("a model process does not start: %s", error)
            return None
        if self._closing.is_set():
            host.child.process.kill()
        return host
