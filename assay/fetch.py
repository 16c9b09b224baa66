"""Bytes from the network, bounded in size and time; what they say is somebody else's question.

Whoever fetches treats the answer as a stranger's: each format has its parser, each blob its digest.
"""

from __future__ import annotations

import io
import socket
import threading
import time
import urllib.error
import urllib.request
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPMessage,
    HTTPResponse,
    HTTPSConnection,
)
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote, urlsplit

from assay.errors import MissingError, MisuseError, UnavailableError

TIMEOUT_S = 30.0
LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ABSENT, _DENIED = (404, 410), (401, 403, 451)
_CHUNK = 2**16
_SCHEMES = ("http", "https")


class _SameSchemes(urllib.request.HTTPRedirectHandler):
    """Follow redirects to http and https only; urllib would also take ftp."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the next request."""
        check_url(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class DeniedError(UnavailableError):
    """Whoever was asked answered that it is not for this reader: a 401, 403 or 451."""


class MovedError(UnavailableError):
    """A session was told that the thing lies elsewhere, where it does not go."""


def check_url(url: str) -> str:
    """Return `url`, which names a host by http or https and carries no password.

    Raises:
        MisuseError: any other URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise MisuseError(f"{url!r} is not a URL: {error}") from error
    if parts.scheme not in _SCHEMES or not parts.hostname or "@" in parts.netloc or port == 0:
        raise MisuseError(f"{url!r} is not an http or https URL")
    return url


def check_secret_url(url: str) -> str:
    """Return `url`, to which a token may go: by https, or to this machine.

    Raises:
        MisuseError: any other URL.
    """
    parts = urlsplit(check_url(url))
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise MisuseError(f"{url} is not https: a token would travel in the open")
    return url


def fetch(url: str, *, limit: int, timeout_s: float = TIMEOUT_S, token: str = "") -> bytes:
    """Return the body that `url` answers, at most `limit` bytes, within `timeout_s` seconds.

    An API `token` goes to `url` alone, not to where it redirects.

    Raises:
        MisuseError: not an http or https URL, or a token that would travel in the open.
        UnavailableError: no answer, another status than 200, too long, or too slow.
    """
    check_url(url)
    deadline = time.monotonic() + timeout_s
    opener = urllib.request.build_opener(_SameSchemes)
    request = urllib.request.Request(url, headers={"User-Agent": "assay"})  # noqa: S310 (checked)
    if token:
        check_secret_url(url)
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with opener.open(request, timeout=timeout_s) as response:
            if response.status != 200:
                raise UnavailableError(f"{url} answered {response.status}")
            chunks, size = [], 0
            # read1 returns what has come: read would wait for a whole chunk of a slow sender, and
            # never look at the clock.
            while chunk := response.read1(_CHUNK):
                chunks.append(chunk)
                size += len(chunk)
                if size > limit:
                    raise UnavailableError(f"{url} answered more than {limit} bytes")
                if time.monotonic() > deadline:
                    raise UnavailableError(f"{url} took longer than {timeout_s:g} s")
            if response.length:
                raise UnavailableError(f"{url} ended {response.length} bytes too early")
    except urllib.error.HTTPError as error:
        error.close()
        raise UnavailableError(f"{url} answered {error.code}") from error
    except (OSError, HTTPException, MisuseError, UnicodeError) as error:
        # UnicodeError: a host or path that cannot be written in ASCII.
        raise UnavailableError(f"{url} did not answer: {error}") from error
    return b"".join(chunks)


class _Timed(io.RawIOBase):
    """The bytes of one answer, until a deadline: each read may wait for what is left, no longer.

    A socket's own time-out starts anew with each byte, so who drips would never be too late.
    """

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        self._deadline = time.monotonic() + (sock.gettimeout() or TIMEOUT_S)

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what has come; TimeoutError when the deadline has passed."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()


class _Answer(HTTPResponse):
    """An answer whose head, too, has to come before the deadline."""

    def __init__(self, sock: socket.socket, *args: Any, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        self.fp = io.BufferedReader(_Timed(sock, self.fp.detach()))


class Session:
    """Requests to one place, over connections that stay open: one for each thread that asks.

    No redirect is followed: what is asked for lies here or nowhere. Close it when it is no longer
    used, which ends the connections of all threads. Proxies are those that `fetch` uses. An API
    `token` goes along with each request.
    """

    def __init__(self, base: str, *, timeout_s: float = TIMEOUT_S, token: str = "") -> None:
        parts = urlsplit(check_url(base))
        if parts.query or parts.fragment:
            raise MisuseError(f"{base!r} has a query: give the address under which the files lie")
        self._base = base.rstrip("/")
        self._https = parts.scheme == "https"
        self._place = (parts.hostname or "", parts.port)
        self._path = quote(parts.path.rstrip("/"), safe="/%~")
        self._proxy = _proxy_for(parts.scheme, parts.netloc)
        if self._proxy and not self._https:
            self._path = f"http://{parts.netloc}{self._path}"
        self._timeout_s = timeout_s
        self._headers = {"User-Agent": "assay"}
        if token:
            check_secret_url(base)
            self._headers["Authorization"] = f"Bearer {token}"
        self._mine = threading.local()
        self._all: list[HTTPConnection] = []
        self._guard = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all connections."""
        with self._guard:
            for connection in self._all:
                connection.close()

    def get(self, name: str, *, limit: int) -> bytes:
        """Return the body of `name` under the base address, at most `limit` bytes.

        Raises:
            MissingError: the answer is that there is no such thing (404, 410).
            DeniedError, MovedError: or that it is not for this reader, or lies elsewhere.
            UnavailableError: no answer, another status, too long, or too slow.
        """
        url = f"{self._base}/{name}"
        connection = self._connection()
        whole = False
        try:
            with self._ask(connection, name) as answer:
                data = _body(answer, url, limit)
            whole = True
        except (OSError, HTTPException, ValueError) as error:
            # ValueError: a host or path that no request line can carry.
            raise UnavailableError(f"{url} did not answer: {error}") from error
        finally:
            if not whole:  # what was not read would be taken for the next answer
                connection.close()
        return data

    def _connection(self) -> HTTPConnection:
        connection: HTTPConnection | None = getattr(self._mine, "connection", None)
        if connection is None:
            kind = HTTPSConnection if self._https else HTTPConnection
            host, port = self._proxy or self._place
            self._mine.connection = connection = kind(host, port, timeout=self._timeout_s)
            connection.response_class = _Answer
            if self._proxy and self._https:
                connection.set_tunnel(*self._place)
            with self._guard:
                self._all.append(connection)
        return connection

    def _ask(self, connection: HTTPConnection, name: str) -> HTTPResponse:
        reused = connection.sock is not None
        try:
            return self._send(connection, name)
        except (ConnectionResetError, BrokenPipeError):
            # A server may end an idle connection at any time; a fresh one tells whether it lives.
            connection.close()
            if not reused:
                raise
            return self._send(connection, name)

    def _send(self, connection: HTTPConnection, name: str) -> HTTPResponse:
        if connection.sock is None:
            connection.connect()
        connection.sock.settimeout(self._timeout_s)
        connection.request("GET", f"{self._path}/{name}", headers=self._headers)
        return connection.getresponse()


def _body(answer: HTTPResponse, url: str, limit: int) -> bytes:
    if answer.status in _ABSENT:
        raise MissingError(f"{url} answered {answer.status}")
    if answer.status in _DENIED:
        raise DeniedError(f"{url} answered {answer.status}")
    if answer.status != 200:
        moved = answer.headers.get("Location")
        hint = f" and names {moved}: give the address that it leads to" if moved else ""
        kind = MovedError if moved else UnavailableError
        raise kind(f"{url} answered {answer.status}{hint}")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise UnavailableError(f"{url} answered in an encoding that was not asked for")
    data = bytearray()
    while chunk := answer.read1(min(_CHUNK, limit + 1 - len(data))):
        data += chunk
        if len(data) > limit:
            raise UnavailableError(f"{url} answered more than {limit} bytes")
    if answer.length:
        raise UnavailableError(f"{url} ended {answer.length} bytes too early")
    return bytes(data)


def _proxy_for(scheme: str, netloc: str) -> tuple[str, int | None] | None:
    """Return the proxy that this machine's settings name for a place, as `fetch` uses it too."""
    named = urllib.request.getproxies().get(scheme)
    if not named or urllib.request.proxy_bypass(netloc):
        return None
    parts = urlsplit(check_url(named if "://" in named else f"http://{named}"))
    return parts.hostname or "", parts.port
