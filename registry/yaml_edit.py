r"""Changing single top-level keys of a card's YAML, and not one other byte.

The card is its publisher's file: comments, order, quoting and unknown keys are theirs. So a change
replaces the characters of one value, removes the lines of one key, or adds lines at the end. What
results is read again by `registry.yaml_core`; unless it differs from the old in the wanted keys
and in nothing else, the edit is refused and nothing is changed.

    >>> edit("license: mit # ours\ntags: [a]\n", {"license": "apache-2.0", "tags": ["a", "b"]})
    'license: apache-2.0 # ours\ntags: [a, b]\n'
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from assay.canonical import canonical_json
from registry import yaml_core

Value = str | list[str]
_PLAIN = re.compile(r"[A-Za-z0-9/][A-Za-z0-9_./+@-]*(?: [A-Za-z0-9_./+@-]+)*")
_SINGLE = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]*")


class CannotEditError(Exception):
    """The YAML is written in a way that is not edited key by key; `str()` says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """Where a top-level key stands: offsets of its key, of its colon's end, and of its value."""

    start: int
    colon: int
    value: int
    end: int
    block_list: bool


def edit(block: str, changes: Mapping[str, Value | None]) -> str:
    """Return `block` with the keys of `changes` set, or (None) removed.

    Raises:
        CannotEditError: a top level in flow style (`{…}`) or with `? key`; edit it as text.
        YamlRefusedError: `block` is not the YAML that is taken here.
    """
    before, _ = yaml_core.load(block)
    if before is None:
        before = {}
    if not isinstance(before, dict):
        raise CannotEditError("The metadata is not a mapping of keys to values.")
    wanted = {key: value for key, value in changes.items() if before.get(key) != value}
    if not wanted:
        return block
    pairs = _pairs(block) if before else {}
    newline = "\r\n" if "\r\n" in block else "\n"
    result = block
    for key in sorted(wanted.keys() & pairs, key=lambda key: -pairs[key].start):
        result = _change(result, pairs[key], wanted[key], newline)
    indent = _indent(block, pairs)
    for key, value in wanted.items():
        if key not in pairs and value is not None:
            if result and not result.endswith("\n"):
                result += newline
            result += f"{indent}{_scalar(key)}: {_inline(value)}{newline}"
    _check(before, wanted, result)
    return result


def _check(before: dict[str, object], wanted: Mapping[str, Value | None], result: str) -> None:
    after = {**before, **wanted}
    expected = {
        key: value for key, value in after.items() if key not in wanted or value is not None
    }
    try:
        found, _ = yaml_core.load(result)
    except yaml_core.YamlRefusedError as error:
        raise CannotEditError(f"The metadata would not be readable: {error.message}.") from error
    if (found or {}) != expected:
        raise CannotEditError("The metadata is written in a way that cannot be edited by fields.")


# ------------------------------------------------------------------ where things stand


def _pairs(block: str) -> dict[str, _Pair]:
    """Return the top-level pairs; `yaml_core` has read the same text before."""
    events = list(yaml.parse(block, Loader=yaml.SafeLoader))
    top = events[2]
    if not isinstance(top, yaml.MappingStartEvent) or top.flow_style:
        raise CannotEditError("The metadata stands in braces: edit it as text.")
    found, at = {}, 3
    while isinstance(key := events[at], yaml.ScalarEvent):  # until the mapping ends
        first = at + 1
        at = _after(events, first)
        found[key.value] = _pair(block, key, events[first:at])
    return found


def _after(events: Sequence[yaml.Event], at: int) -> int:
    """Return the position behind the node that begins at `at`."""
    depth = 0
    while True:
        if isinstance(events[at], yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(events[at], yaml.CollectionEndEvent):
            depth -= 1
        at += 1
        if depth == 0:
            return at


def _pair(block: str, key: yaml.ScalarEvent, node: Sequence[yaml.Event]) -> _Pair:
    start = _start(key)
    line = block.rfind("\n", 0, start) + 1
    colon = block.find(":", _end(key)) + 1
    if block[line:start].strip() or block[_end(key) : colon - 1].strip():
        raise CannotEditError("The metadata uses '? key': edit it as text.")
    first = node[0]
    # The end of a block collection is marked where the next thing begins: its last leaf counts.
    ends = [
        _end(event)
        for event in node
        if isinstance(event, yaml.ScalarEvent)
        or (isinstance(event, yaml.CollectionEndEvent) and block[_end(event) - 1] in "]}")
    ]
    end = max([*ends, colon])
    listed = isinstance(first, yaml.SequenceStartEvent) and not first.flow_style
    value = max(_start(first), colon)
    return _Pair(start=start, colon=colon, value=value, end=max(end, colon), block_list=listed)


def _start(event: yaml.Event) -> int:
    return event.start_mark.index if event.start_mark else 0


def _end(event: yaml.Event) -> int:
    return event.end_mark.index if event.end_mark else 0


def _indent(block: str, pairs: Mapping[str, _Pair]) -> str:
    """Return the white space before the top-level keys."""
    if not pairs:
        return ""
    start = min(pair.start for pair in pairs.values())
    return block[block.rfind("\n", 0, start) + 1 : start]


# ------------------------------------------------------------------ changes


def _change(block: str, pair: _Pair, value: Value | None, newline: str) -> str:
    if value is None:
        line = block.rfind("\n", 0, pair.start) + 1
        if block[pair.end - 1 : pair.end] == "\n":
            return block[:line] + block[pair.end :]
        end = block.find("\n", pair.end) + 1
        return block[:line] + block[end or len(block) :]
    tail = block[pair.end :]
    if block[pair.colon : pair.end].endswith("\n"):  # a block scalar holds its last line's end
        tail = newline + tail
    if pair.block_list and isinstance(value, list):
        indent = block[block.rfind("\n", 0, pair.value) + 1 : pair.value]
        items = f"{newline}{indent}".join(f"- {_scalar(item)}" for item in value)
        return block[: pair.value] + items + tail
    if "\n" in block[pair.colon : pair.value] or pair.value == pair.colon:
        return f"{block[: pair.colon]} {_inline(value)}{tail}"
    return f"{block[: pair.value]}{_inline(value)}{tail}"


def _inline(value: Value) -> str:
    if isinstance(value, str):
        return _scalar(value)
    return f"[{', '.join(_scalar(item) for item in value)}]"


def _scalar(text: str) -> str:
    """Return `text` as a scalar that every version of YAML reads as this text."""
    if _PLAIN.fullmatch(text) and yaml_core.reads_as_text(text):
        return text
    if _SINGLE.fullmatch(text):
        return "'" + text.replace("'", "''") + "'"
    return canonical_json(text).decode("utf-8")  # JSON's strings are YAML's in double quotes
