"""`assay push` and `assay key` against this very registry, over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer
from typer.testing import CliRunner, Result

from assay.bundle import parse_bundle
from assay.cli import api, app, sending
from assay.manifest import OMS
from ledger import services as ledger
from registry.choices import KeyState, RevisionState
from registry.issuers import ISSUERS
from registry.models import Key, Release, Revision
from registry.services import revisions, trusted
from tests import builders
from tests.ledger.builders import sequence
from tests.people import Person, make_person
from tests.registry import issuer as issuing

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice() -> Person:
    ledger.ensure_log()
    return make_person("alice")


@pytest.fixture
def home(alice: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where alice works: a model folder, a key, a token in the environment."""
    work = tmp_path / "work"
    (work / "double").mkdir(parents=True)
    (work / "double/model.onnx").write_bytes(builders.ONNX)
    (work / "double/README.md").write_bytes(builders.CARD)
    monkeypatch.chdir(work)
    monkeypatch.setenv("ASSAY_TOKEN", alice.token())
    monkeypatch.setattr(sending, "POLL_S", 0.01)
    monkeypatch.setattr(api, "WAITS_S", ())
    assert run("keygen").exit_code == 0
    return work


@pytest.fixture
def site(alice: Person) -> Iterator[str]:
    """The address of the site; the fixture `live_server` would start before the folders are set."""
    server = LiveServer("127.0.0.1")
    yield server.url
    server.stop()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(item) for item in arguments])


def told(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def inspector() -> Iterator[None]:
    """Somebody who passes each revision that waits, as the executor's inspection would."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            for pk in Revision.objects.filter(state=RevisionState.PENDING).values_list("pk"):
                revisions.record_inspection(pk[0], builders.REPORT)
        connection.close()

    thread = threading.Thread(target=watch)
    thread.start()
    yield
    done.set()
    thread.join()


def register(site: str, key: str = "key.pem") -> Any:
    return run(
        *("key", "register", "--key", key, "--owner", "alice", "--name", "desk"),
        *("--url", site, "--json"),
    )


@pytest.mark.usefixtures("inspector")
def test_a_build_machine_publishes_a_model(site: str, home: Path) -> None:
    fingerprint = told(register(site))["key"]["fingerprint"]
    command = ("push", "double", "alice/double", "--key", "key.pem", "--url", site)
    made = told(run(*command, "--create", "public", "--json"))
    assert made["release"]["version"] == "1.0.0"
    release = Release.objects.get()
    assert (release.key_id, release.revision_id) == (fingerprint, made["revision"])
    again = run(*command)
    assert (again.exit_code, "Nothing to do" in again.stdout) == (0, True)
    (home / "double/labels.txt").write_text("a\n")
    second = told(run(*command, "--json"))
    assert (second["release"]["version"], second["sent"]) == ("1.0.1", 2)
    assert told(register(site))["key"]["state"] == "registered"
    sequence()
    receipt = ledger.receipt(release.claims.get(kind="oms").entry_id)
    assert OMS.encode() in parse_bundle(receipt).envelope.payload


def test_keys_are_rotated_and_revoked_from_the_command_line(site: str, home: Path) -> None:
    assert register(site).exit_code == 0
    assert run("keygen", "--out", "new.pem").exit_code == 0
    rotated = run(
        *("key", "rotate", "--key", "key.pem", "--new", "new.pem", "--name", "new desk"),
        *("--url", site, "--json"),
    )
    new = told(rotated)["key"]
    old = Key.objects.get(pk=new["previous"])
    assert old.state == KeyState.SUPERSEDED
    revoked = run(
        *("key", "revoke", "--key", "new.pem", "--reason", "a test"),
        *("--url", site, "--json"),
    )
    assert told(revoked)["key"]["state"] == "revoked"
    late = run(
        *("key", "rotate", "--key", "new.pem", "--new", "key.pem", "--name", "x"),
        *("--url", site),
    )
    assert (late.exit_code, "conflict" in late.stderr) == (1, True)


@pytest.mark.usefixtures("inspector")
def test_a_trusted_build_publishes_without_a_stored_token(
    site: str,
    home: Path,
    alice: Person,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told(register(site))
    model = builders.make_model(alice)
    monkeypatch.delenv("ASSAY_TOKEN")
    with issuing.running() as issuer:
        settings.SITE_URL = site
        settings.TRUSTED_ISSUERS = [issuer.url]
        ISSUERS.forget()
        trusted.add(alice.user, model, repository="alice/digits", workflow="release.yml")
        monkeypatch.setenv("ASSAY_ID_TOKEN", issuer.token(aud=site))
        command = ("push", "double", "alice/double", "--key", "key.pem", "--trusted", "--json")
        made = told(run(*command, "--url", site))
        assert made["release"]["run"]["claims"]["repository"] == "alice/digits"
        again = run(*command, "--url", site)
        assert (again.exit_code, "replayed_token" in again.stdout) == (1, True)
    ISSUERS.forget()
