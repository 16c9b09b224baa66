"""The body of an infer request: lengths, codings, JSON and the binary tail."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
import zlib
from typing import Any

import pytest
from django.conf import settings

from inference.errors import (
    BadRequestError,
    BadTensorError,
    BodyTooLargeError,
    InferenceError,
    UnsupportedEncodingError,
)
from inference.oip.body import Body, inflate, split
from inference.oip.parse import Call, parse_call, parse_json
from inference.services.request import Declared

X = Declared(name="x", datatype="FP32", shape=(-1,))
PLAIN = {"name": "x", "datatype": "FP32", "shape": [1]}


def call(inputs: Any, tail: bytes = b"", **fields: Any) -> Call:
    data = json.dumps({"inputs": inputs, **fields}).encode()
    return parse_call(Body(json=data, tail=tail), [X])


def binary(size: Any, **fields: Any) -> dict[str, Any]:
    return {**PLAIN, "parameters": {"binary_data_size": size}, **fields}


def make_bomb(size: int) -> bytes:
    """A zlib stream of `size` zeros: one block again and again, without the check at the end."""
    stream = zlib.compressobj(9, wbits=-15)
    block = stream.compress(bytes(2**24)) + stream.flush(zlib.Z_FULL_FLUSH)
    return b"\x78\xda" + block * (size // 2**24)


# ------------------------------------------------------------------ inflating


def test_both_codings_are_inflated() -> None:
    assert inflate(gzip.compress(b"abc", mtime=0), "gzip") == b"abc"
    assert inflate(zlib.compress(b"abc"), "Deflate ") == b"abc"
    assert inflate(b"abc", "identity") == inflate(b"abc", "") == b"abc"


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, deflate", "x-gzip"])
def test_other_codings_are_refused(coding: str) -> None:
    with pytest.raises(UnsupportedEncodingError):
        inflate(b"", coding)


def test_a_bomb_stops_at_the_limit(settings: Any) -> None:
    settings.INFER_MAX_BYTES = 2**20
    assert len(inflate(gzip.compress(bytes(2**20)), "gzip")) == 2**20
    with pytest.raises(BodyTooLargeError):
        inflate(gzip.compress(bytes(2**20 + 1)), "gzip")


def test_a_gigabyte_in_a_megabyte_is_refused_without_being_made() -> None:
    assert settings.INFER_MAX_BYTES == 64 * 2**20
    bomb = make_bomb(2**30)
    assert len(bomb) < 2**21
    with pytest.raises(BodyTooLargeError):
        inflate(bomb, "deflate")


def test_a_bomb_costs_no_memory(settings: Any) -> None:
    settings.INFER_MAX_BYTES = 2**20
    bomb = make_bomb(2**30)
    tracemalloc.start()
    begun = time.process_time()
    try:
        with pytest.raises(BodyTooLargeError):
            inflate(bomb, "deflate")
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
        assert time.process_time() - begun < 1
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"not gzip at all", "not gzip"),
        (gzip.compress(b"abc", mtime=0)[:-3], "no end"),
        (gzip.compress(b"abc", mtime=0) + b"more", "4 bytes follow"),
        (gzip.compress(b"abc", mtime=0) + gzip.compress(b"abc", mtime=0), "bytes follow"),
    ],
)
def test_a_broken_stream_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        inflate(data, "gzip")


def test_raw_deflate_is_not_deflate() -> None:
    stream = zlib.compressobj(wbits=-15)
    with pytest.raises(BadRequestError):
        inflate(stream.compress(b"abc") + stream.flush(), "deflate")


# ------------------------------------------------------------------ the length header


def test_the_header_cuts_the_body() -> None:
    assert split(b"{}rest", "2") == Body(json=b"{}", tail=b"rest")
    assert split(b"{}", "2") == split(b"{}", None) == Body(json=b"{}", tail=b"")
    assert split(b"raw", "0") == Body(json=None, tail=b"raw")


@pytest.mark.parametrize("header", ["-1", "+1", "7", " 1", "1.0", "0x1", "", "٣", "1_0"])
def test_a_header_that_is_no_length_is_refused(header: str) -> None:
    with pytest.raises(BadRequestError, match="0 to 6"):
        split(b"{}rest", header)


# ------------------------------------------------------------------ JSON


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON"),
        (b"[1", "not JSON"),
        (b'{"a":1}x', "not JSON"),
        (b'"\xff"', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b'{"a":1,"a":2}', "stands twice"),
        (b"[NaN]", "binary data"),
        (b"[-Infinity]", "binary data"),
        (b"[" * 101 + b"]" * 101, "nested deeper"),
        (b"[" * 100_000, "nested deeper"),
        (b"1" * 5_000, "not JSON"),
    ],
)
def test_what_is_no_strict_json_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(BadRequestError, match=words):
        parse_json(data)


def test_a_hundred_deep_is_allowed_and_brackets_in_strings_do_not_count() -> None:
    assert parse_json(b"[" * 100 + b"]" * 100)
    assert parse_json(json.dumps(["[" * 500, '\\"[']).encode()) == ["[" * 500, '\\"[']


def test_the_request_is_an_object_with_inputs() -> None:
    for text in (b"[]", b"{}", b'{"inputs":{}}', b'{"inputs":[1]}'):
        with pytest.raises(BadRequestError):
            parse_call(Body(json=text, tail=b""), [X])


def test_unknown_keys_are_ignored() -> None:
    assert call([{**PLAIN, "data": [1.0], "extra": 1}], model_name="x").inputs[0].data == [1.0]


@pytest.mark.parametrize(("sent", "echo"), [("é" * 128, "é" * 128), ("", "")])
def test_an_id_is_kept(sent: Any, echo: str) -> None:
    assert call([{**PLAIN, "data": [1]}], id=sent).id == echo


@pytest.mark.parametrize("sent", ["é" * 129, 7, None, "\ud800"])
def test_an_id_is_a_short_text(sent: Any) -> None:
    with pytest.raises(BadRequestError, match=r"id|surrogate"):
        call([{**PLAIN, "data": [1]}], id=sent)


# ------------------------------------------------------------------ the tail


def test_the_tail_is_cut_in_the_order_of_inputs() -> None:
    found = call([binary(4), binary(0), binary(2)], b"abcdef").inputs
    assert [item.data for item in found] == [b"abcd", b"", b"ef"]


def test_the_zero_size_trap_of_the_stock_clients() -> None:
    empty = binary(0, shape=[0], data=None)
    assert call([empty]).inputs[0].data == b""


@pytest.mark.parametrize(
    ("inputs", "tail"),
    [
        ([binary(4)], b"abc"),
        ([binary(4)], b"abcde"),
        ([binary(-1)], b""),
        ([binary(True)], b"a"),
        ([binary(4.0)], b"abcd"),
        ([binary("4")], b"abcd"),
        ([binary(4, data=[1.0])], b"abcd"),
        ([PLAIN], b""),
        ([{**PLAIN, "data": None}], b""),
        ([{**PLAIN, "data": "AAAA"}], b""),
        ([{**PLAIN, "data": [1.0]}], b"abcd"),
        ([{**PLAIN, "data": [1.0], "shape": [-1]}], b""),
        ([{**PLAIN, "data": [1.0], "shape": [True]}], b""),
        ([{**PLAIN, "data": [1.0], "shape": [1.0]}], b""),
        ([{**PLAIN, "data": [1.0], "shape": "1"}], b""),
        ([{**PLAIN, "data": [1.0], "datatype": 1}], b""),
        ([{**PLAIN, "data": [1.0], "name": 1}], b""),
        ([{**PLAIN, "data": [1.0], "parameters": []}], b""),
    ],
)
def test_tails_and_headers_that_do_not_fit_are_refused(inputs: Any, tail: bytes) -> None:
    with pytest.raises(InferenceError) as caught:
        call(inputs, tail)
    assert caught.value.status == 400


# ------------------------------------------------------------------ parameters


def test_outputs_say_how_they_come() -> None:
    wanted = [{"name": "y", "parameters": {"binary_data": True}}, {"name": "z"}]
    found = call([{**PLAIN, "data": [1]}], outputs=wanted, parameters={"binary_data_output": False})
    assert (found.outputs, found.binary, found.binary_default) == (("y", "z"), {"y": True}, False)
    assert call([{**PLAIN, "data": [1]}], outputs=[]).outputs is None


def test_timeout_is_in_microseconds_and_zero_is_none() -> None:
    assert call([{**PLAIN, "data": [1]}], parameters={"timeout": 1_500}).timeout_s == 0.0015
    assert (
        call([{**PLAIN, "data": [1]}], parameters={"timeout": 0, "priority": 0}).timeout_s is None
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"timeout": -1},
        {"timeout": 1.5},
        {"timeout": True},
        {"priority": "high"},
        {"binary_data_output": 1},
        {"executor": "gpu"},
        {"executor": 1},
        {"sequence_id": 7},
        {"sequence_id": "a"},
        {"sequence_start": True},
    ],
)
def test_parameters_that_would_change_the_answer_are_refused(parameters: Any) -> None:
    with pytest.raises(BadRequestError):
        call([{**PLAIN, "data": [1]}], parameters=parameters)


def test_parameters_that_mean_nothing_here_are_ignored() -> None:
    given = {"sequence_id": 0, "sequence_start": False, "executor": "portable", "triton_x": "y"}
    assert call([{**PLAIN, "data": [1]}], parameters=given).binary_default is False


def test_the_kind_of_executor_may_be_named() -> None:
    named = call([{**PLAIN, "data": [1]}], parameters={"executor": "native"})
    assert (named.kind, call([{**PLAIN, "data": [1]}]).kind) == ("native", "portable")


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([binary(4, parameters={"shared_memory_region": "r"})], None),
        ([{**PLAIN, "data": [1]}], [{"name": "y", "parameters": {"shared_memory_region": "r"}}]),
        ([{**PLAIN, "data": [1]}], [{"name": "y", "parameters": {"classification": 3}}]),
        ([{**PLAIN, "data": [1]}], [{"name": "y", "parameters": {"binary_data": "yes"}}]),
        ([{**PLAIN, "data": [1]}], [{"name": 1}]),
        ([{**PLAIN, "data": [1]}], {"name": "y"}),
    ],
)
def test_extensions_that_are_not_here_are_refused(inputs: Any, outputs: Any) -> None:
    with pytest.raises(BadRequestError):
        call(inputs, outputs=outputs)


# ------------------------------------------------------------------ raw binary


def raw(data: bytes, *inputs: Declared) -> Call:
    return parse_call(Body(json=None, tail=data), inputs)


def test_a_raw_request_takes_its_shape_from_the_byte_count() -> None:
    image = Declared(name="x", datatype="FP32", shape=(-1, 2))
    found = raw(bytes(24), image)
    assert (found.inputs[0].shape, found.binary_default, found.id) == ((3, 2), True, "")
    fixed = Declared(name="x", datatype="INT8", shape=(4,))
    assert raw(b"abcd", fixed).inputs[0].shape == (4,)


def test_a_raw_text_is_one_element() -> None:
    words = Declared(name="x", datatype="BYTES", shape=(-1,))
    assert raw(b"hi", words).inputs[0].data == b"\x02\x00\x00\x00hi"


@pytest.mark.parametrize(
    "inputs",
    [
        (X, X),
        (),
        (Declared(name="x", datatype="FP32", shape=(-1, -1)),),
        (Declared(name="x", datatype="FP32", shape=(-1, 4)),),
        (Declared(name="x", datatype="FP32", shape=(-1, 0)),),
        (Declared(name="x", datatype="BYTES", shape=(2,)),),
    ],
)
def test_a_raw_request_that_says_too_little_is_refused(inputs: tuple[Declared, ...]) -> None:
    with pytest.raises((BadRequestError, BadTensorError)):
        raw(bytes(24), *inputs)


def test_mallory_may_not_buy_minutes_with_quotation_marks() -> None:
    """A string without an end, full of quotation marks, once cost the square of its length."""
    with pytest.raises(BadRequestError):
        parse_json(b"[" * 101 + b'"' + b'\\"' * 400_000)


@pytest.mark.parametrize("text", ['{"\\ud800":1}', '["\\uDFFF"]', '["\\ude00\\ud83d"]'])
def test_half_of_a_surrogate_pair_is_no_text(text: str) -> None:
    with pytest.raises(BadRequestError, match="surrogate"):
        parse_json(text.encode())
    assert parse_json(b'["\\ud83d\\ude00"]') == ["\U0001f600"]


def test_a_deadline_beyond_every_calendar_is_only_long() -> None:
    asked = call([{**PLAIN, "data": [1]}], parameters={"timeout": 10**4000})
    assert asked.timeout_s == 10**6
