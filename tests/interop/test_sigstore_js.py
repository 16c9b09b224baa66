"""npm's @sigstore/verify takes our bundles, and refuses what was changed in them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ledger import services as ledger
from tests.ledger.builders import append_all, claim, private_key, sequence
from tests.ledger.witness import Witness

pytestmark = [pytest.mark.stock, pytest.mark.django_db]
Verify = Callable[..., subprocess.CompletedProcess[str]]


def logged(entry_id: int) -> dict[str, Any]:
    sequence()
    made: dict[str, Any] = json.loads(ledger.receipt(entry_id))
    return made


@pytest.fixture
def bundle(wanda: Witness) -> dict[str, Any]:
    """The bundle of the second entry of three, cosigned by a witness."""
    entries = append_all(range(3))
    return logged(entries[1])


@pytest.fixture
def verify(sigstore_js: list[str], tmp_path: Path) -> Verify:
    """Run the stock verifier on a bundle, with the key of a person."""

    def call(bundle: dict[str, Any], by: str = "alice") -> subprocess.CompletedProcess[str]:
        paths = [tmp_path / name for name in ("bundle.json", "trusted_root.json", "key.pem")]
        paths[0].write_text(json.dumps(bundle))
        paths[1].write_bytes(ledger.trusted_root())
        paths[2].write_bytes(pem(by))
        return subprocess.run(
            [*sigstore_js, *paths], capture_output=True, text=True, check=False, timeout=60
        )

    return call


def pem(name: str) -> bytes:
    public = private_key(name).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def entry(bundle: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = bundle["verificationMaterial"]["tlogEntries"][0]
    return found


def test_the_stock_verifier_takes_our_bundle(verify: Verify, bundle: dict[str, Any]) -> None:
    done = verify(bundle)
    assert (done.returncode, done.stdout) == (0, "OK\n"), done.stderr


@pytest.mark.parametrize(
    ("lie", "answer"),
    [
        ("payload", "digest mismatch"),
        ("signature", "signature mismatch"),
        ("body", "calculated root hash does not match"),
        ("proof", "calculated root hash does not match"),
        ("checkpoint", "invalid checkpoint signature"),
        ("key", "signature verification failed"),
    ],
)
def test_mallory_changes_one_part_and_the_stock_verifier_refuses(
    verify: Verify, bundle: dict[str, Any], lie: str, answer: str
) -> None:
    other = logged(claim(7).append())
    if lie in ("payload", "signature"):
        part = {"payload": "payload", "signature": "signatures"}[lie]
        bundle["dsseEnvelope"][part] = other["dsseEnvelope"][part]
    elif lie == "body":
        entry(bundle)["canonicalizedBody"] = entry(other)["canonicalizedBody"]
    elif lie == "proof":
        entry(bundle)["inclusionProof"]["hashes"].reverse()
    elif lie == "checkpoint":
        proof = entry(bundle)["inclusionProof"]
        proof["checkpoint"]["envelope"] = proof["checkpoint"]["envelope"].replace("\n3\n", "\n4\n")
    done = verify(bundle, "mallory" if lie == "key" else "alice")
    assert done.returncode == 1
    assert answer in done.stderr
