"""One move of an alias, checked offline: what it names, by whom, and every way to bend it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from assay.bundle import render_bundle
from assay.cli import app
from assay.cli.files import read_folder
from assay.errors import FormatError, MisuseError, VerificationError
from assay.manifest import Manifest
from assay.policy import TlogPolicy, TrustedRoot, parse_trusted_root
from assay.statements import ALIAS, AliasPredicate, Observed, Statement, Subject, render
from assay.verify import TrustedKey, Verified, verify_alias
from tests.assay import claims
from tests.assay.vectors import VECTORS, vector

ROOT = parse_trusted_root(vector("trusted_root.json"))
FOLDER = Manifest.from_pairs([("model.onnx", "ab" * 32), ("README.md", "cd" * 32)])
MOVE = AliasPredicate(
    observed=claims.execution().observed,
    model="alice/add",
    alias="production",
    revision="4f631084a157c54f54fcfb23ff5eb8650c4ba160",
    previous=None,
)
ALICE = TrustedKey(key=claims.public_key(), role="publisher", owner="alice", index=0)


def bundle(move: AliasPredicate = MOVE, *subjects: str) -> bytes:
    about = [Subject(name="", sha256=sha256) for sha256 in subjects or (FOLDER.digest,)]
    return render_bundle(claims.logged(render(move.statement(about))))


def ask(policy: TlogPolicy, data: bytes = b"", **options: Any) -> Verified:
    named: dict[str, Any] = {"key": ALICE, "trusted_root": ROOT, **options}
    return verify_alias(data or bundle(), policy=policy, **named)


def test_alice_verifies_a_move_of_an_alias(policy: TlogPolicy) -> None:
    verified = ask(policy)
    assert [step.number for step in verified.steps] == list(range(1, 15))
    assert "not compared" in verified.steps[10].detail
    said = verified.steps[12].detail
    assert said == f"production of alice/add to {MOVE.revision}, new"
    moved = ask(policy, bundle(replace(MOVE, previous="ab" * 20)), key=claims.public_key())
    assert moved.steps[12].detail.endswith(f"before at {'ab' * 20}")


def test_alice_compares_the_folder_that_the_alias_names(policy: TlogPolicy) -> None:
    held = ask(policy, manifest=FOLDER).steps[10].detail
    assert held == f"2 files, manifest {FOLDER.digest}"
    other = Manifest.from_pairs([("model.onnx", "ab" * 32)])
    with pytest.raises(VerificationError, match="names another folder"):
        ask(policy, manifest=other)


def test_an_alias_has_one_subject(policy: TlogPolicy) -> None:
    with pytest.raises(VerificationError, match="one subject"):
        ask(policy, bundle(MOVE, FOLDER.digest, "00" * 32))


def test_mallorys_key_does_not_move_alices_alias(policy: TlogPolicy) -> None:
    with pytest.raises(VerificationError, match="another owner's models"):
        ask(policy, key=replace(ALICE, owner="mallory"))


def test_a_key_of_another_role_moves_nothing(policy: TlogPolicy) -> None:
    with pytest.raises(VerificationError, match="may not sign"):
        ask(policy, key=replace(ALICE, role="executor"))


def test_a_revoked_key_moves_nothing_after_its_revocation(policy: TlogPolicy) -> None:
    assert ask(policy, key=replace(ALICE, revoked=2)).index == 1
    with pytest.raises(VerificationError, match="revoked"):
        ask(policy, key=replace(ALICE, revoked=1))


def test_a_move_that_saw_a_tree_after_itself_is_refused(policy: TlogPolicy) -> None:
    seen = Observed(origin=claims.ORIGIN, tree_size=2, root_hash="00" * 32)
    with pytest.raises(VerificationError, match="came after it"):
        ask(policy, bundle(replace(MOVE, observed=seen)))


def test_another_claim_is_no_alias(policy: TlogPolicy) -> None:
    with pytest.raises(VerificationError, match="type"):
        ask(policy, claims.receipt_of(claims.execution()))


def test_a_predicate_with_a_field_too_many_is_malformed(policy: TlogPolicy) -> None:
    bent = Statement(
        subjects=(Subject(name="", sha256=FOLDER.digest),),
        predicate_type=ALIAS,
        predicate={**MOVE.to_dict(), "reason": "because"},
    )
    with pytest.raises(FormatError, match="reason"):
        ask(policy, render_bundle(claims.logged(render(bent))))


def test_without_a_trusted_log_nothing_can_be_asked(policy: TlogPolicy) -> None:
    with pytest.raises(MisuseError):
        ask(policy, trusted_root=TrustedRoot(logs=()))


# ------------------------------------------------------------------ the command


def run(path: Path, *more: object) -> Any:
    trust = (
        *("--trusted-root", VECTORS / "trusted_root.json"),
        *("--policy", VECTORS / "witness-policy.txt"),
        *("--key", VECTORS / "signer.pub"),
    )
    arguments = ("verify", path, "--type", ALIAS, *trust, *more)
    return CliRunner().invoke(app, [str(item) for item in arguments])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "digits"
    path.mkdir()
    (path / "README.md").write_bytes(b"# A card\n")
    (path / "model.onnx").write_bytes(b"a model")
    return path


def of_folder(folder: Path) -> str:
    return read_folder(folder).digest


def test_the_command_says_what_the_alias_names(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "alias.sigstore.json"
    path.write_bytes(bundle(MOVE, of_folder(folder)))
    told = run(path, "--blob", folder)
    assert told.exit_code == 0, told.output
    assert "names   production of alice/add" in told.stdout
    assert f"moved   from nothing to {MOVE.revision}" in told.stdout
    assert "later entries of the ledger" in told.stdout
    found = json.loads(run(path, "--json").stdout)
    assert found["alias"] == {
        "model": "alice/add",
        "alias": "production",
        "revision": MOVE.revision,
        "previous": None,
    }
    assert found["blob"] is False


def test_the_command_refuses_another_folder(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "alias.sigstore.json"
    path.write_bytes(bundle(replace(MOVE, previous="ab" * 20), of_folder(folder)))
    (folder / "model.onnx").write_bytes(b"another model")
    told = run(path, "--blob", folder)
    assert told.exit_code == 1
    assert "names another folder" in told.stderr
