"""`assay trust`: what is pinned is told in words, for people who have to rely on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import Result

from assay.canonical import canonical_json
from assay.cli.pinning import _origins, quorum_in_words
from assay.digests import sha256_hex
from assay.policy import parse_policy
from tests.assay import claims
from tests.assay.publishing import run, told
from tests.assay.shop import write_pins
from tests.assay.stand import stand
from tests.assay.vectors import vector

POLICY = vector("witness-policy.txt")


@pytest.fixture(autouse=True)
def pins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of folders of a reader who has pinned nothing yet."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("ASSAY_TRUST", raising=False)
    return tmp_path / "config" / "assay"


def show(*more: object) -> Result:
    return run("trust", "show", *more)


def test_who_has_pinned_nothing_is_told_how(pins: Path) -> None:
    done = show()
    assert (done.exit_code, "nothing is pinned: `assay trust init URL`" in done.stderr) == (2, True)
    (pins / "monitor").mkdir(parents=True)
    assert show().exit_code == 2
    done = show("elsewhere.example.org")
    assert (done.exit_code, "elsewhere.example.org is not pinned" in done.stderr) == (2, True)
    assert "is not the name of a log" in show("../etc").stderr


def test_what_is_pinned_is_shown_with_what_it_is_good_for(pins: Path) -> None:
    folder = pins / claims.ORIGIN
    write_pins(folder, owner="examples")
    (folder / "keys").mkdir()
    (folder / "keys" / "bob.pem").write_bytes(vector("signer.pub"))
    done = show()
    assert done.exit_code == 0, done.output
    assert "it counts if 2 of w1, w2, w3 cosigned it" in done.stdout
    assert "executor examples, from entry 0" in done.stdout
    assert "any role: a file that you put there" in done.stdout
    assert f"{sha256_hex(POLICY)}  policy.txt" in done.stdout
    for name in (claims.ORIGIN, f"https://{claims.ORIGIN}/models/"):
        assert show(name).stdout == done.stdout


def test_programs_read_the_pins(pins: Path) -> None:
    write_pins(pins / claims.ORIGIN)
    (one,) = told(show("--json"))["pins"]
    assert (one["logs"][0]["origin"], one["quorum"]["name"]) == (claims.ORIGIN, "two-of-three")
    assert (one["keys"][0]["role"], one["keys"][0]["revoked"]) == ("executor", None)
    assert set(one["files"]) == {"trusted_root.json", "policy.txt", "keys.json"}


def test_a_revocation_and_the_log_it_stands_in_are_shown(pins: Path) -> None:
    key = claims.public_key()
    row = {"fingerprint": key.fingerprint, "role": "executor", "owner": "", "publicKey": key.pem}
    ends = {"index": 0, "log": "a.example.org", "revoked": 7, "revokedLog": "b.example.org"}
    keys = canonical_json({"keys": [{**row, **ends}]})
    write_pins(pins / claims.ORIGIN, {"keys.json": keys})
    assert "from entry 0 of a.example.org, revoked at 7 of b.example.org" in show().stdout


def test_a_policy_that_asks_nobody_is_said_aloud(pins: Path) -> None:
    alone = POLICY.replace(b"quorum two-of-three", b"quorum none")
    write_pins(pins / claims.ORIGIN, {"policy.txt": alone})
    done = show()
    assert "the log alone signed it" in done.stdout
    assert "No witness is asked for" in done.stdout
    one = parse_policy(POLICY.replace(b"quorum two-of-three", b"quorum w1"))
    assert quorum_in_words(one) == "the witness w1 cosigned it"


def test_a_pin_that_is_none_is_refused(pins: Path) -> None:
    write_pins(pins / claims.ORIGIN, {"trusted_root.json": b"{}"})
    done = show()
    assert (done.exit_code, "mediaType" in done.stderr) == (1, True)


def test_one_folder_for_all_may_be_named(
    pins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASSAY_TRUST", str(tmp_path / "trust"))
    assert show().exit_code == 2
    write_pins(tmp_path / "trust")
    assert str(tmp_path / "trust") in show().stdout


def test_first_contact_says_what_the_pins_mean() -> None:
    key = claims.public_key()
    row = {"fingerprint": key.fingerprint, "role": "executor", "owner": "", "publicKey": key.pem}
    pages = {
        "trusted_root.json": vector("trusted_root.json"),
        "witness-policy.txt": POLICY,
        "keys.json": canonical_json({"keys": [{**row, "index": 0}]}),
    }
    with stand({f"/.well-known/assay/{name}": data for name, data in pages.items()}) as server:
        done = run("trust", "init", server.url)
    assert done.exit_code == 0, done.output
    assert f"a tree is the ledger's if {claims.ORIGIN} signed it" in done.stdout
    assert "counts if 2 of w1, w2, w3 cosigned it" in done.stdout
    assert "(1 executor)" in done.stdout
    assert json.loads(show("--json").stdout)["verdict"] == "pinned"


def test_the_shell_completes_what_is_pinned(pins: Path) -> None:
    write_pins(pins / claims.ORIGIN)
    assert _origins("led") == [claims.ORIGIN]
    assert _origins("x") == []
