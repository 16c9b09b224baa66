"""Forged sets of tensors: the header, every datatype, every other NaN."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from assay.canonical import canonical_json
from assay.tensors import Tensor, encode_bytes, encode_tensors
from tests.assay import claims
from tests.forgeries.forms import Listed, Obj, broken, forged
from tests.forgeries.lies import (
    MALFORMED,
    Lie,
    bound,
    integer,
    one_of,
    spelled,
    this_text_only,
)
from tests.forgeries.notes import Made
from tests.forgeries.question import Asker, Question


def _tensor(name: str, datatype: str, shape: tuple[int, ...], data: bytes) -> Tensor:
    return Tensor(name=name, datatype=datatype, shape=shape, data=data)


def _set(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else canonical_json(header)
    return b"assay-tensors-v1\n" + text + b"\n" + data


def _one(datatype: Any, shape: Any, data: bytes, name: Any = "x") -> bytes:
    return _set({"tensors": [{"datatype": datatype, "name": name, "shape": shape}]}, data)


def questions() -> Iterator[Question]:
    asker = Asker(artefact="tensors", kind="tensors")
    yield asker.honest(claims.INPUT)
    yield from _true_tensors(asker)
    header = {"tensors": [item.header() for item in _honest_tensors()]}
    data = b"".join(item.data for item in _honest_tensors())
    item = Obj(
        datatype=bound(one_of("INT64", "BOOL", "FP64", "BYTES"), MALFORMED),
        name=_tensor_name,
        shape=Listed(bound(integer(0, 2**40), MALFORMED), short=MALFORMED, long=MALFORMED),
    )
    form = Obj(tensors=Listed(item, short=MALFORMED, long=MALFORMED))
    for name, made, family in forged(form, header, None):
        yield asker.ask(f"header {name}", _set(made, data), family)
    for name, made, family in broken(canonical_json(header)):
        yield asker.ask(f"header {name}", _set(made, data), family)
    yield from asker.about(_tensor_lies(_set(header, data)))


def _honest_tensors() -> list[Tensor]:
    return [claims.floats("x", 1, 2, 3), claims.floats("y", 4)]


def _tensor_name(value: str) -> Iterator[Lie]:
    yield from this_text_only(value)
    yield Lie("is empty", '""')
    yield Lie("is too long", spelled("x" * 4097))
    yield Lie("is too long in UTF-8", spelled("\u00e9" * 2049))
    yield Lie("goes after the next", '"z"')
    yield Lie("is the next one's", '"y"')


def _true_tensors(asker: Asker) -> Iterator[Question]:
    several = [
        _tensor("\U0001f600", "INT64", (), struct.pack("<q", -1)),
        _tensor("\uff5e", "BOOL", (3,), b"\x01\x00\x01"),
        _tensor("a", "UINT8", (0, 4), b""),
        _tensor("b", "BYTES", (2,), encode_bytes(["\u00e9".encode(), b""])),
        _tensor("c", "BF16", (1,), b"\xc0\x7f"),
    ]
    yield asker.honest(encode_tensors(several), "of many kinds, sorted by code point")
    yield asker.honest(encode_tensors([]), "of none")
    yield asker.honest(_one("FP32", [1], bytes.fromhex("0000c07f")), "with a quiet NaN")
    yield asker.honest(_one("FP32", [2], bytes.fromhex("0000807f00000080")), "with infinity and -0")
    yield asker.honest(_one("FP16", [1], b"\x00\x7e"), "with a quiet half NaN")
    yield asker.honest(_one("INT8", [1] * 16, b"\x01"), "of as many dimensions as there may be")
    yield asker.honest(_one("INT8", [0, 2**40], b""), "of nothing, and large in one dimension")
    yield asker.honest(_one("INT8", [1], b"\x01", "x" * 4096), "with the longest name")


def _tensor_lies(honest_set: bytes) -> Made:
    for name, made in {
        "whole is empty": b"",
        "whole has another magic": honest_set.replace(b"-v1", b"-v2"),
        "whole has no magic": honest_set.partition(b"\n")[2],
        "whole has no header": b"assay-tensors-v1\n",
        "whole has a header without an end": b'assay-tensors-v1\n{"tensors":[]}',
        "whole is a byte short": honest_set[:-1],
        "whole has a byte after it": honest_set + b"\0",
        "header has a space": honest_set.replace(b":", b": ", 1),
        "header has lines for another system": honest_set.replace(b"}\n", b"}\r\n"),
        "header has an escape": honest_set.replace(b'"x"', b'"\\u0078"'),
        "header has a number with a fraction": honest_set.replace(b"[1,3]", b"[1.0,3]"),
        "names are sorted by UTF-16": _set(
            {"tensors": [{"datatype": "INT8", "name": n, "shape": [0]} for n in "\U0001f600\uff5e"]}
        ),
        "there are too many": _set(
            {"tensors": [{"datatype": "INT8", "name": f"{n:03}", "shape": [0]} for n in range(257)]}
        ),
        "BOOL is 2": _one("BOOL", [1], b"\x02"),
        "BOOL is 255": _one("BOOL", [3], b"\x00\xff\x01"),
        "datatype is FP8": _one("FP8", [1], b"\0"),
        "datatype is inherited": _one("constructor", [1], b"\0"),
        "datatype is __proto__": _one("__proto__", [1], b"\0"),
        "shape is endless": _one("INT8", [2**40, 2**40], b""),
        "shape is more than there may be": _one("FP64", [2**30], b""),
        "shape has too many dimensions": _one("INT8", [1] * 17, b"\0"),
        "shape is negative twice": _one("INT8", [-1, -1], b"\0"),
        "shape of BYTES is endless": _one("BYTES", [1_000_001], b""),
        "BYTES ends in a length": _one("BYTES", [1], b"\x01\0\0"),
        "BYTES ends in an element": _one("BYTES", [1], b"\x02\0\0\0a"),
        "BYTES has an element more": _one("BYTES", [1], b"\x01\0\0\0a\0\0\0\0"),
        "BYTES is not UTF-8": _one("BYTES", [1], b"\x01\0\0\0\xff"),
        "BYTES is a surrogate": _one("BYTES", [1], b"\x03\0\0\0\xed\xa0\x80"),
        "BYTES is an overlong letter": _one("BYTES", [1], b"\x02\0\0\0\xc1\xa1"),
        "BYTES is beyond Unicode": _one("BYTES", [1], b"\x04\0\0\0\xf4\x90\x80\x80"),
        "BYTES has a NUL": _one("BYTES", [1], b"\x01\0\0\0\0"),
        "BYTES has an absurd length": _one("BYTES", [1], b"\xff\xff\xff\xffa"),
        "BYTES is too long": _one("BYTES", [1], struct.pack("<I", 2**20 + 1) + bytes(2**20 + 1)),
    }.items():
        yield name, made, MALFORMED
    for datatype, texts in {
        "FP16": ("017c", "00fe", "ff7f", "01fc"),
        "BF16": ("817f", "c0ff", "ff7f", "81ff"),
        "FP32": ("0100807f", "0000c0ff", "0100c07f", "ffffffff", "0000a07f"),
        "FP64": ("010000000000f07f", "000000000000f8ff", "010000000000f87f", "ff" * 8),
    }.items():
        for text in texts:
            data = bytes.fromhex(text)
            yield f"{datatype} is the NaN {text}", _one(datatype, [1], data), MALFORMED
