"""Asking witnesses to cosign: the client of C2SP tlog-witness `add-checkpoint`.

The rules:

1. All witnesses are asked at once, and each has one second, its retry after 409 included.
2. What a witness answers is a stranger's bytes: bounded, and verified with its pinned key.
3. No database in these threads. What is late is cut off; the call does not wait for it.
4. A stranger's witness is asked at most once in `WITNESS_INTERVAL_S`, one on this machine for each
   checkpoint; one that did not cosign has some seconds of peace, one that still thinks is not
   asked again.
5. Once the quorum has answered, the others have 200 ms more; what they say after that is taken in
   at the next occasion (`Asking.late`).
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from ipaddress import ip_address
from queue import Empty, SimpleQueue
from urllib.parse import urlsplit

from assay.canonical import parse_decimal
from assay.checkpoint import parse_checkpoint
from assay.errors import AssayError, VerificationError
from assay.note import SignatureLine, VKey, open_note, parse_line, parse_note
from assay.policy import PolicyKey
from assay.witness import render_add_checkpoint

TIMEOUT_S = 1.0
GRACE_S = 0.2
RETRY_S = 5.0
MAX_ANSWER = 2**16
LAST_TIME = 253_402_300_799  # the end of the year 9999, which a row can hold
log = logging.getLogger(__name__)

Prove = Callable[[int], Sequence[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """A verified cosignature of a tree of `size` entries; `time` is in POSIX seconds."""

    vkey: VKey
    line: SignatureLine
    time: int
    size: int


Enough = Callable[[Sequence[Cosigned]], bool]


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
    return Cosigned(
        vkey=vkey, line=first, time=opened.times[vkey], size=parse_checkpoint(text).size
    )


def is_near(url: str) -> bool:
    """Tell whether the witness at `url` is on this machine, and may be asked as often as we like.

    Raises:
        ValueError: `url` is none.
    """
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Asking:
    """Who was asked when, and whose answers are still to come. It outlives a sequencer's restart.

    Used by one thread; the ones that it starts only put answers into a queue.
    """

    def __init__(
        self,
        interval_s: float,
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._not_before: dict[VKey, float] = {}
        self._under_way: dict[VKey, tuple[Request, float]] = {}
        self._answers: SimpleQueue[tuple[Request, Cosigned | None]] = SimpleQueue()

    def may_ask(self, key: PolicyKey) -> bool:
        """Tell whether `key` has an address, and its time to be asked again has come."""
        if not key.url or key.vkey in self._under_way:
            return False
        at = self._not_before.get(key.vkey)
        return at is None or self._clock() >= at

    def ask(self, requests: Sequence[Request], prove: Prove, enough: Enough) -> list[Cosigned]:
        """Ask all at once; return what came in time and is right, late answers of before included.

        It waits until all have answered, `enough` says so of what is right and a grace is over, or
        the time is.
        """
        until = self._clock() + self._timeout_s
        for request in requests:
            self._start(request, prove, until)
        found = self.late()
        met = False
        while any(request.vkey in self._under_way for request in requests):
            if not met and enough(found):
                met, until = True, min(until, self._clock() + GRACE_S)
            if not self._take(found, until - self._clock()):
                break
        self._cut()
        return found

    def late(self) -> list[Cosigned]:
        """Return what came since the last call, and cut off whose time is over."""
        found: list[Cosigned] = []
        while self._take(found, 0):
            pass
        self._cut()
        return found

    def cut_all(self) -> None:
        """End every question that is under way; their threads end by themselves."""
        for request, _ in self._under_way.values():
            request.cut()

    def _start(self, request: Request, prove: Prove, until: float) -> None:
        self._under_way[request.vkey] = request, until
        self._not_before[request.vkey] = self._clock() + self._peace_s(request.url)
        threading.Thread(
            target=self._run, args=(request, prove), name="witness", daemon=True
        ).start()

    def _peace_s(self, url: str) -> float:
        try:
            return 0.0 if is_near(url) else self._interval_s
        except ValueError:
            return self._interval_s

    def _run(self, request: Request, prove: Prove) -> None:
        answer = None
        try:
            answer = request.ask(prove, self._timeout_s)
        # TimeoutError is an OSError; a ValueError is a policy's address that is none.
        except (AssayError, HTTPException, OSError, ValueError) as error:
            log.warning("witness %s did not cosign: %s", request.vkey.name, error)
        finally:
            self._answers.put((request, answer))

    def _take(self, found: list[Cosigned], wait_s: float) -> bool:
        """Take one answer, waiting for it at most `wait_s`; say whether there was one."""
        try:
            request, answer = self._answers.get(wait_s > 0, max(wait_s, 0))
        except Empty:
            return False
        self._under_way.pop(request.vkey)
        if answer is None:
            again = self._clock() + RETRY_S
            self._not_before[request.vkey] = max(self._not_before.get(request.vkey, 0.0), again)
        else:
            found.append(answer)
        return True

    def _cut(self) -> None:
        now = self._clock()
        for request, until in self._under_way.values():
            if now >= until:
                request.cut()
