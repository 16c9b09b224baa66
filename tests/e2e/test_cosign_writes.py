"""A publisher logs a statement with stock cosign, and strangers check it with what they have.

The statement is handed in first (`POST /log/envelopes`); then cosign signs and logs it with the two
files that the site publishes. `docs/howto/cosign.md` says the same in words.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assay.canonical import canonical_json, encode_base64
from assay.dsse import PAYLOAD_TYPE, PublicKey, load_public_key, public_key_of, sign
from assay.statements import RELEASE, ReleasePredicate, Subject, render
from examples.client import Client, load_or_make_key, observed, register_key
from tests.e2e.stack import Stack
from tests.e2e.test_consumer import fetch, run

pytestmark = pytest.mark.stock

MODEL = b"the bytes of a model"
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """A person with a registered key, a token, cosign, and a folder for it all."""

    stack: Stack
    client: Client
    cosign: str
    folder: Path
    owner: str

    def statement(self, number: int) -> Path:
        """Write a release statement about the model file; return its path."""
        predicate = ReleasePredicate(
            observed=observed(self.client.call("GET", "ledger/head")),
            model=f"{self.owner}/stock",
            revision=f"{number:040x}",
            version=f"{number}.0",
            manifest=hashlib.sha256(b"manifest").hexdigest(),
            card=hashlib.sha256(b"card").hexdigest(),
            license="mit",
            previous=None,
        )
        subject = Subject(name="model.onnx", sha256=hashlib.sha256(MODEL).hexdigest())
        path = self.folder / f"statement-{number}.json"
        # cosign signs the file's bytes as they are: a final newline is part of the claim.
        path.write_bytes(render(predicate.statement([subject])) + b"\n")
        return path

    def hand_in(self, statement: Path) -> Any:
        """Hand the statement in with the person's token, unsigned."""
        envelope = {
            "payload": encode_base64(statement.read_bytes()),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [],
        }
        request = urllib.request.Request(
            f"{self.stack.url}/log/envelopes",
            data=canonical_json(envelope),
            headers={
                "Authorization": f"Bearer {self.client.token}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def attest(self, statement: Path, bundle: str, key: str = "cosign") -> tuple[int, str]:
        """Let cosign sign and log the statement; return its exit code and what it printed."""
        done = self.run_cosign(
            *("attest-blob", "--key", f"{key}.key", "--statement", statement.name),
            *("--signing-config", "signing_config.json", "--trusted-root", "trusted_root.json"),
            *("--bundle", bundle, "-y"),
        )
        return done.returncode, done.stdout + done.stderr

    def run_cosign(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.cosign, *arguments],
            cwd=self.folder,
            env={**self.stack.environment, "COSIGN_PASSWORD": "", "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def import_key(self, name: str, pem: Path) -> None:
        done = self.run_cosign(
            *("import-key-pair", "--key", pem.name, "--output-key-prefix", name, "-y")
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def publisher(stack: Stack, cosign: str, tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    """Register a key as any publisher's program does, and fetch what the site publishes."""
    folder = tmp_path_factory.mktemp("publisher")
    owner = "stockwriter"
    token = stack.manage("token", owner, "--create", "--scope", "admin")
    client = Client(url=stack.url, token=token)
    public = register_key(client, load_or_make_key(folder / "key.pem"), owner)
    until_registered(client, public)
    (folder / "publisher.pub").write_text(public.pem)
    (folder / "model.onnx").write_bytes(MODEL)
    for name in ("trusted_root.json", "signing_config.json", "witness-policy.txt"):
        (folder / name).write_bytes(fetch(stack, f"/.well-known/assay/{name}"))
    made = Publisher(stack=stack, client=client, cosign=cosign, folder=folder, owner=owner)
    made.import_key("cosign", folder / "key.pem")
    return made


def until_registered(client: Client, key: PublicKey) -> None:
    """Wait until the registration has its place in the log: a second, as a rule."""
    end = time.monotonic() + PATIENCE_S
    while client.call("GET", f"ledger/entries?digest={key.fingerprint}")["entries"] == []:
        assert time.monotonic() < end, "the key's registration was never logged"
        threading.Event().wait(0.05)


@pytest.fixture(scope="module")
def logged(publisher: Publisher) -> Path:
    """The statement that cosign has logged."""
    statement = publisher.statement(1)
    publisher.hand_in(statement)
    code, said = publisher.attest(statement, "claim.json")
    assert code == 0, said
    return statement


def test_cosign_verifies_what_cosign_logged(publisher: Publisher, logged: Path) -> None:
    said = run(
        *(publisher.cosign, "verify-blob-attestation", "--bundle", "claim.json"),
        *("--key", "publisher.pub", "--trusted-root", "trusted_root.json"),
        *("--type", RELEASE, "model.onnx"),
        cwd=publisher.folder,
    )
    assert "Verified OK" in said


def test_assay_verifies_it_with_the_witnesses_that_cosign_does_not_ask(
    publisher: Publisher, logged: Path
) -> None:
    said = run(
        *(sys.executable, "-m", "assay.cli", "verify", publisher.folder / "claim.json"),
        *("--trusted-root", publisher.folder / "trusted_root.json"),
        *("--policy", publisher.folder / "witness-policy.txt"),
        *("--key", publisher.folder / "publisher.pub"),
        *("--type", RELEASE, "--blob", publisher.folder / "model.onnx"),
    )
    assert "Verified" in said
    assert "cosigned by local-witness" in said


def test_the_log_serves_the_statement_byte_for_byte(publisher: Publisher, logged: Path) -> None:
    claim = json.loads((publisher.folder / "claim.json").read_bytes())
    known = publisher.hand_in(logged)
    served = json.loads(fetch(publisher.stack, f"/log/envelopes/{known['pae_sha256']}"))
    assert served == claim["dsseEnvelope"]
    assert served["payload"] == encode_base64(logged.read_bytes())


def test_the_same_again_is_told_where_it_is_and_the_site_hands_the_bundle_out(
    publisher: Publisher, logged: Path
) -> None:
    """What to do when cosign was cut off: the claim is logged, only its bundle is missing."""
    code, said = publisher.attest(logged, "again.json")
    assert code != 0
    assert "409" in said
    assert "has logged this statement before" in said
    (address,) = {word for word in said.split() if "/api/v1/ledger/claims/" in word}
    path = address.partition("/api/v1/")[2]
    bundle = publisher.client.call("GET", path)["bundle"]
    (publisher.folder / "fetched.json").write_bytes(canonical_json(bundle))
    said = run(
        *(publisher.cosign, "verify-blob-attestation", "--bundle", "fetched.json"),
        *("--key", "publisher.pub", "--trusted-root", "trusted_root.json"),
        *("--type", RELEASE, "model.onnx"),
        cwd=publisher.folder,
    )
    assert "Verified OK" in said


def test_an_unregistered_key_is_told_to_register(publisher: Publisher, logged: Path) -> None:
    load_or_make_key(publisher.folder / "mallory.pem")
    publisher.import_key("mallory", publisher.folder / "mallory.pem")
    code, said = publisher.attest(logged, "mallory.json", key="mallory")
    assert code != 0
    assert "403" in said
    assert "is not registered here" in said
    assert not (publisher.folder / "mallory.json").exists()


def test_a_statement_that_was_not_handed_in_is_asked_for(publisher: Publisher) -> None:
    code, said = publisher.attest(publisher.statement(2), "early.json")
    assert code != 0
    assert "400" in said
    assert "Hand the statement in first" in said
    assert not (publisher.folder / "early.json").exists()


def test_a_key_hands_its_statement_in_without_a_token(publisher: Publisher) -> None:
    statement = publisher.statement(3)
    key = load_or_make_key(publisher.folder / "key.pem")
    public = public_key_of(key.public_key())
    assert public == load_public_key((publisher.folder / "publisher.pub").read_bytes())
    request = urllib.request.Request(
        f"{publisher.stack.url}/log/envelopes?key={public.fingerprint}",
        data=sign(statement.read_bytes(), key).to_json(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status == 201
    code, said = publisher.attest(statement, "third.json")
    assert code == 0, said
