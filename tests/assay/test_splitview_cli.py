"""`assay split-view`: whoever gets the file checks it with the log's key, and with nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from assay.cli import app
from assay.splitview import SplitView, read_cover
from tests.assay.logbook import pinned
from tests.assay.vectors import VECTORS
from tests.assay.views import LOG, ORIGIN, Leaves, note_over, numbered


def evidence(old: list[bytes], new: list[bytes]) -> bytes:
    return SplitView(
        first=note_over(old),
        second=note_over(new),
        left=read_cover(0, len(old), Leaves(new)),
        right=read_cover(len(old), len(new), Leaves(new)),
    ).render()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("ASSAY_TRUST", raising=False)
    path = tmp_path / "split-view.json"
    path.write_bytes(evidence(numbered(3, b"other "), numbered(8)))
    return path


def check(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["split-view", *(str(item) for item in arguments)])


def test_a_stranger_with_the_vkey_is_convinced(file: Path) -> None:
    result = check(file, "--vkey", LOG)
    assert result.exit_code == 0
    assert "Split view" in result.stdout
    assert f"{ORIGIN} signed a tree of 3 leaves with the root " in result.stdout
    assert f"signed by {LOG}" in result.stdout


def test_a_reader_who_pinned_the_log_is_convinced(file: Path, tmp_path: Path) -> None:
    assert check(file).exit_code == 2
    assert check(file, *list(pinned(tmp_path / "pins"))[:2]).exit_code == 0
    pinned(tmp_path / "config" / "assay" / ORIGIN)
    assert check(file).exit_code == 0


def test_programs_read_json(file: Path) -> None:
    told = json.loads(check(file, "--vkey", LOG, "--json").stdout)
    assert (told["verdict"], told["log"]) == ("split view", str(LOG))
    assert told["reason"].startswith(ORIGIN)
    file.write_bytes(evidence(numbered(3), numbered(8)))
    told = json.loads(check(file, "--vkey", LOG, "--json").stdout)
    assert told["verdict"] == "refused"


def test_growth_is_refused_as_evidence(file: Path) -> None:
    file.write_bytes(evidence(numbered(3), numbered(8)))
    result = check(file, "--vkey", LOG)
    assert result.exit_code == 1
    assert "no split view" in result.stderr


def test_another_logs_key_convicts_nobody(file: Path) -> None:
    result = check(file, "--trusted-root", VECTORS / "trusted_root.json")
    assert result.exit_code == 1
    assert "no known key signed" in result.stderr


def test_what_cannot_be_asked_or_read_is_said(file: Path, tmp_path: Path) -> None:
    assert check(file, "--vkey", "no vkey").exit_code == 2
    assert check(tmp_path / "absent.json", "--vkey", LOG).exit_code == 3
    file.write_bytes(b"{}")
    assert check(file, "--vkey", LOG).exit_code == 1
