"""JSON artefacts as forms: which fields they have, and so every lie about one field of one.

form = Obj(name=text, files=Listed(Obj(sha256=digest)))
for place, lie in form.lies(honest): printed(honest, place, lie.text)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.forgeries.lies import ANOTHER, MALFORMED, Leaf, Lie, spelled, wrong_types

Place = tuple[str | int, ...]
# Not only a strange name: these are there already in a JavaScript object that is not careful.
UNKNOWN = ("note", "__proto__", "constructor")


@dataclass(frozen=True, slots=True)
class Maybe:
    """A field that may be absent; `absent` says what becomes of an artefact without it."""

    form: Form
    absent: str = ANOTHER


class Obj:
    """An object with these fields and no other."""

    def __init__(self, **fields: Form | Maybe) -> None:
        self.fields = fields

    def lies(self, value: dict[str, Any]) -> Iterator[tuple[Place, Lie]]:
        """The lies about the object, then those about each field that the honest one has."""
        for lie in (*wrong_types("object"), *self._about(value)):
            yield (), lie
        for name, field in self.fields.items():
            if name not in value:
                continue
            maybe = field if isinstance(field, Maybe) else Maybe(field, MALFORMED)
            yield (name,), Lie("is missing", None, maybe.absent)
            for place, lie in lies_of(maybe.form, value[name]):
                yield (name, *place), lie

    def _about(self, value: dict[str, Any]) -> Iterator[Lie]:
        whole = spelled(value)
        comma = "," if value else ""
        for name in UNKNOWN:
            yield Lie(f"has a field {name}", f'{whole[:-1]}{comma}"{name}":{{}}}}')
        for name in self.fields:
            if name in value:
                again = f"{spelled(name)}:{spelled(value[name])}"
                yield Lie(f"has {name} twice", f"{whole[:-1]},{again}}}")


class Listed:
    """A list; `short` and `long` say what becomes of it with an item less or its last one twice."""

    def __init__(self, form: Form, *, short: str = ANOTHER, long: str = ANOTHER) -> None:
        self.form, self.short, self.long = form, short, long

    def lies(self, value: list[Any]) -> Iterator[tuple[Place, Lie]]:
        """The lies about the list, and those about its first item."""
        for lie in wrong_types("list"):
            yield (), lie
        yield (), Lie("is an item short", spelled(value[:-1]), self.short)
        yield (), Lie("is an item long", spelled([*value, value[-1]]), self.long)
        for place, lie in lies_of(self.form, value[0]):
            yield (0, *place), lie


class Nullable:
    """Null, or what `form` reads."""

    def __init__(self, form: Obj) -> None:
        self.form = form

    def lies(self, value: Any) -> Iterator[tuple[Place, Lie]]:
        """The lies of the form; to be null is none."""
        for place, lie in self.form.lies(value):
            family = ANOTHER if not place and lie.text == "null" else lie.family
            yield place, Lie(lie.name, lie.text, family)


Form = Obj | Listed | Nullable | Leaf


def lies_of(form: Form, value: Any) -> Iterator[tuple[Place, Lie]]:
    """Every lie about `value`, with the place of the field that it is about."""
    if isinstance(form, Obj | Listed | Nullable):
        yield from form.lies(value)
    else:
        for lie in form(value):
            yield (), lie


def printed(value: Any, place: Place, text: str | None) -> str:
    """Return `value` as JSON with `text` in that place; None leaves the field out."""
    if not place:
        assert text is not None
        return text
    here, *rest = place
    if isinstance(value, list):
        items = [
            printed(item, tuple(rest), text) if number == here else spelled(item)
            for number, item in enumerate(value)
        ]
        return f"[{','.join(items)}]"
    members = []
    for name, item in sorted(value.items()):
        if name != here:
            members.append(f"{spelled(name)}:{spelled(item)}")
        elif rest or text is not None:
            members.append(f"{spelled(name)}:{printed(item, tuple(rest), text)}")
    return f"{{{','.join(members)}}}"


def named(place: Place) -> str:
    """Return a place in the words of an error: `tlogEntries[0].logIndex`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in place]
    return "".join(parts).lstrip(".") or "whole"


def forged(form: Form, value: Any, another: str | None) -> Iterator[tuple[str, bytes, str]]:
    """Yield (name, bytes, family) of every lie about `value`.

    `another` is what becomes of a well-formed other value; None leaves those lies out, where
    nothing in the artefact itself tells.
    """
    for place, lie in lies_of(form, value):
        family = another if lie.family == ANOTHER else lie.family
        if family is not None:
            text = printed(value, place, lie.text)
            yield f"{named(place)} {lie.name}", text.encode("utf-8", "surrogatepass"), family


Break = Callable[[bytes], bytes]
# What no JSON text may look like, whatever it says.
BROKEN: dict[str, Break] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[:-1],
    "with a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "in UTF-16": lambda data: data.decode().encode("utf-16"),
    "with a byte that is not UTF-8": lambda data: data.replace(b'"', b'"\xff', 1),
    "with an overlong byte": lambda data: data.replace(b'"', b'"\xc0\x80', 1),
    "with a surrogate in UTF-8": lambda data: data.replace(b'"', b'"\xed\xa0\x80', 1),
    "with a NUL after it": lambda data: data + b"\0",
    "with a second value after it": lambda data: data + data,
    "with a comment": lambda data: data + b"// x",
    "with a form feed": lambda data: b"\x0c" + data,
    "with a no-break space": lambda data: b"\xc2\xa0" + data,
    "in single quotes": lambda data: data.replace(b'"', b"'"),
    "nested too deep": lambda data: b"[" * 65 + data + b"]" * 65,
    "nested far too deep": lambda data: b"[" * 100_000,
    "of another kind": lambda data: b"[]" if data.startswith(b"{") else b"{}",
}


def broken(data: bytes) -> Iterator[tuple[str, bytes, str]]:
    """Yield the lies about a JSON text as a text: every one is malformed."""
    for name, change in BROKEN.items():
        yield f"whole is {name}", change(data), MALFORMED
