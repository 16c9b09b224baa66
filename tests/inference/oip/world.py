"""A site for stock clients: committed once for a module, served by threads over real sockets."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from pytest_django.live_server_helper import LiveServer

from inference.services import plan
from inference.services.enrolment import enrol
from ledger import services as ledger
from registry.choices import Visibility
from tests.inference.builders import draft, identities, pairs, publish, release, revise, square_root
from tests.inference.conftest import LOG
from tests.inference.executor.models import add, endless, identity, network, scalar
from tests.inference.executor.running import Running
from tests.people import Person, make_person

T = TypeVar("T")
HOST = "127.0.0.1"
DATATYPES = (
    *("BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"),
    *("BF16", "FP16", "FP32", "FP64", "BYTES"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A running site: where it is, whose token is whose."""

    host: str
    port: int
    alice: Person
    token: str
    executor_key: str
    settings: dict[str, Any]

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def call(
        self, method: str, path: str, body: Any = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """Call an address with nothing but what is given: no Content-Type by itself."""
        client = http.client.HTTPConnection(self.host, self.port, timeout=60)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            client.putrequest(method, path, skip_accept_encoding=True)
            for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
                client.putheader(name, value)
            client.endheaders(data)
            answer = client.getresponse()
            return Answer(
                status=answer.status,
                headers={name.lower(): value for name, value in answer.getheaders()},
                body=answer.read(),
            )
        finally:
            client.close()

    def commit(self, function: Callable[[], T]) -> T:
        """Call `function` on a connection of its own: what a test writes itself is rolled back."""
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(_alone, function).result()

    def infer(
        self, model: str, body: Any, headers: dict[str, str] | None = None, method: str = "POST"
    ) -> Answer:
        return self.call(method, f"/v2/models/{model}/infer", body, headers)


def _alone(function: Callable[[], T]) -> T:
    try:
        return function()
    finally:
        connection.close()


def folders(root: Path, running: Running) -> dict[str, Any]:
    """Return the settings of the world."""
    storages = {name: dict(value) for name, value in django_settings.STORAGES.items()}
    storages["blobs"]["OPTIONS"] = {"location": str(root / "blobs")}
    backend = "django.contrib.staticfiles.storage.StaticFilesStorage"
    storages["staticfiles"] = {"BACKEND": backend}
    return {
        "LEDGER_DIR": root / "log",
        "LEDGER_KEY": root / "log.pem",
        "BLOBS_DIR": root / "blobs",
        "UPLOADS_DIR": root / "uploads",
        "WITNESS_POLICY": root / "witness-policy.txt",
        "EXECUTOR_SOCKET": running.socket,
        "EXECUTOR_NATIVE_SLOTS": 1,
        "INFER_QUEUE_S": 30,  # a native process is started anew for each model
        "STORAGES": storages,
        "STATIC_ROOT": root / "static",
        "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
    }


@contextmanager
def world(root: Path, running: Running) -> Iterator[World]:
    """Publish the models, serve the site, empty the database at the end."""
    pem = LOG.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (root / "log.pem").touch(mode=0o600)
    (root / "log.pem").write_bytes(pem)
    settings = folders(root, running)
    settings["STATIC_ROOT"].mkdir()  # WhiteNoise warns about a folder that is missing
    with override_settings(**settings):
        try:
            plan._signature.cache_clear()
            ledger.ensure_log()
            key = enrol()
            alice = make_person("alice")
            _publish_all(alice)
            with _served() as port:
                yield World(
                    host=HOST,
                    port=port,
                    alice=alice,
                    token=alice.token(),
                    executor_key=key,
                    settings=settings,
                )
        finally:
            call_command("flush", verbosity=0, interactive=False)


@contextmanager
def _served() -> Iterator[int]:
    server = LiveServer(HOST)
    try:
        yield int(server.thread.port)
    finally:
        server.stop()


def _publish_all(alice: Person) -> None:
    add_model = publish(alice, "add", add())
    release(alice, revise(alice, add_model.model, add(), extra={"notes.md": b"2"}), "2.0.0")
    publish(alice, "net", network())
    publish(alice, "two", identities(a="FP32", b="INT64"))
    publish(alice, "scalar", scalar())
    publish(alice, "sqrt", square_root())
    publish(alice, "pairs", pairs())
    publish(alice, "endless", endless())
    publish(alice, "secret", add(), visibility=Visibility.PRIVATE)
    draft(alice, "draft", add())
    for datatype in DATATYPES:
        publish(alice, f"id-{datatype.lower()}", identity(datatype))
