"""Traces over the executor's socket: what is asked, and the answer checked. No Django.

The portable runtime makes them, whatever kind ran the execution: its bits are the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from assay.capsule import Alone
from assay.closeness import Bound
from assay.errors import FormatError
from assay.tensors import Tensor, check_tensor, tensor_digest
from assay.trace import Trace, parse_trace, value_of
from inference.client import ExecutorClient, ExecutorUnavailableError, ModelRef
from inference.executor.protocol import Frame
from inference.executor.values import parse_tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRequest:
    """One graph on one input; `runtime` is a portable runtime's digest, None for the newest.

    `deadline_s` bounds the whole, several runs of the model, in seconds.
    """

    target: ModelRef
    inputs: tuple[Tensor, ...]
    deadline_s: float
    runtime: str | None = None

    @property
    def graph(self) -> str:
        """The hex SHA-256 of the graph."""
        return dict(self.target.resources)[self.target.graph]

    def header(self, node: int | None) -> dict[str, Any]:
        """Return the header of the request."""
        return {
            "op": "trace",
            **self.target.header(),
            "inputs": [{**item.header(), "size": len(item.data)} for item in self.inputs],
            "deadline_s": self.deadline_s,
            "runtime": self.runtime,
            "node": node,
        }


def make_trace(
    client: ExecutorClient, request: TraceRequest, read_blob: Callable[[str], bytes]
) -> tuple[Trace, list[Tensor]]:
    """Return the executor's trace of a graph on an input, and the graph's outputs.

    Raises:
        ExecutorError: the executor's refusal.
        ExecutorUnavailableError: no answer, or one that is no trace of this graph on this input.
    """
    answer = _ask(client, request, None, read_blob)
    try:
        size = _size(answer, "trace_size")
        trace = parse_trace(answer.tail[:size])
        outputs = parse_tensors(answer.header.get("outputs"), answer.tail[size:], "outputs")
        for tensor in outputs:
            check_tensor(tensor)
    except (FormatError, KeyError) as error:
        raise ExecutorUnavailableError(f"the executor's trace makes no sense: {error}") from error
    if (trace.graph, trace.input) != (request.graph, tensor_digest(request.inputs)):
        raise ExecutorUnavailableError("the executor traced something else")
    told = {value.name: value for value in trace.outputs}
    if any(value_of(tensor) != told.get(tensor.name) for tensor in outputs):
        raise ExecutorUnavailableError("the outputs are not those of the executor's trace")
    return trace, outputs


def node_alone(
    client: ExecutorClient, request: TraceRequest, index: int, read_blob: Callable[[str], bytes]
) -> Alone:
    """Return node `index` by itself, after one more run.

    Raises:
        ExecutorError: the executor's refusal.
        ExecutorUnavailableError: no answer, or one that makes no sense.
    """
    answer = _ask(client, request, index, read_blob)
    try:
        return _read(answer)
    except (FormatError, KeyError, TypeError, ValueError) as error:
        raise ExecutorUnavailableError(f"the executor's answer makes no sense: {error}") from error


def _ask(
    client: ExecutorClient,
    request: TraceRequest,
    node: int | None,
    read_blob: Callable[[str], bytes],
) -> Frame:
    return client.trace(request.header(node), [item.data for item in request.inputs], read_blob)


def _size(answer: Frame, field: str) -> int:
    size = answer.header[field]
    if type(size) is not int or not 0 <= size <= len(answer.tail):
        raise FormatError("is not the length of what is there", field)
    return size


def _read(answer: Frame) -> Alone:
    header = answer.header
    size, bound = _size(answer, "model_size"), header["bound"]
    tensors = [*header["inputs"], *header["outputs"]]
    parsed = parse_tensors(tensors, answer.tail[size:], "tensors")
    for tensor in parsed:
        check_tensor(tensor)
    count = len(header["inputs"])
    return Alone(
        model=answer.tail[:size],
        bound=Bound(ulps=float(bound["ulps"]), floor=float(bound["floor"]), k=int(bound["k"])),
        runtime=header["runtime"],
        inputs=tuple(parsed[:count]),
        outputs=tuple(parsed[count:]),
    )
