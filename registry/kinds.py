"""What kind of file this is, by its first bytes: the registry hosts ONNX, weights and text.

Suffixes are not believed, with two exceptions: a file called `.onnx` must begin as an ONNX model
does, and one that is called as what a loader would run (`.pkl`, `.pt`, `.keras`) is refused unless
it is text: packed or not, that loader opens it. What the first bytes cannot say, the end of a file
among it, is asked by `registry.kinds_whole`.

Whether a model names a data file, and everything inside the model, is asked by the inspection,
in another process.
"""

from __future__ import annotations

import io
import pickletools
import re
import struct
from dataclasses import dataclass
from enum import StrEnum

from registry.errors import RefusedFileError

HEAD = 4096


class Kind(StrEnum):
    """What a revision may hold."""

    ONNX = "onnx"
    SAFETENSORS = "safetensors"
    TEXT = "text"
    DATA = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Magic:
    start: bytes
    what: str
    remedy: str
    offset: int = 0


_UNPACK = "Unpack it and upload the files."
EXPORT = "Export the model to ONNX and upload that."
_LEAVE = "Leave this file out."
_MAGICS = (
    _Magic(
        start=b"PK\x03\x04",
        what="a zip archive (PyTorch and Keras files are: pickles and code)",
        remedy=EXPORT,
    ),
    _Magic(start=b"PK\x05\x06", what="a zip archive", remedy=_UNPACK),
    _Magic(start=b"PK\x07\x08", what="a zip archive", remedy=_UNPACK),
    _Magic(start=b"\x1f\x8b\x08", what="a gzip archive", remedy=_UNPACK),
    _Magic(start=b"1AY&SY", what="a bzip2 archive", remedy=_UNPACK, offset=4),
    _Magic(start=b"\xfd7zXZ\x00", what="an xz archive", remedy=_UNPACK),
    _Magic(start=b"7z\xbc\xaf\x27\x1c", what="a 7z archive", remedy=_UNPACK),
    _Magic(start=b"Rar!\x1a\x07", what="a rar archive", remedy=_UNPACK),
    _Magic(start=b"\x28\xb5\x2f\xfd", what="a zstd archive", remedy=_UNPACK),
    _Magic(start=b"ustar", what="a tar archive", remedy=_UNPACK, offset=257),
    _Magic(start=b"\x7fELF", what="a program (ELF)", remedy=_LEAVE),
    _Magic(start=b"\xfe\xed\xfa\xce", what="a program (Mach-O)", remedy=_LEAVE),
    _Magic(start=b"\xfe\xed\xfa\xcf", what="a program (Mach-O)", remedy=_LEAVE),
    _Magic(start=b"\xce\xfa\xed\xfe", what="a program (Mach-O)", remedy=_LEAVE),
    _Magic(start=b"\xcf\xfa\xed\xfe", what="a program (Mach-O)", remedy=_LEAVE),
    _Magic(start=b"\xca\xfe\xba\xbe", what="a program (Mach-O or Java)", remedy=_LEAVE),
    _Magic(start=b"\x00asm", what="a program (WebAssembly)", remedy=_LEAVE),
    _Magic(start=b"\x04\x22\x4d\x18", what="an lz4 archive", remedy=_UNPACK),
    _Magic(
        start=b"\x89HDF\r\n\x1a\n",
        what="an HDF5 file (Keras, whose Lambda layers are code)",
        remedy=EXPORT,
    ),
    _Magic(start=b"GGUF\x02\x00", what="a GGUF model", remedy=EXPORT),
    _Magic(start=b"GGUF\x03\x00", what="a GGUF model", remedy=EXPORT),
    _Magic(start=b"TFL3", what="a TensorFlow Lite model", remedy=EXPORT, offset=4),
    _Magic(start=b"\x89PNG\r\n\x1a\n", what="a picture (PNG)", remedy=_LEAVE),
    _Magic(start=b"\xff\xd8\xff", what="a picture (JPEG)", remedy=_LEAVE),
    _Magic(start=b"GIF8", what="a picture (GIF)", remedy=_LEAVE),
    _Magic(start=b"WEBP", what="a picture (WebP)", remedy=_LEAVE, offset=8),
    _Magic(start=b"%PDF-", what="a PDF document", remedy=_LEAVE),
)
# Protocol 2 and later begin with PROTO n; an opcode that can follow tells them from float data.
_PICKLE = re.compile(
    rb"\x80(?:[\x04\x05]\x95|[\x02-\x05][\x8a\x8c}\](cXJKMNUq)GI\x88\x89])", re.DOTALL
)
_CODE = frozenset({"GLOBAL", "INST"})
_USED = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "REDUCE", "OBJ", "BUILD"})
_LOADED = (
    *(".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth", ".ckpt", ".mar", ".nemo"),
    *(".h5", ".hdf5", ".keras", ".npz"),
)
_MARKUP = re.compile(
    rb"(?:\s|<!--.*?-->|<\?xml[^>]*\?>)*<(?:!doctype\s+(?:html|svg)|html|head|body|script|svg|iframe)"
    rb"[\s>/]",
    re.IGNORECASE | re.DOTALL,
)
_NPY_OBJECTS = re.compile(rb"'descr':\s*(?:'[|<>=]?O|\[.*?'[|<>=]?O)", re.DOTALL)
# The fields of ModelProto and their wire types (onnx.proto3): 0 varint, 2 length-delimited.
_MODEL_FIELDS = {1: 0, 5: 0, **dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), 2)}


def kind_of(path: str, head: bytes, size: int) -> Kind:
    """Return the kind of the file at `path` from `head`, its first 4 KiB, and its size.

    Raises:
        RefusedFileError: code `kind`, with what it is and the remedy.
    """
    _refuse_dangerous(path, head, whole=size <= len(head))
    if path.lower().endswith(".onnx"):
        if not _begins_as_onnx(head):
            raise refused(path, "is called .onnx and is not an ONNX model", EXPORT)
        return Kind.ONNX
    if _is_safetensors(head, size):
        return Kind.SAFETENSORS
    if _is_text(head, whole=size <= len(head)):
        return Kind.TEXT
    if path.lower().endswith(_LOADED):
        suffix = path.rpartition(".")[2]
        raise refused(path, f"is called .{suffix}, and what loads such files runs code", EXPORT)
    return Kind.DATA


def refused(path: str, what: str, remedy: str) -> RefusedFileError:
    """Return the refusal of the file at `path`, of code `kind`."""
    return RefusedFileError(f"'{path}' {what}.", path=path, code="kind", remedy=remedy)


def _refuse_dangerous(path: str, head: bytes, *, whole: bool) -> None:
    for magic in _MAGICS:
        if head[magic.offset : magic.offset + len(magic.start)] == magic.start:
            raise refused(path, f"is {magic.what}", magic.remedy)
    if _PICKLE.match(head) or _is_old_pickle(head, whole=whole):
        raise refused(path, "is a Python pickle, which runs code when it is loaded", EXPORT)
    if _is_windows_program(head):
        raise refused(path, "is a program (PE)", _LEAVE)
    if head.startswith(b"\x93NUMPY") and (_NPY_OBJECTS.search(head) or _hides_its_type(head)):
        raise refused(path, "is a NumPy file of Python objects", "Save it without objects.")
    if _MARKUP.match(head.removeprefix(b"\xef\xbb\xbf")):
        raise refused(path, "is a web page or a drawing with scripts (HTML, SVG)", _LEAVE)


def _is_old_pickle(head: bytes, *, whole: bool) -> bool:
    """Tell whether `head` is a pickle of protocol 0 or 1 that names a class or function.

    Those protocols have no magic, and a list of words begins like one ("cat", "dog"): the opcodes
    are read up to the end, and nothing is run. Where `head` is cut off, the name must be used too.
    """
    stream, code, used = io.BytesIO(head), False, False
    try:
        for opcode, _, _ in pickletools.genops(stream):
            used = used or (code and opcode.name in _USED)
            code = code or opcode.name in _CODE
    except (ValueError, OverflowError):
        return used and not whole and stream.tell() >= len(head)
    return code


def _is_windows_program(head: bytes) -> bool:
    if not head.startswith(b"MZ") or len(head) < 64:
        return False
    (offset,) = struct.unpack_from("<I", head, 60)
    found: bytes = head[offset : offset + 4]
    return found == b"PE\0\0"


def _hides_its_type(head: bytes) -> bool:
    """Tell whether the header of a NumPy file goes on beyond `head`, and may say there what it is.

    A header is padded to 64 bytes: an honest one is far shorter.
    """
    size = int.from_bytes(head[8 : 10 if head[6:7] == b"\x01" else 12], "little")
    return size > HEAD - 12


def _begins_as_onnx(head: bytes) -> bool:
    """Tell whether the first tag is one that ModelProto has: one byte, or two for high numbers."""
    if not head:
        return False
    tag = head[0] & 0x7F
    if head[0] & 0x80:
        if len(head) < 2 or head[1] & 0x80:
            return False
        tag |= head[1] << 7
    return _MODEL_FIELDS.get(tag >> 3) == tag & 7


def _is_safetensors(head: bytes, size: int) -> bool:
    if len(head) < 9:
        return False
    (length,) = struct.unpack_from("<Q", head)
    return bool(0 < length <= size - 8 and head[8:9] == b"{")


def _is_text(head: bytes, *, whole: bool) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        # The first 4 KiB may end inside a character.
        return (
            not whole and error.start >= len(head) - 3 and error.reason == "unexpected end of data"
        )
    return True
