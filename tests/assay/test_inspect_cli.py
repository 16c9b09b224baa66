"""`assay inspect`: whatever a stranger holds is told in words, and nothing is taken for checked."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given, strategies as st
from typer.testing import CliRunner

from assay.bundle import MEDIA_TYPE, hint_for
from assay.canonical import canonical_json, decode_base64, encode_base64
from assay.cli import app
from assay.cli.decode import DECODERS, decode, models
from assay.dsse import compact, parse_envelope
from assay.errors import AssayError, MisuseError
from assay.manifest import Manifest
from assay.protobuf import put, put_varint
from assay.splitview import SplitView
from tests.assay import claims, onnxfile
from tests.assay.publishing import make_folder, run
from tests.assay.stand import stand
from tests.assay.test_capsule import capsule
from tests.assay.test_trace import trace
from tests.assay.vectors import VECTORS, values, vector

RECEIPT = claims.receipt_of(claims.execution())
ENVELOPE = canonical_json(json.loads(RECEIPT)["dsseEnvelope"])
STATEMENT = parse_envelope(ENVELOPE).payload
MANIFEST = Manifest.from_pairs([("a", "ab" * 32)])
RUNTIME = claims.runtime().to_dict()


def shown(data: bytes, kind: str = "") -> Any:
    """Return what is in `data`, held against the kind that it must be found to be."""
    name, content = decode(data, "")
    assert name == kind or not kind
    return content


def pem(key: Any, *, private: bool = False, secret: bytes = b"") -> bytes:
    encoding = serialization.Encoding.PEM
    if not private:
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        return bytes(key.public_key().public_bytes(encoding, spki))
    hidden: Any = serialization.NoEncryption()
    if secret:
        hidden = serialization.BestAvailableEncryption(secret)
    return bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, hidden))


P256 = ec.derive_private_key(7, ec.SECP256R1())
P384 = ec.derive_private_key(7, ec.SECP384R1())
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "artefact"
        path.write_bytes(data)
        return path

    return write


# ------------------------------------------------------------------ the command


def test_alice_reads_a_receipt_and_is_told_that_nothing_was_checked(
    file: Callable[[bytes], Path],
) -> None:
    done = run("inspect", file(RECEIPT))
    assert done.exit_code == 0, done.output
    assert f"execution  {claims.EXECUTION_ID}" in done.stdout
    assert "- name  output.tensors" in done.stdout
    assert "kind  cosignature of a witness" in done.stdout
    assert "Decoded, not verified" in done.stdout


def test_programs_read_the_same(file: Callable[[bytes], Path]) -> None:
    done = json.loads(run("inspect", file(RECEIPT), "--json").stdout)
    assert (done["verdict"], done["kind"]) == ("decoded", "bundle")
    assert done["content"]["statement"]["well_formed"] == "yes"
    assert done["notes"] == ["Decoded, not verified: whoever made this may have written anything."]


def test_a_long_list_ends_unless_all_of_it_is_asked_for(file: Callable[[bytes], Path]) -> None:
    pairs = ((f"{number:02}", "ab" * 32) for number in range(30))
    path = file(canonical_json(Manifest.from_pairs(pairs).to_list()))
    short, whole = run("inspect", path), run("inspect", path, "--all")
    assert ("… and 10 more: --all prints them" in short.stdout, "29  abab" in short.stdout) == (
        True,
        False,
    )
    assert "29  abab" in whole.stdout


def test_a_few_numbers_stand_in_one_line(file: Callable[[bytes], Path]) -> None:
    done = run("inspect", file(claims.INPUT))
    assert "data  [1.0, 2.0, 3.0]" in done.stdout
    assert "whole  yes" in done.stdout


def test_a_folder_is_its_manifest(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "model")
    done = run("inspect", folder)
    assert (done.exit_code, "sub/labels.txt" in done.stdout) == (0, True)
    done = run("inspect", folder, "--type", "tile")
    assert (done.exit_code, "is a folder" in done.stderr) == (2, True)


def test_an_address_and_a_pipe_are_read() -> None:
    with stand({"/log/checkpoint": vector("checkpoint")}) as server:
        done = run("inspect", f"{server.url}/log/checkpoint")
        assert (done.exit_code, "tree_size  259" in done.stdout) == (0, True)
        assert run("inspect", f"{server.url}/nothing").exit_code == 3
    done = CliRunner().invoke(app, ["inspect", "-"], input=vector("signer.pub"))
    assert "signs claims" in done.stdout


def test_what_cannot_be_read_or_told_has_its_exit_code(
    tmp_path: Path, file: Callable[[bytes], Path]
) -> None:
    for data, more, code, words in (
        (b"\x00\x01", (), 2, "say it by --type"),
        (RECEIPT, ("--type", "novel"), 2, "--type is one of bundle"),
        (RECEIPT, ("--type", "policy"), 1, "line"),
        (RECEIPT[:-1], (), 1, "JSON"),
        (b'{"a": 1}', (), 2, "its fields are ['a']"),
    ):
        done = run("inspect", file(data), *more)
        assert (done.exit_code, words in done.stderr) == (code, True), done.stderr
    assert run("inspect", tmp_path / "absent").exit_code == 3


def test_text_over_many_lines_keeps_its_lines(file: Callable[[bytes], Path]) -> None:
    done = run("inspect", file(vector("checkpoint")), "--type", "note")
    assert "text  ledger.example.org\n    259\n" in done.stdout


# ------------------------------------------------------------------ every kind


@pytest.mark.parametrize(
    ("data", "kind", "field", "value"),
    [
        (RECEIPT, "bundle", "hint", hint_for(claims.public_key().spki)),
        (ENVELOPE, "envelope", "key_id", None),
        (compact(parse_envelope(ENVELOPE)).encode() + b"\n", "compact", "key_id", None),
        (STATEMENT, "statement", "predicate_type", "urn:assay:execution:v1"),
        (vector("checkpoint"), "checkpoint", "tree_size", 259),
        (vector("entry.tlog-proof"), "tlog-proof", "index", 256),
        (vector("witness-policy.txt"), "policy", "quorum", "two-of-three"),
        (vector("signer.pub"), "key", "kind", "public key, ECDSA P-256: signs claims"),
        (canonical_json(MANIFEST.to_list()), "manifest", "manifest_digest", MANIFEST.digest),
        (claims.INPUT, "tensors", "bytes", len(claims.INPUT)),
        (trace().render(), "trace", "trace_digest", trace().digest),
        (capsule().render(), "capsule", "node", 'node 1 (Relu "act")'),
        (claims.MODEL.read_bytes(), "onnx", "graph", "add"),
    ],
)
def test_every_kind_is_found_out_by_itself(
    data: bytes, kind: str, field: str, value: object
) -> None:
    assert shown(data, kind)[field] == value


def test_the_other_documents_of_a_registry_are_found_out_too() -> None:
    assert shown(vector("trusted_root.json"), "trusted-root")["logs"][0]["origin"] == claims.ORIGIN
    assert "rekorTlogUrls" in shown(vector("signing_config.json"), "signing-config")
    keys = shown(_keys(), "keys")["keys"]
    assert (keys[0]["role"], keys[0]["owner"], keys[0]["revoked"]) == ("executor", None, 9)
    runtimes = shown(canonical_json({"runtimes": [RUNTIME]}), "runtimes")["runtimes"]
    assert runtimes == [RUNTIME]
    fork = SplitView(first=vector("checkpoint"), second=vector("checkpoint")).render()
    assert shown(fork, "split-view")["second"]["tree_size"] == 259
    vkey = shown(f"{values()['keys']['witness1']['vkey']}\n".encode(), "vkey")
    assert vkey["kind"].startswith("witness")
    log = shown(values()["keys"]["log"]["vkey"].encode(), "vkey")
    assert log["kind"].startswith("log")
    lines = shown(vector("add-checkpoint.response"), "cosignatures")["signatures"]
    assert [line["time"] for line in lines] == ["2026-01-01T00:00:00Z"]


def _keys() -> bytes:
    key = claims.public_key()
    row = {"fingerprint": key.fingerprint, "role": "executor", "owner": "", "publicKey": key.pem}
    return canonical_json({"keys": [{**row, "index": None, "revoked": 9}]})


def test_a_note_about_something_else_is_a_note() -> None:
    data = "hello\nworld\n\n— alice AAAAAAE=\n".encode()
    found = shown(data, "note")
    assert found["signatures"] == [{"name": "alice", "key_id": "00000000", "kind": "signature"}]


def test_a_time_that_nobody_can_mean_is_no_time() -> None:
    payload = encode_base64(bytes(4) + b"\xff" * 72)
    line = f"— w {payload}\n".encode()
    assert shown(line)["signatures"][0]["kind"] == "signature"


def test_tiles_and_entries_are_told_by_those_who_know() -> None:
    _, tile = decode(vector("tile/0/000"), "tile")
    assert (tile["width"], len(tile["hashes"])) == (256, 256)
    _, entries = decode(vector("tile/entries/001.p/3"), "entries")
    assert entries["width"] == 3
    assert entries["entries"][0].keys() == {"leaf_hash", "pae_sha256", "key"}
    _, foreign = decode(b"\x00\x03abc", "entries")
    assert foreign["entries"][0]["kind"] == "foreign"
    body = json.loads(RECEIPT)["verificationMaterial"]["tlogEntries"][0]["canonicalizedBody"]
    assert shown(decode_base64(body), "entry")["kind"] == "hashedrekord 0.0.2"


def test_a_folder_that_was_signed_and_never_logged_says_so() -> None:
    bundle = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {}, "tlogEntries": []},
        "dsseEnvelope": json.loads(ENVELOPE),
    }
    found = shown(canonical_json(bundle), "bundle")
    assert (found["log_entry"], found["statement"]["well_formed"]) == (None, "yes")


def test_a_predicate_that_is_not_its_form_is_shown_with_what_is_wrong() -> None:
    value = json.loads(STATEMENT)
    value["predicate"]["more"] = 1
    assert shown(canonical_json(value))["well_formed"].startswith("no: predicate: ")
    oms = MANIFEST.oms_statement("model")
    assert shown(oms)["well_formed"] == f"yes, manifest {MANIFEST.digest}"
    envelope = json.loads(ENVELOPE)
    envelope["payload"] = encode_base64(b"no statement")
    assert "unreadable" in shown(canonical_json(envelope))["statement"]


# ------------------------------------------------------------------ keys


def test_nothing_of_a_private_key_is_shown(file: Callable[[bytes], Path]) -> None:
    path = file(pem(P256, private=True))
    done = run("inspect", path, "--json")
    secret = P256.private_numbers().private_value
    assert f"{secret:064x}" not in done.stdout
    content = json.loads(done.stdout)["content"]
    assert content["kind"] == "private key, ECDSA P-256: signs claims"
    assert content["fingerprint"] == shown(pem(P256))["fingerprint"]
    assert "can sign" in content["warning"]


def test_keys_are_told_apart() -> None:
    encrypted = shown(pem(P256, private=True, secret=b"secret"), "key")
    assert encrypted == {"kind": "private key, encrypted: keep it"}
    assert shown(pem(ED25519))["kind"] == "public key, Ed25519: signs checkpoints"
    assert shown(pem(ED25519, private=True))["public_key"] == shown(pem(ED25519))["key"]
    assert shown(pem(P384))["kind"] == "public key of another kind: ECPublicKey"
    assert shown(pem(P384, private=True))["kind"] == "private key of another kind"
    assert shown(claims.public_key().spki, "key")["fingerprint"] == claims.public_key().fingerprint
    raw = ED25519.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert shown(raw)["kind"].startswith("public key, Ed25519")


# ------------------------------------------------------------------ ONNX


def test_an_onnx_file_is_told_by_its_graph() -> None:
    found = shown(claims.MODEL.read_bytes(), "onnx")
    assert (found["ir_version"], found["producer"], found["opsets"]) == (
        8,
        "assay tests",
        {"ai.onnx": 17},
    )
    assert found["inputs"] == {"x": "FP32 [n, 3]", "y": "FP32 [n, 3]"}
    assert found["operators"] == {"Add": 1, "Softmax": 1}


def test_a_file_that_says_less_is_told_all_the_same() -> None:
    found = models.onnx(onnxfile.chain())
    assert found["weights"] > 0
    tensor = put(1, put_varint(1, 99))
    dimensions = put(2, put(1), put(1, put_varint(1, 4)))
    kinds = {
        "bare": put(1, b"bare"),
        "map": put(1, b"map") + put(2, put(5, b"")),
        "odd": put(1, b"odd") + put(2, tensor),
        "dims": put(1, b"dims") + put(2, put(1, put_varint(1, 1), dimensions)),
    }
    graph = b"".join(put(11, value) for value in kinds.values())
    found = models.onnx(put(7, graph))
    assert found["inputs"] == {
        "bare": "no tensor, or without a type",
        "map": "no tensor, or without a type",
        "odd": "type 99, any shape",
        "dims": "FP32 [?, 4]",
    }
    assert (found["ir_version"], found["producer"], found["graph"]) == (None, None, None)


# ------------------------------------------------------------------ what is malformed


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"[]", ""),
        (b"{}", "bundle"),
        (b"[]", "bundle"),
        (b'{"verificationMaterial": []}', "bundle"),
        (b'{"verificationMaterial": {"tlogEntries": []}}', "bundle"),
        (b"[]", "signing-config"),
        (b"\xff", "cosignatures"),
        (b"\xff", "vkey"),
        ("é.é".encode(), "compact"),
        (b"", "tile"),
        (bytes(31), "tile"),
        (bytes(32 * 257), "tile"),
        (b"\x00\x09abc", "entries"),
        (b"\x00\x00" * 257, "entries"),
        (b"-----BEGIN PUBLIC KEY-----\n", ""),
        (b"-----BEGIN PRIVATE KEY-----\n", ""),
        (b"\x30\x00", ""),
        (b"\x08\x07\xff", ""),
        (b"PK\x03\x04", ""),
        (b"assay-tensors-v1\n{}", ""),
    ],
)
def test_what_is_malformed_is_an_error_of_ours(data: bytes, kind: str) -> None:
    with pytest.raises(AssayError):
        decode(data, kind)


@pytest.mark.parametrize("data", [b"", b"# nothing\n", b"log\nnovel\n", b"\x08"])
def test_what_nothing_tells_has_to_be_said(data: bytes) -> None:
    with pytest.raises(MisuseError, match="--type"):
        decode(data, "")


def test_the_vectors_are_all_told() -> None:
    kinds = {
        name: decode(vector(name), "")[0]
        for name in ("bundle.json", "oms.bundle.json", "log.pub", "signer.test-only.pem")
    }
    assert set(kinds.values()) == {"bundle", "key"}
    assert (VECTORS / "checkpoint").exists()
    assert set(kinds.values()) < set(DECODERS)


@pytest.mark.property
@given(st.binary(max_size=200), st.sampled_from(sorted(DECODERS)), st.integers(0, 5))
def test_whatever_the_bytes_are_the_error_is_one_of_ours(data: bytes, kind: str, cut: int) -> None:
    whole = {"bundle": RECEIPT, "onnx": claims.MODEL.read_bytes(), "tensors": claims.INPUT}
    for given_ in (data, whole.get(kind, b"")[: -cut or None] + data):
        for said in (kind, ""):
            with contextlib.suppress(AssayError):
                decode(given_, said)
