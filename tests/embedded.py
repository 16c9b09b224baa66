"""A pytest plugin: one throw-away PostgreSQL, Redis and data folder for this run.

It is named by `-p` and not by a conftest, because the settings are read before any conftest.
Workers of pytest-xdist inherit the folder by the environment and start nothing themselves.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from config.embedded import Postgres, Redis, run_dir

SHARED = "ASSAY_TEST_DATA"
_children: list[tuple[subprocess.Popen[bytes], int]] = []

if SHARED not in os.environ:
    os.environ[SHARED] = tempfile.mkdtemp(prefix="assay-test-")
DATA = Path(os.environ[SHARED])
os.environ.update(
    DATA=str(DATA),
    DATABASE_POOL="0",
    DJANGO_SETTINGS_MODULE="config.settings",
    INFER_REMEMBER_MS="0",  # each test has a world of its own
)


def _start(server: Postgres | Redis, command: list[str], stop: signal.Signals) -> None:
    child = subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _children.append((child, stop))
    deadline = time.monotonic() + 30
    while not server.answers():
        if child.poll() is not None or time.monotonic() > deadline:
            raise pytest.UsageError(f"{command[0]} did not start")
        time.sleep(0.02)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    sockets = run_dir(DATA)
    postgres = Postgres(data=DATA / "postgres", sockets=sockets)
    postgres.prepare()
    _start(postgres, postgres.command(durable=False), signal.SIGINT)
    redis = Redis(sockets=sockets)
    _start(redis, redis.command(), signal.SIGTERM)


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    for child, stop in _children:
        child.send_signal(stop)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(10)
    shutil.rmtree(run_dir(DATA), ignore_errors=True)
    shutil.rmtree(DATA, ignore_errors=True)
