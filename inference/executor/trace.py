"""`trace`: run a model again with all its intermediate values as outputs, and hash each of them.

The run has a process of its own that ends with it, under the graph optimisation level `disabled`:
with fusions, a value in the middle may not exist, and asking for it changes what is fused and so
the bits. Without any, it changes nothing. A jailed child takes the graph apart; the outputs are
added to it blindly here (`assay.trace.expose`), and the hashes are the supervisor's own.

With `node`, the answer is that node alone: its model, its inputs and its outputs.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from socket import socket
from typing import Any

from assay.canonical import as_list, as_object, as_text, parse_json
from assay.digests import sha256_hex
from assay.errors import FormatError
from assay.statements import Runtime
from assay.tensors import DATATYPES, Tensor, canonical_nan, encode_tensors
from assay.trace import LEVEL, Node, Trace, Value, expose, in_groups, step_of, value_of
from inference.executor.hosts import Host, HostDiedError, Loaded, ModelBytes, ModelError
from inference.executor.limits import LOAD_MEMORY, Limits
from inference.executor.programs import Program
from inference.executor.protocol import (
    MAX_BLOB_BYTES,
    DeadlinePassedError,
    Frame,
    ProtocolError,
    RefusalError,
    send,
)
from inference.executor.spawn import Jail, Spawner
from inference.executor.values import parse_tensors

MAX_TRACED_BYTES = 8 * 2**30  # all values of one run together
_GROUP = 128  # values that are exposed at a time
_TOLD_BYTES = 64 * 2**20


class _FullError(Exception):
    """The values of one group did not fit into memory or into one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: the model, its inputs, the runtime; `deadline` is on the monotonic clock."""

    model: ModelBytes
    inputs: Sequence[Tensor]
    program: Program
    runtime: Runtime
    deadline: float
    caller: socket | None = None

    @property
    def given(self) -> list[str]:
        """The names of the inputs."""
        return [tensor.name for tensor in self.inputs]


@dataclass(slots=True, kw_only=True)
class Outline:
    """What the child read: nodes that matter, the graph's outputs, values that one node reads."""

    nodes: list[Node] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    wanted: list[str] = field(default_factory=list)


class Tracer:
    """Makes traces, one at a time: each takes a process and much memory."""

    def __init__(self, spawner: Spawner, limits: Limits) -> None:
        self._spawner = spawner
        self._limits = limits
        self._lock = threading.Lock()

    def answer(
        self,
        request: Frame,
        program: Program,
        runtime: Runtime,
        fetch: Callable[[], ModelBytes],
        caller: socket | None,
    ) -> Frame:
        """Return the trace and the graph's outputs, or with `node` that node's parts.

        Raises:
            RefusalError: bad_input, busy, deadline, model_failed, load_failed, unavailable.
            CallerGoneError: nobody waits any more.
        """
        header = request.header
        seconds, index = header.get("deadline_s"), header.get("node")
        if not isinstance(seconds, int | float) or not 0 < seconds <= 900:
            raise RefusalError("bad_input", "a trace has a deadline_s of up to 900 seconds")
        if index is not None and (not isinstance(index, int) or isinstance(index, bool)):
            raise RefusalError("bad_input", "a node is a number")
        inputs = parse_tensors(header.get("inputs"), request.tail, "inputs")
        asked = Asked(
            model=fetch(),
            inputs=[canonical_nan(tensor) for tensor in inputs],
            program=program,
            runtime=replace(runtime, level=LEVEL),
            deadline=time.monotonic() + seconds,
            caller=caller,
        )
        if not self._lock.acquire(timeout=min(seconds, 10.0)):
            raise RefusalError("busy", "another trace is being made", retry=True)
        try:
            return self._trace(asked) if index is None else self._node(asked, index)
        finally:
            self._lock.release()

    def _trace(self, asked: Asked) -> Frame:
        outline = self._outline(asked, None)
        names = [name for node in outline.nodes for name in node.outputs]
        values: dict[str, Value] = {}
        ends: dict[str, Tensor] = {}
        total = 0
        for tensor in self._values(asked, outline, names):
            values[tensor.name] = value_of(tensor)
            if tensor.name in outline.outputs:
                ends[tensor.name] = tensor
            total += len(tensor.data)
            if total > MAX_TRACED_BYTES:
                words = f"its values have more than {MAX_TRACED_BYTES} bytes together"
                raise RefusalError("model_failed", words)
        trace = Trace(
            graph=sha256_hex(asked.model.graph),
            input=sha256_hex(encode_tensors(asked.inputs)),
            runtime=asked.runtime.to_dict(),
            inputs=tuple(value_of(tensor) for tensor in asked.inputs),
            nodes=tuple(step_of(node, values) for node in outline.nodes),
            outputs=tuple(values.get(name, Value(name=name)) for name in outline.outputs),
        )
        data = trace.render()
        return Frame(
            header={
                "ok": True,
                "trace_size": len(data),
                "outputs": [{**t.header(), "size": len(t.data)} for t in ends.values()],
            },
            parts=[data, *(tensor.data for tensor in ends.values())],
        )

    def _node(self, asked: Asked, index: int) -> Frame:
        outline = self._outline(asked, index)
        node = next((node for node in outline.nodes if node.index == index), None)
        if node is None:
            raise RefusalError(
                "bad_input", f"the graph has no node {index} that an output depends on"
            )
        values = self._values(asked, outline, [*outline.wanted, *node.outputs])
        found = {tensor.name: canonical_nan(tensor) for tensor in values}
        found |= {tensor.name: tensor for tensor in asked.inputs}
        inputs = [found[name] for name in node.inputs if name in found]
        outputs = [found[name] for name in node.outputs if name in found]
        told = self._child(
            {
                "step": "node",
                "node": index,
                "graph_size": len(asked.model.graph),
                "external": [{"path": p, "size": len(data)} for p, data in asked.model.external],
                "inputs": [tensor.header() for tensor in inputs],
                "outputs": [tensor.header() for tensor in outputs],
            },
            (asked.model.graph, *(data for _, data in asked.model.external)),
            asked,
        )
        return Frame(
            header={
                "ok": True,
                "bound": told.header["bound"],
                "runtime": asked.runtime.to_dict(),
                "model_size": len(told.tail),
                "inputs": [{**item.header(), "size": len(item.data)} for item in inputs],
                "outputs": [{**item.header(), "size": len(item.data)} for item in outputs],
            },
            parts=[told.tail, *(item.data for item in (*inputs, *outputs))],
        )

    def _values(self, asked: Asked, outline: Outline, names: Sequence[str]) -> Iterator[Tensor]:
        """Yield the graph's outputs and the values `names`, as far as they are tensors."""
        try:
            host = Host.start(self._spawner, asked.program)
        except (HostDiedError, OSError) as error:
            raise RefusalError(
                "unavailable", "no process for the trace starts", retry=True
            ) from error

        def run(group: Sequence[str]) -> list[Tensor]:
            return _run(host, asked, expose(asked.model.graph, group), group)

        inner = [name for name in dict.fromkeys(names) if name not in outline.outputs]
        try:
            yield from _run(host, asked, asked.model.graph, outline.outputs)
            yield from in_groups(inner, run, size=_GROUP, full=_FullError)
        except HostDiedError as error:
            code = "deadline" if error.late else "unavailable"
            raise RefusalError(code, f"the process of the trace ended: {error}") from error
        except _FullError as error:
            raise RefusalError("model_failed", f"one value alone is too large: {error}") from error
        finally:
            host.child.kill()

    def _outline(self, asked: Asked, index: int | None) -> Outline:
        header = {"step": "nodes", "node": index, "given": asked.given}
        told = self._child(header, (asked.model.graph,), asked)
        value = parse_json(told.tail, max_bytes=_TOLD_BYTES)
        given = as_object(value, "", required=("nodes", "outputs", "wanted"))
        nodes = [_read_node(item, f"nodes[{i}]") for i, item in enumerate(given["nodes"])]
        return Outline(
            nodes=nodes, outputs=_texts(given["outputs"]), wanted=_texts(given["wanted"])
        )

    def _child(self, header: dict[str, Any], parts: Sequence[bytes], asked: Asked) -> Frame:
        """Let the jailed child read the graph.

        Raises:
            RefusalError: bad_input: it is none, or its values cannot be told.
        """
        size = sum(map(len, parts))
        program = [sys.executable, "-m", "inference.executor.trace_child"]
        jail = Jail(cpu_s=self._limits.load_cpu_s, memory=LOAD_MEMORY + 6 * size)
        child = self._spawner.start(program, jail)
        child.stream.deadline = min(asked.deadline, time.monotonic() + self._limits.load_s)
        try:
            send(child.connection, Frame(header=header, parts=parts))
            answer = child.stream.frame(MAX_BLOB_BYTES)
        except DeadlinePassedError as error:
            raise RefusalError("deadline", "the graph takes too long to read") from error
        except ProtocolError as error:
            raise RefusalError("bad_input", "the graph ended the process that read it") from error
        finally:
            child.kill()
        if "error" in answer.header:
            words = str(answer.header.get("message"))[:500]
            raise RefusalError("bad_input", f"this graph cannot be traced: {words}")
        return answer


def _run(host: Host, asked: Asked, graph: bytes, names: Sequence[str]) -> list[Tensor]:
    """Load `graph`, run it, and return those of the outputs `names` that it can tell."""
    key = "trace"
    model = replace(asked.model, key=key, graph=graph, level=LEVEL)
    loading = True
    try:
        loaded: Loaded = host.load(model, asked.deadline, asked.caller)
        loading = False
        known = [
            value.name
            for value in loaded.outputs
            if value.name in names and value.datatype in DATATYPES
        ]
        tensors = host.run(key, asked.inputs, known, asked.deadline, asked.caller) if known else []
        host.drop(key)
    except ModelError as error:
        if error.code == "memory" or error.message.startswith("the answer is larger"):
            raise _FullError(error.message) from error
        if error.code == "deadline":
            raise RefusalError(
                "deadline", "the deadline passed before the trace was made"
            ) from error
        code = "load_failed" if loading else "model_failed"
        raise RefusalError(code, f"the model failed: {error.message}") from error
    return tensors


def _read_node(value: object, path: str) -> Node:
    """Read a node as the child, a stranger by now, tells it."""
    names = ("index", "name", "op_type", "domain", "inputs", "outputs")
    given = as_object(value, path, required=names)
    if not isinstance(given["index"], int):
        raise FormatError("is no number", f"{path}.index")
    return Node(
        index=given["index"],
        name=as_text(given["name"], path),
        op_type=as_text(given["op_type"], path),
        domain=as_text(given["domain"], path),
        inputs=tuple(_texts(given["inputs"])),
        outputs=tuple(_texts(given["outputs"])),
        random=False,
        raw=b"",
    )


def _texts(value: object) -> list[str]:
    return [as_text(item, "name") for item in as_list(value, "names")]
