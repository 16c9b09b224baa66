"""The web tier stays flat: half a gigabyte goes in, in one stream and in parts, and comes out."""

from __future__ import annotations

import functools
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from assay.canonical import canonical_json, parse_json
from config.stack import free_port
from tests.people import Person
from tests.registry.calls import content_digest

ROOT = Path(__file__).parent.parent.parent
MIB = 2**20
CHUNK = bytes(range(256)) * (MIB // 256)
WHOLE, PARTS, PART = 256, 256, 32  # MiB
EXTRA_KIB = 64 * 1024


class Web:
    """One worker of gunicorn over the test's database."""

    def __init__(self, data: Path, url: str) -> None:
        self.port = free_port(None)
        self.process = subprocess.Popen(
            [
                *(sys.executable, "manage.py", "serve", "--bind", f"127.0.0.1:{self.port}"),
                *("--workers", "1"),
            ],
            cwd=ROOT,
            env=os.environ
            | {
                "DATA": str(data),
                "DATABASE_URL": url,
                "DATABASE_POOL": "4",
                "PYTHONPATH": str(ROOT),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self.process.poll() is None
            assert time.monotonic() < deadline

    def _answers(self) -> bool:
        line = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            line.request("GET", "/healthz")
            return line.getresponse().status == 200
        except OSError:
            time.sleep(0.05)  # a server that starts has no event to wait for
            return False
        finally:
            line.close()

    def kib(self, field: str) -> int:
        """Return VmRSS or VmHWM of the worker in KiB."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        worker = children.read_text().split()[0]
        status = Path(f"/proc/{worker}/status").read_text()
        return next(
            int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{field}:")
        )


@pytest.mark.django_db(transaction=True)
def test_half_a_gigabyte_passes_through_in_flat_memory(
    alice: Person, tmp_path: Path, settings: Settings
) -> None:
    url = f"{settings.POSTGRES.url.rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    web = Web(tmp_path, url)
    try:
        caller = _Caller(web.port, alice.token())
        caller.upload(1)  # what a first request loads is no cost of a large one
        before = web.kib("VmRSS")
        caller.upload(WHOLE)
        caller.upload_parts(PARTS + 1)
        caller.commit_and_fetch(WHOLE)
        assert web.kib("VmHWM") - before < EXTRA_KIB
    finally:
        web.process.terminate()
        web.process.wait(30)


class _Caller:
    """Alice's program: it sends and reads a chunk at a time."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.headers = {"Authorization": f"Bearer {token}"}

    def json(self, method: str, path: str, body: object = None) -> dict[str, str]:
        line = HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = self.headers | {"Content-Type": "application/json"}
        line.request(method, path, canonical_json(body) if body else None, headers)
        answer = line.getresponse()
        found = parse_json(answer.read())
        line.close()
        assert answer.status < 300, found
        assert isinstance(found, dict)
        return found

    def put(self, path: str, count: int, digest: str = "") -> None:
        line = HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = self.headers | {"Content-Length": str(count * MIB), "Content-Digest": digest}
        line.request("PUT", path, _chunks(count), headers)
        assert line.getresponse().status == 200
        line.close()

    def declare(self, count: int) -> str:
        body = {"size": count * MIB, "sha256": _sha256(count), "part_size": PART * MIB}
        return self.json("POST", "/api/v1/uploads", body)["id"]

    def upload(self, count: int) -> None:
        self.put(f"/api/v1/uploads/{self.declare(count)}/content", count)

    def upload_parts(self, count: int) -> None:
        upload = self.declare(count)
        digest = content_digest(CHUNK * PART)
        for number in range(count // PART):
            self.put(f"/api/v1/uploads/{upload}/parts/{number}", PART, digest)
        self.put(f"/api/v1/uploads/{upload}/parts/{count // PART}", 1, content_digest(CHUNK))
        answer = self.json("POST", f"/api/v1/uploads/{upload}/complete")
        assert answer["state"] == "joining"  # a worker joins it

    def commit_and_fetch(self, count: int) -> None:
        self.json("POST", "/api/v1/models", {"name": "large"})
        files = [{"path": "weights.bin", "sha256": _sha256(count)}]
        body = {"files": files, "parent": None, "message": "large"}
        revision = self.json("POST", "/api/v1/models/alice/large/revisions", body)["id"]
        line = HTTPConnection("127.0.0.1", self.port, timeout=120)
        line.request("GET", f"/models/alice/large/files/{revision}/weights.bin")
        answer, found = line.getresponse(), hashlib.sha256()
        while chunk := answer.read(MIB):
            found.update(chunk)
        line.close()
        assert found.hexdigest() == _sha256(count)


def _chunks(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield CHUNK


@functools.cache
def _sha256(count: int) -> str:
    found = hashlib.sha256()
    for chunk in _chunks(count):
        found.update(chunk)
    return found.hexdigest()
