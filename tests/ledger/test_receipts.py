"""What the log hands out convinces a stranger, and the programs that strangers use."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from django.conf import settings

from assay.bundle import hint_for, oms_hint_for, parse_bundle
from assay.checkpoint import check_origin
from assay.digests import sha256_hex
from assay.dsse import public_key_of, sign
from assay.errors import VerificationError
from assay.manifest import Manifest
from assay.note import VKey
from assay.policy import (
    Group,
    PolicyKey,
    TlogPolicy,
    parse_policy,
    parse_trusted_root,
    render_policy,
)
from assay.statements import MODERATION, OMS, parse_statement
from assay.verify import verify_bundle, verify_tlog_proof
from assay.witness import Answer
from ledger import selectors, services as ledger
from ledger.errors import LogDamagedError, NotIncludedError
from ledger.models import Entry
from ledger.services.entries import EntryStatus
from tests.ledger.builders import Claim, append_all, claim, private_key, sequence, thing, verified
from tests.ledger.witness import Witness, witness


def cosign() -> str:
    """Return the path of cosign, 3.1 or newer."""
    found = os.environ.get("COSIGN") or shutil.which("cosign")
    if not found:
        pytest.skip("cosign is not installed: set COSIGN to its path")
    return found


def test_every_entry_of_the_log_verifies_with_our_own_documents(
    opened: None, wanda: Witness
) -> None:
    ids = append_all(range(7))
    sequence()
    for number, entry in enumerate(ids):
        assert verified(entry, number).index == number


def test_a_bundle_does_not_verify_for_another_thing(opened: None) -> None:
    (entry,) = append_all(range(1))
    sequence()
    with pytest.raises(VerificationError, match="subject"):
        verified(entry, 1)


def test_the_tlog_proof_verifies_too(opened: None, wanda: Witness) -> None:
    ids = append_all(range(5))
    sequence()
    leaf = bytes(Entry.objects.get(pk=ids[3]).leaf_hash)
    proved = verify_tlog_proof(
        ledger.tlog_proof(ids[3]),
        leaf=leaf,
        origin=check_origin("localhost"),
        log=VKey.parse(ledger.log_vkey()),
        policy=parse_policy(ledger.witness_policy()),
    )
    assert proved.checkpoint.size == 5


def test_an_upgraded_bundle_keeps_leaf_and_index(opened: None) -> None:
    (entry,) = append_all(range(1))
    sequence()
    before = parse_bundle(ledger.receipt(entry)).entry
    append_all(range(1, 4))
    sequence()
    after = parse_bundle(ledger.receipt(entry)).entry
    assert (after.index, after.body) == (before.index, before.body)
    assert (before.inclusion.size, after.inclusion.size) == (1, 4)


def test_a_pending_entry_has_a_status_and_no_receipt(opened: None) -> None:
    entry = claim(1).append()
    expected = EntryStatus(index=None, included=False, checkpoint_size=None, witnesses=0)
    assert ledger.entry_status(entry) == expected
    for give in (ledger.receipt, ledger.tlog_proof):
        with pytest.raises(NotIncludedError, match="yet"):
            give(entry)
    assert ledger.wait_included(entry, 0) is False
    assert ledger.wait_included(entry, 0.06) is False
    sequence()
    assert ledger.wait_included(entry, 0) is True
    expected = EntryStatus(index=0, included=True, checkpoint_size=1, witnesses=0)
    assert ledger.entry_status(entry) == expected


def test_what_was_never_logged_has_neither(opened: None) -> None:
    with pytest.raises(NotIncludedError, match="no such entry"):
        ledger.entry_status(12345)
    assert ledger.entry_for_claim("0" * 64, bytes(32)) is None


def test_no_receipt_is_made_from_damaged_tiles(opened: None) -> None:
    ids = append_all(range(3))
    sequence()
    tile: Path = settings.LEDGER_DIR / "tile/0/000.p/3"
    tile.write_bytes(bytes(96))
    with pytest.raises(LogDamagedError, match="cannot be proved"):
        ledger.receipt(ids[0])
    tile.unlink()
    with pytest.raises(LogDamagedError, match="cannot be proved"):
        ledger.receipt(ids[0])


def folder_claim() -> tuple[Claim, Manifest]:
    manifest = Manifest.from_pairs([("model.onnx", sha256_hex(b"model"))])
    payload = manifest.oms_statement("digits")
    key = private_key("alice")
    made = Claim(
        envelope=sign(payload, key),
        key=public_key_of(key.public_key()),
        statement=parse_statement(payload),
    )
    return made, manifest


def test_a_model_signature_carries_the_hint_that_model_signing_reads(opened: None) -> None:
    one, manifest = folder_claim()
    entry = one.append(model="alice/digits")
    other = claim(1).append()
    sequence()
    assert parse_bundle(ledger.receipt(entry)).hint == oms_hint_for(one.key.spki)
    assert parse_bundle(ledger.receipt(other)).hint == hint_for(one.key.spki)
    found = verify_bundle(
        ledger.receipt(entry),
        key=one.key,
        trusted_root=parse_trusted_root(ledger.trusted_root()),
        predicate_type=OMS,
        policy=None,
        manifest=manifest,
    )
    assert found.index == 0


@pytest.mark.stock
def test_stock_cosign_says_verified_ok(opened: None, tmp_path: Path) -> None:
    program = cosign()
    ids = append_all(range(3))
    sequence()
    (tmp_path / "thing").write_bytes(thing(1))
    (tmp_path / "bundle.json").write_bytes(ledger.receipt(ids[1]))
    (tmp_path / "trusted_root.json").write_bytes(ledger.trusted_root())
    (tmp_path / "key.pub").write_text(claim(1).key.pem)
    command = [
        *(program, "verify-blob-attestation", "--bundle", "bundle.json", "--key", "key.pub"),
        *("--trusted-root", "trusted_root.json", "--type", MODERATION, "thing"),
    ]
    environment = {"HOME": str(tmp_path), "PATH": os.defpath}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "Verified OK" in done.stdout + done.stderr) == (0, True), done.stderr
    (tmp_path / "thing").write_bytes(thing(2))
    other = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert other.returncode != 0


def test_the_documents_name_this_log(opened: None) -> None:
    root = parse_trusted_root(ledger.trusted_root())
    assert [str(log.vkey) for log in root.logs] == [ledger.log_vkey()]
    assert root.logs[0].base_url == settings.LEDGER_URL
    assert settings.LEDGER_URL.encode() in ledger.signing_config()
    policy = parse_policy(ledger.witness_policy())
    assert ([str(log.vkey) for log in policy.logs], policy.quorum) == (
        [ledger.log_vkey()],
        "none",
    )


def test_the_published_policy_is_the_one_in_force(opened: None, wanda: Witness) -> None:
    assert parse_policy(ledger.witness_policy()).witnesses["wanda"].vkey == wanda.vkey


def test_one_diligent_witness_does_not_hide_the_checkpoint_that_both_saw(
    opened: None, log_vkey: VKey, policy_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strangers are asked now and then: many checkpoints may lie between two with a quorum."""
    monkeypatch.setattr(selectors, "WITNESSED_LOOKED_AT", 2)
    with witness("wanda", log_vkey) as wanda, witness("wim", log_vkey) as wim:
        keys = {one.name: PolicyKey(vkey=one.vkey, url=one.url) for one in (wanda, wim)}
        both = Group(threshold=2, members=("wanda", "wim"))
        policy = TlogPolicy(logs=(), witnesses=keys, groups={"both": both}, quorum="both")
        policy_path.write_bytes(render_policy(policy))
        (entry,) = append_all(range(1))
        sequence()
        wim.lie = Answer(status=500, body=b"")
        for number in range(1, 5):
            append_all(range(number, number + 1))
            sequence()
    assert ledger.newest_checkpoint().size == 5
    assert ledger.entry_status(entry).checkpoint_size == 1
    assert len(verified(entry, 0).checkpoint.witnesses) == 2
