"""Bundles are written as cosign writes them, and read in one spelling."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from assay.bundle import (
    Bundle,
    hint_for,
    oms_hint_for,
    parse_bundle,
    render_bundle,
    tlog_entry_dict,
)
from assay.errors import FormatError, VerificationError
from tests.assay import claims
from tests.assay.vectors import values, vector


@pytest.mark.parametrize("name", ["bundle.json", "oms.bundle.json"])
def test_the_vectors_are_read_and_written_back(name: str) -> None:
    bundle = parse_bundle(vector(name))
    assert json.loads(render_bundle(bundle)) == json.loads(vector(name))
    assert parse_bundle(render_bundle(bundle)) == bundle


def test_the_write_api_answers_with_the_entry() -> None:
    entry = parse_bundle(vector("bundle.json")).entry
    assert tlog_entry_dict(entry) == json.loads(vector("rekor.response.json"))


def test_the_hints_are_those_of_cosign_and_model_signing() -> None:
    keys = values()["keys"]["signer"]
    spki = bytes.fromhex(keys["spki"])
    assert hint_for(spki) == keys["hint_claim"]
    assert oms_hint_for(spki) == keys["hint_oms"]


def test_zero_is_absent() -> None:
    bundle = claims.logged(b"{}")
    proof = replace(bundle.entry.inclusion, index=0, hashes=(), size=0)
    first = replace(bundle, hint="", entry=replace(bundle.entry, index=0, inclusion=proof))
    value = json.loads(render_bundle(first))
    entry = value["verificationMaterial"]["tlogEntries"][0]
    assert "logIndex" not in entry
    assert sorted(entry["inclusionProof"]) == ["checkpoint", "rootHash"]
    assert value["verificationMaterial"]["publicKey"] == {}
    assert parse_bundle(render_bundle(first)) == first


def bent(change: Any) -> bytes:
    value = json.loads(vector("bundle.json"))
    change(value["verificationMaterial"], value["verificationMaterial"]["tlogEntries"][0])
    return json.dumps(value).encode()


def test_too_many_hashes_are_refused_before_they_are_read() -> None:
    def many(_: Any, entry: Any) -> None:
        entry["inclusionProof"]["hashes"] = [0] * 64

    with pytest.raises(FormatError, match="more than 63"):
        parse_bundle(bent(many))


def test_no_key_at_all_is_malformed() -> None:
    with pytest.raises(FormatError, match="publicKey"):
        parse_bundle(bent(lambda material, _: material.pop("publicKey")))


def test_no_entries_at_all_is_not_logged() -> None:
    with pytest.raises(VerificationError, match="not in a log"):
        parse_bundle(bent(lambda material, _: material.pop("tlogEntries")))


def test_syntax_is_judged_before_the_kind() -> None:
    def both(_: Any, entry: Any) -> None:
        entry["kindVersion"]["kind"] = "dsse"
        entry["canonicalizedBody"] = "-"

    with pytest.raises(FormatError):
        parse_bundle(bent(both))


def test_a_bundle_is_a_value() -> None:
    assert isinstance(parse_bundle(vector("bundle.json")), Bundle)
    assert hash(parse_bundle(vector("bundle.json"))) == hash(parse_bundle(vector("bundle.json")))
