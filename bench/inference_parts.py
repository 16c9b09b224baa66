"""What the inference benchmark measures, part by part; peers and product take turns."""

from __future__ import annotations

import json
import statistics
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench import peers
from bench.inference_load import Load, Request, load
from bench.inference_models import SEED, architecture, input_of
from bench.inference_raw import Raw, raw
from bench.inference_stack import Stack, digits

CLIENTS = (1, 16, 64)
PRODUCT = "Assay"
MAX_BATCH = 1_000
PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Medians over the rounds of what a server did for so many clients."""

    model: str
    server: str
    clients: int
    rate: float
    p50: float
    p99: float
    refused: int
    client: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """Executions a second through Celery: from the first request to the last outcome."""

    how: str
    executions: int
    all_s: float
    handed_in_s: float
    processor_us: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Above:
    """One client's median against the portable runtime by itself, in milliseconds."""

    model: str
    raw_ms: float
    served_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Resident memory in MiB, of each program, after so many requests."""

    requests: int
    programs: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """What one more warm model takes in a model process, in MiB."""

    model: str
    file_mib: float
    resident_mib: float


# ---------------------------------------------------------------- serving


def serve(stack: Stack, seconds: float, rounds: int) -> Iterator[Served]:
    """Let 1, 16 and 64 clients ask for the digits model, of the product and of the peers."""
    inputs = _drawings(200)
    graph = digits()
    asked = {PRODUCT: assay_request(stack, "digits", inputs)}
    if not peers.built():
        yield from _served("digits", asked, stack, seconds, rounds)
        return
    with peers.serving(stack.site, graph, [one.tolist() for one in inputs]) as others:
        yield from _served("digits", asked | others, stack, seconds, rounds)


def _served(
    model: str, asked: dict[str, Request], stack: Stack, seconds: float, rounds: int
) -> Iterator[Served]:
    found: dict[tuple[str, int], list[Load]] = {}
    for request in asked.values():  # warm caches and processes
        load(stack.site, request, connections=16, seconds=min(seconds, 1.0))
    for _ in range(rounds):
        for clients in CLIENTS:
            for server, request in asked.items():
                got = load(stack.site, request, connections=clients, seconds=seconds)
                found.setdefault((server, clients), []).append(got)
    for (server, clients), loads in sorted(found.items(), key=lambda item: item[0][1]):
        yield Served(
            model=model,
            server=server,
            clients=clients,
            rate=statistics.median(one.rate for one in loads),
            p50=statistics.median(one.p50 for one in loads),
            p99=statistics.median(one.p99 for one in loads),
            refused=sum(one.refused for one in loads),
            client=statistics.median(one.client for one in loads),
        )


def assay_request(stack: Stack, model: str, inputs: Sequence[np.ndarray]) -> Request:
    """Return what to ask the product: the tensors as bytes where they are large, else as JSON."""
    graph = digits() if model == "digits" else architecture(model)
    name, _ = input_of(graph)
    bodies, sizes = [], set()
    for data in inputs:
        item: dict[str, object] = {"name": name, "datatype": "FP32", "shape": list(data.shape)}
        if data.size <= 1_000:
            bodies.append(_json({"inputs": [{**item, "data": data.ravel().tolist()}]}))
            continue
        raw_bytes = data.astype("<f4").tobytes()
        item["parameters"] = {"binary_data_size": len(raw_bytes)}
        header = _json({"inputs": [item], "parameters": {"binary_data_output": True}})
        sizes.add(len(header))
        bodies.append(header + raw_bytes)
    lines = [f"Authorization: Bearer {stack.token}"]
    if sizes:
        (size,) = sizes
        lines += [
            "Content-Type: application/octet-stream",
            f"Inference-Header-Content-Length: {size}",
        ]
    else:
        lines.append("Content-Type: application/json")
    return Request(
        port=stack.port, path=f"/v2/models/bench--{model}/infer", bodies=bodies, header=lines
    )


def _drawings(count: int) -> list[np.ndarray]:
    generator = np.random.default_rng(SEED)
    return [generator.integers(0, 17, (1, 1, 8, 8)).astype(np.float32) for _ in range(count)]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


# ---------------------------------------------------------------- one client, and real sizes


def above(
    stack: Stack, models: Sequence[str], seconds: float, rounds: int
) -> tuple[list[Raw], list[Above]]:
    """Compare one client's median with the raw runtimes, model by model, in turns."""
    raws, aboves = [], []
    for model in models:
        graph = digits() if model == "digits" else architecture(model)
        _, shape = input_of(graph)
        generator = np.random.default_rng(SEED)
        inputs = [generator.random(shape, dtype=np.float32) for _ in range(8)]
        request = assay_request(stack, model, inputs)
        served, alone = [], []
        for _ in range(rounds):
            alone.append(raw(stack.site, model, graph, seconds, 1))
            load(stack.site, request, connections=1, seconds=0, count=3)
            served.append(load(stack.site, request, connections=1, seconds=seconds).p50)
        portable = statistics.median(one.portable_ms for one in alone)
        native = statistics.median(one.native_ms for one in alone)
        raws.append(Raw(model=model, portable_ms=portable, native_ms=native))
        aboves.append(Above(model=model, raw_ms=portable, served_ms=statistics.median(served)))
    return raws, aboves


# ---------------------------------------------------------------- the queue


def bulk(stack: Stack, executions: int) -> Queued:
    """Hand in batches, as large as they may be, and wait until every execution has ended."""
    drawings = [
        {"name": "image", "datatype": "FP32", "shape": [1, 1, 8, 8], "data": one.ravel().tolist()}
        for one in _drawings(executions)
    ]
    each = min(executions, MAX_BATCH)
    bodies = [
        _json(
            {
                "model": "bench/digits",
                "items": [{"inputs": [item]} for item in drawings[at : at + each]],
            }
        )
        for at in range(0, executions, each)
    ]
    before, begun, done = stack.processor_s(), time.perf_counter(), _succeeded()
    for body in bodies:
        _post(stack, body)
    handed_in = time.perf_counter() - begun
    _wait(done + executions)
    return _queued(f"bulk, {each} in a request", executions, stack, before, begun, handed_in)


def single(stack: Stack, executions: int) -> Queued:
    """Hand in one at a time on four connections, and wait until every execution has ended."""
    request = Request(
        port=stack.port,
        path="/api/v1/executions",
        bodies=[
            _json(
                {
                    "model": "bench/digits",
                    "inputs": [
                        {
                            "name": "image",
                            "datatype": "FP32",
                            "shape": [1, 1, 8, 8],
                            "data": one.ravel().tolist(),
                        }
                    ],
                }
            )
            for one in _drawings(200)
        ],
        header=[f"Authorization: Bearer {stack.token}", "Content-Type: application/json"],
    )
    before, begun, done = stack.processor_s(), time.perf_counter(), _succeeded()
    load(stack.site, request, connections=4, seconds=0, count=executions, accepted="20")
    handed_in = time.perf_counter() - begun
    _wait(done + executions)
    return _queued("one in a request, 4 clients", executions, stack, before, begun, handed_in)


def _queued(
    how: str,
    executions: int,
    stack: Stack,
    before: dict[str, float],
    begun: float,
    handed_in: float,
) -> Queued:
    passed = time.perf_counter() - begun
    after = stack.processor_s()
    used = {name: (after[name] - before[name]) / executions * 1e6 for name in after}
    return Queued(
        how=how,
        executions=executions,
        all_s=passed,
        handed_in_s=handed_in,
        processor_us={name: max(value, 0.0) for name, value in used.items()},
    )


def _post(stack: Stack, body: bytes) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.port}/api/v1/executions",
        data=body,
        headers={"Authorization": f"Bearer {stack.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310 (our own site)
        answer.read()


def _succeeded() -> int:
    from inference.models import Execution

    return Execution.objects.filter(state="succeeded").count()


def _wait(count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while _succeeded() < count:
        if time.monotonic() > deadline:
            raise SystemExit("the queue does not come to its end")
        time.sleep(0.05)


# ---------------------------------------------------------------- memory


def warm(stack: Stack, models: Sequence[str]) -> Iterator[Warm]:
    """Publish one new model after the other, and see by how much the model processes grow.

    A release is loaded by itself in one process; requests one after the other stay there.
    """
    for model in models:
        graph = architecture(model, SEED + 1)
        _, shape = input_of(graph)
        before = stack.model_processes_mib()
        stack.publish(f"{model}-warm", graph)
        asked = assay_request(stack, model, [np.zeros(shape, dtype=np.float32)])
        request = replace(asked, path=f"/v2/models/bench--{model}-warm/infer")
        load(stack.site, request, connections=1, seconds=0, count=8)
        yield Warm(
            model=model,
            file_mib=len(graph) / 2**20,
            resident_mib=max(stack.model_processes_mib() - before, 0.0),
        )


def memory(stack: Stack, requests: int, steps: int) -> Iterator[Memory]:
    """Send so many requests for the digits model, and look at the memory of each program."""
    request = assay_request(stack, "digits", _drawings(200))
    load(stack.site, request, connections=16, seconds=0, count=max(requests // 20, 32))
    yield Memory(requests=0, programs=stack.resident_mib())
    for step in range(1, steps + 1):
        load(stack.site, request, connections=16, seconds=0, count=requests // steps)
        yield Memory(requests=requests * step // steps, programs=stack.resident_mib())
