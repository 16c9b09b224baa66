"""A consumer with the wheel's commands alone: pin, run, look, fetch, check, replay; and lies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from assay.manifest import OMS
from tests.e2e.stack import ROOT, Stack

MODEL = "examples/digits"
REQUEST = ROOT / "examples" / "requests" / "digits.json"


@dataclass(frozen=True, slots=True)
class Bob:
    """Somebody with a shell, a home of his own, and no account."""

    folder: Path
    site: str

    def says(self, *words: object, code: int = 0) -> str:
        """Type `assay …`; return what it printed, once it ended with `code`."""
        done = subprocess.run(
            [sys.executable, "-m", "assay.cli", *map(str, words)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def asks(self, *words: object, code: int = 0) -> dict[str, Any]:
        """Type it with `--json` and return the object."""
        value: dict[str, Any] = json.loads(self.says(*words, "--json", code=code))
        return value

    @property
    def environment(self) -> dict[str, str]:
        kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(self.folder)}
        return {**kept, "LC_ALL": "C.UTF-8"}


@pytest.fixture(scope="module")
def bob(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Bob:
    site = stack.url.replace("127.0.0.1", "localhost")  # the log's name
    return Bob(folder=tmp_path_factory.mktemp("bob"), site=site)


@pytest.fixture(scope="module")
def pinned(bob: Bob) -> Bob:
    said = bob.says("trust", "init", bob.site)
    assert "a tree is the ledger's if localhost signed it" in said
    return bob


@pytest.fixture(scope="module")
def kept(pinned: Bob) -> Path:
    """A run, with all that proves it."""
    pinned.says("run", MODEL, "--url", pinned.site, "--input", REQUEST, "--out", "kept")
    return pinned.folder / "kept"


def test_before_he_pins_he_gets_values_and_no_verdict(bob: Bob) -> None:
    answer = bob.asks("run", MODEL, "--url", bob.site, "--input", REQUEST, "--out", "early", code=3)
    values = {item["name"]: item["data"] for item in answer["outputs"]}
    assert (answer["verdict"], values["digit"]) == ("not verified", [2])


def test_what_he_pinned_is_shown(pinned: Bob) -> None:
    (pins,) = pinned.asks("trust", "show")["pins"]
    assert pins["logs"][0]["origin"] == "localhost"
    assert {key["role"] for key in pins["keys"]} >= {"executor", "publisher", "registry"}


def test_he_runs_checks_and_replays(pinned: Bob, kept: Path) -> None:
    said = pinned.says("verify", "kept/receipt.json", "--blob", "kept/output.tensors")
    assert "Verified" in said
    said = pinned.says(
        *("replay", "kept/receipt.json", "--input", "kept/input.tensors"),
        *("--blob", "kept/output.tensors", "--url", pinned.site),
    )
    assert "exact" in said
    again = pinned.asks(
        *("run", MODEL, "--url", pinned.site, "--input", "kept/input.tensors", "--out", "again")
    )
    assert again["verdict"] == "verified"
    assert (pinned.folder / "again" / "output.tensors").read_bytes() == (
        kept / "output.tensors"
    ).read_bytes()


def test_he_reads_every_file_that_he_has(pinned: Bob, kept: Path) -> None:
    kinds = {path.name: pinned.asks("inspect", path)["kind"] for path in sorted(kept.iterdir())}
    assert kinds == {
        "input.tensors": "tensors",
        "output.tensors": "tensors",
        "receipt.json": "bundle",
        "statement.txt": "compact",
    }
    for address, kind in {
        "/log/checkpoint": "checkpoint",
        "/.well-known/assay/trusted_root.json": "trusted-root",
        "/.well-known/assay/witness-policy.txt": "policy",
        "/.well-known/assay/keys.json": "keys",
        "/.well-known/assay/log.vkey": "vkey",
        "/.well-known/assay/runtimes": "runtimes",
        "/ledger/0/tlog-proof": "tlog-proof",
    }.items():
        assert pinned.asks("inspect", pinned.site + address)["kind"] == kind


def test_he_fetches_a_model_and_names_it_by_its_digest_from_then_on(pinned: Bob) -> None:
    got = pinned.asks("pull", MODEL, "--url", pinned.site)
    assert (got["verdict"], got["owner"]) == ("pulled", "examples")
    assert "Verified" in pinned.says(
        "verify", "digits/model.sig", "--type", OMS, "--blob", "digits"
    )
    digest = pinned.asks("inspect", "digits")["content"]["manifest_digest"]
    assert digest == got["manifest"]
    assert pinned.asks("inspect", "digits/model.onnx")["content"]["inputs"]
    assert pinned.asks("pull", MODEL, "--url", pinned.site)["verdict"] == "there"
    pinned.says("pull", digest, "same", "--url", pinned.site)
    ran = pinned.asks("run", digest, "--url", pinned.site, "--input", REQUEST, "--out", "named")
    assert (ran["manifest"], ran["verdict"]) == (digest, "verified")
    said = pinned.says("pull", MODEL, "none", "--url", pinned.site, "--version", "99", code=1)
    assert "has no release 99" in said


def test_a_long_run_is_queued_and_waited_for(pinned: Bob) -> None:
    ran = pinned.asks(
        *("run", MODEL, "--url", pinned.site, "--queue", "--out", "queued"),
        *("--input", "kept/input.tensors"),
    )
    assert ran["verdict"] == "verified"


def test_a_private_run_keeps_the_salts_that_open_it(stack: Stack, pinned: Bob) -> None:
    token = stack.manage("token", "robert", "--create")
    (pinned.folder / "token").write_text(token)
    pinned.says(
        *("run", MODEL, "--url", pinned.site, "--private", "--token-file", "token"),
        *("--input", "kept/input.tensors", "--out", "secret"),
    )
    salts = json.loads((pinned.folder / "secret" / "salts.json").read_text())
    receipt = ("verify", "secret/receipt.json", "--blob", "secret/output.tensors")
    pinned.says(*receipt, "--output-salt", salts["output"])
    assert "its salt is needed" in pinned.says(*receipt, code=2)


def test_a_pull_that_is_killed_leaves_nothing_and_goes_on(stack: Stack, pinned: Bob) -> None:
    """Killed as early as it has a place to write; whatever came by then counts."""
    place = pinned.folder / ".late.pull"
    process = subprocess.Popen(
        [sys.executable, "-m", "assay.cli", "pull", MODEL, "late", "--url", pinned.site],
        cwd=pinned.folder,
        env=pinned.environment,
        stdout=subprocess.DEVNULL,
    )
    until = time.monotonic() + 60
    while not place.exists() and process.poll() is None and time.monotonic() < until:
        os.sched_yield()
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    whole = (pinned.folder / "late").exists()
    assert whole == (pinned.folder / "late" / "model.sig").exists()
    pinned.says("pull", MODEL, "late", "--url", pinned.site)
    assert "Verified" in pinned.says("verify", "late/model.sig", "--type", OMS, "--blob", "late")
    assert not place.exists() or whole
