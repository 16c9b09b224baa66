"""Alice writes a receipt as one page; what does not hold is never written."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import assay.cli.page as command
from assay.cli import app
from tests.assay import claims
from tests.assay.vectors import vector

RELEASE = "urn:assay:release:v1"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what alice holds; she has pinned nothing yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("ASSAY_TRUST", raising=False)
    for name in ("signer.pub", "trusted_root.json", "witness-policy.txt", "bundle.json"):
        (tmp_path / name).write_bytes(vector(name))
    (tmp_path / "receipt.json").write_bytes(claims.receipt_of(claims.execution()))
    (tmp_path / "output.tensors").write_bytes(claims.OUTPUT)
    (tmp_path / "input.tensors").write_bytes(claims.INPUT)
    return tmp_path


def page(folder: Path, receipt: str, *options: str, key: bool = True) -> Result:
    """Run `assay page`, with names of files of `folder` in the place of `@name`."""
    given = [
        *("page", f"@{receipt}", "--out", "@receipt.html"),
        *("--trusted-root", "@trusted_root.json", "--policy", "@witness-policy.txt"),
        *(("--key", "@signer.pub") if key else ()),
        *options,
    ]
    paths = [f"{folder}/{text[1:]}" if text.startswith("@") else text for text in given]
    return CliRunner().invoke(app, paths)


def evidence(folder: Path) -> dict[str, Any]:
    """Return what the written page holds, decoded."""
    whole = (folder / "receipt.html").read_text(encoding="utf-8")
    match = re.search(r'id="evidence">(.*?)</script>', whole)
    assert match is not None
    told: dict[str, Any] = json.loads(match[1])
    kept = ("type", "madeAt")
    return {
        name: value if value is None or name in kept else b64decode(value)
        for name, value in told.items()
    }


def test_a_receipt_becomes_a_page_that_holds_all_it_needs(folder: Path) -> None:
    done = page(folder, "receipt.json", "--blob", "@output.tensors", "--input", "@input.tensors")
    assert done.exit_code == 0, done.output
    assert "how fresh the proof is" in done.output
    assert "it loads nothing" in done.output
    held = evidence(folder)
    assert held["receipt"] == (folder / "receipt.json").read_bytes()
    assert (held["output"], held["input"]) == (claims.OUTPUT, claims.INPUT)
    assert held["key"].startswith(b"-----BEGIN PUBLIC KEY-----")
    assert held["keys"] is held["registration"] is None
    whole = (folder / "receipt.html").read_text(encoding="utf-8")
    assert "verifyReceipt" in whole
    assert not re.search(r"""(?:src|href)=["']""", whole)


def test_the_pinned_list_says_whose_key_it_is_and_only_that_key_goes_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = {
        "fingerprint": claims.public_key().fingerprint,
        "role": "executor",
        "owner": "",
        "publicKey": claims.public_key().pem,
        "index": 0,
    }
    (folder / "keys.json").write_text(json.dumps({"keys": [listed]}))
    monkeypatch.setenv("ASSAY_TRUST", str(folder))
    assert page(folder, "receipt.json", key=False).exit_code == 0
    held = evidence(folder)
    assert json.loads(held["keys"]) == {"keys": [listed]}
    assert held["key"] is held["output"] is None


def test_a_private_receipt_takes_its_salts_along(folder: Path) -> None:
    sealed = {
        "output": claims.private_set(claims.OUTPUT),
        "input": claims.private_set(claims.INPUT),
    }
    (folder / "receipt.json").write_bytes(claims.receipt_of(claims.execution(**sealed)))
    salts = ("--output-salt", claims.SALT.hex(), "--input-salt", claims.SALT.hex())
    files = ("--blob", "@output.tensors", "--input", "@input.tensors")
    assert page(folder, "receipt.json", *files, *salts).exit_code == 0
    assert evidence(folder)["outputSalt"] == claims.SALT


def test_a_release_becomes_a_page_too_and_an_alias(folder: Path) -> None:
    done = page(folder, "bundle.json", "--type", RELEASE, "--json")
    assert done.exit_code == 0
    told = json.loads(done.output)
    assert (told["verdict"], told["index"]) == ("written", 256)
    assert told["bytes"] == (folder / "receipt.html").stat().st_size
    assert evidence(folder)["predicateType"] == RELEASE.encode()
    other = page(folder, "bundle.json", "--type", "urn:assay:alias:v1")
    assert other.exit_code == 1
    assert "a statement of another type" in other.output


def test_mallorys_output_is_refused_and_no_page_is_written(folder: Path) -> None:
    (folder / "output.tensors").write_bytes(claims.INPUT)
    done = page(folder, "receipt.json", "--blob", "@output.tensors")
    assert done.exit_code == 1
    assert "the output is another one" in done.output
    assert not (folder / "receipt.html").exists()


def test_a_registration_that_is_another_claim_is_refused(folder: Path) -> None:
    done = page(folder, "receipt.json", "--registration", "@bundle.json")
    assert done.exit_code == 1
    assert not (folder / "receipt.html").exists()


def test_large_tensors_stay_beside_the_page_and_it_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_EMBEDDED", len(claims.INPUT))
    done = page(folder, "receipt.json", "--blob", "@output.tensors", "--input", "@input.tensors")
    assert done.exit_code == 0
    assert "The output is larger than" in done.output
    held = evidence(folder)
    assert (held["output"], held["input"]) == (None, claims.INPUT)


def test_a_folder_that_is_not_there_could_not_be_written_to(folder: Path) -> None:
    done = page(folder, "receipt.json", "--out", "@absent/receipt.html")
    assert done.exit_code == 3
    assert "cannot write" in done.output


def test_an_installation_without_its_scripts_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_ENTRY", "check/absent.js")
    assert "is not there" in page(folder, "receipt.json").output
    monkeypatch.setattr(command, "_TEMPLATE", "absent.html")
    done = page(folder, "receipt.json")
    assert done.exit_code == 3
    assert "this installation lacks a file" in done.output


def test_the_scripts_come_from_the_wheel_where_there_is_one(tmp_path: Path) -> None:
    assert command._scripts(tmp_path).name == "js"
    (tmp_path / "js").mkdir()
    assert command._scripts(tmp_path) == tmp_path / "js"
