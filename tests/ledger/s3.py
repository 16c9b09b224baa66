"""A real object store on this machine, and a line to it on which anything can happen.

The store is moto's server: it installs from the package registry, speaks S3 over HTTP, and writes
on condition. The line is a proxy: a test tells it what becomes of a request.
"""

from __future__ import annotations

import http.client
import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from moto.moto_server.threaded_moto_server import ThreadedMotoServer
from pytest_django import Settings

from ledger import storage_s3
from ledger.storage import is_temporary
from ledger.storage_s3 import S3Storage

REGION = "us-east-1"
_numbers = itertools.count()


def give_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let boto3 find keys in the environment, and look nowhere else."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "operator",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "NO_PROXY": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)


@contextmanager
def object_store() -> Iterator[str]:
    """Run a store; yields its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()
        assert server._server is not None
        server._server.server_close()


@cache
def client_of(endpoint: str, answer_s: float = 15.0) -> Any:
    """Return a client that tries once and waits `answer_s`; making one takes a second."""
    return storage_s3.make_client(endpoint, REGION, attempts=1, answer_s=answer_s)


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A new bucket in a running store, with a client that knows no log."""

    endpoint: str
    name: str
    client: Any

    def storage(self, prefix: str = "logs/one") -> S3Storage:
        """Return a storage in it, as `log_storage` makes them."""
        return S3Storage(self.name, prefix, self.client)

    def far_storage(self, endpoint: str) -> S3Storage:
        """Return one that reaches the store at another address, and has little patience."""
        return S3Storage(self.name, "logs/one", client_of(endpoint, 0.3))

    def objects(self) -> dict[str, bytes]:
        """Return everything that is in it."""
        listed = self.client.list_objects_v2(Bucket=self.name).get("Contents", ())
        return {item["Key"]: self.read(item["Key"]) for item in listed}

    def files(self) -> dict[str, bytes]:
        """Return what the log `logs/one` has in it, without what a storage asks with."""
        found = {key.removeprefix("logs/one/"): data for key, data in self.objects().items()}
        return {path: data for path, data in found.items() if not is_temporary(path)}

    def read(self, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return data

    def write(self, key: str, data: bytes) -> None:
        """Write an object as an operator would, over what is there."""
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def remove(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)

    def vanish(self) -> None:
        """Remove the bucket and all that is in it."""
        for key in self.objects():
            self.remove(key)
        self.client.delete_bucket(Bucket=self.name)


def new_bucket(endpoint: str) -> Bucket:
    client = client_of(endpoint)
    name = f"bucket-{next(_numbers)}"
    client.create_bucket(Bucket=name)
    return Bucket(endpoint=endpoint, name=name, client=client)


def keep_logs_in(settings: Settings, bucket: Bucket, prefix: str = "logs/one") -> None:
    """Let this installation keep its logs in `bucket`."""
    settings.LEDGER_S3_ENDPOINT = bucket.endpoint
    settings.LEDGER_STORAGE = f"s3://{bucket.name}/{prefix}"


# ------------------------------------------------------------------ the line

Forward = Callable[[], http.client.HTTPResponse]


@dataclass
class Request:
    """What a client asks, before the store sees it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Line:
    """A proxy. `tamper` sees each request and says what becomes of it: nothing (None), or

    `lose`: the store gets it, and the answer never comes. `delay`: the store does not get it before
    the test delivers it. `cut`: the line breaks. A tuple: an answer, status and S3 code, in the
    store's place.
    """

    endpoint: str
    target: str
    tamper: Callable[[Request], str | tuple[int, str] | None] = lambda request: None
    seen: list[tuple[str, str]] = field(default_factory=list)
    late: list[Request] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def clear(self) -> None:
        """Let go what hangs, and forget what happened."""
        self.over.set()
        self.over = threading.Event()
        self.tamper = lambda request: None
        self.seen.clear()
        self.late.clear()

    def deliver(self, request: Request) -> int:
        """Hand a request to the store, now; return the status of its answer."""
        return self._ask(request)[0]

    def _ask(self, request: Request) -> tuple[int, list[tuple[str, str]], bytes]:
        store = http.client.HTTPConnection(self.target, timeout=10)
        try:
            store.request(request.method, request.path, request.body or None, request.headers)
            answer = store.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            store.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    line: Line

    def serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "expect"}
        request = Request(self.command, self.path, headers, self.rfile.read(length))
        self.line.seen.append((self.command, self.path))
        what = self.line.tamper(request)
        if isinstance(what, tuple):
            body = f"<Error><Code>{what[1]}</Code></Error>".encode()
            self._answer(what[0], [], body)
        elif what == "cut":
            self.close_connection = True
        elif what == "delay":
            self.line.late.append(request)
            self.line.over.wait()
        elif what == "lose":
            self.line.deliver(request)
            self.line.over.wait()
        else:
            self._answer(*self.line._ask(request))

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                self.send_header(name, value)
        length = dict(headers).get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            with suppress(OSError):
                self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def line_to(endpoint: str) -> Iterator[Line]:
    """Run a proxy in front of the store at `endpoint`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    line = Line(f"http://127.0.0.1:{server.server_port}", endpoint.removeprefix("http://"))
    methods = {f"do_{name}": _Handler.serve for name in ("GET", "PUT", "HEAD", "POST", "DELETE")}
    server.RequestHandlerClass = type("Handler", (_Handler,), {"line": line, **methods})
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield line
    finally:
        line.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
