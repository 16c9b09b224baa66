"""Every lie about a bundle, a statement, a folder or a proof is refused, for the right reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assay.cli.files import read_folder
from assay.digests import sha256_hex
from assay.dsse import load_public_key
from assay.errors import FormatError, MisuseError, SplitViewError, VerificationError
from assay.manifest import OMS
from assay.note import VKey
from assay.policy import parse_policy, parse_trusted_root
from assay.statements import RELEASE
from assay.verify import verify_bundle, verify_tlog_proof
from tests.assay.vectors import VECTORS, accepted, artefact_bytes, as_bytes, forged, values, vector

EXPECTED = {"malformed": FormatError, "refused": VerificationError, "misuse": MisuseError}
CHECKS = ("bundle.verify", "tlog-proof.verify")


def rows(source: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(row, id=row["name"]) for row in source if row["check"] in CHECKS]


def text_of(inputs: dict[str, Any], name: str, file: str) -> bytes:
    return as_bytes(inputs[name]) if name in inputs else vector(file)


def folder_of(inputs: dict[str, Any], place: Path) -> Path:
    wanted = inputs.get("folder", "resnet-tiny")
    if isinstance(wanted, str):
        return VECTORS / wanted
    for name, value in wanted.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, dict) and "symlink" in value:
            path.symlink_to(value["symlink"])
        else:
            path.write_bytes(as_bytes(value))
    return place


def check_bundle(row: dict[str, Any], place: Path) -> None:
    inputs = row.get("inputs") or {}
    kind = inputs.get("predicateType", RELEASE)
    file = text_of(inputs, "file", "model.onnx") if inputs.get("file", "") is not None else None
    verify_bundle(
        artefact_bytes(row),
        key=load_public_key(text_of(inputs, "key", "signer.pub")),
        trusted_root=parse_trusted_root(text_of(inputs, "trustedRoot", "trusted_root.json")),
        predicate_type=kind,
        policy=parse_policy(text_of(inputs, "policy", "witness-policy.txt")),
        file_sha256=sha256_hex(file) if kind != OMS and file is not None else None,
        manifest=read_folder(folder_of(inputs, place)) if kind == OMS else None,
    )


def check_proof(row: dict[str, Any]) -> None:
    known = values()
    verify_tlog_proof(
        artefact_bytes(row),
        leaf=bytes.fromhex(known["claims"]["release"]["leaf_hash"]),
        origin=known["origin"],
        log=VKey.parse(known["keys"]["log"]["vkey"]),
        policy=parse_policy(vector("witness-policy.txt")),
    )


def check(row: dict[str, Any], place: Path) -> None:
    if row["check"] == "bundle.verify":
        check_bundle(row, place)
    else:
        check_proof(row)


@pytest.mark.parametrize("row", rows(forged()))
def test_mallory_is_refused(row: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(EXPECTED[row["expect"]]) as caught:
        check(row, tmp_path)
    assert type(caught.value) is not SplitViewError
    assert str(caught.value)


@pytest.mark.parametrize("row", rows(accepted()))
def test_alice_is_believed_although_it_looks_odd(row: dict[str, Any], tmp_path: Path) -> None:
    check(row, tmp_path)


def test_no_row_of_these_areas_is_left_out() -> None:
    areas = ("bundle", "statement", "manifest")
    assert {row["check"] for row in forged(*areas)} == {"bundle.verify"}
    assert len(rows(forged())) > len(forged(*areas)) > 100
