"""A witness on loopback: the real protocol, and every way to be a bad one."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assay.note import COSIGNATURE, VKey, vkey_for
from assay.policy import PolicyKey, TlogPolicy, render_policy
from assay.witness import Answer, add_checkpoint
from tests.assay.simulators import MemoryStore

TIME = 1_767_225_600


class Witness(ThreadingHTTPServer):
    """Cosigns for one log. `lie` replaces its answer; `hang` keeps it from answering at all."""

    daemon_threads = True

    def __init__(self, name: str, log: VKey, secret: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        seed = hashlib.sha256(f"ledger test witness {secret}".encode()).digest()
        self.key = Ed25519PrivateKey.from_private_bytes(seed)
        self.vkey = vkey_for(name, self.key.public_key(), COSIGNATURE)
        self.log = log
        self.store = MemoryStore()
        self.requests: list[bytes] = []
        self.lie: Answer | None = None
        self.hang = threading.Event()
        self.hang.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/witness"

    @property
    def strange_url(self) -> str:
        """The same place in a spelling that the log does not know for this machine's."""
        return f"http://127.1:{self.server_port}/witness"

    def answer(self, body: bytes) -> Answer:
        self.requests.append(body)
        self.hang.wait()
        if self.lie is not None:
            return self.lie
        return add_checkpoint(
            body,
            logs={self.log.name: self.log},
            store=self.store,
            key=self.key,
            name=self.name,
            time=TIME,
        )

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay silent: the log may hang up on a slow answer."""


class _Handler(BaseHTTPRequestHandler):
    server: Witness
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert self.path == "/witness/add-checkpoint"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.answer(body)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@contextmanager
def witness(name: str, log: VKey, *, secret: str = "") -> Iterator[Witness]:
    """Open a witness for the length of a test; its key is made of `secret`, else of its name."""
    with Witness(name, log, secret or name) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.hang.set()
            server.shutdown()
            thread.join()


def write_policy(path: Path, witnesses: dict[str, PolicyKey], *, quorum: str) -> None:
    """Write the log's witness policy: the witnesses, and the name of one, or `none`."""
    policy = TlogPolicy(logs=(), witnesses=witnesses, groups={}, quorum=quorum)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(render_policy(policy))


def trust(path: Path, *witnesses: Witness, quorum: str | None = None) -> None:
    """Write the policy that asks these witnesses; the quorum is the first, or as named."""
    keys = {one.name: PolicyKey(vkey=one.vkey, url=one.url) for one in witnesses}
    write_policy(path, keys, quorum=quorum or witnesses[0].name)
