"""Fixtures for every test: people, and folders of one's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from config.celery import app
from ledger.logs import origin_of
from tests.flush import flushable
from tests.people import Person, make_person


@pytest.fixture(scope="session", autouse=True)
def _flushing() -> Iterator[None]:
    """Let tests that commit be flushed: the ledger's tables refuse TRUNCATE."""
    with flushable():
        yield


@pytest.fixture(scope="session", autouse=True)
def _broker() -> None:
    """Have Celery make its connections' pool now: it does once, and a test may change settings."""
    assert app.amqp.producer_pool is not None


@pytest.fixture(autouse=True)
def _folders(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Give each test its own log, blobs, uploads and keys; the verifier's tests need none."""
    if "tests/assay" in str(request.path):
        return
    # Primary keys begin anew with each test's database.
    origin_of.cache_clear()
    settings: Settings = request.getfixturevalue("settings")
    settings.LEDGER_DIR = tmp_path / "log"
    settings.KEYS_DIR = tmp_path / "keys"
    settings.LEDGER_STORAGE = ""
    settings.LEDGER_KEY = tmp_path / "keys" / "log.pem"
    settings.RUNTIMES_KEPT = tmp_path / "runtimes"
    settings.REGISTRY_KEY = tmp_path / "keys" / "registry.pem"
    settings.EXECUTOR_KEY = tmp_path / "keys" / "executor.pem"
    settings.AUDITOR_KEY = tmp_path / "keys" / "auditor.pem"
    settings.WITNESS_POLICY = tmp_path / "witness-policy.txt"
    settings.BLOBS_DIR = tmp_path / "blobs"
    settings.BLOBS_STORAGE = ""
    settings.UPLOADS_DIR = tmp_path / "uploads"
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()  # WhiteNoise warns about a folder that is missing
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    storages: dict[str, dict[str, Any]] = {name: dict(s) for name, s in settings.STORAGES.items()}
    storages["blobs"]["OPTIONS"] = {"location": str(tmp_path / "blobs")}
    storages["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = storages


@pytest.fixture
def alice(db: None) -> Person:
    return make_person("alice")


@pytest.fixture
def bob(db: None) -> Person:
    return make_person("bob")


@pytest.fixture
def mallory(db: None) -> Person:
    return make_person("mallory")
