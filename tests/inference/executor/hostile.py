"""Every hostile file with what becomes of it, and a neighbour who goes on asking beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from assay.tensors import Tensor
from inference.client import ExecutorError
from tests.inference.executor import corpus
from tests.inference.executor.models import (
    Revision,
    add,
    constant,
    endless,
    external,
    floats,
)
from tests.inference.executor.running import Running, kill, start_supervisor, wait_until
from tests.inference.executor.test_walk import REFUSED

LOAD_S, TRIAL_S, SLACK_S = 4.0, 2.0, 10.0
VERDICTS = {"", "load_failed", "load_memory", "load_time", "model_failed", "deadline"}
NATIVE = {*VERDICTS, "unavailable", "quarantined"}  # there a model may end its process
Build = Callable[[], bytes]

# What only shows at load or at run, and what the walk lets pass with words.
DYNAMIC: list[tuple[str, Build, set[str]]] = [
    ("32 functions", lambda: corpus.chain(32), {""}),
    ("doubling 13 times", lambda: corpus.double(13), {"", "load_time"}),
    ("overloads", lambda: corpus.twin(overloads=True), {"", "load_failed"}),
    ("fold Expand", corpus.fold_expand, {"load_memory", "load_time"}),
    ("fold Tile", corpus.fold_tile, {"load_memory", "load_time"}),
    ("fold Range", corpus.fold_range, {"load_memory", "load_time"}),
    ("fold ConstantOfShape", corpus.fold_constant, {"load_memory", "load_time"}),
    ("fold Concat", corpus.fold_concat, {"load_memory", "load_time"}),
    ("endless loop", endless, {"deadline"}),
    ("endless loop with scan", lambda: endless(scan=True), {"deadline", "model_failed"}),
    ("long kernel", corpus.kernel, {"deadline", "model_failed"}),
    ("alloc without shape", lambda: corpus.alloc(None), {"model_failed", "load_failed"}),
    ("alloc", lambda: corpus.alloc(("A", "B", "C")), {"model_failed"}),
    ("random", corpus.random, {""}),
    ("markup", lambda: corpus.with_metadata("<script>=1+1\x1b[31m", "<b>"), {""}),
    *(
        (
            f"external {where}",
            lambda where=where: external(bytes(8), location=where),
            {"load_failed"},
        )
        for where in (
            *("../../../etc/passwd", "/etc/passwd", "a/../../x"),
            *("*/_ORT_MEM_ADDR_/*", "another-revision.bin"),
        )
    ),
    ("external offset", lambda: external(bytes(8), offset="-8"), {"load_failed"}),
    ("external length", lambda: external(bytes(8), length=str(2**40)), {"load_failed"}),
    ("external key", lambda: external(bytes(8), __class__="x"), {"load_failed"}),
]
ROWS = [*((name, build, VERDICTS) for name, build, _ in REFUSED), *DYNAMIC]
# Where the two kinds differ: what ends a native process, or cannot be stopped in it.
IN_NATIVE = {
    *("chain of 3000 functions", "doubling 64 times", "sparse initializer", "10001 constants"),
    *("fold Expand", "fold Concat", "endless loop", "endless loop with scan", "long kernel"),
    *("alloc", "string of 64 MiB", "groups", "external /etc/passwd", "external */_ORT_MEM_ADDR_/*"),
}


def sized(elements: int) -> Tensor:
    data = constant("n", [elements], "int64").raw_data
    return Tensor(name="n", datatype="INT64", shape=(1,), data=data)


INPUTS: list[tuple[str, Build, tuple[Tensor, ...]]] = [
    (
        "loop",
        corpus.loop_by_input,
        (
            floats("x", 1),
            Tensor(
                name="n",
                datatype="INT64",
                shape=(),
                data=constant("n", 2**62, "int64").raw_data,
            ),
        ),
    ),
    ("kernel", corpus.kernel_by_input, (floats("x", 1), sized(8_000))),
    ("ConstantOfShape", lambda: corpus.sized_by_input("ConstantOfShape"), (sized(2**33),)),
    ("Tile", lambda: corpus.sized_by_input("Tile"), (floats("x", 1), sized(2**33))),
    ("Expand", lambda: corpus.sized_by_input("Expand"), (floats("x", 1), sized(2**33))),
]


class Neighbour:
    """An honest model that is asked again and again, and the process that holds it."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.revision = Revision.of(add())
        self.client = running.client()
        self.ask()
        self.pid = self.holder()

    def holder(self) -> int:
        """Return the id of the one process that has the model."""
        (found,) = (
            process["pid"]
            for process in self.client.status().processes
            if self.revision.target.key in process["models"] and process["kind"] == "portable"
        )
        return int(found)

    def ask(self) -> tuple[float, bool]:
        """Return how long one answer took, in seconds, and whether the model was cold."""
        asked = self.revision.request(
            self.running.log.checkpoint(), floats("x", 41), slot_wait_s=10, party="bob"
        )
        begun = time.monotonic()
        answer = self.client.infer(asked, self.revision.read)
        took = time.monotonic() - begun
        assert answer.outputs == (floats("y", 42),)
        return took, answer.cold

    def go_on(self, hostile: threading.Thread) -> list[float]:
        """Ask while `hostile` runs, once at least; return the times."""
        times: list[float] = []
        while hostile.is_alive() or not times:
            took, cold = self.ask()
            assert not cold
            times.append(took)
        return times


def start() -> Running:
    """Start a supervisor whose neighbour asks thousands of times and is never started afresh."""
    arguments = ["--native-slots", "1", "--load-seconds", str(LOAD_S), "--recycle-runs", "1000000"]
    return start_supervisor(arguments=arguments)


def tidy(neighbour: Neighbour) -> None:
    """End the processes that hold what a hostile file left: the next one starts with nothing."""
    client = neighbour.client
    processes = client.status().processes
    ended = {one["pid"] for one in processes if one["models"]} - {neighbour.pid}
    for pid in ended:
        kill(pid)

    def is_done() -> bool:
        status = client.status()
        return status.free == 3 and ended.isdisjoint(one["pid"] for one in status.processes)

    wait_until(is_done)


@dataclass(slots=True)
class Verdict:
    """What the supervisor said of a hostile request; "" when it ran."""

    code: str = "none"
    took: float = 0.0


def begin(ask: Callable[[], str]) -> tuple[threading.Thread, Verdict]:
    """Start a hostile request in a thread of its own."""
    verdict = Verdict()

    def work() -> None:
        begun = time.monotonic()
        try:
            verdict.code = ask()
        except ExecutorError as error:
            verdict.code = error.code
        verdict.took = time.monotonic() - begun

    thread = threading.Thread(target=work)
    thread.start()
    return thread, verdict


def warm(running: Running, revision: Revision, kind: str) -> Callable[[], str]:
    """Return the request to load a model and run it on zeros."""
    header = {"op": "warm", **revision.target.header(), "deadline_s": TRIAL_S, "kind": kind}

    client = running.client()

    def ask() -> str:
        answer = client._call({**header, "slot_wait_s": 20}, read_blob=revision.read, patience_s=60)
        return str(answer.header["code"])

    return ask
