"""The lies that one field admits, by the kind of value that it holds.

A lie is the JSON text that takes the place of the honest value. `ANOTHER` stands for the one lie
that is well-formed; what becomes of it is for the artefact to say.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

OK, USAGE, MALFORMED, REFUSED = "ok", "usage", "malformed", "refused"
SPLIT_VIEW, COULD_NOT_CHECK = "split view", "could not check"
ANOTHER = "another"  # not a family: a well-formed value, other than the honest one

_TYPES = {
    "null": "null",
    "boolean": "true",
    "number": "1",
    "text": '"x"',
    "list": "[]",
    "object": "{}",
}
_LONGEST = 16_384


@dataclass(frozen=True, slots=True)
class Lie:
    """`text` is the JSON in the place of the value, None where the field is left out."""

    name: str
    text: str | None
    family: str = MALFORMED


Leaf = Callable[[Any], Iterator[Lie]]


def spelled(value: Any) -> str:
    """Return `value` as JSON, keys sorted, as short as it gets."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def wrong_types(*right: str) -> Iterator[Lie]:
    """Every JSON type but those named."""
    for name, text in _TYPES.items():
        if name not in right:
            yield Lie(f"is a {name}", text)


def _texts(lies: dict[str, str], family: str = MALFORMED) -> Iterator[Lie]:
    for name, value in lies.items():
        yield Lie(name, spelled(value), family)


def any_text(value: str) -> Iterator[Lie]:
    """A text, also an empty one."""
    yield from wrong_types("text")
    yield Lie("is a lone surrogate", '"\\ud800"')
    yield Lie("is another text", spelled(f"{value}x"), ANOTHER)


def text(value: str) -> Iterator[Lie]:
    """A text of 1 to 16,384 characters; a character is a code point."""
    yield from any_text(value)
    yield from _texts({"is empty": "", "is too long": "x" * (_LONGEST + 1)})
    yield Lie("is too long, in pairs of surrogates", spelled("\U0001f600" * (_LONGEST + 1)))


def constant(other: str, family: str = MALFORMED) -> Leaf:
    """A text that is always the same; `other` is what somebody else would write there."""

    def lies(value: str) -> Iterator[Lie]:
        yield from wrong_types("text")
        made = {"is another": other, "is empty": "", "has a space": f"{value} "}
        if value.upper() != value:
            made["is in capitals"] = value.upper()
        yield from _texts(made, family)

    return lies


def one_of(*choices: str) -> Leaf:
    """One of a few words."""

    def lies(value: str) -> Iterator[Lie]:
        yield from constant("something")(value)
        for choice in choices:
            if choice != value:
                yield Lie(f"is {choice}", spelled(choice), ANOTHER)

    return lies


def _hex(value: str) -> Iterator[Lie]:
    yield from wrong_types("text")
    made = {
        "is empty": "",
        "is in capitals": value.upper(),
        "is a digit short": value[:-1],
        "is a digit long": f"{value}0",
        "is prefixed": f"0x{value[2:]}",
        "has another letter": f"{value[:-1]}g",
        "has a wide digit": f"{value[:-1]}\uff11",
        "ends in a newline": f"{value}\n",
        "has a space before it": f" {value}",
    }
    yield from _texts(made)


def digest(value: str) -> Iterator[Lie]:
    """64 lower-case hex digits."""
    yield from _hex(value)
    yield Lie("is another digest", spelled("be" * 32), ANOTHER)


def revision(value: str) -> Iterator[Lie]:
    """40 lower-case hex digits."""
    yield from _hex(value)
    yield Lie("is another revision", spelled("be" * 20), ANOTHER)


def integer(low: int, high: int) -> Leaf:
    """A JSON integer from `low` to `high`, in its one spelling."""

    def lies(value: int) -> Iterator[Lie]:
        yield from wrong_types("number")
        for name, wrong in {
            "is too low": str(low - 1),
            "is too high": str(high + 1),
            "has a half": f"{value}.5",
            "has a fraction of nothing": f"{value}.0",
            "has an exponent": f"{value}e0",
            "is beyond every double": "1e999",
            "is hexadecimal": "0x1",
            "has a leading zero": f"0{value}",
            "has a plus sign": f"+{value}",
            "is not a number": "NaN",
            "is endless": "1" * 5000,
        }.items():
            yield Lie(name, wrong)
        yield Lie("is another number", str(value + 1), ANOTHER)

    return lies


def time(value: str) -> Iterator[Lie]:
    """RFC 3339 in UTC with milliseconds, a time that exists."""
    yield from wrong_types("text")
    made = {
        "is empty": "",
        "has no milliseconds": "2026-01-01T00:00:00Z",
        "has microseconds": "2026-01-01T00:00:00.000000Z",
        "has an offset": "2026-01-01T00:00:00.000+00:00",
        "has no zone": "2026-01-01T00:00:00.000",
        "is in small letters": value.lower(),
        "has a space": value.replace("T", " "),
        "is the 30th of February": "2026-02-30T00:00:00.000Z",
        "is the 29th of February of a common year": "2026-02-29T00:00:00.000Z",
        "is in a thirteenth month": "2026-13-01T00:00:00.000Z",
        "is at 24 o'clock": "2026-01-01T24:00:00.000Z",
        "is in a leap second": "2026-12-31T23:59:60.000Z",
        "is in the year 0": "0000-01-01T00:00:00.000Z",
        "has wide digits": value.replace("2", "\uff12"),
        "ends in a newline": f"{value}\n",
    }
    yield from _texts(made)
    yield Lie("is another time", spelled("2026-01-02T00:00:00.000Z"), ANOTHER)


def model(value: str) -> Iterator[Lie]:
    """`owner/name`, as the Hub spells both."""
    yield from wrong_types("text")
    made = {
        "is empty": "",
        "has no owner": "/add",
        "has no slash": "add",
        "has two slashes": "alice/add/x",
        "has a space": "alice/a dd",
        "has a letter with an accent": "alic\u00e9/add",
        "begins with a full stop": ".alice/add",
        "ends with a dash": "alice/add-",
        "has two dashes": "alice/a--dd",
        "climbs": "alice/a..dd",
        "is a repository": "alice/add.git",
        "is too long": f"alice/{'a' * 97}",
        "ends in a newline": f"{value}\n",
    }
    yield from _texts(made)
    yield Lie("is another model", spelled("bob/add"), ANOTHER)


def uuid7(value: str) -> Iterator[Lie]:
    """A UUID of version 7 in small letters."""
    yield from wrong_types("text")
    made = {
        "is empty": "",
        "is of version 4": f"{value[:14]}4{value[15:]}",
        "is of another variant": f"{value[:19]}c{value[20:]}",
        "is in capitals": value.upper(),
        "has no dashes": value.replace("-", ""),
        "is in braces": f"{{{value}}}",
        "is a URN": f"urn:uuid:{value}",
    }
    yield from _texts(made)
    yield Lie("is another id", spelled(f"{value[:-1]}0"), ANOTHER)


def path(value: str) -> Iterator[Lie]:
    """A relative path with one spelling on every system."""
    yield from wrong_types("text")
    made = {
        "is empty": "",
        "is absolute": f"/{value}",
        "climbs": f"../{value}",
        "stays": f"./{value}",
        "has an empty segment": f"a//{value}",
        "ends in a slash": f"{value}/",
        "has a backslash": f"a\\{value}",
        "has a NUL": f"{value}\x00",
        "has a newline": f"{value}\n",
        "has a control character": f"{value}\x9f",
        "has a long segment": "a" * 256,
        "has a long segment in UTF-8": "\u00e9" * 128,
        "is too deep": "/".join("a" * 33),
        "is too long": "/".join(["a" * 200] * 6),
    }
    yield from _texts(made)
    yield Lie("is a lone surrogate", '"\\udc00"')


def base64_of(length: int | None = None) -> Leaf:
    """Bytes in canonical base64; `length` where only one is right."""

    def lies(value: str) -> Iterator[Lie]:
        data = base64.b64decode(value)
        yield from wrong_types("text")
        yield from _texts(_base64_lies(value, data))
        for wrong in () if length is None else (b"", data[:-1], data + b"\0"):
            made = base64.b64encode(wrong).decode()
            yield Lie(f"is {len(wrong)} bytes", spelled(made))
        flipped = bytes([data[0], data[1] ^ 1, *data[2:]])
        yield Lie("has a bit flipped", spelled(base64.b64encode(flipped).decode()), ANOTHER)

    return lies


def _base64_lies(value: str, data: bytes) -> dict[str, str]:
    made = {
        "has a newline": f"{value[:4]}\n{value[4:]}",
        "has a space after it": f"{value} ",
        "has a letter too few": value[:-1],
        "has a foreign letter": f"{value[:4]}!{value[5:]}",
        "has surplus padding": f"{value}====",
        "is of another alphabet": base64.urlsafe_b64encode(b"\xff" * len(data)).decode(),
        "has a wide letter": f"\uff21{value[1:]}",
    }
    if value.endswith("="):
        made["has no padding"] = value.rstrip("=")
        made["has stray bits"] = _stray(value)
    return made


def _stray(value: str) -> str:
    """Return base64 of the same bytes with a low bit set that spells nothing."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = value.rstrip("=")
    last = letters[letters.index(body[-1]) + 1]
    return f"{body[:-1]}{last}{'=' * (len(value) - len(body))}"


def decimal(value: str) -> Iterator[Lie]:
    """A number in text: ASCII digits, no leading zero, below 2^63."""
    yield from wrong_types("text", "number")
    yield Lie("is a number", value)
    made = {
        "is empty": "",
        "has a leading zero": f"0{value}",
        "has a plus sign": f"+{value}",
        "is negative": f"-{value}",
        "has a space": f" {value}",
        "has an underscore": f"{value}_0",
        "ends in a newline": f"{value}\n",
        "is in other digits": "\u0663",
        "has a fraction": f"{value}.0",
        "is hexadecimal": f"0x{value}",
        "is 2^63": str(2**63),
        "is endless": "9" * 5000,
    }
    yield from _texts(made)
    yield Lie("is another number", spelled(str(int(value) + 1)), ANOTHER)


def json_object(value: Any) -> Iterator[Lie]:
    """Any JSON object."""
    yield from wrong_types("object")
    deep = "".join('{"a":' for _ in range(64)) + "1" + "}" * 64
    for name, wrong in {
        "holds a key twice": '{"a":1,"a":1}',
        "holds a key twice, once escaped": '{"a":1,"\\u0061":1}',
        "holds an integer beyond 2^53": '{"a":9007199254740993}',
        "holds a number beyond every double": '{"a":-1e400}',
        "holds Infinity": '{"a":Infinity}',
        "holds a lone surrogate": '{"a":"\\udfff"}',
        "holds a lone surrogate for a key": '{"\\ud83d":1}',
        "holds a raw newline in a text": '{"a":"\n"}',
        "holds a bad escape": '{"a":"\\x41"}',
        "ends in a comma": '{"a":1,}',
        "is too deep": deep,
    }.items():
        yield Lie(name, wrong)


def nullable(leaf: Leaf) -> Leaf:
    """Null, or what `leaf` reads."""

    def lies(value: Any) -> Iterator[Lie]:
        yield from (lie for lie in leaf(value) if lie.text != "null")
        yield Lie("is null", "null", ANOTHER)

    return lies


def bound(leaf: Leaf, family: str) -> Leaf:
    """What `leaf` reads, where something in the artefact says what it must be."""

    def lies(value: Any) -> Iterator[Lie]:
        for lie in leaf(value):
            yield replace(lie, family=family) if lie.family == ANOTHER else lie

    return lies


def this_text_only(value: str) -> Iterator[Lie]:
    """A text, of which no other one would be right."""
    yield from (lie for lie in any_text(value) if lie.family != ANOTHER)
