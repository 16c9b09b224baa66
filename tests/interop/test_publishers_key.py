"""Keys and signatures meet the programs that publishers have: cosign, openssl, model_signing."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from django.test import Client
from typer.testing import CliRunner

from assay.cli import app
from registry.models import Key
from registry.views.keys import NO_LOG
from tests.people import Person

pytestmark = [pytest.mark.stock, pytest.mark.usefixtures("opened")]
IMPORT = "/settings/keys/import/"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # No proxy and no home: what the page says must do without a network.
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "COSIGN_PASSWORD": "secret"}
    return subprocess.run(
        arguments,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def statement_of_page(client: Client, pem: str, folder: Path) -> None:
    """Do what the page's first line says: write the statement to a file."""
    form = {"owner": "alice", "name": "build machine", "public_key": pem}
    page = unescape(client.post(IMPORT, form).content.decode())
    line = page.partition("<code>printf %s ")[2].partition("</code>")[0]
    done = run(folder, "sh", "-c", f"printf %s {line}")
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "statement.json").read_text())["predicateType"]


def register(client: Client, pem: str, proof: str) -> None:
    form = {"owner": "alice", "name": "build machine", "public_key": pem, "proof": proof}
    answer = client.post(IMPORT, form)
    assert answer.status_code == 302, unescape(answer.content.decode())[-3000:]
    assert Key.objects.get().name == "build machine"


@pytest.fixture
def browser(alice: Person, client: Client) -> Client:
    client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def test_a_key_of_stock_cosign_is_imported(browser: Client, tmp_path: Path) -> None:
    cosign = os.environ.get("COSIGN") or shutil.which("cosign")
    if not cosign:
        pytest.skip("cosign is not installed: set COSIGN to its path")
    assert run(tmp_path, cosign, "generate-key-pair").returncode == 0
    pem = (tmp_path / "cosign.pub").read_text()
    statement_of_page(browser, pem, tmp_path)
    (tmp_path / "no-log.json").write_text(NO_LOG)
    done = run(
        *(tmp_path, cosign, "attest-blob", "--key", "cosign.key"),
        *("--statement", "statement.json", "--signing-config", "no-log.json"),
        *("--bundle", "proof.json", "-y"),
    )
    assert done.returncode == 0, done.stderr
    register(browser, pem, (tmp_path / "proof.json").read_text())


def test_a_key_of_openssl_is_imported(browser: Client, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("openssl is not installed")
    for line in (
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem",
        "openssl pkey -in key.pem -pubout -out key.pub",
    ):
        assert run(tmp_path, "sh", "-c", line).returncode == 0
    pem = (tmp_path / "key.pub").read_text()
    statement_of_page(browser, pem, tmp_path)
    howto = (Path(__file__).parents[2] / "docs/howto/keys.md").read_text()
    line = howto.partition("{ printf 'DSSEv1")[2].partition("> signature")[0]
    done = run(tmp_path, "sh", "-c", f"{{ printf 'DSSEv1{line}")
    assert done.returncode == 0, done.stderr
    payload = base64.b64encode((tmp_path / "statement.json").read_bytes()).decode()
    proof = {
        "payload": payload,
        "payloadType": "application/vnd.in-toto+json",
        "signatures": [{"sig": done.stdout.strip()}],
    }
    register(browser, pem, json.dumps(proof))


def test_stock_model_signing_verifies_what_assay_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "double/sub").mkdir(parents=True)
    (tmp_path / "double/model.onnx").write_bytes(b"graph")
    (tmp_path / "double/sub/labels.txt").write_text("a\n")
    for arguments in (["keygen"], ["sign", "double", "--key", "key.pem"]):
        assert CliRunner().invoke(app, arguments).exit_code == 0
    verify = (
        *(sys.executable, "-m", "model_signing", "verify", "key", "double"),
        *("--signature", "double/model.sig", "--public_key", "key.pub"),
    )
    done = run(tmp_path, *verify)
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "double/sub/labels.txt").write_text("b\n")
    assert run(tmp_path, *verify).returncode != 0


def test_assay_signs_with_the_key_that_model_signing_signs_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "double").mkdir()
    (tmp_path / "double/model.onnx").write_bytes(b"graph")
    assert CliRunner().invoke(app, ["keygen"]).exit_code == 0
    done = run(
        *(tmp_path, sys.executable, "-m", "model_signing", "sign", "key", "double"),
        *("--private_key", "key.pem", "--signature", "stock.sig"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
