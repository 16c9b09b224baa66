"""The site of the matrix, with nobody who counts calls and no program beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from inference import wakeups
from registry.hf import calls
from registry.hf.limits import Windows
from tests.permissions.scene import Scene, make_scene


@pytest.fixture
def scene(db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Scene:
    settings.CELERY_BROKER_URL = "memory://"
    wakeups._client.cache_clear()
    settings.XET_DIR = tmp_path / "xet"
    settings.EXECUTOR_SOCKET = tmp_path / "nobody.sock"
    settings.ACCOUNT_RATE_LIMITS = False
    settings.HUB_CALLS = 0
    monkeypatch.setattr(calls, "_windows", Windows())
    return make_scene()
