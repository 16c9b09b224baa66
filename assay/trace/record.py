"""`assay-trace-v1`: what every node of a graph gave, one digest for each value.

A trace is a JSON object in RFC 8785 form, and its SHA-256 is its name. It says which graph ran on
which input, under which runtime and options, and nothing about who ran it or when: two honest runs
give the same bytes. Constant nodes, and nodes that no output depends on, are not listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from assay.canonical import as_list, as_object, as_text, canonical_json, parse_json
from assay.digests import parse_hex, sha256_hex
from assay.errors import FormatError
from assay.limits import LIMITS
from assay.tensors import DATATYPES, Tensor, canonical_nan
from assay.trace.graph import MAX_NODES, Node

FORMAT = "assay-trace-v1"
LEVEL = "disabled"  # with any fusion a node's output may be no value of the run
MAX_TRACE_BYTES = 64 * 2**20
_NAMES = 4_096


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A named value: `sha256` is the hex digest of its data as `assay-tensors-v1` has them.

    All three are None for what is no tensor, or one of a type without a name in the protocol.
    """

    name: str
    datatype: str | None = None
    shape: tuple[int, ...] | None = None
    sha256: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "name": self.name,
            "datatype": self.datatype,
            "shape": None if self.shape is None else list(self.shape),
            "sha256": self.sha256,
        }

    @classmethod
    def from_dict(cls, value: object, path: str) -> Self:
        """Read the JSON object; FormatError otherwise."""
        given = as_object(value, path, required=("name", "datatype", "shape", "sha256"))
        name = as_text(given["name"], f"{path}.name")
        rest = (given["datatype"], given["shape"], given["sha256"])
        if rest == (None, None, None):
            return cls(name=name)
        datatype = as_text(given["datatype"], f"{path}.datatype")
        if datatype not in DATATYPES:
            raise FormatError("is no datatype", f"{path}.datatype")
        return cls(
            name=name,
            datatype=datatype,
            shape=_shape(given["shape"], f"{path}.shape"),
            sha256=parse_hex(given["sha256"], f"{path}.sha256").hex(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A node, and what it gave; `inputs` are names of values, of inputs and of weights."""

    index: int
    name: str
    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[Value, ...]

    @property
    def place(self) -> str:
        """The node in words: `node 3 (Relu "act")`."""
        return f"node {self.index} ({self.op_type}" + (f' "{self.name}")' if self.name else ")")

    @property
    def shape(self) -> tuple[object, ...]:
        """What must be equal in two traces of one graph."""
        names = tuple(value.name for value in self.outputs)
        return (self.index, self.name, self.op_type, self.domain, self.inputs, names)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "index": self.index,
            "name": self.name,
            "op_type": self.op_type,
            "domain": self.domain,
            "inputs": list(self.inputs),
            "outputs": [value.to_dict() for value in self.outputs],
        }

    @classmethod
    def from_dict(cls, value: object, path: str) -> Self:
        """Read the JSON object; FormatError otherwise."""
        names = ("index", "name", "op_type", "domain", "inputs", "outputs")
        given = as_object(value, path, required=names)
        inputs = as_list(given["inputs"], f"{path}.inputs")
        return cls(
            index=_size(given["index"], f"{path}.index"),
            name=as_text(given["name"], f"{path}.name"),
            op_type=as_text(given["op_type"], f"{path}.op_type"),
            domain=as_text(given["domain"], f"{path}.domain"),
            inputs=tuple(as_text(name, f"{path}.inputs[{i}]") for i, name in enumerate(inputs)),
            outputs=_values(given["outputs"], f"{path}.outputs"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One run, node by node: `graph` and `input` are hex SHA-256 of the file and of input.tensors.

    `runtime` is the runtime object of a statement, with the options of this run; `outputs` are
    those of the graph, in its order.
    """

    graph: str
    input: str
    runtime: dict[str, Any]
    inputs: tuple[Value, ...]
    nodes: tuple[Step, ...]
    outputs: tuple[Value, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            "format": FORMAT,
            "graph": {"sha256": self.graph},
            "input": {"sha256": self.input},
            "runtime": self.runtime,
            "inputs": [value.to_dict() for value in self.inputs],
            "nodes": [step.to_dict() for step in self.nodes],
            "outputs": [value.to_dict() for value in self.outputs],
        }

    def render(self) -> bytes:
        """Return the bytes of the trace.

        Raises:
            FormatError: a name that JSON cannot carry, or more than `MAX_TRACE_BYTES`.
        """
        data = canonical_json(self.to_dict())
        if len(data) > MAX_TRACE_BYTES:
            raise FormatError(f"a trace has at most {MAX_TRACE_BYTES} bytes")
        return data

    @property
    def digest(self) -> str:
        """The hex SHA-256 of its bytes."""
        return sha256_hex(self.render())

    def step(self, index: int) -> Step:
        """Return the node with this index; FormatError where the trace lists none."""
        for step in self.nodes:
            if step.index == index:
                return step
        raise FormatError(f"the trace lists no node {index}")


def value_of(tensor: Tensor) -> Value:
    """Return the digest of a tensor, its NaNs made canonical."""
    return Value(
        name=tensor.name,
        datatype=tensor.datatype,
        shape=tensor.shape,
        sha256=sha256_hex(canonical_nan(tensor).data),
    )


def step_of(node: Node, values: dict[str, Value]) -> Step:
    """Return a node with what it gave; what is not in `values` had no tensor."""
    return Step(
        index=node.index,
        name=node.name,
        op_type=node.op_type,
        domain=node.domain,
        inputs=node.inputs,
        outputs=tuple(values.get(name, Value(name=name)) for name in node.outputs),
    )


def parse_trace(data: bytes) -> Trace:
    """Read the bytes of a trace.

    Raises:
        FormatError: not the format, a second spelling of it, nodes out of order, a value that two
            nodes give, or an output that is not what its node gave.
    """
    value = parse_json(data, max_bytes=MAX_TRACE_BYTES)
    names = ("format", "graph", "input", "runtime", "inputs", "nodes", "outputs")
    given = as_object(value, "", required=names)
    if given["format"] != FORMAT:
        raise FormatError(f"is not {FORMAT}", "format")
    if not isinstance(given["runtime"], dict):
        raise FormatError("is not an object", "runtime")
    nodes = as_list(given["nodes"], "nodes")
    if len(nodes) > MAX_NODES:
        raise FormatError(f"more than {MAX_NODES} nodes", "nodes")
    trace = Trace(
        graph=_sha256(given["graph"], "graph"),
        input=_sha256(given["input"], "input"),
        runtime=given["runtime"],
        inputs=_values(given["inputs"], "inputs"),
        nodes=tuple(Step.from_dict(item, f"nodes[{i}]") for i, item in enumerate(nodes)),
        outputs=_values(given["outputs"], "outputs"),
    )
    _check(trace)
    if trace.render() != data:
        raise FormatError("is not in RFC 8785 form")
    return trace


def _check(trace: Trace) -> None:
    """Check the order of the nodes, and that the trace does not contradict itself."""
    seen = {value.name: value for value in trace.inputs}
    last = -1
    for step in trace.nodes:
        if step.index <= last:
            raise FormatError(f"{step.place} is out of order", "nodes")
        last = step.index
        for value in step.outputs:
            if value.name in seen:
                raise FormatError(f"the value {value.name[:64]!r} is given twice", "nodes")
            seen[value.name] = value
    for value in trace.outputs:
        if seen.get(value.name, value) != value:
            raise FormatError(f"{value.name[:64]!r} is not what its node gave", "outputs")


def _values(value: object, path: str) -> tuple[Value, ...]:
    items = as_list(value, path)
    if len(items) > _NAMES:
        raise FormatError(f"more than {_NAMES} values", path)
    return tuple(Value.from_dict(item, f"{path}[{i}]") for i, item in enumerate(items))


def _sha256(value: object, path: str) -> str:
    inner = as_object(value, path, required=("sha256",))["sha256"]
    return parse_hex(inner, f"{path}.sha256").hex()


def _shape(value: object, path: str) -> tuple[int, ...]:
    items = as_list(value, path)
    if len(items) > LIMITS.tensor_rank:
        raise FormatError(f"more than {LIMITS.tensor_rank} dimensions", path)
    return tuple(_size(item, path) for item in items)


def _size(value: object, path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise FormatError("is no number from 0", path)
    return value
