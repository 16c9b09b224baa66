"""Asking witnesses to cosign: the client of C2SP tlog-witness `add-checkpoint`.

The rules:

1. All witnesses are asked at once, and each has one second, its retry after 409 included.
2. What a witness answers is a stranger's bytes: bounded, and verified with its pinned key.
3. No database in these threads. What is late is cut off; the call does not wait for it.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from assay.canonical import parse_decimal
from assay.errors import AssayError, VerificationError
from assay.note import SignatureLine, VKey, open_note, parse_line, parse_note
from assay.witness import render_add_checkpoint

TIMEOUT_S = 1.0
MAX_ANSWER = 2**16
LAST_TIME = 253_402_300_799  # the end of the year 9999, which a row can hold
log = logging.getLogger(__name__)

Prove = Callable[[int], Sequence[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """A verified cosignature: the key, its line, and its time in POSIX seconds."""

    vkey: VKey
    line: SignatureLine
    time: int


@dataclass(slots=True, kw_only=True)
class Request:
    """One question to one witness.

    `old` is the tree size that it cosigned last as far as we know; `note` the log's signed
    checkpoint of `size` entries.
    """

    vkey: VKey
    url: str
    old: int
    size: int
    note: bytes
    late: bool = field(default=False, init=False)
    stream: socket.socket | None = field(default=None, init=False)

    def ask(self, prove: Prove, timeout_s: float) -> Cosigned:
        """Ask, and once more when the witness says that it is at another size.

        Raises:
            AssayError: the answer is malformed or wrong.
            OSError, HTTPException: there was none.
        """
        old = min(self.old, self.size)
        status, body = self._post(render_add_checkpoint(old, prove(old), self.note), timeout_s)
        if status == 409:
            held = parse_decimal(body.decode("latin-1").removesuffix("\n"), "size")
            if held > self.size:
                raise VerificationError(f"it has a larger tree of {held} entries")
            status, body = self._post(
                render_add_checkpoint(held, prove(held), self.note), timeout_s
            )
        if status != 200:
            raise VerificationError(f"it answered {status}: {body[:200]!r}")
        return read_answer(self.note, body, self.vkey)

    def _post(self, body: bytes, timeout_s: float) -> tuple[int, bytes]:
        parts = urlsplit(self.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
        path = f"{parts.path.rstrip('/')}/add-checkpoint"
        try:
            connection.connect()
            self.stream = connection.sock
            if self.late:
                raise TimeoutError("its address was found too late")
            connection.request("POST", path, body=body)
            answer = connection.getresponse()
            data = answer.read(MAX_ANSWER + 1)
        finally:
            connection.close()
        if len(data) > MAX_ANSWER:
            raise VerificationError(f"its answer is longer than {MAX_ANSWER} bytes")
        return answer.status, data

    def cut(self) -> None:
        """End the question from another thread: its next read or write fails at once."""
        self.late = True
        if self.stream is not None:
            with suppress(OSError):
                self.stream.shutdown(socket.SHUT_RDWR)


def read_answer(note: bytes, body: bytes, vkey: VKey) -> Cosigned:
    """Return the cosignature of `vkey` in the answer `body`.

    Raises:
        FormatError: the body is not signature lines.
        VerificationError: no line is the witness's, or one is wrong.
    """
    text = parse_note(note).text
    opened = open_note(text.encode() + b"\n" + body, [vkey])
    lines = [parse_line(line) for line in body.decode().rstrip("\n").split("\n")]
    own = [line for line in lines if (line.name, line.key_id) == (vkey.name, vkey.key_id)]
    # The earliest is what a reader of the note will count.
    first = min(own, key=lambda line: line.payload[:8])
    if opened.times[vkey] > LAST_TIME:
        raise VerificationError("its time is beyond the calendar")
    return Cosigned(vkey=vkey, line=first, time=opened.times[vkey])


def collect(
    requests: Sequence[Request], prove: Prove, timeout_s: float = TIMEOUT_S
) -> list[Cosigned]:
    """Ask all at once; return what came in time and is right, and log the rest."""
    if not requests:
        return []
    pool = ThreadPoolExecutor(max_workers=len(requests), thread_name_prefix="witness")
    asked = {pool.submit(one.ask, prove, timeout_s): one for one in requests}
    _, late = wait(asked, timeout=timeout_s)
    for future in late:
        asked[future].cut()
    pool.shutdown(wait=False)
    return [found for future, one in asked.items() if (found := _result(future, one))]


def _result(future: Future[Cosigned], request: Request) -> Cosigned | None:
    try:
        return future.result(timeout=0)
    # TimeoutError is an OSError; a ValueError is a policy's address that is none.
    except (AssayError, HTTPException, OSError, ValueError) as error:
        log.warning("witness %s did not cosign: %s", request.vkey.name, error)
        return None
