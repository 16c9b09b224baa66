"""`assay verify` and `assay trust` as a reader meets them: words, values and exit codes."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

from assay.bundle import parse_bundle, render_bundle
from assay.cli import app
from assay.cli.files import hash_file, read_file, read_folder
from assay.cli.output import plain
from assay.dsse import public_key_of
from assay.errors import FormatError, UnavailableError, VerificationError
from assay.manifest import OMS
from assay.policy import log_key, render_trusted_root
from assay.statements import RELEASE
from tests.assay import claims
from tests.assay.stand import stand
from tests.assay.vectors import VECTORS, values, vector

TRUST = (
    "--trusted-root",
    str(VECTORS / "trusted_root.json"),
    "--policy",
    str(VECTORS / "witness-policy.txt"),
)
KEY = ("--key", str(VECTORS / "signer.pub"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A reader who has pinned nothing yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("ASSAY_TRUST", raising=False)
    return tmp_path / "config" / "assay" / claims.ORIGIN


@pytest.fixture
def receipt(tmp_path: Path) -> Path:
    path = tmp_path / "receipt.json"
    path.write_bytes(claims.receipt_of(claims.execution()))
    return path


@pytest.fixture
def output(tmp_path: Path) -> Path:
    path = tmp_path / "output.tensors"
    path.write_bytes(claims.OUTPUT)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(item) for item in arguments])


def keys_document(**changed: Any) -> bytes:
    key = {
        "fingerprint": claims.public_key().fingerprint,
        "role": "executor",
        "owner": "examples",
        "publicKey": claims.public_key().pem,
        "index": 0,
    }
    return json.dumps({"keys": [{**key, **changed}]}).encode()


def published(**changed: bytes) -> dict[str, Any]:
    pages = {
        "trusted_root.json": vector("trusted_root.json"),
        "witness-policy.txt": vector("witness-policy.txt"),
        "keys.json": keys_document(),
    }
    return {f"/.well-known/assay/{name}": data for name, data in (pages | changed).items()}


def test_alice_verifies_a_receipt(receipt: Path, output: Path) -> None:
    result = run("verify", receipt, *KEY, *TRUST, "--blob", output)
    assert result.exit_code == 0
    assert "13  the execution agrees" in result.stdout
    assert "Verified" in result.stdout
    assert "2026-01-01T00:00:01Z, by witness.example.net/w1" in result.stdout
    assert "not compared: give them" not in result.stdout


def test_without_the_output_the_verdict_says_so(receipt: Path) -> None:
    result = run("verify", receipt, *KEY, *TRUST)
    assert result.exit_code == 0
    assert "the bytes themselves were not compared" in result.stdout


def test_a_release_and_a_folder_are_verified_too() -> None:
    release = ("verify", VECTORS / "bundle.json", *KEY, *TRUST, "--type", RELEASE)
    assert run(*release).exit_code == 0
    assert run(*release, "--blob", VECTORS / "model.onnx").exit_code == 0
    assert run(*release, "--blob", VECTORS / "log.pub").exit_code == 1
    oms = ("verify", VECTORS / "oms.bundle.json", *KEY, *TRUST, "--type", OMS)
    assert run(*oms).exit_code == 0
    assert run(*oms, "--blob", VECTORS / "resnet-tiny").exit_code == 0
    result = run(*oms, "--blob", VECTORS / "model.onnx")
    assert result.exit_code == 2
    assert "is not a folder" in result.stderr


def test_programs_read_json(receipt: Path, output: Path) -> None:
    value = json.loads(run("verify", receipt, *KEY, *TRUST, "--blob", output, "--json").stdout)
    assert value["verdict"] == "verified"
    assert value["checkpoint"]["origin"] == claims.ORIGIN
    assert value["witnesses"][0]["time"] == "2026-01-01T00:00:01Z"
    assert [step["number"] for step in value["steps"]] == list(range(1, 15))
    refused = run("verify", VECTORS / "bundle.json", *KEY, *TRUST, "--json")
    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["verdict"] == "refused"
    assert refused.stderr == ""


def test_each_failure_has_its_exit_code(receipt: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_bytes(receipt.read_bytes()[:-1])
    result = run("verify", broken, *KEY, *TRUST)
    assert (result.exit_code, "not the format" in result.stderr) == (1, True)
    result = run("verify", receipt, *KEY, *TRUST, "--blob", receipt)
    assert (result.exit_code, "the output is another one" in result.stderr) == (1, True)
    result = run("verify", tmp_path / "absent.json", *KEY, *TRUST)
    assert (result.exit_code, "cannot read" in result.stderr) == (3, True)
    result = run("verify", receipt, "--key", VECTORS / "signer.test-only.pem", *TRUST)
    assert (result.exit_code, "private key" in result.stderr) == (2, True)
    assert run("verify").exit_code == 2
    result = run("verify", receipt, *KEY, *TRUST, "--output-salt", "zz")
    assert (result.exit_code, "a salt is" in result.stderr) == (2, True)
    result = run("verify", receipt, *KEY, *TRUST, "--output-salt", "0" * 64)
    assert (result.exit_code, "without its tensors" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", 1, "Refused: not the format: not strict JSON"),
        (b"\xc0\x00\xff" * 99, 1, "Refused: not the format: not strict JSON"),
        (b"<!doctype html><p>Sign in</p>", 1, "Refused: not the format: not strict JSON"),
        (b"{" + b'"x' * 9_999 + b'":1}', 1, "Refused: not the format"),
        (b'{"%b":1}' % (b"x" * 99_999), 1, "Refused: not the format: the field 'mediaType'"),
        (b"\0" * 10_000_000, 3, "Could not check: "),
    ],
    ids=["empty", "garbage", "HTML", "quotes", "a long key", "ten megabytes"],
)
def test_whatever_the_file_holds_the_answer_is_one_line(
    tmp_path: Path, data: bytes, code: int, words: str
) -> None:
    path = tmp_path / "receipt.json"
    path.write_bytes(data)
    for command in ("verify", "replay"):
        result = run(command, path, *KEY, *TRUST)
        assert (result.exit_code, result.stderr.count("\n"), result.stdout) == (code, 1, "")
        assert result.stderr.startswith(words)
        assert len(result.stderr) < 2_200
        assert json.loads(run(command, path, *KEY, *TRUST, "--json").stdout)["reason"]


def test_a_folder_an_unspeakable_name_and_a_page_for_people_are_told_in_one_line(
    tmp_path: Path,
) -> None:
    result = run("verify", tmp_path, *KEY, *TRUST)
    assert (result.exit_code, "Is a directory" in result.stderr) == (3, True)
    result = run("verify", "\udcff.json", *KEY, *TRUST, "--json")
    assert (result.exit_code, "cannot read" in json.loads(result.stdout)["reason"]) == (3, True)
    with stand({"/r": b"<html>", "/.well-known/assay/trusted_root.json": b"<html>"}) as server:
        result = run("verify", f"{server.url}/r", *KEY, *TRUST)
        assert (result.exit_code, "not strict JSON" in result.stderr) == (1, True)
        result = run("trust", "init", server.url)
        assert (result.exit_code, "answered 404" in result.stderr) == (3, True)


def test_another_logs_trusted_root_does_not_vouch(receipt: Path, tmp_path: Path) -> None:
    public = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    other = tmp_path / "trusted_root.json"
    start = "2025-01-01T00:00:00Z"
    other.write_bytes(render_trusted_root([log_key(f"https://{claims.ORIGIN}/log", public, start)]))
    result = run("verify", receipt, *KEY, *TRUST[2:], "--trusted-root", other)
    assert (result.exit_code, "does not name the log" in result.stderr) == (1, True)
    assert result.stderr.count("\n") == 1


def test_who_has_no_home_is_told_what_to_set(
    receipt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr(Path, "home", _nowhere)
    result = run("verify", receipt)
    assert (result.exit_code, "set ASSAY_TRUST" in result.stderr) == (2, True)


def _nowhere() -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_who_has_pinned_nothing_is_told_how(receipt: Path) -> None:
    for given, missing in ((KEY, "--trusted-root"), (TRUST, "--key")):
        result = run("verify", receipt, *given)
        assert result.exit_code == 2
        assert missing in result.stderr
        assert "assay trust init URL" in result.stderr


def test_mallory_names_no_folder_of_ours(receipt: Path, tmp_path: Path) -> None:
    bundle = parse_bundle(receipt.read_bytes())
    note = bundle.entry.inclusion.checkpoint.replace(b"ledger.example.org\n", b"../../etc\n", 1)
    proof = replace(bundle.entry.inclusion, checkpoint=note)
    bent = tmp_path / "bent.json"
    bent.write_bytes(render_bundle(replace(bundle, entry=replace(bundle.entry, inclusion=proof))))
    result = run("verify", bent)
    assert (result.exit_code, "bare host name" in result.stderr) == (1, True)


def test_a_receipt_by_url_is_fetched_first(receipt: Path) -> None:
    with stand({"/executions/1/receipt": receipt.read_bytes()}) as server:
        assert run("verify", f"{server.url}/executions/1/receipt", *KEY, *TRUST).exit_code == 0
        assert run("verify", f"{server.url}/executions/2/receipt", *KEY, *TRUST).exit_code == 3
        assert server.asked == ["/executions/1/receipt", "/executions/2/receipt"]


def test_alice_pins_a_registry_and_then_needs_no_options(receipt: Path, home: Path) -> None:
    with stand(published()) as server:
        result = run("trust", "init", f"{server.url}/")
        assert result.exit_code == 0
        assert str(values()["keys"]["log"]["vkey"]) in result.stdout
        assert "executor examples" in result.stdout
        assert "two-of-three" in result.stdout
        assert f"This address is not {claims.ORIGIN}" in result.stdout
        assert run("trust", "init", server.url).exit_code == 0
    assert sorted(path.name for path in home.iterdir()) == [
        "keys.json",
        "policy.txt",
        "trusted_root.json",
    ]
    result = run("verify", receipt)
    assert result.exit_code == 0
    assert "executor examples, registered at index 0" in result.stdout


def test_a_registry_at_its_own_address_speaks_for_its_own_log() -> None:
    public = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    log = log_key("http://localhost/log", public, "2025-01-01T00:00:00Z")
    with stand(published(**{"trusted_root.json": render_trusted_root([log])})) as server:
        result = run("trust", "init", server.url.replace("127.0.0.1", "localhost"))
    assert (result.exit_code, "This address is not" in result.stdout) == (0, False)


@pytest.mark.parametrize(
    ("lie", "pinned"),
    [
        ({"keys.json": keys_document(owner="mallory")}, "keys.json"),
        ({"witness-policy.txt": vector("witness-policy.txt") + b"# mallory\n"}, "policy.txt"),
    ],
)
def test_a_pin_is_never_overwritten(home: Path, lie: dict[str, bytes], pinned: str) -> None:
    with stand(published()) as server:
        assert run("trust", "init", server.url).exit_code == 0
        before = home.joinpath(pinned).read_bytes()
        server.pages.update(published(**lie))
        result = run("trust", "init", server.url)
    assert result.exit_code == 1
    assert pinned in result.stderr
    assert home.joinpath(pinned).read_bytes() == before


def with_key(document: bytes, **fields: Any) -> bytes:
    """Return keys.json with one more key, another one than that of the vectors."""
    other = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    key = public_key_of(other)
    row = {"fingerprint": key.fingerprint, "role": "publisher", "owner": "bob", "index": 9}
    listed = json.loads(document)["keys"]
    return json.dumps({"keys": [*listed, {**row, "publicKey": key.pem, **fields}]}).encode()


def test_a_registry_may_list_new_keys_and_revoke_pinned_ones(home: Path) -> None:
    grown = with_key(keys_document(revoked=12))
    with stand(published()) as server:
        assert run("trust", "init", server.url).exit_code == 0
        server.pages.update(published(**{"keys.json": grown}))
        result = run("trust", "init", server.url)
        assert (result.exit_code, "publisher bob  (new)" in result.stdout) == (0, True)
        assert home.joinpath("keys.json").read_bytes() == grown
        # What was told once cannot be taken back: neither a key nor a revocation.
        for lie in (keys_document(revoked=12), with_key(keys_document())):
            server.pages.update(published(**{"keys.json": lie}))
            result = run("trust", "init", server.url)
            assert (result.exit_code, "pins" in result.stderr) == (1, True)
    assert home.joinpath("keys.json").read_bytes() == grown


def test_nothing_is_pinned_of_what_cannot_be_read(home: Path) -> None:
    with stand(published(**{"keys.json": b"{}"})) as server:
        assert run("trust", "init", server.url).exit_code == 1
    assert not home.exists()
    home.parent.parent.mkdir(parents=True)
    home.parent.write_bytes(b"a file where the folder should be")
    with stand(published()) as server:
        result = run("trust", "init", server.url)
    assert (result.exit_code, "cannot write" in result.stderr) == (3, True)


def test_a_folder_of_trust_may_be_named(
    receipt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "trust"
    (folder / "keys").mkdir(parents=True)
    shutil.copy(VECTORS / "trusted_root.json", folder)
    shutil.copy(VECTORS / "witness-policy.txt", folder / "policy.txt")
    shutil.copy(VECTORS / "signer.pub", folder / "keys" / "executor.pem")
    monkeypatch.setenv("ASSAY_TRUST", str(folder))
    result = run("verify", receipt)
    assert result.exit_code == 0
    assert "a key given by the caller" in result.stdout
    monkeypatch.delenv("ASSAY_TRUST")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    result = run("verify", receipt)
    assert str(tmp_path / "nobody" / ".config" / "assay" / claims.ORIGIN) in result.stderr


def test_a_publishers_key_is_not_an_executors(receipt: Path, home: Path) -> None:
    home.mkdir(parents=True)
    shutil.copy(VECTORS / "trusted_root.json", home)
    shutil.copy(VECTORS / "witness-policy.txt", home / "policy.txt")
    (home / "keys.json").write_bytes(keys_document(role="publisher"))
    result = run("verify", receipt)
    assert (result.exit_code, "may not sign" in result.stderr) == (1, True)


def test_no_witness_and_a_time_beyond_the_calendar_are_said(tmp_path: Path) -> None:
    policy = tmp_path / "policy.txt"
    policy.write_bytes(b"quorum none\n")
    options = (*KEY, *TRUST[:2], "--policy", policy, "--type", RELEASE)
    result = run("verify", VECTORS / "bundle.json", *options)
    assert (result.exit_code, "no witness said when" in result.stdout) == (0, True)
    path = tmp_path / "late.json"
    path.write_bytes(claims.receipt_of(claims.execution(), time=2**60))
    result = run("verify", path, *KEY, *TRUST)
    assert (result.exit_code, f"{2**60 + 1} s after 1970" in result.stdout) == (0, True)


def test_mallory_may_not_write_to_the_terminal() -> None:
    assert plain("a\x1b[31mb\u202e[bold]\n") == "a\ufffd[31mb\ufffd[bold]\ufffd"


class TestFolders:
    """Reading a model folder."""

    def test_special_files_and_links_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "weights").mkdir()
        (tmp_path / "weights" / "a.bin").write_bytes(b"a")
        assert [item.name for item in read_folder(tmp_path).resources] == ["weights/a.bin"]
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(VerificationError, match="no regular file"):
            read_folder(tmp_path)

    def test_an_empty_folder_is_no_model(self, tmp_path: Path) -> None:
        with pytest.raises(FormatError):
            read_folder(tmp_path)

    def test_an_absent_or_long_file_is_unavailable(self, tmp_path: Path) -> None:
        with pytest.raises(UnavailableError):
            hash_file(tmp_path / "absent")
        (tmp_path / "long").write_bytes(b"12345")
        with pytest.raises(UnavailableError, match="longer than 4"):
            read_file(tmp_path / "long", 4)
