"""The parsers, and what must hold of each on any bytes.

1. It returns, or raises an error of ours. Anything else is a crash.
2. `one spelling`: what it read prints as the very bytes that it read.
3. `stable`: what it read prints as bytes that read as the same value, and print the same again.

A parser without a printer has rule 1 only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from assay.audit.found import parse_record, record
from assay.bundle import Bundle, parse_bundle, render_bundle
from assay.canonical import canonical_json, decode_base64, encode_base64, parse_decimal, parse_json
from assay.capsule import Capsule
from assay.checkpoint import parse_checkpoint
from assay.cli.inputs import parse_npy
from assay.dsse import (
    Envelope,
    check_headers,
    compact,
    load_public_key,
    parse_compact,
    parse_envelope,
    parse_rekor_body,
    rekor_body,
)
from assay.errors import FormatError
from assay.logdata import parse_claim, parse_stored
from assay.manifest import parse_manifest, parse_oms
from assay.note import VKey, parse_line, parse_note, render as render_note
from assay.policy import parse_policy, parse_trusted_root, render_policy, render_trusted_root
from assay.receipt import parse_receipt, parse_tlog_proof, render_tlog_proof
from assay.rekor import parse_create_entry
from assay.replay.node import read_answer
from assay.splitview import parse_split_view
from assay.statements import (
    Predicate,
    Runtime,
    Statement,
    Subject,
    parse_predicate,
    parse_statement,
    render,
)
from assay.tensors import decode_bytes, decode_tensors, encode_bytes, encode_tensors
from assay.tiles import decode_entries, decode_hashes, encode_entries, parse_path
from assay.trace import parse_trace
from assay.trace.graph import parse_model
from assay.verify import parse_keys
from assay.witness import parse_add_checkpoint, render_add_checkpoint

Parse = Callable[[bytes], Any]
Print = Callable[[Any], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A parser; `seeds` names kinds of the forged corpus, or files under tests/vectors."""

    name: str
    parse: Parse
    printer: Print | None = None
    one_spelling: bool = False
    seeds: tuple[str, ...] = ()


def check(target: Target, data: bytes) -> None:
    """Hold the rules on `data`; AssertionError where one is broken, AssayError where refused."""
    value = target.parse(data)
    if target.printer is None:
        return
    printed = target.printer(value)
    if target.one_spelling:
        assert printed == data, f"{target.name} has a second spelling: {data!r}, not {printed!r}"
    again = target.parse(printed)
    assert again == value, f"{target.name} reads another value: {data!r} as {printed!r}"
    assert target.printer(again) == printed, f"{target.name} prints in two ways: {data!r}"


def _text(data: bytes) -> str:
    """Return the text that bytes from outside hold; what is none never gets so far."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError("no text") from error


def _statement(data: bytes) -> Statement:
    """Read a statement of ours: in somebody else's a subject may have no SHA-256."""
    statement = parse_statement(data)
    if "" in statement.digests:
        raise FormatError("not one of ours")
    return statement


def _envelope(data: bytes) -> Envelope:
    """Read an envelope with nothing beside payload and signature."""
    envelope = parse_envelope(data)
    check_headers(envelope)
    return envelope


def _bundle(data: bytes) -> Bundle:
    bundle = parse_bundle(data)
    check_headers(bundle.envelope)
    return bundle


def _receipt(data: bytes) -> Bundle:
    bundle = parse_receipt(data).bundle
    check_headers(bundle.envelope)
    return bundle


def _predicate(data: bytes) -> Predicate:
    return parse_predicate(parse_statement(data))


def _print_predicate(predicate: Predicate) -> bytes:
    return render(predicate.statement([Subject(name="", sha256="ab" * 32)]))


def _npy(data: bytes) -> object:
    return parse_npy(data, "x")


def _exact(name: str, parse: Parse, printer: Print, *seeds: str) -> Target:
    return Target(name=name, parse=parse, printer=printer, one_spelling=True, seeds=seeds)


def _stable(name: str, parse: Parse, printer: Print, *seeds: str) -> Target:
    return Target(name=name, parse=parse, printer=printer, seeds=seeds)


def _read(name: str, parse: Parse, *seeds: str) -> Target:
    return Target(name=name, parse=parse, seeds=seeds)


ONE_SPELLING = (
    _exact(
        "base64",
        lambda d: decode_base64(_text(d)),
        lambda v: encode_base64(v).encode(),
        "text:QQ==",
    ),
    _exact("decimal", lambda d: parse_decimal(_text(d)), lambda v: str(v).encode(), "text:1234567"),
    _exact("note", parse_note, render_note, "note"),
    _exact(
        "signature line",
        lambda d: parse_line(_text(d)),
        lambda v: str(v).encode().removesuffix(b"\n"),
        "text:— a/b YWJjZGVm",
    ),
    _exact(
        "checkpoint",
        lambda d: parse_checkpoint(_text(d)),
        lambda v: v.text.encode(),
        "text:example.org\n259\n4Cuo9axNy+yfivXvmtH2ovSbbd4kwY0VTYolVlDrEV0=\nx\n",
    ),
    _exact("vkey", lambda d: VKey.parse(_text(d)), lambda v: str(v).encode(), "vkey"),
    _exact("tlog-proof", parse_tlog_proof, render_tlog_proof, "tlog-proof"),
    _exact(
        "add-checkpoint",
        parse_add_checkpoint,
        lambda v: render_add_checkpoint(v.old, v.proof, v.note),
        "file:log/add-checkpoint.request",
    ),
    _exact("manifest", parse_manifest, lambda v: canonical_json(v.to_list()), "manifest"),
    _exact("tensors", decode_tensors, encode_tensors, "tensors"),
    _exact("BYTES", lambda d: decode_bytes(d, 2), encode_bytes, "text:\x01\0\0\0a\x02\0\0\0bc"),
    _exact("log entry", parse_rekor_body, lambda v: rekor_body(*v), "entry"),
    _exact(
        "compact receipt",
        lambda d: parse_compact(_text(d)),
        lambda v: compact(v).encode(),
        "compact",
    ),
    _exact("stored envelope", parse_stored, lambda v: v.to_json(), "envelope"),
    _exact(
        "path of a tile",
        lambda d: parse_path(_text(d)),
        lambda v: v.path.encode(),
        "text:tile/entries/x001/067.p/3",
    ),
    _exact("hashes of a tile", lambda d: decode_hashes(d, 3), b"".join, "file:log/tile/0/001.p/3"),
    _exact(
        "entries of a tile",
        lambda d: decode_entries(d, 3),
        encode_entries,
        "file:log/tile/entries/001.p/3",
    ),
    _exact("trace", parse_trace, lambda v: v.render(), "trace"),
    _exact("fault capsule", Capsule.parse, lambda v: v.render(), "capsule"),
)

STABLE = (
    _stable("JSON", parse_json, canonical_json, "json"),
    _stable("statement", _statement, render, "statement"),
    _stable("predicate", _predicate, _print_predicate, "predicate"),
    _stable(
        "runtime",
        lambda d: Runtime.from_dict(parse_json(d)),
        lambda v: canonical_json(v.to_dict()),
        "runtime",
    ),
    _stable("envelope", _envelope, lambda v: v.to_json(), "envelope"),
    _stable("bundle", _bundle, render_bundle, "bundle"),
    _stable("receipt", _receipt, render_bundle, "receipt"),
    _stable("policy", parse_policy, render_policy, "policy"),
    _stable(
        "trusted root", parse_trusted_root, lambda v: render_trusted_root(v.logs), "trusted-root"
    ),
    _stable(
        "model signature",
        lambda d: parse_oms(parse_statement(d)),
        lambda v: v.oms_statement("x"),
        "oms",
    ),
    _stable(
        "record of an audit",
        lambda d: parse_record(parse_json(d)),
        lambda v: canonical_json(record(v)),
        'text:{"sent":{"index":1,"reason":"x","taken":true}}',
    ),
    _stable("split view", parse_split_view, lambda v: v.render(), "split-view"),
)

NO_PRINTER = (
    _read("keys", parse_keys, "keys"),
    _read("public key", load_public_key, "key"),
    _read("claim of an entry", lambda d: parse_claim(0, d), "entry"),
    _read("request of the write API", parse_create_entry, "file:log/rekor.request.json"),
    _read("answer of a runtime", read_answer, 'text:{"outputs":[]}\n'),
    _read("ONNX model", parse_model, "file:models/add.onnx"),
    _read("NumPy array", _npy, "npy"),
)

TARGETS = {target.name: target for target in (*ONE_SPELLING, *STABLE, *NO_PRINTER)}
