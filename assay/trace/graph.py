"""An ONNX model, taken apart no further than its nodes; and the same model with more outputs.

The file is walked by hand (`wire`), strictly: a field that may stand once and stands twice is
refused, because protobuf would merge the two and other readers would see another model. Bodies of
`If`, `Loop` and `Scan` belong to their node; calls of the model's own functions are nodes too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from assay.errors import FormatError
from assay.protobuf import Field, fields, put
from assay.tensors import Tensor

MAX_NODES = 50_000
_DEPTH = 32  # graphs in graphs; the registry takes 16

# Field numbers of onnx.proto.
MODEL_GRAPH, MODEL_FUNCTIONS, MODEL_TRAINING = 7, 25, 20
GRAPH_NODE, GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT, GRAPH_SPARSE = 1, 5, 11, 12, 15
VALUE_NAME, TENSOR_NAME, SPARSE_VALUES = 1, 8, 1
_NODE_INPUT, _NODE_OUTPUT, _NODE_NAME, _NODE_OP, _NODE_ATTRIBUTE, _NODE_DOMAIN = 1, 2, 3, 4, 5, 7
_ATTRIBUTE_NAME, _ATTRIBUTE_GRAPHS, _FUNCTION_NODE = 1, (6, 11), 7

_RANDOM = (
    *("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform"),
    "RandomUniformLike",
)
_ONNX = ("", "ai.onnx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of the main graph, `index` from 0 in the file's order.

    `inputs` are the names it reads, those that its bodies take from outside included, each once,
    in order; an omitted optional input or output is left out. `random`: it, or something in its
    bodies, draws numbers without a seed.
    """

    index: int
    name: str
    op_type: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    random: bool
    raw: bytes

    @property
    def constant(self) -> bool:
        """Whether it only holds a value: the runtime treats that as a weight."""
        return self.op_type == "Constant" and self.domain in _ONNX

    @property
    def place(self) -> str:
        """The node in words: `node 3 (Relu "act")`."""
        return f"node {self.index} ({self.op_type}" + (f' "{self.name}")' if self.name else ")")


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model file: fields beside the graph, and the graph's fields, as they came.

    `initializers` maps a name to its TensorProto; `inputs` and `outputs` map the graph's to their
    ValueInfoProto.
    """

    fields: tuple[Field, ...]
    graph: tuple[Field, ...]
    nodes: tuple[Node, ...]
    initializers: dict[str, Field]
    inputs: dict[str, Field]
    outputs: dict[str, Field]

    def reaching(self) -> list[Node]:
        """Return the nodes that some output depends on, in order; Constant nodes are left out."""
        wanted, found = set(self.outputs), []
        for node in reversed(self.nodes):
            if wanted.isdisjoint(node.outputs):
                continue
            wanted.update(node.inputs)
            found.append(node)
        return [node for node in reversed(found) if not node.constant]

    def refuse_random(self) -> None:
        """Check that every run gives the same.

        Raises:
            FormatError: a node draws numbers without a seed; its name is in the message.
        """
        for node in self.nodes:
            if node.random:
                raise FormatError(f"{node.place} draws numbers without a seed")


def expose(data: bytes, names: Iterable[str]) -> bytes:
    """Return the model file `data` with `names`, none of them an output yet, among its outputs.

    A second `graph` field is appended, which protobuf merges into the first: the rest of the file
    stays as it was. The runtime infers the types.
    """
    outputs = [put(GRAPH_OUTPUT, put(VALUE_NAME, name.encode())) for name in names]
    return b"".join((data, put(MODEL_GRAPH, *outputs)))


def in_groups(
    names: Sequence[str],
    run: Callable[[Sequence[str]], Iterable[Tensor]],
    *,
    size: int,
    full: type[Exception],
) -> Iterator[Tensor]:
    """Yield what `run` gives for all of `names`, at most `size` of them at a time.

    Exposed values cannot share memory. Where `run` raises `full`, the groups are halved from
    there; what a single name raises is the caller's.
    """
    offset = 0
    while offset < len(names):
        try:
            found = list(run(names[offset : offset + size]))
        except full:
            if size == 1:
                raise
            size = min(size, len(names) - offset) // 2 or 1
            continue
        offset += size
        yield from found


def parse_model(data: bytes) -> Model:
    """Take the model file `data` apart.

    Raises:
        FormatError: not ONNX, two graphs, too many nodes, bodies nested too deep, a value that two
            nodes give, or a node that reads what a later one gives.
    """
    outer = tuple(fields(memoryview(data)))
    graphs = [field for field in outer if field.number == MODEL_GRAPH]
    if len(graphs) != 1:
        raise FormatError(f"the model has {len(graphs)} graphs" if graphs else "the model is empty")
    inner = tuple(fields(graphs[0].message()))
    nodes = tuple(_nodes(inner))
    model = Model(
        fields=tuple(field for field in outer if field.number != MODEL_GRAPH),
        graph=inner,
        nodes=nodes,
        initializers=_initializers(inner),
        inputs=_named(inner, GRAPH_INPUT, VALUE_NAME),
        outputs=_named(inner, GRAPH_OUTPUT, VALUE_NAME),
    )
    _check_order(model)
    _check_functions(model)
    return model


def one_text(message: Iterable[Field], number: int) -> str:
    """Return the string field `number`, "" where there is none; FormatError where there are two."""
    found = [field.text() for field in message if field.number == number]
    if len(found) > 1:
        raise FormatError(f"the model has the field {number} twice in one message")
    return found[0] if found else ""


def _named(message: Iterable[Field], number: int, name: int) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for field in message:
        if field.number == number:
            text = one_text(fields(field.message()), name)
            if text in found:
                raise FormatError(f"the name {text[:64]!r} stands twice in the graph")
            found[text] = field
    return found


def _initializers(graph: tuple[Field, ...]) -> dict[str, Field]:
    """Return dense and sparse initializers; a sparse one has the name of its values."""
    found = _named(graph, GRAPH_INITIALIZER, TENSOR_NAME)
    for field in graph:
        if field.number == GRAPH_SPARSE:
            values = [f for f in fields(field.message()) if f.number == SPARSE_VALUES]
            for item in values:
                found[one_text(fields(item.message()), TENSOR_NAME)] = field
    return found


def _nodes(graph: tuple[Field, ...]) -> Iterator[Node]:
    found = [field for field in graph if field.number == GRAPH_NODE]
    if len(found) > MAX_NODES:
        raise FormatError(f"the graph has more than {MAX_NODES} nodes")
    for index, field in enumerate(found):
        yield _node(index, field.message(), 0)


def _node(index: int, data: memoryview, depth: int) -> Node:
    message = tuple(fields(data))
    op_type, domain = one_text(message, _NODE_OP), one_text(message, _NODE_DOMAIN)
    inputs = [f.text() for f in message if f.number == _NODE_INPUT]
    outputs = [f.text() for f in message if f.number == _NODE_OUTPUT]
    attributes = [tuple(fields(f.message())) for f in message if f.number == _NODE_ATTRIBUTE]
    names = {one_text(attribute, _ATTRIBUTE_NAME) for attribute in attributes}
    random = op_type in _RANDOM and domain in _ONNX and "seed" not in names
    for attribute in attributes:
        for body in attribute:
            if body.number in _ATTRIBUTE_GRAPHS:
                taken, drawn = _body(body.message(), depth + 1)
                inputs += taken
                random = random or drawn
    return Node(
        index=index,
        name=one_text(message, _NODE_NAME),
        op_type=op_type,
        domain=domain,
        inputs=tuple(dict.fromkeys(name for name in inputs if name)),
        outputs=tuple(name for name in outputs if name),
        random=random,
        raw=bytes(data),
    )


def _body(data: memoryview, depth: int) -> tuple[list[str], bool]:
    """Return what a body takes from outside, and whether it draws unseeded numbers."""
    if depth > _DEPTH:
        raise FormatError(f"graphs nest deeper than {_DEPTH}")
    graph = tuple(fields(data))
    inner = {*_named(graph, GRAPH_INPUT, VALUE_NAME), *_initializers(graph)}
    taken: list[str] = []
    random = False
    for field in graph:
        if field.number == GRAPH_NODE:
            node = _node(0, field.message(), depth)
            taken += [name for name in node.inputs if name not in inner]
            inner.update(node.outputs)
            random = random or node.random
    taken += [name for name in _named(graph, GRAPH_OUTPUT, VALUE_NAME) if name not in inner]
    return taken, random


def _check_order(model: Model) -> None:
    """Check that each value is given once, and before it is read."""
    given = {*model.inputs, *model.initializers}
    for node in model.nodes:
        for name in node.inputs:
            if name not in given:
                raise FormatError(f"{node.place} reads {name[:64]!r}, which nothing before gives")
        for name in node.outputs:
            if name in given:
                raise FormatError(f"{node.place} gives {name[:64]!r}, which is there already")
            given.add(name)
    for name in model.outputs:
        if name not in given:
            raise FormatError(f"nothing gives the output {name[:64]!r}")


def _check_functions(model: Model) -> None:
    """Check that no function of the model draws unseeded numbers: its calls would not say so."""
    for function in model.fields:
        if function.number == MODEL_FUNCTIONS:
            for item in fields(function.message()):
                if item.number == _FUNCTION_NODE and _node(0, item.message(), 0).random:
                    raise FormatError("a function of the model draws numbers without a seed")
