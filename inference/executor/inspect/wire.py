"""The walk of the protobuf wire format: bytes in, a tree of small values out, nothing recursive.

Stricter than protobuf, because three readers (this one, the checker, the runtime) must see one
model: a singular field that stands twice is refused (protobuf merges them), so are groups, a known
field with another wire type, two members of one oneof, varints above 64 bits. Tensor bytes are
measured, not copied. Budgets are checked while walking, so a hostile file costs what a large
honest one does.
"""

from __future__ import annotations

import re
from typing import Any

from inference.executor.inspect import constants as c
from inference.executor.inspect.findings import RejectedError
from inference.executor.inspect.schema import SCHEMA, Field

_HIGH = bytes(range(128, 256))
_TOO_LONG = re.compile(rb"[\x80-\xff]{10}")
_CHUNK = 2**20
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS = {_FIXED64: 8, _FIXED32: 4}


class Message:
    """One message: its kind, its fields by name, and where it stands.

    A singular field is its value, a repeated one a list; scalars and blobs that nothing reads are
    numbers: how many scalars, how many bytes in each blob.
    """

    __slots__ = ("fields", "kind", "parent", "role")

    def __init__(self, kind: str, parent: Message | None, role: str) -> None:
        self.kind = kind
        self.fields: dict[str, Any] = {}
        self.parent = parent
        self.role = role

    def text(self, name: str) -> str:
        """Return a string field, "" when absent."""
        value: str = self.fields.get(name, "")
        return value

    def number(self, name: str) -> int:
        """Return an integer field or a count, 0 when absent."""
        value: int = self.fields.get(name, 0)
        return value

    def list(self, name: str) -> list[Any]:
        """Return a repeated field, [] when absent."""
        value: list[Any] = self.fields.get(name, [])
        return value

    def message(self, name: str) -> Message | None:
        """Return a singular message field."""
        value: Message | None = self.fields.get(name)
        return value

    @property
    def place(self) -> str:
        """Where it stands, for people: `graph.node "a".attribute "value".t`."""
        parts = []
        item: Message | None = self
        while item is not None:
            name = item.fields.get("name", "")
            parts.append(f'{item.role} "{name}"' if name else item.role)
            item = item.parent
        return ".".join(reversed(parts[:-1])) or parts[-1]


class Walker:
    """Walks one file; `messages` of the kinds that later steps look at are listed on the way."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._fields = 0
        self._messages = 0
        self._strings = 0
        self._unknown = 0
        self._nodes = 0
        self._initializers = 0
        self.tensors: list[Message] = []
        self.sparse: list[Message] = []

    def walk(self) -> Message:
        """Return the model.

        Raises:
            RejectedError: malformed, depth, unknown, nodes, initializers, arity, text, rank or
                fields.
        """
        model = message = Message("Model", None, "model")
        stack: list[tuple[Message, int]] = []
        graphs = 0
        position, end = 0, len(self._data)
        if not end:
            raise RejectedError("malformed", "model", "the file is empty")
        while True:
            if position == end:
                if not stack:
                    break
                graphs -= message.kind == "Graph"
                message, end = stack.pop()
                continue
            field, wire, position = self._key(message, position, end)
            if field is None:
                position = self._skip(message, wire, position, end)
            elif field.kind not in SCHEMA:
                position = self._value(message, field, wire, position, end)
            else:
                start, stop = self._span(message, wire, position, end)
                stack.append((message, end))
                message = self._child(message, field)
                graphs += message.kind == "Graph"
                _check_depth(message, len(stack), graphs)
                position, end = start, stop
        if model.message("graph") is None:
            raise RejectedError("malformed", "model", "the file holds no graph: is it ONNX?")
        return model

    def _key(self, message: Message, position: int, end: int) -> tuple[Field | None, int, int]:
        self._fields += 1
        if self._fields > c.MAX_FIELDS:
            raise RejectedError("fields", message.place, f"at most {c.MAX_FIELDS} fields in all")
        key, position = self._varint(message, position, end)
        if not 0 < key >> 3 < 2**29:
            raise RejectedError("malformed", message.place, "a field number out of range")
        return SCHEMA[message.kind].get(key >> 3), key & 7, position

    def _varint(self, message: Message, position: int, end: int) -> tuple[int, int]:
        data = self._data
        value = shift = 0
        while position < end:
            byte = data[position]
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if value >= 2**64:
                    break
                return value, position
            shift += 7
            if shift > 63:
                break
        raise RejectedError("malformed", message.place, "a number is cut off or too long")

    def _span(self, message: Message, wire: int, position: int, end: int) -> tuple[int, int]:
        if wire != _BYTES:
            raise RejectedError("malformed", message.place, "a field with another wire type")
        length, start = self._varint(message, position, end)
        if length > end - start:
            raise RejectedError("malformed", message.place, "a field is longer than its message")
        return start, start + length

    def _skip(self, message: Message, wire: int, position: int, end: int) -> int:
        start = position
        if wire == _VARINT:
            _, position = self._varint(message, position, end)
        elif wire == _BYTES:
            _, position = self._span(message, wire, position, end)
        elif wire in _WIDTHS and position + _WIDTHS[wire] <= end:
            position += _WIDTHS[wire]
        else:
            raise RejectedError("malformed", message.place, "a group, or an unknown wire type")
        self._unknown += position - start + 1
        if self._unknown > c.MAX_UNKNOWN_BYTES:
            raise RejectedError(
                "unknown", message.place, "too many bytes in fields that ONNX lacks"
            )
        return position

    def _child(self, parent: Message, field: Field) -> Message:
        self._messages += 1
        if self._messages > c.MAX_MESSAGES:
            raise RejectedError("fields", parent.place, f"at most {c.MAX_MESSAGES} messages in all")
        child = Message(field.kind, parent, field.name)
        _store(parent, field, child)
        match field.kind:
            case "Node":
                self._nodes += 1
                _at_most(self._nodes, c.MAX_NODES, "nodes", parent, "nodes in all")
            case "Tensor":
                self.tensors.append(child)
                self._initializers += field.name == "initializer"
                _at_most(
                    self._initializers, c.MAX_INITIALIZERS, "initializers", parent, "initializers"
                )
            case "Sparse":
                self.sparse.append(child)
        return child

    def _value(self, message: Message, field: Field, wire: int, position: int, end: int) -> int:
        if field.kind == "int":
            return self._integer(message, field, wire, position, end)
        if field.kind == "scalars":
            return self._scalars(message, field, wire, position, end)
        start, stop = self._span(message, wire, position, end)
        if field.kind == "raw":
            _store(message, field, stop - start)
            return stop
        limit = c.MAX_NAME_BYTES if field.kind == "name" else c.MAX_STRING_BYTES
        _at_most(stop - start, limit, "text", message, f"bytes in {field.name}")
        self._strings += 1
        _at_most(self._strings, c.MAX_STRINGS, "text", message, "strings in all")
        if field.kind == "blob":
            _store(message, field, stop - start)
            return stop
        try:
            _store(message, field, self._data[start:stop].decode("utf-8"))
        except UnicodeDecodeError:
            raise RejectedError("malformed", message.place, f"{field.name} is not UTF-8") from None
        if message.kind == "Node" and field.repeated:
            count = len(message.list(field.name))
            _at_most(count, c.MAX_NODE_ARITY, "arity", message, f"{field.name}s of a node")
        return stop

    def _integer(self, message: Message, field: Field, wire: int, position: int, end: int) -> int:
        packed = field.repeated and wire == _BYTES
        if not packed and wire != _VARINT:
            raise RejectedError("malformed", message.place, f"{field.name} has another wire type")
        stop = end
        if packed:
            position, stop = self._span(message, wire, position, end)
        while True:
            if packed and position == stop:
                return stop
            value, position = self._varint(message, position, stop)
            _store(message, field, value - 2**64 if value >= 2**63 else value)
            if field.repeated:
                count = len(message.list(field.name))
                _at_most(count, c.MAX_RANK, "rank", message, "dimensions")
            if not packed:
                return position

    def _scalars(self, message: Message, field: Field, wire: int, position: int, end: int) -> int:
        count = message.number(field.name)
        if count and not field.repeated:
            raise RejectedError("malformed", message.place, f"{field.name} stands twice")
        if wire == _BYTES and field.repeated:
            start, stop = self._span(message, wire, position, end)
            more = self._packed(message, field, start, stop)
        elif field.width == 0 and wire == _VARINT:
            more = 1
            _, stop = self._varint(message, position, end)
        elif _WIDTHS.get(wire) == field.width and position + field.width <= end:
            more, stop = 1, position + field.width
        else:
            raise RejectedError("malformed", message.place, f"{field.name} has another wire type")
        message.fields[field.name] = count + more
        return stop

    def _packed(self, message: Message, field: Field, start: int, stop: int) -> int:
        """Return how many scalars are packed into the span, without a step for each."""
        if field.width:
            count, rest = divmod(stop - start, field.width)
            if rest:
                raise RejectedError("malformed", message.place, f"{field.name} is cut off")
            return count
        if stop > start and self._data[stop - 1] >= 0x80:
            raise RejectedError("malformed", message.place, f"{field.name} is cut off")
        if _TOO_LONG.search(self._data, start, stop):
            raise RejectedError("malformed", message.place, f"a number in {field.name} is too long")
        return sum(
            len(self._data[at : min(at + _CHUNK, stop)].translate(None, _HIGH))
            for at in range(start, stop, _CHUNK)
        )


def _store(message: Message, field: Field, value: object) -> None:
    fields = message.fields
    if field.repeated:
        fields.setdefault(field.name, []).append(value)
        return
    if field.name in fields:
        raise RejectedError("malformed", message.place, f"{field.name} stands twice")
    if field.choice:
        if field.choice in fields:
            raise RejectedError("malformed", message.place, "two members of one choice")
        fields[field.choice] = field.name
    fields[field.name] = value


def _check_depth(message: Message, depth: int, graphs: int) -> None:
    if depth >= c.MAX_PROTO_DEPTH:
        raise RejectedError(
            "depth", message.role, f"messages nest at most {c.MAX_PROTO_DEPTH} deep"
        )
    if graphs > c.MAX_SUBGRAPH_DEPTH + 1:
        raise RejectedError(
            "depth", message.role, f"graphs nest at most {c.MAX_SUBGRAPH_DEPTH} deep"
        )


def _at_most(count: int, limit: int, code: str, message: Message, what: str) -> None:
    if count > limit:
        raise RejectedError(code, message.place, f"at most {limit} {what}")
