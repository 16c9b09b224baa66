"""Files are known by their first bytes: what is dangerous or no model is refused with a remedy."""

from __future__ import annotations

import json
import pickle
import struct

import pytest

from registry.errors import RefusedFileError
from registry.kinds import Kind, kind_of
from tests.builders import ONNX

PE = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0"
TAR = b"name" + bytes(253) + b"ustar\x0000"
NPY = b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (2,), }"
SAFETENSORS = (lambda head: struct.pack("<Q", len(head)) + head)(json.dumps({"a": {}}).encode())


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("value", [{"a": 1}, [1.5], "text", {1: [2]}, struct.Struct], ids=str)
def test_a_pickle_is_refused_under_any_name(protocol: int, value: object) -> None:
    data = pickle.dumps(value, protocol)
    with pytest.raises(RefusedFileError) as caught:
        kind_of("weights.bin", data, len(data))
    assert caught.value.detail["code"] == "kind"


@pytest.mark.parametrize("protocol", [0, 1])
@pytest.mark.parametrize("size", [10, 9000])
def test_an_old_pickle_that_runs_code_is_refused(protocol: int, size: int) -> None:
    data = pickle.dumps([struct.Struct, "x" * size], protocol)
    with pytest.raises(RefusedFileError, match="pickle"):
        kind_of("labels.txt", data[:4096], len(data))


@pytest.mark.parametrize("times", [1, 2000])
def test_a_list_of_words_is_no_pickle(times: int) -> None:
    for words in ("cat\ndog\n", "cat\ndog\nbird\n", "(cats)\n.\n", "India\nChina\nIceland\n"):
        data = words.encode() * times
        assert kind_of("labels.txt", data[:4096], len(data)) == Kind.TEXT


@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("zip", b"PK\x03\x04rest"),
        ("gzip", b"\x1f\x8b\x08rest"),
        ("bzip2", b"BZh91AY&SYrest"),
        ("xz", b"\xfd7zXZ\x00"),
        ("7z", b"7z\xbc\xaf\x27\x1c"),
        ("tar", TAR),
        ("ELF", b"\x7fELF\x02"),
        ("PE", PE),
        ("Mach-O", b"\xcf\xfa\xed\xfe"),
        ("WebAssembly", b"\0asm\x01"),
        ("HTML", b"<!DOCTYPE html><html>"),
        ("HTML", b"\xef\xbb\xbf  <!-- x --> <HTML >"),
        ("SVG", b'<?xml version="1.0"?><svg xmlns="">'),
        ("HTML", b"<script>alert(1)</script>"),
        ("Python objects", NPY),
        ("HDF5", b"\x89HDF\r\n\x1a\n"),
        ("GGUF", b"GGUF\x03\0\0\0"),
        ("PNG", b"\x89PNG\r\n\x1a\n"),
    ],
)
@pytest.mark.parametrize("path", ["model.onnx", "data.bin", "README.txt"])
def test_a_dangerous_kind_is_refused_under_any_name(what: str, data: bytes, path: str) -> None:
    with pytest.raises(RefusedFileError, match=what) as caught:
        kind_of(path, data, len(data))
    assert caught.value.detail["path"] == path
    assert caught.value.detail["remedy"]


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"{}", b"\x00\x01", b"\xff\xff\xff", b"\x0a\x08\x08", b"\x09"]
)
def test_what_is_called_onnx_begins_as_one(data: bytes) -> None:
    if data == b"\x0a\x08\x08":  # field 1 with the wrong wire type
        assert data[0] & 7 == 2
    with pytest.raises(RefusedFileError, match="not an ONNX model"):
        kind_of("a/Model.ONNX", data, len(data))


@pytest.mark.parametrize(
    ("path", "data", "kind"),
    [
        ("model.onnx", ONNX, Kind.ONNX),
        ("model.onnx", b"\xa2\x01\x02\x08\x01", Kind.ONNX),  # training_info, field 20
        ("README.md", "# Modèle\n".encode(), Kind.TEXT),
        ("README.md", b'<div align="center">logo</div>', Kind.TEXT),
        ("README.md", b"MZ is how a program begins", Kind.TEXT),
        ("README.md", b"GGUF files are not taken here", Kind.TEXT),
        ("empty.txt", b"", Kind.TEXT),
        ("w.safetensors", SAFETENSORS, Kind.SAFETENSORS),
        ("w.bin", bytes(range(256)), Kind.DATA),
        ("w.bin", b"\x80\x02\x11\x3f" * 8, Kind.DATA),  # floats that look a little like a pickle
        ("w.npy", NPY.replace(b"|O", b"<f4"), Kind.DATA),
    ],
)
def test_what_a_model_is_made_of_passes(path: str, data: bytes, kind: Kind) -> None:
    assert kind_of(path, data, len(data)) == kind


def test_the_first_bytes_may_end_inside_a_character() -> None:
    head = ("a" + "é" * 4096).encode()[:4096]
    assert kind_of("a.txt", head, 9000) == Kind.TEXT
    assert kind_of("a.txt", head, 4096) == Kind.DATA
