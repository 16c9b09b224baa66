"""Alice replays what only she may see; her token goes to the registry that she trusts, only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from assay.cli import app
from assay.errors import UnavailableError
from tests.assay.auditing import Office, office, uuid


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    with office(tmp_path, monkeypatch) as made:
        made.execute(1)
        made.publish()
        monkeypatch.setenv("ASSAY_TOKEN", "secret")
        yield made


def replay(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["replay", *arguments])


def test_the_registry_that_is_named_gets_the_token(desk: Office) -> None:
    receipt = f"{desk.site.url}/executions/{uuid(1)}/receipt"
    assert replay(receipt, "--url", desk.site.url).exit_code == 0
    assert desk.site.tokens == {"Bearer secret"}


def test_the_address_of_a_receipt_gets_none(desk: Office) -> None:
    """Mallory sends a link: whoever follows it must not hand over a token."""
    receipt = f"{desk.site.url}/executions/{uuid(1)}/receipt"
    assert replay(receipt).exit_code == 0
    assert desk.site.tokens == {""}


def test_the_registry_whose_log_is_pinned_gets_the_token(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def offline(url: str, *, limit: int, timeout_s: float, token: str = "") -> bytes:
        asked.append((url.partition("/sha256/")[0], token))
        raise UnavailableError("no network here")

    receipt = desk.folder / "receipt.json"
    receipt.write_bytes(desk.receipt(0, desk.ran[0]))
    monkeypatch.setattr("assay.cli.given.fetch", offline)
    runtime = ("--runtime", str(desk.folder))
    assert replay(str(receipt), *runtime).exit_code == 3
    assert asked == [("https://ledger.example.org", "secret")]


def test_a_token_does_not_travel_in_the_open(desk: Office) -> None:
    result = replay("http://models.example.org/r", "--url", "http://models.example.org")
    assert (result.exit_code, "in the open" in result.stderr) == (2, True)
