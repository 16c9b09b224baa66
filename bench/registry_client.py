"""A client of the registry that is no slower than it must be: big reads, big writes, no parsing."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from assay.canonical import canonical_json, parse_json
from bench.registry_report import Row
from bench.site import Site

BLOCK = 2**20
PART = 32 * 2**20
PARALLEL = 2
PATIENCE_S = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A file, the hex SHA-256 of it and of each part of `PART` bytes."""

    path: Path
    size: int
    sha256: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Two files of the same size and of other bytes: what is stored once is not sent again."""

    whole: Made
    parted: Made


def make_files(folder: Path, size: int) -> Files:
    """Write both, each with bytes of its own, and hash them."""
    return Files(whole=_make(folder / "whole.bin", size), parted=_make(folder / "parted.bin", size))


def _make(path: Path, size: int) -> Made:
    whole, parts, left = hashlib.sha256(), list[str](), size
    block = os.urandom(PART)
    with path.open("wb") as file:
        while left:
            number = len(parts).to_bytes(8, "big")
            data = (number + block[8:])[: min(left, PART)]
            file.write(data)
            whole.update(data)
            parts.append(hashlib.sha256(data).hexdigest())
            left -= len(data)
    return Made(path=path, size=size, sha256=whole.hexdigest(), parts=tuple(parts))


class Memory:
    """The memory of the web tier's workers, since this was made."""

    def __init__(self, master: int) -> None:
        children = Path(f"/proc/{master}/task/{master}/children").read_text(encoding="utf-8")
        self._workers = [int(pid) for pid in children.split()]
        for pid in self._workers:
            Path(f"/proc/{pid}/clear_refs").write_text(
                "5", encoding="utf-8"
            )  # the peak begins anew
        self._before = {pid: _kib(pid, "VmRSS") for pid in self._workers}

    def extra_mb(self) -> float:
        """Return the most that one of them had since, less what it had."""
        grown = (_kib(pid, "VmHWM") - self._before[pid] for pid in self._workers)
        return max(grown) * 1024 / 10**6


def _kib(pid: int, field: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(
        int(line.split()[1]) for line in status.splitlines() if line.startswith(f"{field}:")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An account with a token, and what it does."""

    port: int
    token: str
    files: Files
    master: int

    @classmethod
    def open(cls, port: int, site: Site, files: Files) -> Caller:
        """Make an account; `site` runs the web tier at `port`."""
        from django.contrib.auth import get_user_model

        from registry.models import ApiToken
        from registry.services.owners import create_person

        user = get_user_model().objects.create_user("bench")
        create_person(user)
        _, token = ApiToken.objects.create(user, name="bench", scope="admin")
        caller = cls(port=port, token=str(token), files=files, master=_listener(port))
        caller._json("POST", "/api/v1/models", {"name": "large"})
        return caller

    def works(self) -> Iterator[tuple[str, Callable[[], Row]]]:
        """Yield what is measured, in order."""
        yield "upload, whole", self._upload_whole
        yield "upload, in parts", self._upload_parts
        yield "download", self._download

    # -------------------------------------------------------------- the three ways

    def _upload_whole(self) -> Row:
        made, memory = self.files.whole, Memory(self.master)
        begun = time.perf_counter()
        upload = self._declare(made)
        with made.path.open("rb") as file:
            self._put(f"/api/v1/uploads/{upload}/content", file, made.size)
        seconds = time.perf_counter() - begun
        return _row("upload, whole", seconds, made.size, memory, "one PUT; hashed on the way")

    def _upload_parts(self) -> Row:
        from registry.services.joining import join

        made, memory = self.files.parted, Memory(self.master)
        begun = time.perf_counter()
        upload = self._declare(made)
        with ThreadPoolExecutor(PARALLEL) as pool:
            list(
                pool.map(
                    lambda number: self._put_part(made, upload, number), range(len(made.parts))
                )
            )
        sent = time.perf_counter() - begun
        answer = self._json("POST", f"/api/v1/uploads/{upload}/complete")
        join(answer["id"])  # as the worker does
        seconds = time.perf_counter() - begun
        state = self._json("GET", f"/api/v1/uploads/{upload}")["state"]
        if state != "stored":
            raise SystemExit(f"the upload in parts ended as {state}")
        note = f"{PARALLEL} at a time, {made.size / sent / 10**6:,.0f} MB/s; then joined"
        return _row("upload, in parts", seconds, made.size, memory, note)

    def _download(self) -> Row:
        made = self.files.whole
        body = {
            "files": [{"path": "large.bin", "sha256": made.sha256}],
            "message": "",
            "parent": None,
        }
        revision = self._json("POST", "/api/v1/models/bench/large/revisions", body)["id"]
        memory, line = Memory(self.master), self._line()
        begun = time.perf_counter()
        line.request(
            "GET", f"/models/bench/large/files/{revision}/large.bin", headers=self._headers()
        )
        answer, buffer, found = line.getresponse(), bytearray(BLOCK), 0
        while count := answer.readinto(buffer):
            found += count
        seconds = time.perf_counter() - begun
        if found != made.size:
            raise SystemExit(f"{found} bytes came, and {made.size} should have")
        return _row("download", seconds, made.size, memory, "one GET")

    # -------------------------------------------------------------- requests

    def _headers(self, **more: str) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return {"Authorization": f"Bearer {self.token}", **named}

    def _line(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=PATIENCE_S, blocksize=BLOCK
        )

    def _json(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        line = self._line()
        data = None if body is None else canonical_json(body)
        line.request(method, path, data, self._headers(Content_Type="application/json"))
        return _answer(line)

    def _declare(self, made: Made) -> str:
        body = {"part_size": PART, "sha256": made.sha256, "size": made.size}
        return str(self._json("POST", "/api/v1/uploads", body)["id"])

    def _put(self, path: str, file: IO[bytes], size: int, **headers: str) -> None:
        line = self._line()
        line.request("PUT", path, file, self._headers(Content_Length=str(size), **headers))
        _answer(line)

    def _put_part(self, made: Made, upload: str, number: int) -> None:
        with made.path.open("rb") as file:
            file.seek(number * PART)
            data = file.read(PART)
        digest = b64encode(bytes.fromhex(made.parts[number])).decode()
        line = self._line()
        headers = self._headers(Content_Digest=f"sha-256=:{digest}:")
        line.request("PUT", f"/api/v1/uploads/{upload}/parts/{number}", data, headers)
        _answer(line)


def _answer(line: http.client.HTTPConnection) -> dict[str, Any]:
    answer = line.getresponse()
    body = answer.read()
    line.close()
    if answer.status >= 300:
        raise SystemExit(f"{answer.status}: {body[:500]!r}")
    found: dict[str, Any] = parse_json(body)
    return found


def _row(name: str, seconds: float, size: int, memory: Memory, note: str) -> Row:
    return Row(
        name=name,
        seconds=seconds,
        mb_s=size / seconds / 10**6,
        extra_mb=memory.extra_mb(),
        note=note,
    )


def _listener(port: int) -> int:
    """Return the process that listens at `port`, the parent of the web tier's workers."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
            parent = (path.parent / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[1]
        except OSError:
            continue
        if f"127.0.0.1:{port}".encode() in words and int(parent) == os.getpid():
            return int(path.parent.name)
    raise SystemExit("the web tier's process was not found")
