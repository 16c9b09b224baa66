"""Files are known by their first bytes: what is dangerous or no model is refused with a remedy."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile

import pytest

from registry.errors import RefusedFileError
from registry.kinds import Kind, kind_of
from registry.kinds_whole import check
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


# ------------------------------------------------------------------ beyond the first bytes


def safetensors(header: object, data: bytes = b"") -> bytes:
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + data


def tensor(first: int, last: int, shape: object = None, dtype: str = "U8") -> dict[str, object]:
    shape = [last - first] if shape is None else shape
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, last]}


def whole(path: str, data: bytes) -> Kind:
    return check(path, io.BytesIO(data), len(data))


def zipped(comment: bytes = b"") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(struct.Struct))
        archive.comment = comment
    return packed.getvalue()


@pytest.mark.parametrize("comment", [b"", b"c" * 5000, b"PK\x05\x06"])
@pytest.mark.parametrize("path", ["model.onnx", "weights.bin", "notes.txt"])
def test_an_archive_behind_something_else_is_refused(path: str, comment: bytes) -> None:
    front = ONNX if path == "model.onnx" else b"innocent text\n" * 400
    with pytest.raises(RefusedFileError, match="zip archive behind"):
        whole(path, front + zipped(comment))


@pytest.mark.parametrize("behind", [b"x", b"\n" * 1000, bytes(60_000)])
def test_an_archive_is_not_hidden_by_what_follows_it(behind: bytes) -> None:
    """What follows is no part of the archive, and Python opens it all the same."""
    data = b"innocent text\n" * 400 + zipped() + behind
    assert zipfile.is_zipfile(io.BytesIO(data))
    with pytest.raises(RefusedFileError, match="zip archive behind"):
        whole("weights.bin", data)


def test_an_archive_whose_directory_stands_elsewhere_is_refused() -> None:
    """Some readers believe the offset that the end record names, and nothing else."""
    packed = zipped()
    at = packed.index(b"PK\x01\x02")
    front = b"innocent text\n" * 400
    end = bytearray(packed[packed.index(b"PK\x05\x06") :])
    struct.pack_into("<I", end, 16, len(front) + at)
    with pytest.raises(RefusedFileError, match="zip archive behind"):
        whole("weights.bin", front + packed[:-22] + bytes(500) + bytes(end))


def test_a_file_of_nothing_but_ends_is_not_looked_into_for_long() -> None:
    class Counted(io.BytesIO):
        seeks = 0

        def seek(self, *where: int) -> int:
            Counted.seeks += 1
            return super().seek(*where)

    data = b"PK\x05\x06" + bytes(4) + b"\x01\x00" * 2 + bytes(10)
    stream = Counted(b"\x01\xff" + data * 3000)
    with pytest.raises(RefusedFileError, match="zip archive behind"):
        check("weights.bin", stream, len(data) * 3000 + 2)
    assert Counted.seeks < 100


@pytest.mark.parametrize("version", [1, 2])
def test_a_numpy_file_does_not_hide_its_type_behind_blanks(version: int) -> None:
    words = b"{'fortran_order': False, 'shape': (2,), " + b" " * 5000 + b"'descr': '|O'}"
    size = len(words).to_bytes(2 if version == 1 else 4, "little")
    data = b"\x93NUMPY" + bytes([version, 0]) + size + words
    with pytest.raises(RefusedFileError, match="Python objects"):
        whole("w.npy", data)


def test_words_that_only_look_like_the_end_of_an_archive_are_taken() -> None:
    end = b"PK\x05\x06" + bytes(4) + b"\x01\x00\x01\x00" + bytes(10)
    for data in (
        b"how PK\x05\x06 ends zip files" * 3,
        b"\x01\xff" * 9 + b"PK\x05\x06",
        b"x" * 50 + end,
    ):
        assert whole("notes.bin", data) in (Kind.TEXT, Kind.DATA)


def test_a_large_archive_behind_something_else_is_refused() -> None:
    end = b"PK\x05\x06" + bytes(4) + b"\xff" * 12 + bytes(2)
    with pytest.raises(RefusedFileError, match="zip archive behind"):
        whole("weights.bin", b"\x01\xff" * 50 + b"PK\x06\x07" + bytes(16) + end)


@pytest.mark.parametrize("suffix", ["pkl", "PT", "pth", "keras", "h5", "ckpt", "joblib"])
def test_what_a_loader_would_run_is_refused_however_it_is_packed(suffix: str) -> None:
    with pytest.raises(RefusedFileError, match="runs code") as caught:
        whole(f"model.{suffix}", b"\x78\x9c" + bytes(range(256)))
    assert "ONNX" in caught.value.detail["remedy"]
    assert whole(f"readme.{suffix}", b"only text\n") == Kind.TEXT


def test_a_safetensors_file_that_its_tensors_cover_is_taken() -> None:
    header = {"a": tensor(0, 4, [2], "F16"), "b": tensor(4, 6), "__metadata__": {"format": "pt"}}
    assert whole("model.safetensors", safetensors(header, bytes(6))) == Kind.SAFETENSORS
    assert whole("empty.safetensors", safetensors({})) == Kind.SAFETENSORS
    padded = safetensors(json.dumps({"a": tensor(0, 1)}).encode() + b"   ", bytes(1))
    assert whole("padded.safetensors", padded) == Kind.SAFETENSORS


@pytest.mark.parametrize(
    ("header", "size", "words"),
    [
        ({"a": tensor(0, 4)}, 9, "does not end"),
        ({"a": tensor(0, 4)}, 3, "does not end"),
        ({"a": tensor(1, 4)}, 4, "no tensor has"),
        ({"a": tensor(0, 4), "b": tensor(2, 6)}, 6, "two have"),
        ({"a": tensor(0, 4, [3])}, 4, "than its shape"),
        ({"a": tensor(0, 4, [2**39, 2**39])}, 4, "no bytes"),
        ({"a": tensor(0, 4, [-4])}, 4, "no datatype or shape"),
        ({"a": tensor(0, 4, [True])}, 4, "no datatype or shape"),
        ({"a": tensor(0, 4, dtype="PICKLE")}, 4, "no datatype or shape"),
        ({"a": tensor(4, 0, [])}, 4, "no bytes"),
        ({"a": {"dtype": "U8"}}, 4, "says nothing"),
        (b'{"a": 1, "a": 2}', 0, "no JSON"),
        (b"{not json}", 0, "no JSON"),
        (b'{"a":' + b" " * 2**23 + b"1}", 0, "more than"),
    ],
)
def test_a_safetensors_file_with_room_for_more_is_refused(
    header: object, size: int, words: str
) -> None:
    with pytest.raises(RefusedFileError, match=words):
        whole("model.safetensors", safetensors(header, bytes(size)))
