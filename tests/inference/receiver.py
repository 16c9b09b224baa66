"""A receiver of webhooks on this machine: it keeps what came, and answers as it is told."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One request: its first line, its headers by their lower-case names, its body."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Receiver:
    """A listening socket; `answer` is sent as it stands, or called with the connection."""

    port: int
    scheme: str = "http"
    answer: bytes | Callable[[socket.socket], None] = OK
    got: list[Message] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/hook"

    def says(self, status: int, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", *headers, "", ""]
        self.answer = "\r\n".join(lines).encode()


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Run a receiver; with `context` it speaks TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        receiver = Receiver(port, "https" if context else "http")
        thread = threading.Thread(target=_serve, args=(listening, receiver, context))
        thread.start()
        try:
            yield receiver
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(_TIMEOUT_S)
            assert not thread.is_alive()


def _serve(listening: socket.socket, receiver: Receiver, context: ssl.SSLContext | None) -> None:
    threads = []
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:
            break
        receiver.connections += 1
        thread = threading.Thread(target=_one, args=(connection, receiver, context))
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join(_TIMEOUT_S)


def _one(plain: socket.socket, receiver: Receiver, context: ssl.SSLContext | None) -> None:
    plain.settimeout(_TIMEOUT_S)
    try:
        with plain:
            if context is None:
                _talk(plain, receiver)
                return
            with context.wrap_socket(plain, server_side=True) as encrypted:
                _talk(encrypted, receiver)
    except OSError:
        return  # whoever came went away


def _talk(connection: socket.socket, receiver: Receiver) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65_536)
        if not piece:
            return
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    line, *lines = head.decode("ascii").split("\r\n")
    pairs = (text.split(": ", 1) for text in lines)
    headers = {name.lower(): value for name, value in pairs}
    while len(body) < int(headers["content-length"]):
        body += connection.recv(65_536)
    receiver.got.append(Message(line=line, headers=headers, body=body))
    if isinstance(receiver.answer, bytes):
        connection.sendall(receiver.answer)
    else:
        receiver.answer(connection)
