"""The skeleton of a graph: what a drawing needs, and none of the weights.

Made in the jail from a file that passed its inspection, by the same walk. Values are numbered,
nodes name them by number, and a stranger's texts are cut, so that the answer is small: a viewer
loses letters of a very long name and never an edge. Drawn is the main graph; a node that holds
graphs of its own (`If`, `Loop`, `Scan`) says how many nodes they have.
"""

from __future__ import annotations

import struct
from typing import Any

from assay.canonical import canonical_json
from inference.executor.inspect import constants as c
from inference.executor.inspect.counts import check_counts
from inference.executor.inspect.facts import describe
from inference.executor.inspect.findings import RejectedError
from inference.executor.inspect.functions import call_key, function_key, nodes_of, subgraphs
from inference.executor.inspect.payload import type_name
from inference.executor.inspect.schema import Field
from inference.executor.inspect.wire import Message, Walker

FORMAT = "assay-graph-skeleton-v1"
_LETTERS = 120
_ATTRIBUTES, _VALUES = 32, 16
_SPAN_BYTES = 256  # of numbers that are read; more are counted
_BYTES = 2  # protobuf's wire type of what has a length
_LARGE = {
    "g": "a graph",
    "graphs": "graphs",
    "tensors": "tensors",
    "sparse_tensor": "a sparse tensor",
    "sparse_tensors": "sparse tensors",
    "tp": "a type",
    "type_protos": "types",
}
Spans = dict[tuple[int, str], list[bytes]]


class _Reader(Walker):
    """The walk, which here also keeps the short values of attributes: they are shown."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.short: Spans = {}

    def _scalars(self, message: Message, field: Field, wire: int, position: int, end: int) -> int:
        stop = super()._scalars(message, field, wire, position, end)
        if message.kind == "Attribute" and stop - position <= _SPAN_BYTES:
            start = self._varint(message, position, end)[1] if wire == _BYTES else position
            self._keep(message, field, self._data[start:stop])
        return stop

    def _value(self, message: Message, field: Field, wire: int, position: int, end: int) -> int:
        stop = super()._value(message, field, wire, position, end)
        if message.kind == "Attribute" and field.kind == "blob" and stop - position <= _SPAN_BYTES:
            start = self._varint(message, position, end)[1]
            self._keep(message, field, self._data[start:stop])
        return stop

    def _keep(self, message: Message, field: Field, span: bytes) -> None:
        kept = self.short.setdefault((id(message), field.name), [])
        if len(kept) <= _VALUES:
            kept.append(span)


def sketch(data: bytes) -> dict[str, Any]:
    """Return `{"skeleton": {…} or null, "reason": ""}`; the reason says why there is none.

    A skeleton has `inputs` and `outputs` (numbers of values), `values` (`name`, `datatype`,
    `shape`, `weight`), and `nodes` (`name`, `op`, `domain`, `inputs` and `outputs` with null for
    what is left out, `attributes` as pairs of texts, `inner`, `function`).
    """
    reader = _Reader(data)
    try:
        model = reader.walk()
        check_counts(model)
    except RejectedError as rejected:
        return {"skeleton": None, "reason": f"it cannot be read: {rejected.finding.remedy}"}
    graph = model.message("graph")
    assert graph is not None  # noqa: S101 (the walk saw to it)
    nodes = graph.list("node")
    links = sum(len(node.list("input")) + len(node.list("output")) for node in nodes)
    if len(nodes) > c.MAX_DRAWN_NODES or links > c.MAX_DRAWN_LINKS:
        found = f"{len(nodes)} nodes with {links} links"
        limit = f"at most {c.MAX_DRAWN_NODES} nodes with {c.MAX_DRAWN_LINKS} links are drawn"
        return {"skeleton": None, "reason": f"it has {found}: {limit}"}
    skeleton = _Sketch(reader.short).of(model, graph)
    if len(canonical_json(skeleton)) > c.MAX_SKELETON_BYTES:
        return {"skeleton": None, "reason": "its names and attributes are too many, or too long"}
    return {"skeleton": skeleton, "reason": ""}


class _Sketch:
    """One skeleton in the making: its values, by the name that the file gives them."""

    def __init__(self, short: Spans) -> None:
        self._short = short
        self._numbers: dict[str, int] = {}
        self._values: list[dict[str, Any]] = []

    def of(self, model: Message, graph: Message) -> dict[str, Any]:
        """Return the skeleton of `graph`, the main one of `model`."""
        functions = {function_key(item) for item in model.list("functions")}
        for item in graph.list("initializer"):
            number = self._number(item.text("name"))
            kind, shape = type_name(item.number("data_type")), list(item.list("dims"))
            self._values[number] |= {"datatype": kind, "shape": shape, "weight": True}
        for item in graph.list("sparse_initializer"):
            values = item.message("values")
            number = self._number(values.text("name") if values else "")
            self._values[number] |= {"shape": list(item.list("dims")), "weight": True}
        nodes = [self._node(node, call_key(node) in functions) for node in graph.list("node")]
        ends = {
            "inputs": [self._number(item.text("name")) for item in graph.list("input")],
            "outputs": [self._number(item.text("name")) for item in graph.list("output")],
        }
        for item in (*graph.list("input"), *graph.list("output"), *graph.list("value_info")):
            self._describe(item)
        inputs = [number for number in ends["inputs"] if not self._values[number]["weight"]]
        return {"format": FORMAT, **ends, "inputs": inputs, "values": self._values, "nodes": nodes}

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self._values)
            empty = {"datatype": "", "shape": None, "weight": False}
            self._values.append({"name": _cut(name), **empty})
        return self._numbers[name]

    def _describe(self, item: Message) -> None:
        number = self._numbers.get(item.text("name"))
        if number is not None and not self._values[number]["weight"]:
            said = describe(item)
            shape = said["shape"] and [_cut(d) if isinstance(d, str) else d for d in said["shape"]]
            self._values[number] |= {"datatype": _cut(said["datatype"]), "shape": shape}

    def _node(self, node: Message, function: bool) -> dict[str, Any]:
        ends = {
            name + "s": [self._number(text) if text else None for text in node.list(name)]
            for name in ("input", "output")
        }
        attributes = node.list("attribute")
        bodies = [graph for item in attributes for graph in subgraphs(item)]
        return {
            "name": _cut(node.text("name")),
            "op": _cut(node.text("op_type")),
            "domain": _cut(node.text("domain")),
            **ends,
            "attributes": [
                [_cut(item.text("name")), self._words(item)] for item in attributes[:_ATTRIBUTES]
            ],
            "inner": sum(1 for body in bodies for _ in nodes_of(body)),
            "function": function,
        }

    def _words(self, attribute: Message) -> str:
        """Return an attribute's value in words, or what it is where that would be long."""
        fields = attribute.fields
        if attribute.text("ref_attr_name"):
            return f"attribute {_cut(attribute.text('ref_attr_name'))} of the function"
        if "i" in fields:
            return str(fields["i"])
        if tensor := attribute.message("t"):
            return f"{type_name(tensor.number('data_type'))} {list(tensor.list('dims'))}"
        for name in ("f", "floats", "ints", "s", "strings"):
            if name in fields:
                return self._scalar_words(attribute, name)
        return next((words for name, words in _LARGE.items() if name in fields), "")

    def _scalar_words(self, attribute: Message, name: str) -> str:
        spans = self._short.get((id(attribute), name), [])
        if name in ("s", "strings"):
            texts = [span.decode("utf-8", "replace") for span in spans]
            count = 1 if name == "s" else len(attribute.list(name))
        else:
            texts = [text for span in spans for text in _numbers(span, name)]
            count = attribute.number(name)
        if len(texts) != count or count > _VALUES:
            return {"s": "a long text", "strings": f"{count} texts"}.get(name, f"{count} {name}")
        return _cut(texts[0]) if name in ("f", "s") else _cut(f"[{', '.join(texts)}]")


def _numbers(span: bytes, name: str) -> list[str]:
    """Return the numbers of a span that the walk has checked."""
    if name != "ints":
        return [f"{value:.7g}" for (value,) in struct.iter_unpack("<f", span)]
    found, value, shift = [], 0, 0
    for byte in span:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(str(value - 2**64 if value >= 2**63 else value))
            value = shift = 0
    return found


def _cut(text: str) -> str:
    if len(text) <= _LETTERS and text.isprintable():
        return text
    # What is not printable (a NUL, a change of direction) is shown, and does nothing.
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode()
        for one in text[:_LETTERS]
    )
    whole = len(text) <= _LETTERS and len(shown) <= _LETTERS
    return shown if whole else shown[: _LETTERS - 1] + "…"
