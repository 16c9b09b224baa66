"""`assay witness serve`: a witness in one process, for logs that the operator names.

What it answers: `POST /add-checkpoint`, `GET /<hex SHA-256(origin)>/checkpoint`, `GET /vkey`.

The order of writes, under one lock:

1. The state file of the origin is read again and compared.
2. The cosigned note goes to a temporary file; fsync.
3. Rename onto the state file; fsync of the folder. **This is the commit point.**
4. The answer leaves.

A crash before 3 costs a temporary file, which the next write replaces; a crash after it costs the
answer, and the log's next request is told the size. The state file is the note itself, and reading
it verifies our own cosignature, so a damaged file stops the witness instead of resetting it. After
a failed write nothing on the disk is believed any more: the process ends.
"""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from assay.checkpoint import parse_checkpoint
from assay.cli.files import write_file
from assay.digests import sha256_hex
from assay.errors import AssayError, FormatError, MisuseError, UnavailableError
from assay.note import COSIGNATURE, ED25519, VKey, open_note, vkey_for
from assay.told import Told, until_told
from assay.witness import MAX_REQUEST, Answer, WitnessState, add_checkpoint

REFUSED, MISUSE, UNAVAILABLE = 1, 2, 3
_CHECKPOINT = re.compile(r"/([0-9a-f]{64})/checkpoint")
_LENGTH = re.compile(r"[0-9]{1,9}")

app = typer.Typer(help="Cosign what a log publishes.", no_args_is_help=True)


@app.callback()
def _witness() -> None:
    """Cosign what a log publishes."""


def load_key(path: Path) -> Ed25519PrivateKey:
    """Return the witness's key, PKCS#8 PEM with mode 0600; made when the file is absent.

    Raises:
        MisuseError: the file is no such key, or others may read it.
    """
    if not path.exists():
        made = Ed25519PrivateKey.generate()
        path.parent.mkdir(parents=True, exist_ok=True)
        pem = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_file(path.parent, path.name, pem)
    if path.stat().st_mode & 0o077:
        raise MisuseError(f"others may read the key {path}: chmod 600")
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (TypeError, ValueError) as error:
        raise MisuseError(f"{path} is no private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise MisuseError(f"{path} is no Ed25519 key")
    return key


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Make `folder` if it is absent, and keep other witnesses out; the kernel lets go at a crash.

    Raises:
        UnavailableError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UnavailableError(f"another witness holds {folder}") from error
        yield
    finally:
        os.close(descriptor)


class FileStore:
    """The states as files of one folder that this process holds: a `WitnessStore`."""

    def __init__(self, folder: Path, vkey: VKey) -> None:
        self._folder = folder
        self._vkey = vkey
        self._guard = threading.Lock()

    def close(self) -> None:
        """Wait for a write under way; nothing is written afterwards."""
        self._guard.acquire()

    def note(self, digest: str) -> bytes | None:
        """Return the note last cosigned for the origin with this SHA-256, in hex."""
        try:
            return (self._folder / digest).read_bytes()
        except FileNotFoundError:
            return None

    def load(self, origin: str) -> WitnessState | None:
        """Return the state of `origin`; `AssayError` when its file is damaged."""
        note = self.note(sha256_hex(origin.encode()))
        if note is None:
            return None
        checkpoint = parse_checkpoint(open_note(note, [self._vkey]).text)
        if checkpoint.origin != origin:
            raise FormatError(f"the state file of {origin} is another origin's")
        return WitnessState(size=checkpoint.size, root=checkpoint.root)

    def swap(self, origin: str, old: WitnessState | None, new: WitnessState, note: bytes) -> bool:
        """Keep `note`, which says `new`, if the state still is `old`; durable before it returns."""
        with self._guard:
            if self.load(origin) != old:
                return False
            write_file(self._folder, sha256_hex(origin.encode()), note)
            return True


class WitnessServer(ThreadingHTTPServer):
    """The HTTP server; `failed` says that it stopped because a write or a state file was bad."""

    daemon_threads = True
    failed = False

    def __init__(
        self,
        address: tuple[str, int],
        *,
        name: str,
        key: Ed25519PrivateKey,
        logs: Mapping[str, VKey],
        store: FileStore,
    ) -> None:
        self.vkey = vkey_for(name, key.public_key(), COSIGNATURE)
        self.store = store
        self._key = key
        self._logs = logs
        self._digests = {sha256_hex(origin.encode()) for origin in logs}
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind without asking the resolver for this machine's name, which may take long."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def add(self, body: bytes) -> Answer:
        """Answer a request to cosign; a failure of the disk or of a state file sets `failed`."""
        try:
            return add_checkpoint(
                body,
                logs=self._logs,
                store=self.store,
                key=self._key,
                name=self.vkey.name,
                time=int(time.time()),
            )
        except (AssayError, OSError) as error:
            self.failed = True
            typer.echo(f"stopping: {error}", err=True)
            return Answer(status=503, body=b"the witness lost its state\n")

    def checkpoint(self, digest: str) -> bytes | None:
        """Return the note last cosigned for a known origin with this SHA-256, in hex."""
        return self.store.note(digest) if digest in self._digests else None

    def stop(self) -> None:
        """End `serve_forever`, from any thread."""
        threading.Thread(target=self.shutdown, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    server: WitnessServer
    protocol_version = "HTTP/1.1"
    server_version = "assay-witness"
    sys_version = ""
    timeout = 10
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != "/add-checkpoint":
            self._refuse(404, "no such resource")
        elif _LENGTH.fullmatch(length) is None:
            self._refuse(411, "the length of the body is missing")
        elif int(length) > MAX_REQUEST:
            self._refuse(413, f"a request is at most {MAX_REQUEST} bytes")
        else:
            self._answer(self.server.add(self.rfile.read(int(length))))
            if self.server.failed:
                self.server.stop()

    def do_GET(self) -> None:
        match = _CHECKPOINT.fullmatch(self.path)
        body = self.server.checkpoint(match[1]) if match else None
        if self.path == "/vkey":
            body = f"{self.server.vkey}\n".encode()
        if body is None:
            self._answer(Answer(status=404, body=b"no such resource\n"))
        else:
            self._answer(Answer(status=200, body=body))

    def _refuse(self, status: int, message: str) -> None:
        # The body was not read, so nothing after it on this connection makes sense.
        self.close_connection = True
        self._answer(Answer(status=status, body=f"{message}\n".encode()))

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent: each log asks every few seconds."""


def _logs(vkeys: list[str]) -> dict[str, VKey]:
    logs: dict[str, VKey] = {}
    for text in vkeys:
        try:
            vkey = VKey.parse(text, text)
        except FormatError as error:
            raise MisuseError(str(error)) from error
        if vkey.kind != ED25519 or logs.setdefault(vkey.name, vkey) != vkey:
            raise MisuseError(f"{text}: a log has one key, of type 01")
    return logs


@app.command()
def serve(
    *,
    key: Annotated[Path, typer.Option(help="Ed25519 key, PKCS#8 PEM; made when absent.")],
    state: Annotated[Path, typer.Option(help="Folder that remembers; made when absent.")],
    log: Annotated[list[str], typer.Option(help="vkey of a log to cosign; repeat for more.")],
    name: Annotated[str, typer.Option(help="Key name of the witness, as example.net/w1.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")
    ] = 0,
) -> None:
    """Cosign checkpoints that extend what this witness has seen, until SIGTERM."""
    try:
        logs = _logs(log)
        with _held(state):
            failed = _serve(load_key(key), state, logs, name, (host, port))
    except MisuseError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(MISUSE) from error
    except (UnavailableError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(UNAVAILABLE) from error
    except AssayError as error:
        typer.echo(f"{state}: {error}", err=True)
        raise typer.Exit(REFUSED) from error
    if failed:
        raise typer.Exit(UNAVAILABLE)


def _run(server: WitnessServer, told: Told) -> None:
    """Serve until `told`, or until the server ends by itself."""

    def serve() -> None:
        try:
            server.serve_forever(poll_interval=0.2)
        finally:
            told.set()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    told.wait()
    server.shutdown()
    thread.join()


def _serve(
    key: Ed25519PrivateKey,
    folder: Path,
    logs: Mapping[str, VKey],
    name: str,
    address: tuple[str, int],
) -> bool:
    """Serve until told to stop; True when a failure stopped the server."""
    store = FileStore(folder, vkey_for(name, key.public_key(), COSIGNATURE))
    try:
        for origin in logs:
            store.load(origin)  # a damaged file is found now, not at the next request
        with WitnessServer(address, name=name, key=key, logs=logs, store=store) as server:
            bound = server.server_address
            with until_told() as told:
                typer.echo(f"witness {name} listening on http://{bound[0]!s}:{bound[1]}")
                _run(server, told)
            return server.failed
    finally:
        store.close()
