"""One HTTP/1.1 POST to addresses that were checked, and the status code of its answer.

Nothing else of the answer is used or kept: its headers are read, at most 16 KiB of them, to find
where it ends, its body is not. One deadline covers all: connecting, the TLS handshake, sending, and
an answer that comes a byte at a time. A redirect is an answer like any other.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Mapping, Sequence

from inference.webhooks.guard import Place

TIMEOUT_S = 10.0
CONNECT_S = 5.0
MAX_ANSWER = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?\r?\n")
_END = re.compile(rb"\r?\n\r?\n")
_PIECE = 4_096
_LEAST_S = 0.001


class UndeliveredError(Exception):
    """No answer came; the message says why in words for the webhook's owner."""


def tls_context() -> ssl.SSLContext:
    """Return a context that checks the server's name against the system's authorities."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def post(
    place: Place,
    addresses: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    context: ssl.SSLContext,
    timeout_s: float = TIMEOUT_S,
) -> int:
    """POST `body` to `place` at the first of `addresses` that takes the connection; return status.

    Raises:
        UndeliveredError: nothing that is an HTTP answer came within `timeout_s`.
    """
    until = time.monotonic() + timeout_s
    try:
        with _connect(place, addresses, until) as plain:
            if not place.https:
                return _ask(plain, place, headers, body, until)
            plain.settimeout(_left(until))
            with context.wrap_socket(plain, server_hostname=place.host) as encrypted:
                return _ask(encrypted, place, headers, body, until)
    except TimeoutError:
        raise UndeliveredError(f"No answer within {timeout_s:g} seconds.") from None
    except ssl.SSLCertVerificationError as error:
        raise UndeliveredError(f"The certificate is refused: {error.verify_message}.") from error
    except ssl.SSLError as error:
        raise UndeliveredError("The TLS connection failed.") from error
    except ConnectionRefusedError as error:
        raise UndeliveredError("The connection was refused.") from error
    except OSError as error:
        raise UndeliveredError("The connection failed.") from error


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left < _LEAST_S:
        raise TimeoutError
    return left


def _connect(place: Place, addresses: Sequence[str], until: float) -> socket.socket:
    *others, last = addresses
    for address in others:
        try:
            return _connect_to(address, place.port, until)
        except OSError:
            _left(until)
    return _connect_to(last, place.port, until)


def _connect_to(address: str, port: int, until: float) -> socket.socket:
    # An IP address, so nothing is resolved here.
    return socket.create_connection((address, port), timeout=min(CONNECT_S, _left(until)))


def _ask(
    connection: socket.socket, place: Place, headers: Mapping[str, str], body: bytes, until: float
) -> int:
    lines = [f"POST {place.target} HTTP/1.1", f"Host: {place.authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    connection.settimeout(_left(until))
    connection.sendall("\r\n".join(lines).encode("ascii") + body)
    answer = bytearray()
    while True:
        status = _final_status(answer)
        if status is not None:
            return status
        connection.settimeout(_left(until))
        piece = connection.recv(_PIECE)
        if not piece or len(answer) + len(piece) > MAX_ANSWER:
            raise UndeliveredError("The answer is no HTTP answer that fits 16 KiB.")
        answer += piece


def _final_status(answer: bytearray) -> int | None:
    """Return the status once its headers are complete, past interim answers (1xx); None before.

    Raises:
        UndeliveredError: this is not HTTP.
    """
    start = 0
    while True:
        end = _END.search(answer, start)
        if end is None:
            return None
        match = _STATUS.match(answer, start)
        if match is None:
            raise UndeliveredError("The answer is not HTTP.")
        status = int(match[1])
        if status >= 200:
            return status
        start = end.end()
