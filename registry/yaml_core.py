"""The YAML that a model card may have: version 1.2's core schema, text keys, nothing clever.

The rules:

1. No anchor, alias, tag, directive, merge key or second document: what is written is what is meant.
2. Keys are text, each once in its mapping.
3. No NaN, no infinity, no number beyond 2^53: the result has one RFC 8785 form.
4. At most 64 KiB and 16 levels.

PyYAML delivers the events and nothing else; plain scalars are resolved here. It reads YAML 1.1 by
itself, as the stock Hub client does: where the two differ (`no`, `012`, `2025-01-01`, `12:30:00`),
the reader says so in a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from assay.canonical import MAX_SAFE_INTEGER

MAX_BYTES = 64 * 1024
MAX_DEPTH = 16
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


class YamlRefusedError(Exception):
    """The text is not the YAML that is taken here; `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(f"line {line}: {message}")
        self.message = message
        self.line = line


def load(text: str) -> tuple[Any, list[str]]:
    """Return the value of `text` and the warnings about values that YAML 1.1 reads differently.

    Raises:
        YamlRefusedError: a rule above is broken, or it is no YAML.
    """
    if len(text.encode("utf-8")) > MAX_BYTES:
        raise YamlRefusedError(f"longer than {MAX_BYTES} bytes", 1)
    reader = _Reader(text)
    try:
        return reader.document(), reader.warnings
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise YamlRefusedError(error.problem or error.context or "not YAML", line) from error
    except yaml.YAMLError as error:
        raise YamlRefusedError("holds a character that YAML does not allow", 1) from error


class _Reader:
    """A recursive descent over the events, at most `MAX_DEPTH` deep."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.SafeLoader)
        self.warnings: list[str] = []

    def document(self) -> Any:
        next(self._events)  # the start of the stream
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            return None
        if isinstance(event, yaml.DocumentStartEvent) and (event.version or event.tags):
            raise self._refused(event, "a directive")
        value = self._value(next(self._events), 1)
        next(self._events)  # the end of the document
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise self._refused(after, "a second document")
        return value

    def _refused(self, event: yaml.Event, message: str) -> YamlRefusedError:
        return YamlRefusedError(f"{message} is not taken here", _line(event))

    def _value(self, event: yaml.Event, depth: int) -> Any:
        if isinstance(event, yaml.AliasEvent):
            raise self._refused(event, "an alias (*name)")
        if getattr(event, "anchor", None) is not None:
            raise self._refused(event, "an anchor (&name)")
        if getattr(event, "tag", None) is not None:
            raise self._refused(event, "a tag (!name)")
        if depth > MAX_DEPTH:
            raise self._refused(event, f"nesting deeper than {MAX_DEPTH}")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(depth)
        return self._mapping(depth)

    def _sequence(self, depth: int) -> list[Any]:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._value(event, depth + 1))
        return items

    def _mapping(self, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._value(event, depth + 1)
            if not isinstance(key, str):
                raise self._refused(event, "a key that is not text (quote it)")
            if key == "<<" and not _quoted(event):
                raise self._refused(event, "a merge key (<<)")
            if key in result:
                raise self._refused(event, f"the key '{key}' a second time")
            result[key] = self._value(next(self._events), depth + 1)
        return result

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        if _quoted(event):
            return self._text(event)
        if _ENDLESS.fullmatch(event.value):
            raise self._refused(event, f"'{event.value}'")
        value = resolve(event.value)
        if isinstance(value, int | float) and abs(value) > MAX_SAFE_INTEGER:
            raise self._refused(event, "a number beyond 2^53 (quote it)")
        if event.value != "<<" and not _reads_alike(event.value, value):
            self.warnings.append(f"line {_line(event)}: quote this value, '{event.value}'")
        return value

    def _text(self, event: yaml.ScalarEvent) -> str:
        # Only an escape ("\0", "\ud800") brings what neither JSON nor the database can keep.
        if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in event.value):
            raise self._refused(event, "a NUL or half a surrogate pair")
        return event.value


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


def _quoted(event: yaml.Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and not event.implicit[0]


def resolve(text: str) -> str | int | float | bool | None:
    """Return what the plain scalar `text` means in YAML 1.2's core schema (section 10.3.2)."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    if _INTEGER.fullmatch(text):
        digits = text.lstrip("+-")
        base = {"0o": 8, "0x": 16}.get(digits[:2], 10)
        # int() of a very long decimal is slow, and refused by the caller anyway.
        return int(text, base) if len(text) <= 64 else 2 * MAX_SAFE_INTEGER
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def reads_as_text(text: str) -> bool:
    """Tell whether `text` without quotes is this very text, in YAML 1.1 as in 1.2."""
    return resolve(text) == text and _reads_alike(text, text)


def _reads_alike(text: str, value: Any) -> bool:
    """Tell whether YAML 1.1 gives the same value; a date or a clock time never is."""
    loader = yaml.SafeLoader("")
    try:
        tag = loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]  # types-PyYAML leaves it out
        older = loader.construct_object(yaml.ScalarNode(tag, text))
    except (ValueError, yaml.YAMLError):
        return False
    finally:
        loader.dispose()
    return type(older) is type(value) and older == value
