"""What a file seems to be, from its first bytes or its field names; the parser decides."""

from __future__ import annotations

import re
from typing import Any

from assay.bundle import MEDIA_TYPE
from assay.canonical import parse_json
from assay.errors import MisuseError
from assay.limits import LIMITS
from assay.policy import SIGNING_CONFIG_TYPE, TRUSTED_ROOT_TYPE
from assay.receipt import TLOG_PROOF_HEADER
from assay.splitview import SPLIT_VIEW
from assay.tensors import MAGIC
from assay.trace import MAX_TRACE_BYTES, record

_MEDIA = {
    MEDIA_TYPE: "bundle",
    TRUSTED_ROOT_TYPE: "trusted-root",
    SIGNING_CONFIG_TYPE: "signing-config",
}
# A field that one kind of document has and no other.
_FIELDS = {
    "payloadType": "envelope",
    "_type": "statement",
    "apiVersion": "entry",
    "keys": "keys",
    "runtimes": "runtimes",
}
_VKEY = re.compile(rb"[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+\n?")
_COMPACT = re.compile(rb"[A-Za-z0-9_-]{40,}\.[A-Za-z0-9_-]{40,}\n?")
_LINE = "— ".encode()


def sniff(data: bytes) -> str:
    """Return the kind that `data` seems to be of.

    Raises:
        MisuseError: nothing tells.
        FormatError: JSON that is none.
    """
    for start, kind in (
        (MAGIC, "tensors"),
        (b"PK\x03\x04", "capsule"),
        (b"-----BEGIN ", "key"),
        (TLOG_PROOF_HEADER.encode(), "tlog-proof"),
        (_LINE, "cosignatures"),
    ):
        if data.startswith(start):
            return kind
    if data.lstrip()[:1] in (b"{", b"["):
        return _json(data)
    return _text(data) or _binary(data)


def _json(data: bytes) -> str:
    value = parse_json(data, max_bytes=max(MAX_TRACE_BYTES, LIMITS.trusted_root))
    if isinstance(value, list):
        return "manifest"
    found = _MEDIA.get(_string(value, "mediaType"))
    if _string(value, "type") == SPLIT_VIEW:
        found = "split-view"
    if _string(value, "format") == record.FORMAT:
        found = "trace"
    found = found or next((kind for field, kind in _FIELDS.items() if field in value), None)
    if found is None:
        raise MisuseError(f"JSON of no kind that is known here: its fields are {sorted(value)[:9]}")
    return found


def _string(value: dict[str, Any], field: str) -> str:
    text = value.get(field)
    return text if isinstance(text, str) else ""


def _text(data: bytes) -> str:
    if b"\n\n" + _LINE in data:
        # A checkpoint is a note whose second line is a size.
        lines = data.split(b"\n", 2)
        return "checkpoint" if lines[1].isdigit() else "note"
    if _VKEY.fullmatch(data):
        return "vkey"
    if _COMPACT.fullmatch(data):
        return "compact"
    lines = [line for line in data.split(b"\n") if line.strip() and not line.startswith(b"#")]
    words = (b"log ", b"witness ", b"group ", b"quorum ")
    return "policy" if lines and all(line.lstrip().startswith(words) for line in lines) else ""


def _binary(data: bytes) -> str:
    # An ONNX file begins with its IR version (field 1, a small number), as every exporter writes.
    if data[:1] == b"\x08" and len(data) > 2 and data[1] < 0x80:
        return "onnx"
    if data[:1] == b"\x30":  # a DER sequence
        return "key"
    raise MisuseError("nothing tells what this is: say it by --type")
