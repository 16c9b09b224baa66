"""A consumer asks, and checks the answer with programs that are not ours, without the network."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_digits

from assay.bundle import parse_bundle
from tests.e2e.stack import Stack

MODEL = "examples--digits"


def fetch(stack: Stack, path: str) -> bytes:
    with urllib.request.urlopen(stack.url + path, timeout=60) as answer:
        return bytes(answer.read())


def offline() -> list[str]:
    """Return the prefix that cuts a command off from every network, where the kernel allows it."""
    prefix = ["unshare", "--map-root-user", "--net"]
    allowed = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    return prefix if allowed else []


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [*offline(), *(str(part) for part in command)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def evidence(stack: Stack, folder: Path) -> dict[str, Any]:
    """Ask with curl for the digit in a held-out image; keep what a stranger needs to check."""
    data = load_digits()
    image = data.images[1700]
    request = folder / "request.json"
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, 1, 8, 8]}
    request.write_text(json.dumps({"inputs": [tensor | {"data": image.ravel().tolist()}]}))
    asked = subprocess.run(
        ["curl", "-sS", "--fail", "-d", f"@{request}", f"{stack.url}/v2/models/{MODEL}/infer"],
        capture_output=True,
        check=True,
    )
    answer = json.loads(asked.stdout)
    place = f"/executions/{answer['parameters']['execution_id']}"
    for name, path in {
        "receipt.json": f"{place}/receipt?wait=20",
        "output.tensors": f"{place}/output.tensors",
        "input.tensors": f"{place}/input.tensors",
        "trusted_root.json": "/.well-known/assay/trusted_root.json",
        "policy.txt": "/.well-known/assay/witness-policy.txt",
        "keys.json": "/.well-known/assay/keys.json",
    }.items():
        (folder / name).write_bytes(fetch(stack, path))
    keys = json.loads((folder / "keys.json").read_text())["keys"]
    executor = next(key for key in keys if key["role"] == "executor")
    (folder / "executor.pub").write_text(executor["publicKey"])
    return {"answer": answer, "wanted": int(data.target[1700])}


def test_the_digit_is_right_and_has_a_receipt(evidence: dict[str, Any]) -> None:
    outputs = {output["name"]: output["data"] for output in evidence["answer"]["outputs"]}
    assert outputs["digit"] == [evidence["wanted"]]
    assert isinstance(evidence["answer"]["parameters"]["receipt"], str)


def test_assay_verifies_the_receipt_offline(evidence: dict[str, Any], folder: Path) -> None:
    said = run(
        *(sys.executable, "-m", "assay.cli", "verify", folder / "receipt.json"),
        *("--trusted-root", folder / "trusted_root.json", "--policy", folder / "policy.txt"),
        *("--key", folder / "executor.pub", "--blob", folder / "output.tensors"),
    )
    assert "verified" in said.lower()


def test_assay_refuses_another_output(evidence: dict[str, Any], folder: Path) -> None:
    lie = bytearray((folder / "output.tensors").read_bytes())
    lie[-1] ^= 1
    (folder / "lie.tensors").write_bytes(lie)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "assay.cli", "verify", folder / "receipt.json"),
            *("--trusted-root", folder / "trusted_root.json", "--policy", folder / "policy.txt"),
            *("--key", folder / "executor.pub", "--blob", folder / "lie.tensors"),
        ],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1


@pytest.mark.stock
def test_stock_cosign_verifies_the_receipt_offline(
    evidence: dict[str, Any], folder: Path, cosign: str
) -> None:
    said = run(
        *(cosign, "verify-blob-attestation", "--bundle", folder / "receipt.json"),
        *("--key", folder / "executor.pub", "--trusted-root", folder / "trusted_root.json"),
        *("--type", "urn:assay:execution:v1", folder / "output.tensors"),
    )
    assert "Verified OK" in said


@pytest.mark.stock
def test_stock_model_signing_verifies_the_downloaded_folder(
    stack: Stack, evidence: dict[str, Any], folder: Path
) -> None:
    releases = json.loads(fetch(stack, "/api/v1/models/examples/digits/releases"))["items"]
    version, revision = releases[0]["version"], releases[0]["revision"]
    base = f"/api/v1/models/examples/digits/revisions/{revision}"
    model = folder / "digits"
    model.mkdir()
    for item in json.loads(fetch(stack, base))["files"]:
        path = f"/models/examples/digits/files/{revision}/{item['path']}"
        (model / item["path"]).write_bytes(fetch(stack, path))
    signature = fetch(stack, f"/api/v1/models/examples/digits/releases/{version}/model.sig")
    (folder / "model.sig").write_bytes(signature)
    keys = json.loads((folder / "keys.json").read_text())["keys"]
    signer = parse_bundle(signature)
    publisher = [key for key in keys if key["role"] == "publisher"]
    assert publisher
    assert signer.hint
    (folder / "publisher.pub").write_text(publisher[0]["publicKey"])
    said = run(
        *(sys.executable, "-m", "model_signing", "verify", "key", model),
        *("--public_key", folder / "publisher.pub", "--signature", folder / "model.sig"),
    )
    assert "succeeded" in said


def test_replay_gives_the_same_bits(stack: Stack, evidence: dict[str, Any], folder: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "assay.cli", "replay", str(folder / "receipt.json")),
            *("--url", stack.url),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exact" in done.stdout
