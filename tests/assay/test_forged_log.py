"""Every lie of the log's corpus gets its verdict, every odd truth is accepted."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assay.checkpoint import VerifiedCheckpoint, check_origin
from assay.errors import FormatError, MisuseError, UnavailableError, VerificationError
from assay.merkle import check_consistency, check_inclusion, root_from
from assay.monitor import follow
from assay.note import VKey, open_note
from assay.policy import parse_policy, verify_checkpoint
from assay.tiles import Tile, TileReader, check_entries, decode_entries, decode_hashes, parse_path
from assay.witness import WitnessState, add_checkpoint
from tests.assay.simulators import MemoryStore
from tests.assay.vectors import VECTORS, Row, accepted, artefact_bytes, forged, values, vector

AREAS = ("note", "checkpoint", "proof", "tile", "policy", "witness")
EXPECTED = {"malformed": FormatError, "refused": VerificationError, "misuse": MisuseError}


def log_rows(rows: list[Row]) -> list[Row]:
    # A tlog-proof belongs to the receipts' tests.
    return [row for row in rows if row["check"] != "tlog-proof.verify"]


FORGED = log_rows(forged(*AREAS))
ACCEPTED = log_rows(accepted(*AREAS))


def log_key() -> VKey:
    return VKey.parse(values()["keys"]["log"]["vkey"])


def open_as_asked(row: Row) -> None:
    keys = values()["keys"]
    default = [keys[name]["vkey"] for name in ("log", "witness1", "witness2", "witness3")]
    vkeys = (row.get("inputs") or {}).get("vkeys", default)
    open_note(artefact_bytes(row), [VKey.parse(text) for text in vkeys])


def believe(note: bytes) -> VerifiedCheckpoint:
    policy = parse_policy(vector("witness-policy.txt"))
    return verify_checkpoint(note, origin=values()["origin"], log=log_key(), policy=policy)


def hashes(value: dict[str, Any], *names: str) -> list[bytes]:
    return [base64.b64decode(value[name]) for name in names]


def follow_as_asked(row: Row) -> None:
    value = json.loads(artefact_bytes(row))
    proof = [base64.b64decode(text) for text in value["proof"]]
    follow(believe(value["remembered"].encode()), believe(value["new"].encode()), proof)


def include(row: Row) -> None:
    value = json.loads(artefact_bytes(row))
    leaf, root = hashes(value, "leaf", "root")
    proof = [base64.b64decode(text) for text in value["hashes"]]
    check_inclusion(leaf, value["index"], value["size"], proof, root)


def extend(row: Row) -> None:
    value = json.loads(artefact_bytes(row))
    old, new = hashes(value, "oldRoot", "newRoot")
    proof = [base64.b64decode(text) for text in value["hashes"]]
    check_consistency(value["oldSize"], old, value["newSize"], new, proof)


class Swapped:
    """The tiles of the vectors, with other bytes for tile/0/001.p/3."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def tile(self, tile: Tile) -> bytes:
        if tile.index == 1:
            return self.data
        path = Path(VECTORS / tile.path)
        if not path.is_file():
            raise UnavailableError(tile.path)
        return path.read_bytes()


def rebuild(row: Row) -> None:
    root = root_from(values()["log"]["size"], TileReader(Swapped(artefact_bytes(row)), 259))
    if root.hex() != values()["log"]["root"]:
        raise VerificationError("the tiles give another root")


def read_entries(row: Row) -> None:
    width = row["inputs"]["width"]
    leaves = decode_hashes(vector("tile/0/001.p/3"), width)
    check_entries(decode_entries(artefact_bytes(row), width), leaves)


CHECKS: dict[str, Callable[[Row], object]] = {
    "note.open": open_as_asked,
    "checkpoint.verify": lambda row: believe(artefact_bytes(row)),
    "checkpoint.follow": follow_as_asked,
    "setting.origin": lambda row: check_origin(artefact_bytes(row).decode()),
    "proof.inclusion": include,
    "proof.consistency": extend,
    "tile.path": lambda row: parse_path(artefact_bytes(row).decode()),
    "tile.hashes": rebuild,
    "tile.entries": read_entries,
    "policy.parse": lambda row: parse_policy(artefact_bytes(row)),
}


def by_name(row: Row) -> str:
    return str(row["name"])


def test_the_corpus_is_whole() -> None:
    assert (len(forged()), len(accepted())) == (282, 43)
    assert {row["check"] for row in FORGED + ACCEPTED} == {*CHECKS, "witness.add"}


@pytest.mark.parametrize(
    "row", [row for row in FORGED if row["check"] != "witness.add"], ids=by_name
)
def test_mallory_is_refused(row: Row) -> None:
    with pytest.raises(EXPECTED[row["expect"]]):
        CHECKS[row["check"]](row)


@pytest.mark.parametrize(
    "row", [row for row in ACCEPTED if row["check"] != "witness.add"], ids=by_name
)
def test_alice_is_believed_although_it_looks_odd(row: Row) -> None:
    CHECKS[row["check"]](row)


@pytest.mark.parametrize(
    "row", [row for row in FORGED + ACCEPTED if row["check"] == "witness.add"], ids=by_name
)
def test_the_witness_answers_as_the_specification_says(row: Row) -> None:
    held, key = row["inputs"]["state"], values()["keys"]["witness1"]
    before = WitnessState(size=held["size"], root=base64.b64decode(held["root"]))
    store = MemoryStore({values()["origin"]: before})
    answer = add_checkpoint(
        artefact_bytes(row),
        logs={values()["origin"]: log_key()},
        store=store,
        key=Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key["seed"])),
        name=key["name"],
        time=1767225600,
    )
    assert answer.status == row["status"]
    if answer.status != 200:
        assert store.states == {values()["origin"]: before}
