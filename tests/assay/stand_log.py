"""Where tests read a log from: memory, a plain file server, a server that misbehaves."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from assay.checkpoint import Checkpoint
from assay.errors import MissingError
from assay.merkle import leaf_hash, root_of
from assay.tiles import TILE_WIDTH, Tile, encode_entries, tiles_for
from tests.assay.views import ORIGIN


@dataclass
class MemoryLog:
    """A `LogSource` over files in memory, by path; it remembers what was asked for."""

    files: dict[str, bytes]
    asked: list[str] = field(default_factory=list)

    def tile(self, tile: Tile) -> bytes:
        return self._get(tile.path)

    def envelope(self, pae_sha256: bytes) -> bytes:
        return self._get(f"envelopes/{pae_sha256.hex()}")

    def _get(self, name: str) -> bytes:
        self.asked.append(name)
        if name not in self.files:
            raise MissingError(f"there is no {name}")
        return self.files[name]


def tree_of(bodies: Sequence[bytes]) -> tuple[Checkpoint, dict[str, bytes]]:
    """Return the checkpoint and the tiles of a log of any bytes; fast for many."""
    rows = [[leaf_hash(body) for body in bodies]]
    while len(rows[-1]) >= TILE_WIDTH:
        row = rows[-1]
        full = range(0, len(row) - TILE_WIDTH + 1, TILE_WIDTH)
        rows.append([root_of(row[at : at + TILE_WIDTH]) for at in full])
    files = {}
    for tile in tiles_for(len(bodies)):
        first = tile.index * TILE_WIDTH
        part = slice(first, first + tile.width)
        if tile.level is None:
            files[tile.path] = encode_entries(bodies[part])
        else:
            files[tile.path] = b"".join(rows[tile.level][part])
    checkpoint = Checkpoint(origin=ORIGIN, size=len(bodies), root=root_of(rows[0]))
    return checkpoint, files


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@contextmanager
def _running(server: ThreadingHTTPServer) -> Iterator[str]:
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def file_server(folder: Path) -> Iterator[str]:
    """What `python -m http.server` does with a folder; yields its address."""
    handler = partial(_Quiet, directory=str(folder))
    with _running(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as url:
        yield url


Talk = Callable[[socket.socket, int], None]


@contextmanager
def talking(talk: Talk) -> Iterator[tuple[str, list[int]]]:
    """Serve each connection by `talk(connection, number)`; yield the address, and the numbers."""
    met: list[int] = []
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket, number: int) -> None:
        with connection, suppress(OSError):
            talk(connection, number)

    def accept(server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                met.append(len(met))
                thread = threading.Thread(target=serve, args=(connection, met[-1]))
                thread.start()
                threads.append(thread)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept, args=(server,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", met
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for thread in threads:
                thread.join()


def request_on(connection: socket.socket) -> str:
    """Read one request; return its first line, `""` when the other side has gone."""
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        more = connection.recv(4096)
        if not more:
            return ""
        data += more
    return data.split(b"\r\n", 1)[0].decode()
