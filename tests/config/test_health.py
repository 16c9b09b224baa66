"""`/healthz` and `/readyz`: each part is named, and only what this process needs makes it 503."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from pytest_django import Settings

from config import health, probes
from ledger import services as ledger
from ledger.choices import LeaderState
from ledger.leadership import begin_term, tell
from tests.registry.bucket import keep_blobs_in

PARTS = ("database", "migrations", "broker", "storage", "sequencer", "executor")


def ready(status: int, query: str = "") -> Any:
    answer = Client().get(f"/readyz{query}")
    assert answer.status_code == status, answer.json()
    assert answer["Cache-Control"] == "no-store"
    return answer.json()


@pytest.fixture
def site(db: None, settings: Settings, tmp_path: Path) -> Settings:
    settings.EXECUTOR_SOCKET = tmp_path / "nobody.sock"
    ledger.ensure_log()
    begin_term("localhost")
    return settings


def test_every_part_is_named_and_says_how_it_is(site: Settings) -> None:
    told = ready(200)
    assert tuple(told["parts"]) == PARTS
    assert (told["ready"], told["degraded"]) == (True, ["executor"])
    assert told["parts"]["executor"] == {
        "works": False,
        "needed": False,
        "words": "does not answer: no model runs here",
    }
    assert ready(503, "?all=1")["ready"] is True
    assert Client().get("/healthz").json() == {"live": True}


def test_readers_are_served_while_the_log_or_the_broker_is_away(site: Settings) -> None:
    site.CELERY_BROKER_URL = "redis://127.0.0.1:1/0"
    tell("localhost", begin_term("localhost"), LeaderState.HELD, "/secret/disk is full")
    told = ready(200)
    assert told["parts"]["sequencer"]["words"] == "is held"
    assert "secret" not in str(told)
    tell("localhost", begin_term("localhost"), LeaderState.STOPPED, "Two roots.")
    assert ready(200)["parts"]["sequencer"]["words"] == "is stopped"


def test_before_the_log_is_open_the_sequencer_is_not_there(db: None) -> None:
    assert ready(200)["parts"]["sequencer"]["words"] == "the log is not open yet"


def test_tables_that_are_behind_the_code_are_503(site: Settings) -> None:
    rows = MigrationRecorder(connection).migration_qs
    rows.filter(app="registry", name="0010_watch").delete()
    assert ready(503)["parts"]["migrations"]["words"] == "1 not applied"


def test_a_storage_that_cannot_be_written_is_503(
    site: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    site.BLOBS_DIR = tmp_path / "file"
    assert ready(503)["parts"]["storage"]["words"] == "cannot be written"
    monkeypatch.setattr(probes, "room", lambda _: 1)
    assert ready(503)["parts"]["storage"]["words"] == "is full"
    site.BLOBS_STORAGE, site.BLOBS_S3_ENDPOINT = "s3://bucket/blobs", "http://127.0.0.1:1"
    assert ready(503)["parts"]["storage"]["words"] == "cannot be used"


def test_of_a_bucket_that_only_answers_nobody_says_that_it_takes_files(
    site: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.ledger.s3 import give_credentials, object_store  # takes a second

    give_credentials(monkeypatch)
    with object_store() as endpoint:
        keep_blobs_in(site, endpoint)
        told = ready(200)["parts"]["storage"]
    assert told == {"works": True, "needed": True, "words": "answers"}


def test_without_the_database_nothing_is_claimed_of_what_rests_on_it(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("connection refused at /secret/socket")

    with monkeypatch.context() as patched:
        patched.setattr("django.db.connection.cursor", away)
        told = ready(503)
    assert told["ready"] is False
    assert tuple(told["parts"]) == PARTS
    assert told["parts"]["migrations"]["words"] == "not known without the database"
    assert "secret" not in str(told)


def test_who_asks_often_costs_no_more(
    db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def count() -> list[probes.Part]:
        asked.append(1)
        return [probes.Part(name="database", works=True, words="answers", needed=True)]

    monkeypatch.setattr(health, "parts", count)
    monkeypatch.setattr(health, "_found", health._Found())
    settings.INFER_REMEMBER_MS = 5_000
    callers = [threading.Thread(target=health._found.get) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert ready(200)["ready"] is True
    assert len(asked) == 1
