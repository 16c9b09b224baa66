"""RFC 8785 out, strict JSON in, and the one spelling of base64 and decimals.

`canonical_json` is the only producer of bytes that get hashed or signed. `parse_json` refuses
whatever two parsers could read differently: duplicate keys, a byte order mark, NaN, integers that a
double cannot hold, lone surrogates, deep nesting.
"""

from __future__ import annotations

import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Collection
from typing import Any

import rfc8785

from assay.errors import FormatError
from assay.limits import LIMITS

MAX_SAFE_INTEGER = 2**53 - 1
_EXPONENT_FROM = 1e21  # ECMAScript, and so RFC 8785, writes larger numbers with an exponent
# Four times as fast as `rfc8785`, and the same bytes, for what `_is_plain` lets through.
_PLAIN = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, check_circular=False
)
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
# A string without an end takes all that is left: looking for its end again from each quotation mark
# inside it would cost the square of its length.
_STRUCTURE = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def canonical_json(value: Any) -> bytes:
    """Return `value` in the JSON Canonicalization Scheme (RFC 8785), UTF-8.

    Raises:
        FormatError: a value that JSON cannot carry (NaN, an integer beyond 2^53, a float that would
            be written as such an integer, a lone surrogate).
    """
    try:
        if _is_plain(value):
            return _PLAIN.encode(value).encode("utf-8")
        _check_floats(value)
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise FormatError(f"no canonical JSON form: {error}") from error


def _check_floats(value: Any) -> None:
    """Refuse a float that RFC 8785 writes in digits which `parse_json` takes for an integer."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, dict):
            left += item.values()
        elif isinstance(item, list | tuple):
            left += item
        elif (
            isinstance(item, float)
            and item.is_integer()
            and MAX_SAFE_INTEGER < abs(item) < _EXPONENT_FROM
        ):
            raise FormatError(f"no canonical JSON form: the number {item} is beyond 2^53")


def _plain_keys(item: dict[Any, Any]) -> bool:
    try:
        return "".join(item).isascii()
    except TypeError:  # a key that is no string
        return False


def _is_plain(value: Any) -> bool:
    """Tell whether the two encoders agree on `value`: no float, and keys that sort alike.

    RFC 8785 sorts by UTF-16, Python by code point; in ASCII that is one order.
    """
    left = [value]
    while left:
        item = left.pop()
        kind = type(item)
        if kind is str or kind is bool or item is None:
            continue
        if kind is dict:
            if not _plain_keys(item):
                return False
            left += item.values()
        elif kind is list or kind is tuple:
            left += item
        elif kind is not int or abs(item) > MAX_SAFE_INTEGER:
            return False
    return True


def parse_json(data: bytes, *, max_bytes: int = LIMITS.bundle, path: str = "") -> Any:
    """Parse one JSON text, strictly.

    Raises:
        FormatError: too long, too deep, not UTF-8, a byte order mark, a duplicate key, a number
            outside what a double holds exactly, a lone surrogate, or anything after the value.
    """
    if len(data) > max_bytes:
        raise FormatError(f"longer than {max_bytes} bytes", path)
    if data.startswith(b"\xef\xbb\xbf"):
        raise FormatError("starts with a byte order mark", path)
    _check_depth(data, path)
    try:
        text = data.decode("utf-8")
        value = _STRICT.decode(text)
        # A "\ud800" escape decodes to a lone surrogate, which no UTF-8 text can carry.
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # noqa: TID251 (only a check)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"not strict JSON: {error}", path) from error
    return value


def _check_depth(data: bytes, path: str) -> None:
    """Bound nesting before the recursive parser sees it."""
    if data.count(b"[") + data.count(b"{") <= LIMITS.json_depth:
        return  # most texts: they do not open so much as could be too deep
    depth = 0
    for match in _STRUCTURE.finditer(data):
        token = match.group()
        if token in (b"[", b"{"):
            depth += 1
        elif token in (b"]", b"}"):
            depth -= 1
        if depth > LIMITS.json_depth:
            raise FormatError(f"nested deeper than {LIMITS.json_depth}", path)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {twice[:64]!r} stands twice")
    return result


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON number")


def _integer(text: str) -> int:
    value = int(text)
    if abs(value) > MAX_SAFE_INTEGER:
        raise ValueError(f"the integer {text[:24]} is beyond 2^53")
    return value


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:24]} is beyond what a double holds")
    return value


_STRICT = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_no_constant,
    parse_int=_integer,
    parse_float=_float,
)


def encode_base64(data: bytes) -> str:
    """Return standard base64 with padding (RFC 4648, section 4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def decode_base64(text: object, path: str = "") -> bytes:
    """Return the bytes that `text` spells in canonical standard base64.

    Raises:
        FormatError: not a string, another alphabet, white space, missing padding, stray low bits.
    """
    if not isinstance(text, str):
        raise FormatError("base64 text is a string", path)
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError(f"not base64: {error}", path) from error
    if binascii.b2a_base64(data, newline=False) != text.encode("ascii"):
        raise FormatError("not the canonical base64 spelling", path)
    return data


def parse_decimal(text: object, path: str = "") -> int:
    """Return the non-negative integer that `text` spells: ASCII digits, no leading zero, < 2^63.

    Raises:
        FormatError: any other spelling. (`int()` also takes signs, spaces, underscores and other
            scripts' digits.)
    """
    if not isinstance(text, str) or _DECIMAL.fullmatch(text) is None:
        raise FormatError("a decimal is digits without a leading zero", path)
    value = int(text)
    if value >= 2**63:
        raise FormatError("a decimal is below 2^63", path)
    return value


def as_object(
    value: object, path: str, *, required: Collection[str], optional: Collection[str] = ()
) -> dict[str, Any]:
    """Return `value`, a JSON object that has all `required` fields and none that is not named.

    Raises:
        FormatError: not an object, a field missing, or a field that the format does not have.
    """
    if not isinstance(value, dict):
        raise FormatError("is not an object", path)
    for name in required:
        if name not in value:
            raise FormatError(f"the field {name!r} is missing", path)
    if len(value) == len(required):
        return value  # all of them and no other, as most objects are
    for name in value:
        if name not in required and name not in optional:
            raise FormatError(f"the field {name!r} is unknown", path)
    return value


def as_list(value: object, path: str) -> list[Any]:
    """Return `value`, a JSON array; FormatError otherwise."""
    if not isinstance(value, list):
        raise FormatError("is not an array", path)
    return value


def as_text(value: object, path: str) -> str:
    """Return `value`, a JSON string; FormatError otherwise."""
    if not isinstance(value, str):
        raise FormatError("is not a string", path)
    return value
