"""Server-sent events: what happens to an execution or a batch, as it happens.

A stream asks the rows and sends an event when they have changed; an event's id says what was seen,
so that a reader who comes back with `Last-Event-ID` misses nothing and hears nothing twice. Between
events a comment goes out every `COMMENT_S` seconds: proxies keep the connection, and a reader who
has gone is noticed. A stream ends after `LONGEST_S`; readers come back by themselves.

Each stream holds a thread of its web process, so a process has at most `EVENT_STREAMS` of them;
everybody else is told to poll, which costs an index look-up and no thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

from django.conf import settings

from assay.canonical import canonical_json
from inference.errors import InferenceError, TooManyStreamsError

COMMENT_S = 15.0
LONGEST_S = 300.0
RETRY_MS = 2_000
COMPLETED = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What is to be told now; after `completed` nothing follows."""

    id: str
    name: str
    data: dict[str, Any]

    def encode(self) -> bytes:
        """Return the event as the HTML standard writes it (section 9.2)."""
        data = canonical_json(self.data)
        return b"".join(
            (
                b"id: ",
                self.id.encode(),
                b"\nevent: ",
                self.name.encode(),
                b"\ndata: ",
                data,
                b"\n\n",
            )
        )


class Places:
    """How many streams this process sends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0

    def take(self) -> None:
        """Take a place.

        Raises:
            TooManyStreamsError: none is free.
        """
        with self._lock:
            if self._taken >= settings.EVENT_STREAMS:
                raise TooManyStreamsError(
                    "This process sends as many event streams as it may: poll instead."
                )
            self._taken += 1

    def give_back(self) -> None:
        """Give a place back."""
        with self._lock:
            self._taken -= 1


class Stream:
    """The body of a response: iterate it, and close it whatever happened.

    `read` returns what is to be told now, None when nothing is; `pause` waits at most so many
    seconds; `last` is the id of the event that the reader has seen; `done` is called at the end.
    """

    def __init__(
        self,
        read: Callable[[], Event | None],
        pause: Callable[[float], None],
        *,
        last: str,
        done: Callable[[], None],
    ) -> None:
        self._read = read
        self._pause = pause
        self._last = last
        self._done = done
        self._until = time.monotonic() + LONGEST_S
        self._spoken = time.monotonic()
        self._begun = self._ended = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        if not self._begun:
            self._begun = True
            return b"retry: %d\n\n" % RETRY_MS
        while not self._ended:
            try:
                event = self._read()
            except InferenceError:
                break  # the reader may know of it no more
            if event is not None and event.id != self._last:
                self._last, self._spoken = event.id, time.monotonic()
                self._ended = event.name == COMPLETED
                return event.encode()
            now = time.monotonic()
            if now >= self._until:
                break
            if now - self._spoken >= COMMENT_S:
                self._spoken = now
                return b": here\n\n"
            self._pause(self._spoken + COMMENT_S - now)
        raise StopIteration

    def close(self) -> None:
        """End the stream; a second time does nothing."""
        self._ended = True
        done, self._done = self._done, _nothing
        done()


def _nothing() -> None:
    """Do nothing: the stream is closed already."""
