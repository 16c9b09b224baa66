"""The real web server in front of a test's world."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from tests.inference.executor.running import ROOT, wait_until
from tests.inference.oip.world import HOST, World

PROCESSES, THREADS = 1, 16


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve(live: World) -> Iterator[int]:
    """Run `manage.py serve` on the world's database and folders; give its port."""
    port = _free_port()
    place = settings.DATABASE_URL.rpartition("/")[0]
    folder = live.settings["LEDGER_DIR"].parent
    environment = {
        **os.environ,
        "DATA": str(folder),
        "DATABASE_URL": f"{place}/{settings.DATABASES['default']['NAME']}",
        "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
        "LEDGER_KEY": str(live.settings["LEDGER_KEY"]),
        "EXECUTOR_SOCKET": str(live.settings["EXECUTOR_SOCKET"]),
        "PORT": str(port),
    }
    counts = ("--workers", str(PROCESSES), "--threads", str(THREADS))
    command = [sys.executable, "manage.py", "serve", "--bind", f"{HOST}:{port}", *counts]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_until(lambda: _answers(port), process)
        yield port
    finally:
        process.terminate()
        process.wait(15)


def _answers(port: int) -> bool:
    client = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        client.request("GET", "/v2/health/live")
        return client.getresponse().status == 200
    except OSError:
        return False
    finally:
        client.close()
