"""The Python API: its names, and the receipt that the documents and benchmarks work on."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

import assay
from assay import api
from assay.api import KeyRing, MisuseError, Policy, Receipt, TrustedRoot, VerificationError
from assay.dsse import PublicKey
from assay.replay import Job, Material
from assay.tensors import Tensor, decode_tensors
from assay.verify import TrustedKey
from tests.assay import claims
from tests.assay.registering import vectors

HERE = Path(__file__).parent.parent / "vectors" / "receipt"


def read(name: str) -> bytes:
    return (HERE / name).read_bytes()


ROOT = TrustedRoot.parse(read("trusted_root.json"))
POLICY = Policy.parse(witnesses=read("policy.txt"), keys=read("keys.json"))


class Honest:
    """A runner that gives the output of the receipt."""

    def run(self, job: Job) -> list[Tensor]:
        assert [tensor.name for tensor in job.inputs] == ["x", "y"]
        return decode_tensors(read("output.tensors"))


def test_the_vectors_are_what_the_tests_make() -> None:
    made = vectors()
    assert {path.name for path in HERE.iterdir()} == {*made, "README.md"}
    assert [name for name, data in made.items() if read(name) != data] == []


def test_the_names_are_there() -> None:
    assert [name for name in api.__all__ if not hasattr(api, name)] == []
    assert [name for name in assay.__all__ if not hasattr(assay, name)] == []
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = assay.nothing


def test_alice_verifies_with_what_she_pinned() -> None:
    assert KeyRing.parse(read("keys.json")) == POLICY.keys
    verified = api.verify(
        read("receipt.json"),
        trusted_root=ROOT,
        policy=POLICY,
        registration=read("registration.json"),
        output=read("output.tensors"),
        input=read("input.tensors"),
    )
    assert verified.registered
    assert verified.listed
    assert [step.number for step in verified.steps] == list(range(1, 15))


def test_the_hint_chooses_among_the_keys_of_the_policy() -> None:
    stranger = TrustedKey(key=PublicKey(spki=b"another"), role="executor")
    both = KeyRing(keys=(stranger, *POLICY.keys.keys))
    asked = replace(POLICY, keys=both)
    verified = api.verify(read("receipt.json"), trusted_root=ROOT, policy=asked)
    assert verified.key == claims.public_key()
    nobody = replace(POLICY, keys=KeyRing(keys=(stranger,)))
    with pytest.raises(VerificationError, match="a key that is not trusted here"):
        api.verify(read("receipt.json"), trusted_root=ROOT, policy=nobody)


@pytest.mark.parametrize("policy", [None, replace(POLICY, keys=KeyRing(keys=()))])
def test_without_any_key_nothing_can_be_asked(policy: Policy | None) -> None:
    with pytest.raises(MisuseError, match="the policy names none"):
        api.verify(read("receipt.json"), trusted_root=ROOT, policy=policy)


def test_an_execution_is_run_again_by_its_receipt() -> None:
    receipt = Receipt.parse(read("receipt.json"))
    material = Material(graph=claims.MODEL.read_bytes(), input=read("input.tensors"))
    again = api.replay(receipt, material, Honest(), output=read("output.tensors"))
    assert again.verdict == "exact"


def test_values_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        POLICY.max_age = 1  # type: ignore[misc]  # the very thing that must not work
