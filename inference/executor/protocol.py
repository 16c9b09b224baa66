"""Frames over a unix socket: between web and supervisor, and supervisor and model process.

A frame is `uint32` total length, `uint32` header length (both big-endian; the total counts all that
follows it), a JSON object in UTF-8, and a raw tail. One request at a time per connection; the end
of the stream is a death. Both lengths are checked before anything is allocated.

    00 00 00 1a  00 00 00 0f  {"op":"status"}  (7 bytes of tail)
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assay.canonical import parse_json
from assay.errors import FormatError

MAX_HEADER_BYTES = 16 * 2**20  # 10,000 manifest entries with long names
MAX_TENSOR_BYTES = 256 * 2**20  # one request's or one answer's tensors
MAX_BLOB_BYTES = 512 * 2**20  # a model with its external data
_PREFIX = struct.Struct(">II")
_PATH_LIMIT = 100  # sun_path holds 108 bytes


class ProtocolError(Exception):
    """The other side does not speak the protocol, or went away in the middle of a frame."""


class ConnectionEndedError(ProtocolError):
    """The stream ended between two frames."""


class DeadlinePassedError(Exception):
    """The other side did not answer in time."""


class CallerGoneError(Exception):
    """Whoever asked closed the connection: nobody waits for the answer any more."""


class RefusalError(Exception):
    """A request that gets an error as answer: `code`, a text for people, and whether to retry."""

    def __init__(self, code: str, message: str, *, retry: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry = retry

    def to_header(self) -> dict[str, Any]:
        """Return the header of the answer."""
        return {"error": {"code": self.code, "message": self.message, "retry": self.retry}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A header and the raw bytes behind it; on sending the tail may come in parts."""

    header: dict[str, Any]
    tail: bytes = b""
    parts: Sequence[bytes] = field(default=())


def _dump(header: dict[str, Any]) -> bytes:
    # Six frames are on the path of every answer.
    return json.dumps(header, separators=(",", ":")).encode()  # noqa: TID251 (never hashed or signed)


def send(connection: socket.socket, frame: Frame) -> None:
    """Write one frame; small ones in one system call.

    Raises:
        ProtocolError: the other side is gone, or the frame is too large for its length field.
    """
    header = _dump(frame.header)
    parts = frame.parts or (frame.tail,)
    total = 4 + len(header) + sum(len(part) for part in parts)
    if total >= 2**32 or len(header) > MAX_HEADER_BYTES:
        raise ProtocolError("the frame is too large")
    prefix = _PREFIX.pack(total, len(header))
    try:
        if total <= 2**16:
            connection.sendall(b"".join((prefix, header, *parts)))
            return
        connection.sendall(prefix + header)
        for part in parts:
            connection.sendall(part)
    except (OSError, ValueError) as error:
        raise ProtocolError(f"the other side is gone: {error}") from error


class Stream:
    """The reading end of a connection, with an optional deadline and a watch on the caller."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.deadline: float | None = None
        self.caller: socket.socket | None = None

    def header(self) -> tuple[dict[str, Any], int]:
        """Read a frame up to its tail; return the header and the length of the tail.

        Raises:
            ConnectionEndedError: the stream ended before the frame began.
            ProtocolError: lengths or JSON are wrong, or the stream broke off.
            DeadlinePassedError, CallerGoneError: see `wait`.
        """
        prefix = self._exactly(_PREFIX.size, fresh=True)
        total, length = _PREFIX.unpack(prefix)
        if length > MAX_HEADER_BYTES or total < 4 + length:
            raise ProtocolError("the lengths of the frame are wrong")
        try:
            header = parse_json(bytes(self._exactly(length)), max_bytes=MAX_HEADER_BYTES)
        except FormatError as error:
            raise ProtocolError("the header is no JSON") from error
        if not isinstance(header, dict):
            raise ProtocolError("the header is no JSON object")
        return header, total - 4 - length

    def tail(self, length: int, limit: int) -> bytes:
        """Read the tail of a frame of which `limit` bytes are allowed.

        Raises:
            ProtocolError: it is longer, or the stream broke off.
        """
        if length > limit:
            raise ProtocolError(f"{length} bytes follow the header, {limit} are allowed")
        return bytes(self._exactly(length))

    def frame(self, limit: int) -> Frame:
        """Read one whole frame whose tail has at most `limit` bytes."""
        header, length = self.header()
        return Frame(header=header, tail=self.tail(length, limit))

    def wait(self) -> None:
        """Block until the connection can be read.

        Raises:
            DeadlinePassedError: `deadline` (on the monotonic clock) came first.
            CallerGoneError: `caller` closed its end first.
        """
        poller = select.poll()
        poller.register(self.connection, select.POLLIN)
        if self.caller is not None:
            poller.register(self.caller, select.POLLRDHUP)  # what it says meanwhile can wait
        while True:
            left = None if self.deadline is None else self.deadline - time.monotonic()
            if left is not None and left <= 0:
                raise DeadlinePassedError
            ready = dict(poller.poll(None if left is None else left * 1000 + 1))
            if self.connection.fileno() in ready:
                return
            if self.caller is not None and self.caller.fileno() in ready:
                raise CallerGoneError

    def _exactly(self, length: int, *, fresh: bool = False) -> bytearray:
        buffer = bytearray(length)
        view = memoryview(buffer)
        done = 0
        while done < length:
            if self.deadline is not None or self.caller is not None:
                self.wait()
            try:
                count = self.connection.recv_into(view[done:])
            except OSError as error:
                raise ProtocolError(f"the other side is gone: {error}") from error
            if not count:
                if fresh and not done:
                    raise ConnectionEndedError("the stream ended")
                raise ProtocolError("the stream broke off")
            done += count
        return buffer


def is_quiet(connection: socket.socket) -> bool:
    """Whether an idle connection is open and silent: it neither ended nor speaks out of turn."""
    poller = select.poll()
    poller.register(connection, select.POLLIN)
    return not poller.poll(0)


def _short(path: Path) -> tuple[str, int | None]:
    """Return a name of `path` that fits into a socket address, and a descriptor to close after."""
    if len(os.fsencode(path)) <= _PATH_LIMIT:
        return str(path), None
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    return f"/proc/self/fd/{folder}/{path.name}", folder


def connect(path: Path, timeout_s: float | None = None) -> socket.socket:
    """Return a connection to the socket at `path`, however long its name is.

    Raises:
        OSError: nobody listens there.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = None
    try:
        connection.settimeout(timeout_s)
        name, folder = _short(path)
        connection.connect(name)
    except OSError:
        connection.close()
        raise
    finally:
        if folder is not None:
            os.close(folder)
    return connection


def listen(path: Path) -> socket.socket:
    """Return a listening socket at `path`, mode 0700; a stale file there is replaced.

    Raises:
        OSError: the folder is missing, or somebody answers there already.
    """
    try:
        connect(path, 1).close()
    except OSError:
        pass
    else:
        raise FileExistsError(f"a supervisor already answers at {path}")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    name, folder = _short(beside)
    before = os.umask(0o077)
    try:
        beside.unlink(missing_ok=True)
        server.bind(name)
        server.listen(128)
        beside.replace(path)
    except OSError:
        server.close()
        raise
    finally:
        os.umask(before)
        if folder is not None:
            os.close(folder)
    return server
