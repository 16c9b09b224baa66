"""Fixtures of the verifier's tests; they need neither Django nor a network."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import settings

from assay.note import VKey
from assay.policy import TlogPolicy, parse_policy
from tests.assay.vectors import Row, values, vector

# A shared machine stalls now and then; that says nothing about the code.
settings.register_profile("assay", deadline=None)
settings.load_profile("assay")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "property: generated cases (hypothesis)")


@pytest.fixture(scope="session")
def keys() -> Row:
    """The keys of `vectors.json`, by name."""
    found: Row = values()["keys"]
    return found


@pytest.fixture(scope="session")
def log_vkey(keys: Row) -> VKey:
    return VKey.parse(keys["log"]["vkey"])


@pytest.fixture(scope="session")
def log_signer(keys: Row) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(keys["log"]["seed"]))


@pytest.fixture(scope="session")
def witness_signers(keys: Row) -> list[Ed25519PrivateKey]:
    """The keys of the three witnesses."""
    return [
        Ed25519PrivateKey.from_private_bytes(bytes.fromhex(keys[f"witness{number}"]["seed"]))
        for number in (1, 2, 3)
    ]


@pytest.fixture(scope="session")
def witness_vkeys(keys: Row) -> list[VKey]:
    """The verifier keys of the three witnesses."""
    return [VKey.parse(keys[f"witness{number}"]["vkey"]) for number in (1, 2, 3)]


@pytest.fixture(scope="session")
def policy() -> TlogPolicy:
    """The policy of the vectors: two of three witnesses."""
    return parse_policy(vector("witness-policy.txt"))
