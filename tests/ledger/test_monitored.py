"""Our own log as a stranger's monitor sees it: over HTTP, from the first entry on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django.live_server_helper import LiveServer
from typer.testing import CliRunner, Result

from assay.cli import app
from assay.digests import sha256_hex
from assay.dsse import public_key_of
from tests.ledger.builders import append_all, private_key, sequence
from tests.ledger.witness import Witness

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(wanda: Witness) -> Iterator[str]:
    """The address of the site, whose log wanda witnesses."""
    server = LiveServer("127.0.0.1")
    yield server.url
    server.stop()


@pytest.fixture
def pins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("ASSAY_TRUST", raising=False)
    return tmp_path / "assay" / "localhost"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_our_log_is_followed_by_whoever_pinned_it(site: str, pins: Path) -> None:
    append_all(range(3))
    sequence()
    assert run("trust", "init", site).exit_code == 0
    options = ("--origin", "localhost", "--once", "--retries", "0", "--require-quorum")
    result = run("monitor", site, *options)
    assert result.exit_code == 0, result.output
    assert "localhost: 3 leaves, 3 checked now; witnessed by 1 of 1" in result.stdout
    append_all(range(3, 5), by="bob")
    sequence()
    bob = public_key_of(private_key("bob").public_key()).fingerprint
    result = run("monitor", f"{site}/log", *options, "--owner", "thing-4", "--key", bob)
    assert result.exit_code == 0, result.output
    assert "5 leaves, 2 checked now" in result.stdout
    assert f"NEWS  entry 4: moderation thing-4 hide, signed by {bob}" in result.stdout
    assert (pins / "monitor" / sha256_hex(b"localhost")).exists()
