"""`assay keygen`: a key file that only its owner can read, and that nothing overwrites."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

from assay.cli import app, keyfile, keygen
from assay.cli.keyfile import load_key
from assay.dsse import load_public_key, public_key_of
from assay.errors import MisuseError, UnavailableError


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ASSAY_PASSPHRASE", raising=False)
    monkeypatch.chdir(tmp_path)


def run(*arguments: object, **named: Any) -> Result:
    return CliRunner().invoke(app, [str(item) for item in arguments], **named)


def pem(key: Any, form: Any = serialization.PrivateFormat.PKCS8) -> bytes:
    data: bytes = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return data


def write(path: Path, data: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_key_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    done = run("keygen", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    path = tmp_path / "key.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    public = load_public_key((tmp_path / "key.pub").read_text())
    assert told["fingerprint"] == public.fingerprint
    assert (told["private"], told["public"], told["encrypted"]) == ("key.pem", "key.pub", False)
    assert public_key_of(load_key(path).public_key()) == public
    assert path.read_text().startswith("-----BEGIN PRIVATE KEY-----")


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    assert run("keygen", "--out", "k").exit_code == 0
    before = (tmp_path / "k").read_bytes()
    again = run("keygen", "--out", "k")
    assert (again.exit_code, "never written over" in again.stderr) == (2, True)
    assert (tmp_path / "k").read_bytes() == before
    (tmp_path / "link.pub").symlink_to("nowhere")
    assert run("keygen", "--out", "link.pem").exit_code == 2
    assert not (tmp_path / "link.pem").exists()


def test_of_two_at_once_one_makes_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.exists
    write(tmp_path / "key.pem", b"somebody was faster")
    monkeypatch.setattr(Path, "exists", lambda self: self.name != "key.pem" and real(self))
    assert run("keygen").exit_code == 2
    monkeypatch.undo()
    assert (tmp_path / "key.pem").read_bytes() == b"somebody was faster"


def test_a_full_disk_leaves_no_half_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "key.pem")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnavailableError, match="No space"):
        keyfile.write_key(tmp_path / "key.pem", "")
    assert list(tmp_path.iterdir()) == []


def test_a_passphrase_closes_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = write(tmp_path / "secret", b"correct horse\n")
    done = run("keygen", "--passphrase-file", secret)
    assert (done.exit_code, "encrypted" in done.output) == (0, True)
    path = tmp_path / "key.pem"
    assert b"ENCRYPTED" in path.read_bytes()
    load_key(path, secret)
    with pytest.raises(MisuseError, match="ASSAY_PASSPHRASE"):
        load_key(path)
    monkeypatch.setenv("ASSAY_PASSPHRASE", "another")
    with pytest.raises(MisuseError, match="another one"):
        load_key(path)
    monkeypatch.setenv("ASSAY_PASSPHRASE", "correct horse")
    load_key(path)


def test_an_empty_passphrase_file_is_no_passphrase(tmp_path: Path) -> None:
    done = run("keygen", "--passphrase-file", write(tmp_path / "secret", b""))
    assert (done.exit_code, "no passphrase" in done.stderr) == (2, True)


def test_nobody_types_where_nobody_is() -> None:
    done = run("keygen", "--passphrase")
    assert (done.exit_code, "nobody can type" in done.stderr) == (2, True)


class _Terminal:
    """A terminal at which somebody sits."""

    @staticmethod
    def isatty() -> bool:
        return True


def test_at_a_terminal_the_passphrase_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def prompt(words: str, **_: object) -> str:
        asked.append(words)
        return "correct horse"

    monkeypatch.setattr(sys, "stdin", _Terminal())
    monkeypatch.setattr("typer.prompt", prompt)
    keygen.keygen(out=tmp_path / "key.pem", passphrase=True)
    load_key(tmp_path / "key.pem")
    assert asked == ["Passphrase", f"Passphrase of {tmp_path / 'key.pem'}"]


def test_a_key_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    path = write(tmp_path / "key.pem", pem(ec.generate_private_key(ec.SECP256R1())), 0o640)
    with pytest.raises(MisuseError, match="chmod 600"):
        load_key(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no key", "gives no private key"),
        (b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----", "cosign's own form"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "another kind"),
        (pem(Ed25519PrivateKey.generate()), "P-256"),
    ],
)
def test_another_file_is_no_key(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(MisuseError, match=words):
        load_key(write(tmp_path / "key.pem", data))
    with pytest.raises(UnavailableError):
        load_key(tmp_path / "absent.pem")
