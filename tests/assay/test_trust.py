"""`assay trust init` when a registry's log has ended and another one follows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

from assay.canonical import canonical_json
from assay.cli import app
from assay.dsse import public_key_of
from assay.policy import (
    LogKey,
    PolicyKey,
    TlogPolicy,
    log_key,
    parse_policy,
    parse_trusted_root,
    render_policy,
    render_trusted_root,
)
from tests.assay import claims
from tests.assay.stand import stand
from tests.assay.vectors import vector

FIRST, NEXT = claims.ORIGIN, "b.example.org"
ROOT = parse_trusted_root(vector("trusted_root.json"))
POLICY = parse_policy(vector("witness-policy.txt"))


def log(origin: str, number: int) -> LogKey:
    public = Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big")).public_key()
    return log_key(f"https://{origin}/log", public, "2026-01-01T00:00:00Z")


FOLLOWING = log(NEXT, 1)


@pytest.fixture(autouse=True)
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of folders of a reader who has pinned nothing yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("ASSAY_TRUST", raising=False)
    return tmp_path / "config" / "assay"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(item) for item in arguments])


def root(*logs: LogKey) -> bytes:
    return render_trusted_root(logs)


def policy(*logs: LogKey, **changed: Any) -> bytes:
    """Return the vectors' policy with lines for these logs."""
    lines = tuple(PolicyKey(vkey=one.vkey, url=one.base_url) for one in logs)
    values = {"witnesses": POLICY.witnesses, "groups": POLICY.groups, "quorum": POLICY.quorum}
    return render_policy(TlogPolicy(logs=lines, **{**values, **changed}))


def key(number: int, **fields: Any) -> dict[str, Any]:
    """Return a key of a document; number 0 is the executor of the vectors."""
    public = claims.public_key()
    if number:
        public = public_key_of(ec.derive_private_key(number, ec.SECP256R1()).public_key())
    shown = {"role": "executor", "owner": "examples", "index": 0}
    return {"fingerprint": public.fingerprint, "publicKey": public.pem, **shown, **fields}


def published(logs: Sequence[LogKey], keys: Sequence[dict[str, Any]], **changed: Any) -> Any:
    return {
        "/.well-known/assay/trusted_root.json": root(*logs),
        "/.well-known/assay/witness-policy.txt": policy(*logs, **changed),
        "/.well-known/assay/keys.json": canonical_json({"keys": list(keys)}),
    }


BEFORE = published(ROOT.logs, [key(0)])
AFTER = published([*ROOT.logs, FOLLOWING], [key(0, log=FIRST), key(7, log=NEXT)])


def init(*pages: Any) -> list[Result]:
    """Pin one state of a registry after the other."""
    results = []
    with stand({}) as server:
        for page in pages:
            server.pages = page
            results.append(run("trust", "init", server.url))
    return results


def test_a_pinned_registry_may_begin_another_log_and_says_what_is_new(pins: Path) -> None:
    first, second, third = init(BEFORE, AFTER, AFTER)
    assert (first.exit_code, "(new)" in first.stdout) == (0, False)
    assert (second.exit_code, second.stderr) == (0, "")
    lines = second.stdout.splitlines()
    assert f"  log      {ROOT.logs[0].vkey}" in lines
    assert f"  log      {FOLLOWING.vkey}  (new)" in lines
    assert sum("(new)" in line for line in lines) == 2  # the log and bob's key
    assert f"This address is not {NEXT}" in second.stdout
    assert f"This address is not {FIRST}" not in second.stdout
    assert (third.exit_code, "(new)" in third.stdout) == (0, False)
    assert sorted(folder.name for folder in pins.iterdir()) == [NEXT, FIRST]
    for folder in pins.iterdir():
        assert parse_trusted_root((folder / "trusted_root.json").read_bytes()).origins == (
            FIRST,
            NEXT,
        )


def test_who_pins_only_the_later_log_can_check_receipts_of_the_earlier_one(
    tmp_path: Path,
) -> None:
    receipt = tmp_path / "receipt.json"
    receipt.write_bytes(claims.receipt_of(claims.execution()))
    assert init(AFTER)[0].exit_code == 0
    result = run("verify", receipt)
    assert result.exit_code == 0, result.stderr
    assert "executor examples, registered at index 0" in result.stdout


def test_receipts_that_were_pinned_before_verify_on(tmp_path: Path) -> None:
    receipt = tmp_path / "receipt.json"
    receipt.write_bytes(claims.receipt_of(claims.execution()))
    init(BEFORE, AFTER)
    assert run("verify", receipt).exit_code == 0


def test_a_revocation_in_the_later_log_leaves_the_earlier_receipts_good(tmp_path: Path) -> None:
    receipt = tmp_path / "receipt.json"
    receipt.write_bytes(claims.receipt_of(claims.execution()))
    revoked = key(0, log=FIRST, revoked=0, revokedLog=NEXT)
    init(BEFORE, published([*ROOT.logs, FOLLOWING], [revoked]))
    assert run("verify", receipt).exit_code == 0
    earlier = key(7, log=FIRST)
    results = init(published([FOLLOWING, *ROOT.logs], [revoked, earlier]))
    assert results[0].exit_code == 1  # the order of the logs is pinned, too


def test_one_folder_for_all_may_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASSAY_TRUST", str(tmp_path / "trust"))
    (done, again) = init(BEFORE, AFTER)
    assert (done.exit_code, again.exit_code) == (0, 0)
    assert again.stdout.count(str(tmp_path / "trust")) == 1


MALLORY = log(NEXT, 2)
OTHER_WITNESSES = {
    name: PolicyKey(vkey=witness.vkey, url="https://mallory.example")
    for name, witness in POLICY.witnesses.items()
}


@pytest.mark.parametrize(
    ("lie", "pinned"),
    [
        (published([FOLLOWING, *ROOT.logs], [key(0)]), "trusted_root.json"),
        (published([FOLLOWING], [key(0)]), f"{NEXT}/trusted_root.json"),
        (published([ROOT.logs[0], MALLORY], [key(0), key(7)]), "trusted_root.json"),
        (published([log(FIRST, 3), FOLLOWING], [key(0), key(7)]), "trusted_root.json"),
        (published([*ROOT.logs], [key(0), key(7)]), "trusted_root.json"),
        (
            published([*ROOT.logs, FOLLOWING, log("c.example.org", 3)], [key(0), key(7)])
            | {"/.well-known/assay/witness-policy.txt": policy(*ROOT.logs)},
            "policy.txt",
        ),
        (
            published(
                [*ROOT.logs, FOLLOWING, log("c.example.org", 3)],
                [key(0), key(7)],
                witnesses=OTHER_WITNESSES,
            ),
            "policy.txt",
        ),
        (
            published(
                [*ROOT.logs, FOLLOWING, log("c.example.org", 3)], [key(0), key(7)], quorum="w1"
            ),
            "policy.txt",
        ),
    ],
)
def test_whatever_else_changes_with_a_new_log_is_refused(pins: Path, lie: Any, pinned: str) -> None:
    now = published([*ROOT.logs, FOLLOWING], [key(0), key(7)])
    first, second = init(now, lie)
    assert (first.exit_code, second.exit_code) == (0, 1)
    assert f"{pinned} pins something else" in second.stderr
    kept = (pins / FIRST / "trusted_root.json").read_bytes()
    assert kept == root(*ROOT.logs, FOLLOWING)


@pytest.mark.parametrize(
    ("pinned", "said", "taken"),
    [
        (key(0), key(0, log=FIRST), True),
        (key(0), key(0, log=NEXT), False),
        (key(0, log=FIRST), key(0, log=NEXT), False),
        (key(0, index=None), key(0, index=5, log=NEXT), True),
        (key(0, index=None), key(0, index=5, owner="mallory"), False),
        (key(0, index=3), key(0, index=None), False),
        (key(0, revoked=4), key(0, log=FIRST, revoked=4, revokedLog=FIRST), True),
        (key(0, revoked=4), key(0, log=FIRST, revoked=4), True),
        (key(0, revoked=4), key(0, log=FIRST, revoked=4, revokedLog=NEXT), False),
        (key(0, revoked=4), key(0, log=FIRST, revoked=5), False),
        (key(0), key(0, log=FIRST, revoked=5, revokedLog=NEXT), True),
    ],
)
def test_what_is_said_of_a_pinned_key_may_only_become_more(
    pinned: dict[str, Any], said: dict[str, Any], taken: bool
) -> None:
    logs = [*ROOT.logs, FOLLOWING]
    first, second = init(published(ROOT.logs, [pinned]), published(logs, [said]))
    assert (first.exit_code, second.exit_code) == (0, 0 if taken else 1)


def test_a_folder_that_cannot_be_written_is_told(pins: Path) -> None:
    pins.mkdir(parents=True)
    (pins / NEXT).write_bytes(b"a file where the folder should be")
    (result,) = init(AFTER)
    assert (result.exit_code, f"cannot write {pins / NEXT}" in result.stderr) == (3, True)
