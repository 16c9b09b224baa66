"""A commit through the hub surface is unsigned on every surface, until `assay sign` releases it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from assay.cli import api
from ledger import services as ledger
from registry.models import Release
from registry.services import revisions
from tests import builders
from tests.assay.publishing import make_folder, make_key, run
from tests.hf.hub import Hub, body, regular
from tests.people import Person, make_person

pytestmark = pytest.mark.django_db(transaction=True)
FILES = {"README.md": builders.CARD, "config.json": b'{"a": 1}\n', "sub/labels.txt": b"a\nb\n"}
MODEL = "alice/double"
BADGE = "No publisher has signed these files yet"
CALLOUT = "Nobody has signed it, so it cannot be run."


@pytest.fixture
def alice() -> Person:
    ledger.ensure_log()
    return make_person("alice")


@pytest.fixture
def site(alice: Person) -> Iterator[str]:
    server = LiveServer("127.0.0.1")
    yield server.url
    server.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Whether each surface says that a revision is signed, and as which release."""

    info: tuple[bool, Any]
    listed: tuple[bool, Any]
    warned: bool
    rest: Any
    page: bool


def standing(revision: str) -> Standing:
    """Ask every surface, as a stranger, how `revision` stands."""
    hub, browser = Hub(), Client()
    info = hub.get(f"/api/models/{MODEL}/revision/{revision}")
    (listed,) = hub.get("/api/models?author=alice").json()
    file = hub.resolve("config.json", revision)
    warned = info.get("X-HF-Warning", "")
    assert file.get("X-HF-Warning", "") == warned
    rest = browser.get(f"/api/v1/models/{MODEL}/revisions/{revision}").json()
    files = browser.get(f"/models/{MODEL}/files/?revision={revision}").content.decode()
    ours = info.json()["assay"]
    assert listed["sha"] == revision, "main is the newest, in the list too"
    return Standing(
        info=(ours["signed"], ours["release"]),
        listed=(listed["assay"]["signed"], listed["assay"]["release"]),
        warned=warned.startswith(f"unsigned; Revision {revision} is unsigned"),
        rest=rest["release"],
        page=BADGE in files,
    )


UNSIGNED = Standing(info=(False, None), listed=(False, None), warned=True, rest=None, page=True)


def test_a_commit_is_unsigned_everywhere_until_assay_signs_it(
    alice: Person, site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSAY_TOKEN", alice.token())
    monkeypatch.setattr(api, "WAITS_S", ())
    hub = Hub(token=alice.token())
    hub.create()
    files = {"model.onnx": builders.ONNX, **FILES}
    made = hub.committed(*(regular(path, data) for path, data in files.items()))
    revisions.record_inspection(made, builders.REPORT)
    assert standing(made) == UNSIGNED
    model = Client().get(f"/models/{MODEL}/").content.decode()
    assert CALLOUT in model
    assert "Nobody has signed its bytes" in model

    make_folder(tmp_path / "down", {path: body(hub.resolve(path)) for path in files})
    make_key(tmp_path / "key.pem")
    key = ("--key", "key.pem", "--url", site)
    for command in (
        ("key", "register", *key, "--owner", "alice", "--name", "desk"),
        ("sign", "down", *key, "--model", MODEL, "--revision", made),
    ):
        done = run(*command)
        assert done.exit_code == 0, done.output
    assert Release.objects.get().revision_id == made
    signed = Standing(
        info=(True, "1.0.0"), listed=(True, "1.0.0"), warned=False, rest="1.0.0", page=False
    )
    assert standing(made) == signed
    model = Client().get(f"/models/{MODEL}/").content.decode()
    assert CALLOUT not in model
    assert "The publisher signed its bytes" in model

    # The next commit is unsigned again, and the release stays what it is.
    after = hub.committed(regular("config.json", b'{"a": 2}\n'))
    assert standing(after) == UNSIGNED
    (tag,) = Hub().get(f"/api/models/{MODEL}/refs").json()["tags"]
    assert (tag["name"], tag["targetCommit"]) == ("1.0.0", made)
    told = Hub().get(f"/api/models/{MODEL}/revision/1.0.0").json()["assay"]
    assert (told["signed"], told["release"]) == (True, "1.0.0")
    assert json.loads(body(Hub().resolve("config.json", "1.0.0"))) == {"a": 1}
