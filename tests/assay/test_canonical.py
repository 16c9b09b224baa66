"""JSON that two parsers could read differently is refused, and so is a second spelling."""

from __future__ import annotations

import math
from typing import Any

import pytest
import rfc8785
from hypothesis import given, strategies as st

from assay.canonical import (
    as_list,
    as_object,
    as_text,
    canonical_json,
    decode_base64,
    parse_decimal,
    parse_json,
)
from assay.digests import parse_hex, sha256_chunks, sha256_hex
from assay.errors import FormatError


def test_rfc_8785_sorts_and_is_terse() -> None:
    assert canonical_json({"b": [1.0, True, None], "a": "é\n"}) == (
        b'{"a":"\xc3\xa9\\n","b":[1,true,null]}'
    )


PLAIN = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text()
# Whole floats from 2^53 to 10^21 are written in digits that a reader refuses.
FLOATS = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda number: not number.is_integer() or not 2**53 <= abs(number) < 1e21
)
ANY = st.recursive(
    PLAIN | FLOATS,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@pytest.mark.property
@given(ANY)
def test_the_short_way_writes_the_same_bytes(value: Any) -> None:
    try:
        wanted = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        with pytest.raises(FormatError):
            canonical_json(value)
    else:
        assert canonical_json(value) == wanted


@pytest.mark.property
@given(ANY)
def test_what_is_written_is_read_again(value: Any) -> None:
    try:
        written = canonical_json([value])
    except FormatError:
        return
    assert canonical_json(parse_json(written)) == written


@pytest.mark.parametrize("number", [2.0**53, 1e16, -1e17, 123456789012345680000.0])
def test_a_float_that_would_be_read_as_an_integer_beyond_2_53_is_not_written(number: float) -> None:
    with pytest.raises(FormatError, match="beyond 2\\^53"):
        canonical_json({"metrics": [(number,)]})
    assert canonical_json([2.0**53 - 1, 1e21, 0.5]) == b"[9007199254740991,1e+21,0.5]"


def test_keys_are_sorted_by_utf_16_not_by_code_point() -> None:
    assert canonical_json({"\uffff": 1, "\U00010000": 2}) == (
        b'{"\xf0\x90\x80\x80":2,"\xef\xbf\xbf":1}'
    )


def test_every_control_character_is_written_as_rfc_8785_has_it() -> None:
    for code in range(0x80):
        assert canonical_json([chr(code)]) == rfc8785.dumps([chr(code)])


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53, "\ud800", {"\ud800": 1}, {1: 2}])
def test_what_json_cannot_carry_is_not_written(value: object) -> None:
    with pytest.raises(FormatError):
        canonical_json(value)


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf{}",
        b'{"a":1,"a":1}',
        b"NaN",
        b"9007199254740992",
        b"1e400",
        b"-1e400",
        b'"\\ud800"',
        b'"\xff"',
        b"{} {}",
        b"",
        b"[" * 65 + b"]" * 65,
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b" " * 101,
    ],
)
def test_two_parsers_would_differ(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_json(data, max_bytes=100 if data.startswith(b" ") else 2**20)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'"' + b'\\"' * 400_000, "Unterminated string"),
        (b"{%b}" % b",".join(b'"%d":0' % (n % 99_999) for n in range(100_000)), "stands twice"),
    ],
    ids=["a string without an end", "the last key is the first"],
)
def test_mallory_may_not_buy_minutes_with_a_megabyte(data: bytes, words: str) -> None:
    """Both cost the square of their length in a naive reader: hours, not milliseconds."""
    with pytest.raises(FormatError, match=words):
        parse_json(data)


def test_brackets_inside_strings_do_not_nest() -> None:
    assert parse_json(b'["' + b"[" * 100 + b'\\"{"]') == ["[" * 100 + '"{']
    assert parse_json('"\\u00e9é"'.encode()) == "éé"


def test_depth_is_bounded_and_64_is_fine() -> None:
    assert parse_json(b"[" * 64 + b"]" * 64)


@pytest.mark.parametrize("text", [None, "AA", "AB==", "A-==", "AAAA\n", "é"])
def test_base64_has_one_spelling(text: object) -> None:
    with pytest.raises(FormatError):
        decode_base64(text, "field")


@pytest.mark.parametrize(
    "text", [1, "", "01", "-1", "+1", "1 ", "1_0", "\u0661", str(2**63), "1" * 30]
)
def test_decimals_have_one_spelling(text: object) -> None:
    with pytest.raises(FormatError):
        parse_decimal(text)


def test_the_largest_decimal_is_read() -> None:
    assert parse_decimal(str(2**63 - 1)) == 2**63 - 1
    assert parse_decimal("0") == 0


def test_a_value_is_what_the_format_says() -> None:
    assert as_object({"a": 1}, "", required=("a",), optional=("b",)) == {"a": 1}
    lies: list[object] = [[], {}, {"a": 1, "c": 2}]
    for wrong in lies:
        with pytest.raises(FormatError):
            as_object(wrong, "p", required=("a",), optional=("b",))
    with pytest.raises(FormatError, match="p: is not an array"):
        as_list({}, "p")
    with pytest.raises(FormatError, match="p: is not a string"):
        as_text(1, "p")


def test_digests_are_lower_case_hex() -> None:
    assert sha256_chunks([b"a", b"b"]) == sha256_hex(b"ab")
    assert parse_hex("0" * 64) == bytes(32)
    for text in ("0" * 63, "A" * 64, None, "0" * 64 + "\n"):
        with pytest.raises(FormatError):
            parse_hex(text)
